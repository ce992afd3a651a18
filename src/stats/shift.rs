//! Where a series of numbers changes its level, as opposed to going up and down by chance.
//!
//! **Method**: narrowest-over-threshold (Baranowski, Chen & Fryzlewicz, "Narrowest-over-threshold
//! detection of multiple change points and change-point-like features", Journal of the Royal
//! Statistical Society B 81, 2019) over seeded intervals (Kovács, Bühlmann, Li & Munk, "Seeded binary
//! segmentation", Biometrika 110, 2023), with the ranks of the numbers in place of the numbers: in
//! each interval the largest standardised rank sum over all places to split it (Pettitt, "A
//! non-parametric approach to the change-point problem", Applied Statistics 28, 1979; standardised
//! as by Hawkins & Deng, "A nonparametric change-point control chart", Journal of Quality Technology
//! 42, 2010).
//!
//! Ranks know nothing of the noise's distribution: one slow night is one rank, and the chance of a
//! false alarm is the same for every noise whose values are independent of each other. So the
//! thresholds are a table that was simulated once ([`THRESHOLDS`]), and nothing here is random.

/// Share of series without any shift in which at least one is found.
pub const FALSE_ALARM: f64 = 0.01;

/// Fewest numbers in which a shift can be found.
pub const FEWEST: usize = 10;

/// Most numbers that are looked at: the last ones.
pub const MOST: usize = 5_000;

/// By the length of a series: what its largest statistic stays below in 99 of 100 random orders
/// (1,500 to 40,000 orders each). Between two lengths, along a line over the logarithm of the length.
const THRESHOLDS: [(usize, f64); 12] = [
    (10, 2.56),
    (12, 2.74),
    (15, 2.95),
    (20, 3.18),
    (30, 3.38),
    (50, 3.58),
    (100, 3.90),
    (200, 4.12),
    (500, 4.37),
    (1_000, 4.56),
    (2_000, 4.70),
    (5_000, 4.89),
];

/// Numbers of the shortest interval that is looked at.
const SHORTEST: usize = 8;

/// Places at which a new level begins, in order; empty where none is found and of fewer than
/// [`FEWEST`] numbers. Numbers that are not finite must be left out before.
pub fn shifts(numbers: &[f64]) -> Vec<usize> {
    let skipped = numbers.len().saturating_sub(MOST);
    let numbers = &numbers[skipped..];
    let Some(threshold) = threshold(numbers.len()) else { return Vec::new() };
    let intervals: Vec<Found> = intervals(numbers.len())
        .into_iter()
        .map(|(from, to)| Found::within(numbers, from, to))
        .filter(|found| found.statistic > threshold)
        .collect();
    let mut places = Vec::new();
    split(numbers, &intervals, threshold, (0, numbers.len()), &mut places);
    places.sort_unstable();
    settle(numbers, threshold, &mut places);
    places.into_iter().map(|place| place + skipped).collect()
}

/// The best place to split an interval.
#[derive(Debug, Clone, Copy)]
struct Found {
    from: usize,
    to: usize,
    /// Where the second part begins.
    place: usize,
    /// The standardised rank sum of the first part, without its sign.
    statistic: f64,
}

impl Found {
    fn within(numbers: &[f64], from: usize, to: usize) -> Self {
        let part = &numbers[from..to];
        let n = part.len() as f64;
        let ranks = ranks(part);
        let middle = f64::midpoint(n, 1.0);
        // As if no two numbers were equal: among equal ones that errs towards no shift.
        let squares = n * (n * n - 1.0) / 12.0;
        let mut found = Self { from, to, place: from, statistic: 0.0 };
        let mut sum = 0.0;
        for (at, rank) in ranks.iter().enumerate().take(part.len().saturating_sub(1)) {
            sum += rank - middle;
            let first = (at + 1) as f64;
            // Of a sum of so many ranks that are drawn without putting them back.
            let variance = squares / (n - 1.0) * first * (n - first) / n;
            if variance > 0.0 && sum.abs() / variance.sqrt() > found.statistic {
                found.statistic = sum.abs() / variance.sqrt();
                found.place = from + at + 1;
            }
        }
        found
    }
}

/// Ranks from 1; equal numbers share the mean of theirs.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_unstable_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
    let mut ranks = vec![0.0; numbers.len()];
    let mut before = 0;
    for equal in order.chunk_by(|&a, &b| numbers[a] == numbers[b]) {
        let rank = before as f64 + f64::midpoint(equal.len() as f64, 1.0);
        equal.iter().for_each(|&place| ranks[place] = rank);
        before += equal.len();
    }
    ranks
}

/// What a statistic has to exceed in a series of this length; `None` for one that is too short.
fn threshold(length: usize) -> Option<f64> {
    if length < FEWEST {
        return None;
    }
    let above = THRESHOLDS.iter().position(|(known, _)| *known >= length)?;
    let (long, high) = THRESHOLDS[above];
    let (short, low) = THRESHOLDS[above.saturating_sub(1)];
    if long == short {
        return Some(high);
    }
    let ln = |length: usize| (length as f64).ln();
    let share = (ln(length) - ln(short)) / (ln(long) - ln(short));
    Some(low + share * (high - low))
}

/// Intervals of a series, from the whole of it down to [`SHORTEST`], each layer shorter by the fourth
/// root of 2, each interval half covered by its neighbours: seeded intervals (definition 1 of Kovács
/// et al.).
fn intervals(length: usize) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for layer in 0_i32.. {
        let shorter = 2_f64.powf(f64::from(layer) / 4.0);
        let size = length as f64 / shorter;
        if size < SHORTEST as f64 {
            break;
        }
        // Rounding must not make one more of a power of 2.
        let count = 2 * (shorter - 1e-9).ceil() as usize - 1;
        let step = if count > 1 { (length as f64 - size) / (count - 1) as f64 } else { 0.0 };
        for number in 0..count {
            let from = number as f64 * step;
            let to = ((from + size - 1e-9).ceil() as usize).min(length);
            all.push((from.floor() as usize, to));
        }
    }
    all
}

/// Splits a part of the series at the narrowest interval within it that exceeds the threshold, and
/// goes on in both halves.
fn split(
    numbers: &[f64],
    intervals: &[Found],
    threshold: f64,
    (from, to): (usize, usize),
    places: &mut Vec<usize>,
) {
    if to - from < SHORTEST {
        return;
    }
    let whole = Found::within(numbers, from, to);
    let inside = |found: &&Found| found.from >= from && found.to <= to;
    let narrowest = intervals
        .iter()
        .filter(inside)
        .chain(Some(&whole).filter(|whole| whole.statistic > threshold))
        .min_by(|a, b| {
            let wide = |found: &Found| found.to - found.from;
            wide(a).cmp(&wide(b)).then(b.statistic.total_cmp(&a.statistic))
        });
    if let Some(found) = narrowest {
        places.push(found.place);
        split(numbers, intervals, threshold, (from, found.place), places);
        split(numbers, intervals, threshold, (found.place, to), places);
    }
}

/// Moves each place to the best one between its neighbours, and leaves out what does not exceed the
/// threshold there: a narrow interval finds a shift, a wide one finds where it is.
fn settle(numbers: &[f64], threshold: f64, places: &mut Vec<usize>) {
    loop {
        let ends = |places: &[usize], at: usize| {
            let from = if at == 0 { 0 } else { places[at - 1] };
            (from, places.get(at + 1).copied().unwrap_or(numbers.len()))
        };
        for at in 0..places.len() {
            let (from, to) = ends(places, at);
            let found = Found::within(numbers, from, to);
            if found.statistic > threshold {
                places[at] = found.place;
            }
        }
        let weakest = (0..places.len())
            .map(|at| {
                let (from, to) = ends(places, at);
                (at, Found::within(numbers, from, to).statistic)
            })
            .min_by(|a, b| a.1.total_cmp(&b.1));
        match weakest {
            Some((at, statistic)) if statistic <= threshold => places.remove(at),
            _ => break,
        };
    }
    for at in 0..places.len() {
        let from = if at == 0 { 0 } else { places[at - 1] };
        let to = places.get(at + 1).copied().unwrap_or(numbers.len());
        places[at] = nearby(&numbers[from..to], places[at] - from) + from;
    }
}

/// How far from where ranks place it a shift is looked for by the numbers themselves.
const NEARBY: usize = 4;

/// The place near another one at which two medians describe the numbers best: ranks find that there
/// is a shift, and lie off by one or two where its sides are of different length.
fn nearby(numbers: &[f64], place: usize) -> usize {
    let last = numbers.len() - 1;
    let places = place.saturating_sub(NEARBY).max(1)..=(place + NEARBY).min(last);
    let apart = |place: usize| [&numbers[..place], &numbers[place..]].map(around_median);
    let cost = |place: usize| apart(place).iter().sum::<f64>();
    places.min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap_or(place)
}

/// Sum of the distances from the median.
fn around_median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = super::values::quantile(&sorted, 0.5);
    numbers.iter().map(|number| (number - median).abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rayon::prelude::*;

    /// About standard normal: the sum of twelve uniform numbers, less their mean.
    fn normal(random: &mut ChaCha8Rng) -> f64 {
        (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
    }

    /// Mostly quiet, now and then far slower: as jobs on a shared machine are.
    fn skewed(random: &mut ChaCha8Rng) -> f64 {
        let usual: f64 = -random.random::<f64>().max(1e-12).ln();
        if random.random::<f64>() < 0.05 { usual * 10.0 } else { usual }
    }

    /// Each value keeps this share of the one before it.
    fn related(random: &mut ChaCha8Rng, length: usize, share: f64) -> Vec<f64> {
        let mut value = normal(random) / (1.0 - share * share).sqrt();
        let next = |_| {
            let now = value;
            value = share * value + normal(random);
            now
        };
        (0..length).map(next).collect()
    }

    /// Share of so many series, each of its own seed, of which this holds.
    fn share(count: u64, holds: impl Fn(&mut ChaCha8Rng) -> bool + Sync) -> f64 {
        let holding = (0..count)
            .into_par_iter()
            .filter(|seed| holds(&mut ChaCha8Rng::seed_from_u64(1_000 + seed)))
            .count();
        holding as f64 / count as f64
    }

    fn series(random: &mut ChaCha8Rng, length: usize, of: fn(&mut ChaCha8Rng) -> f64) -> Vec<f64> {
        (0..length).map(|_| of(random)).collect()
    }

    /// What docs/history.md states. The bound is that of the issue; the table's is [`FALSE_ALARM`].
    #[test]
    fn series_without_a_shift_hardly_ever_show_one() {
        let noises: [fn(&mut ChaCha8Rng) -> f64; 2] = [normal, skewed];
        for (length, count) in [(10, 1_000), (15, 1_000), (50, 1_000), (200, 100)] {
            for noise in noises {
                let alarms =
                    share(count, |random| !shifts(&series(random, length, noise)).is_empty());
                assert!(alarms <= 0.02, "{length}: {alarms}");
            }
        }
        let alarms = |share_of_before| {
            share(500, |random| !shifts(&related(random, 50, share_of_before)).is_empty())
        };
        assert!(alarms(0.2) <= 0.05, "{}", alarms(0.2));
    }

    /// 20 % at 5 % noise, wherever it is but in the last runs.
    #[test]
    fn a_shift_of_a_fifth_is_found_where_it_is() {
        for (place, exactly) in [(25, 0.95), (10, 0.9), (42, 0.9), (45, 0.75)] {
            let found = share(200, |random| {
                let level = |at: usize| if at < place { 100.0 } else { 120.0 };
                let numbers: Vec<f64> =
                    (0..50).map(|at| level(at) * (1.0 + 0.05 * normal(random))).collect();
                matches!(shifts(&numbers)[..], [one] if one.abs_diff(place) <= 2)
            });
            assert!(found >= exactly, "{place}: {found}");
        }
    }

    #[test]
    fn a_level_that_comes_back_has_two_shifts() {
        let found = share(200, |random| {
            let level = |at: usize| if (20..30).contains(&at) { 120.0 } else { 100.0 };
            let numbers: Vec<f64> =
                (0..50).map(|at| level(at) * (1.0 + 0.05 * normal(random))).collect();
            matches!(shifts(&numbers)[..], [up, down] if up.abs_diff(20) <= 2 && down.abs_diff(30) <= 2)
        });
        assert!(found >= 0.85, "{found}");
    }

    #[test]
    fn few_numbers_equal_numbers_and_one_slow_night_are_no_shift() {
        let steps = |n: usize| (0..n).map(|at| if at < n / 2 { 1.0 } else { 2.0 }).collect();
        let nine: Vec<f64> = steps(FEWEST - 1);
        assert_eq!(shifts(&nine), [0; 0]);
        let ten: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(shifts(&ten).len(), 1, "ten numbers in order are enough");
        assert_eq!(shifts(&[3.0; 100]), [0; 0]);
        let mut night = vec![1.0; 40];
        night[20] = 900.0;
        assert_eq!(shifts(&night), [0; 0]);
        assert_eq!(shifts(&[]), [0; 0]);
    }

    #[test]
    fn of_very_many_numbers_the_last_are_looked_at() {
        let numbers: Vec<f64> = (0..6_000_u32)
            .map(|at| f64::from(at.wrapping_mul(2_654_435_761) >> 8) / 1e8 + f64::from(at / 4_000))
            .collect();
        assert_eq!(shifts(&numbers), [4_000]);
    }

    #[test]
    fn the_table_is_that_of_random_orders() {
        let (length, threshold) = THRESHOLDS[5];
        let beyond = share(2_000, |random| {
            let numbers = series(random, length, normal);
            let over = |(from, to)| Found::within(&numbers, from, to).statistic > threshold;
            intervals(length).into_iter().any(over)
        });
        assert!((beyond - FALSE_ALARM).abs() < 0.005, "{beyond}");
    }
}

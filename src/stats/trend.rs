//! Whether numbers that follow each other rise or fall by more than chance makes them.

/// A monotone trend by the ranks of numbers alone: Mann, "Nonparametric tests against trend",
/// Econometrica 13 (1945), with Kendall's tau ("A new measure of rank correlation", Biometrika 30,
/// 1938).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Kendall's tau: −1 falls all the way, 1 rises all the way.
    pub tau: f64,
    /// The chance of a tau as far from 0 where there is no trend. It is exact without ties; with
    /// ties it is a little too large.
    pub p: f64,
    /// Median of the slopes between every two numbers, per step (Theil, "A rank-invariant method of
    /// linear and polynomial regression analysis", Indagationes Mathematicae 12, 1950; Sen, Journal
    /// of the American Statistical Association 63, 1968).
    pub slope: f64,
}

/// Most numbers that are looked at: pairs grow with their square. Of more, evenly spaced ones.
const MOST: usize = 1_000;

/// Up to so many numbers the chance is counted exactly, beyond it is that of a normal distribution.
const EXACT: usize = 40;

/// The trend of at least three finite numbers; `None` of fewer.
pub fn trend(numbers: &[f64]) -> Option<Trend> {
    let step = numbers.len().div_ceil(MOST).max(1);
    let numbers: Vec<f64> = numbers.iter().copied().step_by(step).collect();
    let n = numbers.len();
    if n < 3 || numbers.iter().any(|number| !number.is_finite()) {
        return None;
    }
    let mut score = 0_i64;
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    for (at, earlier) in numbers.iter().enumerate() {
        for (distance, later) in numbers[at + 1..].iter().enumerate() {
            let rise = later - earlier;
            score += i64::from(rise > 0.0) - i64::from(rise < 0.0);
            slopes.push(rise / ((distance + 1) * step) as f64);
        }
    }
    slopes.sort_by(f64::total_cmp);
    let pairs = (n * (n - 1) / 2) as f64;
    Some(Trend {
        tau: score as f64 / pairs,
        p: chance(n, score.unsigned_abs()),
        slope: super::values::quantile(&slopes, 0.5),
    })
}

/// The chance that rising pairs less falling pairs, in a random order of `n` different numbers, lie
/// at least this far from 0.
fn chance(n: usize, score: u64) -> f64 {
    if score == 0 {
        return 1.0;
    }
    let pairs = n * (n - 1) / 2;
    if n > EXACT {
        // Kendall's variance, with a correction for continuity: scores go in steps of 2.
        let n = n as f64;
        let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
        let z = (score as f64 - 1.0) / deviation;
        return statrs::function::erf::erfc(z / std::f64::consts::SQRT_2);
    }
    // Orders by their falling pairs (inversions): each further number adds from 0 to as many as
    // there were before it, with equal chance.
    let mut shares = vec![1.0];
    for before in 1..n {
        let mut next = vec![0.0; shares.len() + before];
        for (falling, share) in shares.iter().enumerate() {
            for more in 0..=before {
                next[falling + more] += share / (before + 1) as f64;
            }
        }
        shares = next;
    }
    let far = |(falling, _): &(usize, &f64)| pairs.abs_diff(2 * falling) as u64 >= score;
    shares.iter().enumerate().filter(far).map(|(_, share)| share).sum::<f64>().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_those_of_kendalls_table() {
        // Orders of n numbers that rise or fall all the way: two of n!.
        for (n, orders) in [(3, 6.0), (4, 24.0), (5, 120.0), (6, 720.0)] {
            let all = (n * (n - 1) / 2) as u64;
            assert!((chance(n, all) - 2.0 / orders).abs() < 1e-12, "{n}");
        }
        // Hollander & Wolfe, Nonparametric Statistical Methods, table A.30: P(K >= 8), n = 5: 0.042.
        assert!((chance(5, 8) / 2.0 - 0.042).abs() < 5e-4);
        assert!((chance(10, 23) / 2.0 - 0.023).abs() < 5e-4);
        assert_eq!(chance(10, 0), 1.0);
    }

    #[test]
    fn the_normal_distribution_takes_over_where_they_agree() {
        for score in [100, 200, 300] {
            let exact = chance(EXACT, score);
            let n = EXACT as f64;
            let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
            let z = (score as f64 - 1.0) / deviation;
            let normal = statrs::function::erf::erfc(z / std::f64::consts::SQRT_2);
            assert!((exact - normal).abs() < 0.002, "{score}: {exact} {normal}");
        }
    }

    #[test]
    fn a_trend_has_a_direction_and_a_slope() {
        let rising = trend(&[1.0, 2.0, 3.5, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!((rising.tau, rising.slope), (1.0, 1.0));
        assert!((rising.p - 2.0 / 720.0).abs() < 1e-12);
        let falling = trend(&[3.0, 2.0, 1.0]).unwrap();
        assert_eq!((falling.tau, falling.slope), (-1.0, -1.0));
        let level = trend(&[1.0, 1.0, 1.0, 1.0]).unwrap();
        assert_eq!((level.tau, level.slope, level.p), (0.0, 0.0, 1.0));
        assert_eq!(trend(&[1.0, 2.0]), None);
        assert_eq!(trend(&[1.0, f64::NAN, 2.0]), None);
    }

    #[test]
    fn many_numbers_are_thinned_and_keep_their_slope() {
        let numbers: Vec<f64> = (0..5_000).map(|at| f64::from(at) * 0.5).collect();
        let trend = trend(&numbers).unwrap();
        assert_eq!((trend.tau, trend.slope), (1.0, 0.5));
        assert!(trend.p < 1e-9);
    }
}

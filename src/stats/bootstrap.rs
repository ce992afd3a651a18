//! The bootstrap: how far an estimate could have come out elsewhere, found by drawing from the
//! measured numbers again and again.
//!
//! Intervals are **expanded percentile intervals**. The percentile interval (Efron & Tibshirani,
//! *An Introduction to the Bootstrap*, 1993, chapter 13) takes the 2.5 % and 97.5 % quantiles of
//! the resampled statistic. With few rounds it is too narrow, for two reasons: it spreads like
//! 1/n instead of 1/(n − 1), and like a normal instead of a t distribution. Hesterberg ("What
//! Teachers Should Know About the Bootstrap", The American Statistician 69, 2015, section 5.3)
//! moves the quantiles outwards by exactly these two factors, see [`tail`]. It was chosen over BCa
//! (chapter 14 of the book) since five to twenty rounds are what a run can afford, and there BCa
//! is as narrow as the plain percentile; the tests of this module hold the measured coverage.

mod difference;
pub mod machines;

pub use difference::Rounds;

use super::{Estimate, Values, values::quantile};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Share of cases in which an interval is meant to hold the true value.
pub const CONFIDENCE: f64 = 0.95;

/// Resamples that share one stream of random numbers. Work is divided by this and not by the
/// number of threads, so that threads cannot change a result.
const CHUNK: usize = 256;

/// Most numbers whose median is resampled. Of more, the distribution of a resample's median is
/// known without drawing any, see [`median_of_many`].
const DRAWN_MEDIANS: usize = 500;

/// A seeded bootstrap. The same seed, resamples and input give the same output, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    seed: u64,
    resamples: usize,
    machines: u32,
}

impl Bootstrap {
    /// Resamples where nothing else is asked for: with five rounds, ten of them still lie outside
    /// each end of the interval.
    pub const RESAMPLES: usize = 10_000;

    /// With [`Self::RESAMPLES`] resamples.
    pub const fn new(seed: u64) -> Self {
        Self { seed, resamples: Self::RESAMPLES, machines: 1 }
    }

    /// With another number of resamples, at least 1.
    pub fn with_resamples(self, resamples: usize) -> Self {
        Self { resamples: resamples.max(1), ..self }
    }

    /// The mean with its interval.
    pub fn mean(&self, values: &Values) -> Estimate {
        if values.all_equal() {
            return Estimate::exactly(values.min());
        }
        let sorted = values.sorted();
        let n = sorted.len();
        let [means] = self.distributions(n, |times| {
            let sum: f64 = sorted.iter().zip(times).map(|(x, &k)| x * f64::from(k)).sum();
            Some([sum / n as f64])
        });
        interval(values.mean(), &means, n)
    }

    /// The median with its interval.
    pub fn median(&self, values: &Values) -> Estimate {
        if values.all_equal() {
            return Estimate::exactly(values.min());
        }
        let sorted = values.sorted();
        let n = sorted.len();
        if n > DRAWN_MEDIANS {
            return median_of_many(values);
        }
        let [medians] = self.distributions(n, |times| Some([median_of_drawn(sorted, times)]));
        interval(values.median(), &medians, n)
    }

    /// The median of one number a round, with its interval.
    pub fn median_of(&self, by_round: &[(u32, f64)]) -> Option<Estimate> {
        let values = Values::new(by_round.iter().map(|(_, value)| *value)).ok()?;
        let mut sorted = by_round.to_vec();
        sorted.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        let (rounds, numbers): (Vec<u32>, Vec<f64>) = sorted.into_iter().unzip();
        if self.machines_of(rounds.iter().copied()) < machines::LEAST {
            return Some(self.median(&values));
        }
        let [medians] =
            self.distributions_of(&rounds, |times| Some([median_of_drawn(&numbers, times)]));
        Some(interval(values.median(), &medians, self.units_of(&rounds)))
    }

    /// Resamples `units` units with replacement and computes `K` statistics from each resample,
    /// given how many times every unit was drawn. Several statistics of one call see the same
    /// resamples. Returns each one's values in ascending order; a resample from which a statistic
    /// cannot be computed (`None`) is left out.
    pub fn distributions<const K: usize>(
        &self,
        units: usize,
        statistics: impl Fn(&[u32]) -> Option<[f64; K]> + Sync,
    ) -> [Vec<f64>; K] {
        self.resampled(units, draw, statistics)
    }

    /// [`Self::distributions`] with another way to draw.
    fn resampled<const K: usize>(
        &self,
        units: usize,
        draw: impl Fn(&mut ChaCha8Rng, &mut [u32]) + Sync,
        statistics: impl Fn(&[u32]) -> Option<[f64; K]> + Sync,
    ) -> [Vec<f64>; K] {
        let chunks = self.resamples.div_ceil(CHUNK);
        let drawn: Vec<Vec<[f64; K]>> = (0..chunks)
            .into_par_iter()
            .map(|chunk| {
                let size = CHUNK.min(self.resamples - chunk * CHUNK);
                let mut random = ChaCha8Rng::seed_from_u64(self.seed);
                random.set_stream(chunk as u64);
                let mut times = vec![0; units];
                (0..size)
                    .filter_map(|_| {
                        draw(&mut random, &mut times);
                        statistics(&times)
                    })
                    .collect()
            })
            .collect();
        std::array::from_fn(|k| {
            let mut values: Vec<f64> = drawn.iter().flatten().map(|row| row[k]).collect();
            values.par_sort_unstable_by(f64::total_cmp);
            values
        })
    }
}

/// Draws as many units as there are, with replacement, and counts how often each came.
fn draw(random: &mut ChaCha8Rng, times: &mut [u32]) {
    times.fill(0);
    for _ in 0..times.len() {
        times[pick(random, times.len())] += 1;
    }
}

/// One of `units`, from 0.
fn pick(random: &mut ChaCha8Rng, units: usize) -> usize {
    // Multiply and shift instead of rejection: a unit's chance is off by less than
    // units / 2^32, far below what any number of resamples shows, and the mapping from random
    // words to draws stays ours, whatever a library's next version does.
    ((u64::from(random.next_u32()) * units as u64) >> 32) as usize
}

/// The median of a resample of sorted numbers, given how often each was drawn.
fn median_of_drawn(sorted: &[f64], times: &[u32]) -> f64 {
    // Whole machines are drawn, and one may have a round more than another.
    let n: u32 = times.iter().sum();
    let (lower, upper) = ((n - 1) / 2, n / 2);
    let mut passed = 0;
    let mut low = None;
    for (&value, &k) in sorted.iter().zip(times) {
        passed += k;
        if low.is_none() && passed > lower {
            low = Some(value);
        }
        if let Some(low) = low
            && passed > upper
        {
            return low + (value - low) / 2.0;
        }
    }
    sorted[sorted.len() - 1]
}

/// The median of many numbers with the interval that resampling would give.
///
/// A resample's median lies below the k-th of n sorted numbers if at least half of its n draws do,
/// each with chance k/n (Efron, "Bootstrap Methods: Another Look at the Jackknife", The Annals of
/// Statistics 7, 1979, section 3). Of many draws that count is normal, so that the ends of the
/// interval are the numbers `z · √n / 2` places from the middle.
fn median_of_many(values: &Values) -> Estimate {
    let n = values.count();
    let z = Normal::new(0.0, 1.0).map_or(f64::INFINITY, |normal| -normal.inverse_cdf(tail(n)));
    let apart = z / (2.0 * (n as f64).sqrt());
    Estimate {
        point: values.median(),
        low: values.quantile(0.5 - apart),
        high: values.quantile(0.5 + apart),
    }
}

/// Which share of resamples lies outside each end of the interval from `n` units:
/// `Φ(−√(n/(n−1)) · t)`, `t` being the upper 2.5 % point of Student's t with `n − 1` degrees of
/// freedom. 0.1 % for 5 units, 0.9 % for 10, 2.4 % for 200. One unit has no spread: 0.
pub fn tail(n: usize) -> f64 {
    if n < 2 {
        return 0.0;
    }
    let one_sided = (1.0 - CONFIDENCE) / 2.0;
    let freedom = (n - 1) as f64;
    // The parameters are valid for every n from 2 on; an error could only mean a library's fault,
    // and then the plain percentile is the answer.
    match (StudentsT::new(0.0, 1.0, freedom), Normal::new(0.0, 1.0)) {
        (Ok(t), Ok(normal)) => {
            normal.cdf(-(n as f64 / freedom).sqrt() * t.inverse_cdf(1.0 - one_sided))
        }
        _ => one_sided,
    }
}

/// The interval around `point` from a statistic's sorted resampled values, made from `n` units.
///
/// It always holds the point, also where rounding or a very skewed distribution would leave it
/// just outside.
pub fn interval(point: f64, resampled: &[f64], n: usize) -> Estimate {
    if resampled.is_empty() || n < 2 {
        return Estimate::exactly(point);
    }
    let tail = tail(n);
    Estimate {
        point,
        low: quantile(resampled, tail).min(point),
        high: quantile(resampled, 1.0 - tail).max(point),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::normals;

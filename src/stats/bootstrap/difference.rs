//! Two independent samples: how far apart their means are.
//!
//! **Intervals are t intervals with a bootstrap standard error**: the difference as measured, plus
//! and minus `t · SE`. Each sample is resampled by itself, and a resampled mean's distance from the
//! measured one is widened by `√(n/(n−1))`, since resamples spread like 1/n instead of 1/(n − 1)
//! (Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69,
//! 2015). `SE` is the standard deviation over the resamples, `t` Student's quantile with the degrees
//! of freedom of Welch ("The Generalization of 'Student's' Problem when Several Different Population
//! Variances are Involved", Biometrika 34, 1947).
//!
//! The percentiles of the resamples, as [`interval`](super::interval) takes them for one sample, do
//! not reach far enough here: many cells are compared at once, each at 1 − 0.05/m, and the mean of a
//! resample of five numbers never lies beyond the largest of them.

use super::{Bootstrap, CHUNK, draw};
use crate::stats::{Estimate, Values};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};

impl Bootstrap {
    /// The mean of `new` minus that of `base`, and the same as a share of `base`'s mean (0 where
    /// that is not above 0), each with the interval of this confidence. Where neither has a spread,
    /// or one has a single number, the interval is the point.
    pub fn difference(&self, base: &Values, new: &Values, confidence: f64) -> [Estimate; 2] {
        let of = |base: f64, new: f64| {
            let apart = new - base;
            [apart, if base > 0.0 { apart / base } else { 0.0 }]
        };
        let point = of(base.mean(), new.mean());
        let Some(freedom) = freedom(base, new) else { return point.map(Estimate::exactly) };
        let reach = beyond(freedom, 1.0 - confidence);
        let errors = self.standard_errors(base, new, of);
        std::array::from_fn(|k| Estimate {
            point: point[k],
            low: point[k] - reach * errors[k],
            high: point[k] + reach * errors[k],
        })
    }

    /// The standard deviations of what `of` makes from two resampled means.
    fn standard_errors(
        &self,
        base: &Values,
        new: &Values,
        of: impl Fn(f64, f64) -> [f64; 2] + Sync,
    ) -> [f64; 2] {
        let chunks = self.resamples.div_ceil(CHUNK);
        let drawn: Vec<[f64; 2]> = (0..chunks)
            .into_par_iter()
            .flat_map_iter(|chunk| {
                let size = CHUNK.min(self.resamples - chunk * CHUNK);
                let mut random = ChaCha8Rng::seed_from_u64(self.seed);
                random.set_stream(chunk as u64);
                let mut times = [vec![0; base.count()], vec![0; new.count()]];
                let mut means = [0.0; 2];
                let drawn: Vec<[f64; 2]> = (0..size)
                    .map(|_| {
                        for (k, values) in [base, new].into_iter().enumerate() {
                            draw(&mut random, &mut times[k]);
                            means[k] = widened(values, &times[k]);
                        }
                        of(means[0], means[1])
                    })
                    .collect();
                drawn
            })
            .collect();
        let n = drawn.len() as f64;
        std::array::from_fn(|k| {
            let mean = drawn.iter().map(|row| row[k]).sum::<f64>() / n;
            let squares: f64 = drawn.iter().map(|row| (row[k] - mean).powi(2)).sum();
            (squares / (n - 1.0).max(1.0)).sqrt()
        })
    }
}

/// The mean of a resample, moved away from the measured one.
fn widened(values: &Values, times: &[u32]) -> f64 {
    let n = values.count() as f64;
    let sum: f64 = values.sorted().iter().zip(times).map(|(x, &k)| x * f64::from(k)).sum();
    let mean = values.mean();
    mean + (sum / n - mean) * (n / (n - 1.0)).sqrt()
}

/// Welch's degrees of freedom; `None` where there is no spread to tell them from.
fn freedom(base: &Values, new: &Values) -> Option<f64> {
    let [a, b] = [base, new].map(|values| {
        let n = values.count() as f64;
        let mean = values.mean();
        let squares: f64 = values.sorted().iter().map(|number| (number - mean).powi(2)).sum();
        (n - 1.0, squares / (n - 1.0) / n)
    });
    let freedom = (a.1 + b.1).powi(2) / (a.1.powi(2) / a.0 + b.1.powi(2) / b.0);
    // NaN, where one has a single number or nothing has a spread, fails this comparison.
    (freedom >= 1.0).then_some(freedom)
}

/// How far Student's t lies from 0, on both sides together, with this chance.
fn beyond(freedom: f64, chance: f64) -> f64 {
    // The parameters are valid wherever this is called; an error could only mean a library's fault,
    // and then nothing may be told apart.
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - chance / 2.0))
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;

    fn values(numbers: impl IntoIterator<Item = f64>) -> Values {
        Values::new(numbers).unwrap()
    }

    /// Degrees of freedom and half width of Welch's own interval, by hand: variances 2.5 / 5 and
    /// 10 / 5, hence ν = 2.5² / (0.5² / 4 + 2² / 4) = 5.88, and t(0.975; 5.88) = 2.459.
    #[test]
    fn the_interval_is_welchs_up_to_the_resampling() {
        let base = values([1.0, 2.0, 3.0, 4.0, 5.0]);
        let new = values([12.0, 14.0, 16.0, 18.0, 20.0]);
        assert!((freedom(&base, &new).unwrap() - 5.882).abs() < 1e-3);
        let [apart, share] = Bootstrap::new(3).difference(&base, &new, 0.95);
        assert!((apart.point - 13.0).abs() < 1e-12 && (share.point - 13.0 / 3.0).abs() < 1e-12);
        let half = 2.459 * 2.5_f64.sqrt();
        assert!((apart.high - apart.point - half).abs() < 0.02 * half, "{apart:?}");
        assert!((apart.point - apart.low - half).abs() < 0.02 * half, "{apart:?}");
        // A table's value, far out: t(0.9995; 8) = 5.041.
        assert!((beyond(8.0, 0.001) - 5.041).abs() < 1e-3);
    }

    #[test]
    fn what_has_no_spread_is_exact_and_a_run_against_itself_is_no_difference() {
        let exactly = |base: &[f64], new: &[f64]| {
            let [apart, _] = Bootstrap::new(1).difference(
                &values(base.iter().copied()),
                &values(new.iter().copied()),
                0.95,
            );
            apart
        };
        assert_eq!(exactly(&[2.0; 5], &[3.0; 5]), Estimate::exactly(1.0));
        assert_eq!(exactly(&[2.0], &[3.0, 4.0]), Estimate::exactly(1.5));
        let same = exactly(&[1.0, 2.0, 4.0], &[1.0, 2.0, 4.0]);
        assert_eq!(same.point, 0.0);
        assert!(same.low < 0.0 && same.high > 0.0);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let base = values(normals(5).take(12));
        let new = values(normals(6).take(9));
        let under = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Bootstrap::new(9).difference(&base, &new, 0.99))
        };
        assert_eq!(under(1), under(5));
    }

    /// 1,000 simulated pairs, normal and lognormal (σ = 0.5) noise, 5 and 10 rounds. At 95 % and at
    /// the 99.7 % of sixteen cells the true difference lies outside at most a little more often than
    /// it is meant to.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let mut noise = normals(42);
        for (skew, n) in [(false, 5), (true, 5), (false, 10), (true, 10)] {
            let mut missed = [0_u32; 2];
            for run in 0..1_000 {
                let shape = |z: f64| if skew { (0.5 * z).exp() } else { z };
                let [base, new] =
                    std::array::from_fn(|_| values(noise.by_ref().take(n).map(shape)));
                let bootstrap = Bootstrap::new(run).with_resamples(200);
                for (missed, confidence) in missed.iter_mut().zip([0.95, 1.0 - 0.05 / 16.0]) {
                    let [apart, _] = bootstrap.difference(&base, &new, confidence);
                    *missed += u32::from(apart.low > 0.0 || apart.high < 0.0);
                }
            }
            // 5 % of 1,000 are 50; 0.3 % are 3. Three standard deviations on top.
            assert!(missed[0] <= 71 && missed[1] <= 8, "skew {skew}, n {n}: {missed:?}");
        }
    }
}

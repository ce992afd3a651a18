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

use super::machines::{self, draw_blocks};
use super::{Bootstrap, CHUNK, draw};
use crate::stats::{Estimate, Values};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// One of two samples: a number for each round, and which machine measured it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rounds {
    /// Every number, in ascending order.
    values: Values,
    /// Positions of the numbers by machine, where several measured them.
    blocks: Vec<Vec<usize>>,
}

impl Rounds {
    /// Of these rounds, which were dealt out to so many machines one after another; `None` for a run
    /// on one machine. `None` too where there is no number, or one that is not finite.
    pub fn new(
        by_round: impl IntoIterator<Item = (u32, f64)>,
        machines: Option<u32>,
    ) -> Option<Self> {
        let mut sorted: Vec<(u32, f64)> = by_round.into_iter().collect();
        sorted.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        let (rounds, numbers): (Vec<u32>, Vec<f64>) = sorted.into_iter().unzip();
        let values = Values::new(numbers).ok()?;
        let mut blocks = Bootstrap::new(0).over_machines(machines).blocks(&rounds);
        if blocks.len() < 2 {
            blocks.clear();
        }
        Some(Self { values, blocks })
    }

    /// The mean over all rounds.
    pub fn mean(&self) -> f64 {
        self.values.mean()
    }

    /// Whether machines are what chance drew, and not rounds.
    fn by_machine(&self) -> bool {
        self.blocks.len() >= machines::LEAST
    }

    /// The mean of each machine.
    fn means(&self) -> impl Iterator<Item = f64> {
        let mean = |block: &Vec<usize>| {
            let sum: f64 = block.iter().map(|at| self.values.sorted()[*at]).sum();
            sum / block.len() as f64
        };
        self.blocks.iter().map(mean)
    }

    /// The numbers of its units: the means of machines where these are resampled, else of rounds.
    fn units(&self) -> Vec<f64> {
        match self.by_machine() {
            true => self.means().collect(),
            false => self.values.sorted().to_vec(),
        }
    }

    /// What it could have been by itself: its mean, and that of each machine where these are too few
    /// to be resampled.
    fn each(&self) -> Vec<f64> {
        let own = self.means().filter(|_| !self.by_machine());
        std::iter::once(self.mean()).chain(own).collect()
    }

    /// The mean of a resample, moved away from the measured one.
    fn widened(&self, random: &mut ChaCha8Rng, times: &mut [u32], units: f64) -> f64 {
        match self.by_machine() {
            true => draw_blocks(random, &self.blocks, times),
            false => draw(random, times),
        }
        let drawn: u32 = times.iter().sum();
        let numbers = self.values.sorted().iter().zip(&*times);
        let sum: f64 = numbers.map(|(x, &k)| x * f64::from(k)).sum();
        let mean = self.mean();
        mean + (sum / f64::from(drawn) - mean) * (units / (units - 1.0)).sqrt()
    }
}

impl Bootstrap {
    /// The mean of `new` minus that of `base`, and the same as a share of `base`'s mean (0 where
    /// that is not above 0), each with the interval of this confidence. Where neither has a spread,
    /// or one has a single number, the interval is the point.
    ///
    /// Of a sample that several machines measured, these are the units, and rounds within them; from
    /// [`machines::LEAST`] on. With fewer, rounds are, and the interval is widened where it does not
    /// hold the difference that each machine shows by itself.
    pub fn difference(&self, base: &Rounds, new: &Rounds, confidence: f64) -> [Estimate; 2] {
        let of = |base: f64, new: f64| {
            let apart = new - base;
            [apart, if base > 0.0 { apart / base } else { 0.0 }]
        };
        let point = of(base.mean(), new.mean());
        let mut estimates = point.map(Estimate::exactly);
        if let Some(freedom) = freedom([base, new].map(Rounds::units)) {
            let reach = beyond(freedom, 1.0 - confidence);
            let errors = self.standard_errors([base, new], of);
            estimates = std::array::from_fn(|k| Estimate {
                point: point[k],
                low: point[k] - reach * errors[k],
                high: point[k] + reach * errors[k],
            });
        }
        for (base, new) in
            base.each().iter().flat_map(|base| new.each().into_iter().map(move |new| (*base, new)))
        {
            for (estimate, own) in estimates.iter_mut().zip(of(base, new)) {
                estimate.low = estimate.low.min(own);
                estimate.high = estimate.high.max(own);
            }
        }
        estimates
    }

    /// The standard deviations of what `of` makes from two resampled means.
    fn standard_errors(
        &self,
        sides: [&Rounds; 2],
        of: impl Fn(f64, f64) -> [f64; 2] + Sync,
    ) -> [f64; 2] {
        let units = sides.map(|side| side.units().len() as f64);
        let chunks = self.resamples.div_ceil(CHUNK);
        let drawn: Vec<[f64; 2]> = (0..chunks)
            .into_par_iter()
            .flat_map_iter(|chunk| {
                let size = CHUNK.min(self.resamples - chunk * CHUNK);
                let mut random = ChaCha8Rng::seed_from_u64(self.seed);
                random.set_stream(chunk as u64);
                let mut times = sides.map(|side| vec![0; side.values.count()]);
                let mut means = [0.0; 2];
                let drawn: Vec<[f64; 2]> = (0..size)
                    .map(|_| {
                        for (k, side) in sides.into_iter().enumerate() {
                            means[k] = side.widened(&mut random, &mut times[k], units[k]);
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

/// Welch's degrees of freedom; `None` where there is no spread to tell them from.
fn freedom(sides: [Vec<f64>; 2]) -> Option<f64> {
    let [a, b] = sides.map(|units| {
        let n = units.len() as f64;
        let mean = units.iter().sum::<f64>() / n;
        let squares: f64 = units.iter().map(|number| (number - mean).powi(2)).sum();
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

    fn values(numbers: impl IntoIterator<Item = f64>) -> Rounds {
        Rounds::new((1..).zip(numbers), None).unwrap()
    }

    /// Degrees of freedom and half width of Welch's own interval, by hand: variances 2.5 / 5 and
    /// 10 / 5, hence ν = 2.5² / (0.5² / 4 + 2² / 4) = 5.88, and t(0.975; 5.88) = 2.459.
    #[test]
    fn the_interval_is_welchs_up_to_the_resampling() {
        let base = values([1.0, 2.0, 3.0, 4.0, 5.0]);
        let new = values([12.0, 14.0, 16.0, 18.0, 20.0]);
        assert!((freedom([&base, &new].map(Rounds::units)).unwrap() - 5.882).abs() < 1e-3);
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

    /// A run of so many machines with so many rounds each; machines differ by a normal deviation of
    /// `between` times that of rounds.
    fn merged(
        noise: &mut impl Iterator<Item = f64>,
        (machines, each): (u32, u32),
        between: f64,
    ) -> Vec<(u32, f64)> {
        let own: Vec<f64> = noise.take(machines as usize).map(|z| between * z).collect();
        let number = |(round, z): (u32, f64)| (round, own[((round - 1) % machines) as usize] + z);
        (1..=machines * each).zip(noise).map(number).collect()
    }

    /// How often, of 600 simulated pairs of runs of the same kind of machines, no difference lies
    /// outside of the interval: with machines as units, and with rounds.
    fn misses(between: f64, confidence: f64) -> [u32; 2] {
        let mut noise = normals(77);
        let mut missed = [0; 2];
        for run in 0..600 {
            let sides: [_; 2] = std::array::from_fn(|_| merged(&mut noise, (6, 4), between));
            for (missed, machines) in missed.iter_mut().zip([Some(6), None]) {
                let [base, new] =
                    sides.each_ref().map(|of| Rounds::new(of.iter().copied(), machines).unwrap());
                let bootstrap = Bootstrap::new(run).with_resamples(200);
                let [apart, _] = bootstrap.difference(&base, &new, confidence);
                *missed += u32::from(apart.low > 0.0 || apart.high < 0.0);
            }
        }
        missed
    }

    /// Six machines of four rounds on either side, that differ as much as rounds do. 5 % of 600 are
    /// 30; three standard deviations on top are 46.
    #[test]
    fn machines_as_units_hold_the_truth_where_rounds_do_not() {
        let [machines, rounds] = misses(1.0, 0.95);
        assert!(machines <= 46 && rounds > 90, "{machines} and {rounds} of 600");
        // At the confidence of sixteen cells: 0.3 % of 600 are 2.
        let [machines, rounds] = misses(1.0, 1.0 - 0.05 / 16.0);
        assert!(machines <= 6 && rounds > 20, "{machines} and {rounds} of 600");
        // Where machines do not differ, machines as units cost width and not truth.
        let [machines, _] = misses(0.0, 0.95);
        assert!(machines <= 46, "{machines} of 600");
    }

    #[test]
    fn few_machines_widen_an_interval_to_what_each_shows() {
        // Rounds hardly differ, two machines do: 1 and 3 against 10.
        let numbers = (1..=6).map(|round| (round, f64::from(1 + 2 * (round % 2)) + 0.01));
        let base = Rounds::new(numbers, Some(2)).unwrap();
        let new = values([10.0, 10.1, 9.9, 10.0]);
        let [apart, _] = Bootstrap::new(5).difference(&base, &new, 0.5);
        assert!((apart.point - 7.99).abs() < 1e-9, "{apart:?}");
        assert!(apart.low <= 6.99 + 1e-9 && apart.high >= 8.99 - 1e-9, "{apart:?}");
        let alone = Rounds::new((1..=6).map(|round| (2 * round - 1, 3.0)), Some(2)).unwrap();
        assert_eq!(alone, values([3.0; 6]), "what one machine alone measured");
    }
}

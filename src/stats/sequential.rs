//! Looking at a mean after every round, with intervals that hold at all looks together.
//!
//! Whoever looks again and again at a 95 % interval and stops when it says something is wrong far
//! more often than in 5 % of cases. Here the whole error of a run is **spent over its looks**: the
//! first look is after round 3, and after round `n` the share `(n − 2)/(n − 1)` of the error may be
//! spent: a half by the third round, two thirds by the fourth, and never all of it, so that nobody
//! need know beforehand how many rounds there will be (Lan & DeMets, "Discrete Sequential Boundaries
//! for Clinical Trials", Biometrika 70, 1983).
//!
//! - **From error to levels.** Successive means have most of their rounds in common. What a look adds
//!   to the error is therefore found by carrying the distribution of a sum that has crossed no
//!   earlier boundary from look to look (Armitage, McPherson & Rowe, "Repeated Significance Tests on
//!   Accumulating Data", Journal of the Royal Statistical Society A 132, 1969).
//! - **From levels to intervals.** Each look gives a Student t interval at its own level (the
//!   significance level approach and repeated confidence intervals of Jennison & Turnbull, *Group
//!   Sequential Methods with Applications to Clinical Trials*, 2000, chapters 4 and 9). With unknown
//!   variance this is an approximation: a tenth of the error is kept back for it, and
//!   `benches/sequential.rs` holds what comes of it.
//! - **Few rounds, several strategies.** Three savings tell little about their own spread. It is
//!   moderated by that of the other strategies of the same look and of the A/A cell, which count as
//!   up to [`MOST_BORROWED`] further rounds (Smyth, "Linear Models and Empirical Bayes Methods for Assessing
//!   Differential Expression in Microarray Experiments", Statistical Applications in Genetics and
//!   Molecular Biology 3, 2004; there the number is estimated, which needs thousands of variances).
//! - **Slow jobs that were not seen.** Three rounds of steady jobs do not show that one job in ten
//!   takes three times as long, and that moves a mean. To the variance of the mean is added that of
//!   [`UNSEEN`] of the mean itself, shrinking with the rounds. This is our own; its size is from the
//!   simulation, in which intervals without it hold too seldom.

#[cfg(test)]
mod simulation;

use super::Estimate;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use statrs::function::erf::erfc;
use std::f64::consts::{SQRT_2, TAU};

/// The chance of any wrong interval, at any look, among all statements together.
pub const ERROR: f64 = 0.05;

/// How much of the error is spent. With a variance that is estimated the levels are an approximation,
/// and in the simulation intervals fail a little more often than was spent.
const SPENT: f64 = 0.9;

/// Rounds before the first look.
pub const FIRST_LOOK: usize = 3;

/// How many rounds the spread of others counts for, at most.
pub const MOST_BORROWED: f64 = 4.0;

/// How far, as a share of itself, slow jobs that three rounds did not show may move a mean: a
/// standard deviation.
pub const UNSEEN: f64 = 0.1;

/// The levels of all looks, for a number of statements that are to hold together.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    levels: Vec<f64>,
}

impl Bounds {
    /// For so many statements (Bonferroni's inequality divides the error between them), and looks
    /// up to so many rounds. How far they reach changes no level.
    pub fn new(statements: usize, rounds: usize) -> Self {
        Self { levels: levels(SPENT * ERROR / statements.max(1) as f64, rounds) }
    }

    /// The chance that is left outside of the interval, on both sides together, of the look after so
    /// many rounds; `None` before the first look and beyond the last.
    pub fn level(&self, rounds: usize) -> Option<f64> {
        self.levels.get(rounds.checked_sub(FIRST_LOOK)?).copied()
    }

    /// The mean of one number a round with the interval of this look. `companions` are the numbers
    /// of others over the same rounds, on the same scale. `None` where there is no look.
    pub fn mean(&self, own: &[f64], companions: &[Vec<f64>]) -> Option<Estimate> {
        let n = own.len();
        let level = self.level(n)?;
        let (mean, squares) = around(own);
        let own_freedom = (n - 1) as f64;
        let (theirs, freedom) = companions
            .iter()
            .filter(|numbers| numbers.len() > 1)
            .map(|numbers| (around(numbers).1, (numbers.len() - 1) as f64))
            .fold((0.0, 0.0), |sums, one| (sums.0 + one.0, sums.1 + one.1));
        // They share their baseline, so that they tell less than as many independent ones.
        let borrowed = (freedom / 2.0).min(MOST_BORROWED);
        let prior = if freedom > 0.0 { theirs / freedom } else { 0.0 };
        let variance = (borrowed * prior + squares) / (borrowed + own_freedom);
        let n = n as f64;
        let unseen = UNSEEN * mean * (FIRST_LOOK as f64).sqrt() / n;
        let deviation = (variance / n + unseen * unseen).sqrt();
        let t = StudentsT::new(0.0, 1.0, borrowed + own_freedom).ok()?;
        let half = t.inverse_cdf(1.0 - level / 2.0) * deviation;
        half.is_finite().then_some(Estimate { point: mean, low: mean - half, high: mean + half })
    }
}

/// The mean, and the sum of squared distances from it.
fn around(numbers: &[f64]) -> (f64, f64) {
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    (mean, numbers.iter().map(|number| (number - mean).powi(2)).sum())
}

/// How much of the error may be spent up to the look after so many rounds.
fn spent(error: f64, rounds: usize) -> f64 {
    let look = (rounds + 1 - FIRST_LOOK) as f64;
    error * look / (look + 1.0)
}

/// The levels of the looks from the first on.
fn levels(error: f64, rounds: usize) -> Vec<f64> {
    let mut levels = Vec::new();
    if rounds < FIRST_LOOK {
        return levels;
    }
    let first = spent(error, FIRST_LOOK);
    levels.push(first);
    let mut walk = Walk::new(first);
    for look in FIRST_LOOK + 1..=rounds {
        let may_spend = spent(error, look) - spent(error, look - 1);
        let edge = walk.edge_for(may_spend);
        levels.push(2.0 * upper_tail(edge / (look as f64).sqrt()));
        walk.step(edge);
    }
    levels
}

/// The sum of as many standard normal numbers as there were rounds, as far as it has stayed between
/// the edges at every look: points between the edges, and the chance that lies on each.
struct Walk {
    edge: f64,
    points: Vec<f64>,
    mass: Vec<f64>,
}

/// Distance between two points; the steps of the sum have a deviation of 1, so that Simpson's rule
/// is far more exact than the levels need to be.
const FINE: f64 = 0.2;

/// Beyond so many deviations a normal step has no chance that would be seen.
const FAR: f64 = 8.5;

impl Walk {
    fn new(first: f64) -> Self {
        let rounds = FIRST_LOOK as f64;
        let edge = Normal::standard().inverse_cdf(1.0 - first / 2.0) * rounds.sqrt();
        let density = |at: f64| (-at * at / (2.0 * rounds)).exp() / (TAU * rounds).sqrt();
        Self::between(edge, density)
    }

    fn between(edge: f64, density: impl Fn(f64) -> f64) -> Self {
        let pairs = (edge / FINE).ceil().max(8.0) as usize;
        let parts = 2 * pairs;
        let width = 2.0 * edge / parts as f64;
        let points: Vec<f64> = (0..=parts).map(|at| at as f64 * width - edge).collect();
        let mass = points.iter().enumerate().map(|(at, point)| {
            let simpson = match at {
                0 => 1.0,
                at if at == parts => 1.0,
                at if at % 2 == 1 => 4.0,
                _ => 2.0,
            };
            simpson * width / 3.0 * density(*point)
        });
        Self { edge, mass: mass.collect(), points }
    }

    /// The chance that the next step ends beyond `edge` on either side.
    fn crosses(&self, edge: f64) -> f64 {
        let beyond = self.points.iter().zip(&self.mass).filter(|(point, _)| edge - **point < FAR);
        // What holds above holds below, since all is symmetric.
        2.0 * beyond.map(|(point, mass)| mass * upper_tail(edge - point)).sum::<f64>()
    }

    /// The edge that the next step crosses with this chance.
    fn edge_for(&self, chance: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.edge + FAR);
        for _ in 0..40 {
            let middle = low + (high - low) / 2.0;
            if self.crosses(middle) > chance { low = middle } else { high = middle }
        }
        high
    }

    /// Takes the next step, within its edges.
    fn step(&mut self, edge: f64) {
        let density = |at: f64| {
            let near = |point: f64| (at - point).abs() < FAR;
            let from = self.points.iter().zip(&self.mass).filter(|(point, _)| near(**point));
            from.map(|(point, mass)| mass * (-(at - point).powi(2) / 2.0).exp()).sum::<f64>()
                / TAU.sqrt()
        };
        let next = Self::between(edge, density);
        *self = next;
    }
}

/// The chance that a standard normal number is larger.
fn upper_tail(z: f64) -> f64 {
    0.5 * erfc(z / SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// The recursion of this module in a program of its own, with 400 points a look, gave these for
    /// one statement; by hand, the first is half of what is spent.
    #[test]
    fn levels_are_those_of_the_recursion_done_elsewhere() {
        let bounds = Bounds::new(1, 30);
        for (rounds, expected) in
            [(3, 0.0225), (4, 0.016_59), (5, 0.011_54), (10, 0.003_44), (30, 0.000_58)]
        {
            let level = bounds.level(rounds).unwrap();
            assert!((level - expected).abs() < 6e-6, "{rounds}: {level}");
        }
        assert_eq!((bounds.level(2), bounds.level(31)), (None, None));
    }

    #[test]
    fn what_a_look_may_spend_does_not_depend_on_how_many_follow() {
        let (short, long) = (Bounds::new(4, 5), Bounds::new(4, 40));
        assert_eq!(short.levels, long.levels[..3]);
        assert!(long.levels.is_sorted_by(|a, b| a > b));
    }

    /// Random walks against the boundaries: how often one is crossed at any of thirty looks is what
    /// may be spent by then.
    #[test]
    fn walks_cross_the_boundaries_as_often_as_they_may() {
        let bounds = Bounds::new(1, 30);
        let edges: Vec<f64> = (FIRST_LOOK..=30)
            .map(|n| {
                let level = bounds.level(n).unwrap();
                Normal::standard().inverse_cdf(1.0 - level / 2.0) * (n as f64).sqrt()
            })
            .collect();
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut uniform = move || (f64::from(random.next_u32()) + 0.5) / 4_294_967_296.0;
        let runs = 20_000;
        let mut crossed = 0;
        for _ in 0..runs {
            let mut sum = 0.0_f64;
            let mut out = false;
            for n in 1..=30 {
                sum += (-2.0 * uniform().ln()).sqrt() * (TAU * uniform()).cos();
                out |= n >= FIRST_LOOK && sum.abs() > edges[n - FIRST_LOOK];
            }
            crossed += u32::from(out);
        }
        let share = f64::from(crossed) / f64::from(runs);
        assert!((share - spent(SPENT * ERROR, 30)).abs() < 0.005, "{share}");
    }

    /// By hand: savings 1, 2, 3 have the mean 2 and the variance 1. With two degrees of freedom at a
    /// level of 2.25 % t is 6.5536; what was not seen adds (0.1 · 2)² / 3 to the variance of the mean.
    #[test]
    fn the_interval_of_the_first_look_is_students() {
        let bounds = Bounds::new(1, 3);
        let estimate = bounds.mean(&[1.0, 2.0, 3.0], &[]).unwrap();
        let half = 6.5536 * (1.0_f64 / 3.0 + 0.04 / 3.0).sqrt();
        assert!((estimate.high - 2.0 - half).abs() < 1e-3, "{estimate:?}");
        assert!((2.0 - estimate.low - half).abs() < 1e-3, "{estimate:?}");
        assert_eq!(bounds.mean(&[1.0, 2.0], &[]), None);
    }

    #[test]
    fn companions_steady_a_spread_from_few_rounds_and_not_from_many() {
        let bounds = Bounds::new(3, 40);
        let width = |own: &[f64], companions: &[Vec<f64>]| {
            let estimate = bounds.mean(own, companions).unwrap();
            estimate.high - estimate.low
        };
        let few = [1.0, -1.0, 0.5];
        let alike = vec![vec![0.7, -0.9, 0.8]; 2];
        assert!(width(&few, &alike) < 0.6 * width(&few, &[]));
        // A spread that is small by chance is not taken at its word.
        let wide = vec![vec![9.0, -9.0, 5.0]; 2];
        assert!(width(&[0.1, 0.1, 0.1], &wide) > 10.0);
        let many: Vec<f64> = few.iter().copied().cycle().take(39).collect();
        let own = width(&many, &[]);
        assert!((width(&many, &[many.clone(), many.clone()]) - own).abs() < 0.1 * own);
    }

    /// The bench does this with 2,000 runs and up to 30 rounds in 150 settings.
    #[test]
    fn simulated_runs_are_wrong_no_more_often_than_they_may_be() {
        use simulation::{Setting, Shape, run};
        let bounds = Bounds::new(2, 10);
        let runs = 200;
        for shape in Shape::ALL {
            for difference in [0.0, 0.02, 1.0] {
                let (noise, strategies) = (0.1, 2);
                let setting = Setting { shape, noise, difference, strategies, most: 10 };
                let ended = (0..runs).map(|number| run(&setting, &bounds, 7, number));
                let (mut wrong, mut failed, mut rounds) = (0, 0, 0);
                for one in ended {
                    wrong += u32::from(one.is_wrong);
                    failed += u32::from(!one.holds);
                    rounds += one.rounds;
                }
                // 5 % of 200 are 10; more than 16 would be chance in one of fifty such tests.
                assert!(wrong <= 16 && failed <= 16, "{setting:?}: {wrong} {failed}");
                let clear = difference > 0.5 && shape != Shape::Outliers;
                assert!(!clear || rounds < 4 * 200, "{setting:?}: {rounds} rounds");
            }
        }
    }

    #[test]
    fn no_spread_at_all_leaves_only_what_was_not_seen() {
        let bounds = Bounds::new(1, 3);
        assert_eq!(bounds.mean(&[0.0; 3], &[]), Some(Estimate::exactly(0.0)));
        let steady = bounds.mean(&[2.0; 3], &[]).unwrap();
        assert!(steady.low > 1.0 && steady.low < 2.0, "{steady:?}");
    }
}

//! Simulated runs, in which the truth is known: for `benches/sequential.rs`, and a few of them for
//! the tests.

use super::{Bounds, FIRST_LOOK};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How jobs of one cell differ from each other. The mean is always that of a job without noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Normal.
    Normal,
    /// Log-normal: a slow tail.
    LogNormal,
    /// Normal, and each round 2 % slower than the first one was.
    Drifting,
    /// Two kinds of jobs: three of ten are the slow ones.
    Bimodal,
    /// Normal, and one job in ten takes three times as long.
    Outliers,
}

impl Shape {
    /// All.
    pub const ALL: [Self; 5] =
        [Self::Normal, Self::LogNormal, Self::Drifting, Self::Bimodal, Self::Outliers];

    /// How long a job takes against its mean. `noise`: the standard deviation, as a share of the
    /// mean; that of outliers comes on top.
    fn job(self, random: &mut Random, noise: f64) -> f64 {
        match self {
            Self::Normal | Self::Drifting => 1.0 + noise * random.normal(),
            Self::LogNormal => {
                let variance = (noise * noise).ln_1p();
                (variance.sqrt() * random.normal() - variance / 2.0).exp()
            }
            Self::Bimodal => {
                const SLOW: f64 = 0.3;
                let slow = f64::from(u8::from(random.uniform() < SLOW));
                let apart = noise / (SLOW * (1.0 - SLOW)).sqrt();
                (1.0 + 0.3 * noise * random.normal()) * (1.0 + (slow - SLOW) * apart)
            }
            Self::Outliers => {
                let times = if random.uniform() < 0.1 { 3.0 } else { 1.0 };
                (1.0 + noise * random.normal()) * times / 1.2
            }
        }
    }

    /// How long all jobs of a round take against the first.
    fn round(self, round: usize) -> f64 {
        if self == Self::Drifting { 1.0 + 0.02 * round as f64 } else { 1.0 }
    }
}

struct Random(ChaCha8Rng);

impl Random {
    fn uniform(&mut self) -> f64 {
        (f64::from(self.0.next_u32()) + 0.5) / 4_294_967_296.0
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// How jobs differ.
    pub shape: Shape,
    /// By how much: standard deviation as a share of the mean.
    pub noise: f64,
    /// How much longer, as a share, the baseline's mean job takes than that of each strategy.
    pub difference: f64,
    /// How many strategies are compared with the baseline.
    pub strategies: usize,
    /// Rounds after which a run ends undecided.
    pub most: usize,
}

/// The smallest saving that matters, as a share of the baseline's mean.
pub const RELEVANT: f64 = 0.02;

/// What became of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ended {
    /// Rounds that it took.
    pub rounds: usize,
    /// Whether any verdict was wrong.
    pub is_wrong: bool,
    /// Whether every interval held the truth.
    pub holds: bool,
    /// Strategies without a verdict.
    pub undecided: usize,
}

/// One run that stops by itself. Runs of the same seed and setting differ by their number.
pub fn run(setting: &Setting, bounds: &Bounds, seed: u64, number: u64) -> Ended {
    until(setting, seed, number, |round, savings, noise| {
        if round < FIRST_LOOK {
            return None;
        }
        let interval = |at: usize| {
            let others = (0..savings.len()).filter(|other| *other != at);
            let others = others.map(|other| savings[other].clone());
            let companions: Vec<Vec<f64>> = others.chain([noise.to_vec()]).collect();
            bounds.mean(&savings[at], &companions).map(|mean| (mean.low, mean.high))
        };
        (0..savings.len()).map(interval).collect()
    })
}

/// One run, which ends as soon as every verdict is settled by the intervals that `look` gives after
/// a round, if it looks: at the savings of every strategy, and at what the baseline's A/A cell takes
/// less than the baseline.
pub fn until(
    setting: &Setting,
    seed: u64,
    number: u64,
    mut look: impl FnMut(usize, &[Vec<f64>], &[f64]) -> Option<Vec<(f64, f64)>>,
) -> Ended {
    let Setting { shape, noise, difference, strategies, most } = *setting;
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(number);
    let mut random = Random(generator);
    let mut savings: Vec<Vec<f64>> = vec![Vec::new(); strategies];
    let mut noise_of_baseline = Vec::new();
    let (mut baseline, mut mood) = (0.0, 0.0);
    let mut ended = Ended::default();
    for round in 1..=most {
        let of_round = shape.round(round);
        mood += of_round;
        let usual = (1.0 + difference) * of_round;
        let theirs = usual * shape.job(&mut random, noise);
        baseline += theirs;
        for savings in &mut savings {
            savings.push(theirs - of_round * shape.job(&mut random, noise));
        }
        noise_of_baseline.push(theirs - usual * shape.job(&mut random, noise));
        let Some(intervals) = look(round, &savings, &noise_of_baseline) else { continue };
        let n = round as f64;
        let (truth, matters) = (difference * mood / n, RELEVANT * (1.0 + difference) * mood / n);
        let seen = RELEVANT * baseline / n;
        ended = Ended { rounds: round, is_wrong: false, holds: true, undecided: 0 };
        for (low, high) in intervals {
            ended.holds &= low <= truth && truth <= high;
            match (low > seen, high < seen) {
                (true, _) => ended.is_wrong |= truth <= matters,
                (_, true) => ended.is_wrong |= truth >= matters,
                _ => ended.undecided += 1,
            }
        }
        if ended.undecided == 0 {
            break;
        }
    }
    ended
}

//! Whether the machine changed over a run.

use crate::model::{Sample, sample};
use crate::stats::{Values, trend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The chance of a false alarm that a run may have before its drift, or that its baseline differs
/// from itself, is said.
pub const FALSE_ALARM: f64 = 0.01;

/// How whole jobs change from round to round, all cells together.
///
/// A round's number is the median, over its samples, of the logarithm of the job's time against the
/// median of its cell: what hits all cells alike. Its trend is tested by ranks ([`trend::Trend`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// Rounds with samples that count.
    pub rounds: usize,
    /// Kendall's tau: −1 faster all the way, 1 slower all the way.
    pub tau: f64,
    /// The chance of a tau as far from 0 on a steady machine. With five rounds it is never below
    /// 0.017, with six never below 0.003.
    pub p: f64,
    /// Change of times from the first round to the last, as a share, by the median slope.
    pub change: f64,
}

impl Drift {
    /// Whether it is more than chance makes it, see [`FALSE_ALARM`].
    pub fn is_shown(&self) -> bool {
        self.p < FALSE_ALARM
    }

    /// `jobs became 12 % slower over 9 rounds (p = 0.002)`
    pub fn in_words(&self) -> String {
        let way = if self.change < 0.0 { "faster" } else { "slower" };
        format!(
            "jobs became {:.1} % {way} over {} rounds (p = {})",
            self.change.abs() * 100.0,
            self.rounds,
            if self.p < 0.001 { "under 0.001".to_owned() } else { format!("{:.3}", self.p) }
        )
    }
}

/// The drift over at least three rounds; samples of the warm-up round and those that do not count
/// are left out.
pub fn drift<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Option<Drift> {
    // Machines of a merged run are not alike: each is held against itself.
    let counted = samples.into_iter().filter(|sample| sample.round > 0 && sample.counts());
    let mut rounds: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for samples in sample::by_place(counted) {
        let seconds = samples.iter().map(|sample| (sample.round, sample.total_s()));
        let usable = seconds.filter(|(_, seconds)| *seconds > 0.0 && seconds.is_finite());
        let samples: Vec<(u32, f64)> =
            usable.map(|(round, seconds)| (round, seconds.ln())).collect();
        let Ok(logs) = Values::new(samples.iter().map(|(_, log)| *log)) else { continue };
        let median = logs.median();
        for (round, log) in samples {
            rounds.entry(round).or_default().push(log - median);
        }
    }
    let medians: Vec<f64> = rounds
        .into_values()
        .filter_map(|logs| Values::new(logs).ok().map(|logs| logs.median()))
        .collect();
    let trend = trend::trend(&medians)?;
    Some(Drift {
        rounds: medians.len(),
        tau: trend.tau,
        p: trend.p,
        change: (trend.slope * (medians.len() - 1) as f64).exp_m1(),
    })
}

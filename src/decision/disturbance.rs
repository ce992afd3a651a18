//! Samples that something beside the job disturbed, and the verdicts without them.
//!
//! The verdict is that of all samples: what disturbs a machine disturbs jobs in a CI as well, and a
//! sample that took long is not left out because it took long. That the verdict is the same without
//! the disturbed ones shows that it does not hang on them.

use super::pairing::Measured;
use super::{Saving, Verdict, Weighted};
use crate::model::{Builder, Cell, Noise, Plan, Sample};
use crate::stats::Values;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What disturbed a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Disturbance {
    /// Samples that count and were disturbed, in the order of measuring.
    pub samples: Vec<Disturbed>,
    /// Every verdict with and without them; empty where none was disturbed.
    pub verdicts: Vec<WithAndWithout>,
}

/// One disturbed sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Disturbed {
    /// Number of the sample.
    pub sample: u32,
    /// Its round.
    pub round: u32,
    /// Key of its cell.
    pub cell: String,
    /// What disturbed it.
    pub reasons: Vec<String>,
}

/// A strategy's verdict over the change mix, with and without disturbed samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WithAndWithout {
    /// The workload.
    pub workload: String,
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// The verdict of all samples.
    pub with: Verdict,
    /// The saving without disturbed samples; absent where nothing is left to pair.
    pub without: Option<Saving>,
}

impl WithAndWithout {
    /// Whether the verdict is another one without disturbed samples. That fewer rounds decide
    /// nothing is another verdict too.
    pub fn differs(&self) -> bool {
        self.without.as_ref().is_none_or(|saving| saving.verdict != self.with)
    }

    /// Whether too little is left without disturbed samples for any verdict.
    pub fn is_too_little(&self) -> bool {
        let without = self.without.as_ref().map(|saving| saving.verdict);
        matches!(without, None | Some(Verdict::TooFewRounds)) && self.with != Verdict::TooFewRounds
    }
}

impl Disturbance {
    /// Disturbed samples as numbers.
    fn numbers(&self) -> BTreeSet<u32> {
        self.samples.iter().map(|one| one.sample).collect()
    }

    /// Verdicts that are other ones without disturbed samples.
    pub fn differing(&self) -> impl Iterator<Item = &WithAndWithout> {
        self.verdicts.iter().filter(|one| one.differs())
    }
}

/// How much longer than in its cell's typical sample something may wait for a processor or a disk,
/// as a share of the time, before the sample counts as disturbed. A build makes its own tasks wait,
/// but every time about as long.
const MORE_WAITING: f64 = 0.25;

/// Samples of a cell from which on there is a typical one.
const TYPICAL_FROM: usize = 4;

/// The samples that count and were disturbed: by what was noticed on them, or by more waiting than
/// is typical of their cell.
pub(super) fn disturbed(plan: &Plan, measured: &Measured<'_>) -> Vec<Disturbed> {
    let of_cell = |cell: &Cell| {
        let mut disturbed = Vec::new();
        let samples = measured.counted(cell);
        let waits = [
            ("a processor", typical(&samples, |noise| noise.cpu)),
            ("a disk", typical(&samples, |noise| noise.io)),
        ];
        for sample in samples {
            let mut reasons: Vec<String> = sample
                .findings
                .iter()
                .filter(|finding| finding.is_disturbance())
                .map(|finding| format!("{}: {}", finding.id, finding.detail))
                .collect();
            let own = [
                |sample: &Sample| sample.noise.as_ref()?.cpu,
                |sample: &Sample| sample.noise.as_ref()?.io,
            ];
            for ((what, typical), own) in waits.iter().zip(own) {
                if let Some((own, typical)) = own(sample).zip(*typical)
                    && own - typical > MORE_WAITING
                {
                    reasons.push(format!(
                        "waited for {what} {:.0} % of the time, {:.0} % are typical of the cell",
                        own * 100.0,
                        typical * 100.0
                    ));
                }
            }
            if !reasons.is_empty() {
                let (number, round) = (sample.sample, sample.round);
                let cell = cell.key().0;
                disturbed.push(Disturbed { sample: number, round, cell, reasons });
            }
        }
        disturbed
    };
    let cells: Vec<&Cell> = plan.measured().collect();
    let mut disturbed: Vec<Disturbed> = cells.into_par_iter().flat_map_iter(of_cell).collect();
    disturbed.sort_by_key(|one| one.sample);
    disturbed
}

fn typical(samples: &[&Sample], share: impl Fn(&Noise) -> Option<f64>) -> Option<f64> {
    let shares = samples.iter().filter_map(|sample| share(sample.noise.as_deref()?));
    let shares = Values::new(shares).ok()?;
    (shares.count() >= TYPICAL_FROM).then(|| shares.median())
}

/// Every verdict beside that of the same decision without the disturbed samples, which `without`
/// makes from what is left.
pub(super) fn disturbance(
    plan: &Plan,
    samples: &[&Sample],
    measured: &Measured<'_>,
    with: &[Weighted],
    without: impl FnOnce(Vec<&Sample>) -> Vec<Weighted>,
) -> Disturbance {
    let mut disturbance = Disturbance { samples: disturbed(plan, measured), verdicts: Vec::new() };
    if disturbance.samples.is_empty() {
        return disturbance;
    }
    let numbers = disturbance.numbers();
    let left: Vec<&Sample> =
        samples.iter().copied().filter(|sample| !numbers.contains(&sample.sample)).collect();
    let verdict = |(with, without): (&Weighted, Weighted)| {
        let verdict = with.saving.as_ref()?.verdict;
        (verdict != Verdict::Baseline).then(|| WithAndWithout {
            workload: with.workload.clone(),
            link: with.link.clone(),
            engine: with.engine.clone(),
            strategy: with.strategy.clone(),
            builder: with.builder,
            with: verdict,
            without: without.saving,
        })
    };
    disturbance.verdicts = with.iter().zip(without(left)).filter_map(verdict).collect();
    disturbance
}

//! What each machine of a merged run says by itself, and whether the machines say the same.

use super::joint::Joint;
use super::pairing::Measured;
use super::weighted::Contender;
use super::{Decider, Verdict, Weighted};
use crate::model::{Builder, Sample};
use crate::stats::{Estimate, variance};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The chance of saying of any strategy that machines differ where they do not.
pub const FALSE_ALARM: f64 = 0.01;

/// One machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineResult {
    /// Its number, from 1.
    pub machine: u32,
    /// Counted rounds with samples that count.
    pub rounds: usize,
    /// Samples of counted rounds that are not ok.
    pub not_ok: usize,
}

/// One strategy over the change mix, on each machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OnMachines {
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
    /// What it saved on each machine against the baseline there, in the order of `machines`; null
    /// where nothing could be paired.
    pub savings: Vec<Option<OwnSaving>>,
    /// The chance that savings differ as much between machines as they do, if it is only chance: by
    /// an analysis of variance. Absent where no machine has two rounds that were paired.
    pub p: Option<f64>,
    /// Whether the machines are said to differ: by more than chance makes it, and by more than the
    /// smallest saving that matters.
    pub differs: bool,
}

/// A saving on one machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnSaving {
    /// Mean seconds a build; with a single round, without a spread.
    pub seconds: Estimate,
    /// Rounds that were paired; of the cell with the fewest.
    pub pairs: usize,
}

/// The machines of a merged run; empty for a run on one machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Machines {
    /// Every machine with samples.
    pub machines: Vec<MachineResult>,
    /// Every strategy but the baseline.
    pub strategies: Vec<OnMachines>,
}

impl Machines {
    /// Whether the run was measured on one machine alone.
    pub const fn is_empty(&self) -> bool {
        self.machines.is_empty()
    }

    /// `` `pull (classic)` saves 1.2 s on machine 1, … `` of strategies whose machines differ.
    pub fn differing(&self) -> Vec<String> {
        let sentence = |one: &OnMachines| {
            let each: Vec<String> = self
                .machines
                .iter()
                .zip(&one.savings)
                .filter_map(|(machine, own)| {
                    let seconds = own.as_ref()?.seconds.point;
                    Some(format!("{seconds:.2} s on machine {}", machine.machine))
                })
                .collect();
            format!(
                "{} ({}), workload {}, link {}, engine {}: saves {} a build (p = {:.4})",
                one.strategy,
                one.builder,
                one.workload,
                one.link,
                one.engine,
                each.join(", "),
                one.p.unwrap_or(1.0)
            )
        };
        self.strategies.iter().filter(|one| one.differs).map(sentence).collect()
    }
}

/// Looks at each machine by itself. `samples` are those that stand; `weighted` is what all of them say
/// together.
pub(super) fn machines(
    decider: &Decider<'_>,
    samples: &[&Sample],
    weighted: &[Weighted],
) -> Machines {
    if decider.plan.machines.is_none() {
        return Machines::default();
    }
    let numbers: BTreeSet<u32> = samples.iter().filter_map(|sample| sample.machine).collect();
    let mut each = Vec::new();
    let mut savings: Vec<Vec<Option<OwnSaving>>> = vec![Vec::new(); weighted.len()];
    for number in numbers {
        let own: Vec<&Sample> = samples
            .iter()
            .copied()
            .filter(|sample| sample.machine == Some(number) && sample.round > 0)
            .collect();
        let rounds: BTreeSet<u32> =
            own.iter().filter(|sample| sample.counts()).map(|sample| sample.round).collect();
        let not_ok = own.iter().filter(|sample| !sample.counts()).count();
        let alone = Decider {
            plan: decider.plan,
            measured: Measured::of_standing(&own),
            bootstrap: decider.bootstrap.over_machines(None),
            looks: None,
        };
        for (savings, contender) in savings.iter_mut().zip(alone.contenders_of_all()) {
            savings.push(saving(&alone, &contender));
        }
        each.push(MachineResult { machine: number, rounds: rounds.len(), not_ok });
    }
    let mut strategies: Vec<OnMachines> = weighted
        .iter()
        .zip(&decider.contenders_of_all())
        .zip(savings)
        .filter(|((one, _), _)| {
            one.saving.as_ref().is_none_or(|saving| saving.verdict != Verdict::Baseline)
        })
        .map(|((one, contender), savings)| OnMachines {
            workload: one.workload.clone(),
            link: one.link.clone(),
            engine: one.engine.clone(),
            strategy: one.strategy.clone(),
            builder: one.builder,
            differs: spread(&savings) > one.saving.as_ref().map_or(f64::INFINITY, |s| s.relevant_s),
            savings,
            p: p_of(decider, &by_round(contender)),
        })
        .collect();
    // Bonferroni: all strategies are asked at once.
    let asked = strategies.iter().filter(|one| one.p.is_some()).count().max(1) as f64;
    for one in &mut strategies {
        one.differs &= one.p.is_some_and(|p| p * asked < FALSE_ALARM);
    }
    Machines { machines: each, strategies }
}

/// What one machine says of a strategy over the mix.
fn saving(alone: &Decider<'_>, contender: &Contender) -> Option<OwnSaving> {
    let pairs = contender.parts.iter().map(|part| (part.weight, part.pairs.clone()));
    let joint: Joint<2> = Joint::new(pairs)?;
    let [seconds] = joint.estimate(alone.bootstrap, |[theirs, ours]| [theirs - ours]);
    Some(OwnSaving { seconds, pairs: joint.fewest() })
}

/// From the lowest of the machines' savings to the highest.
fn spread(savings: &[Option<OwnSaving>]) -> f64 {
    let points = || savings.iter().flatten().map(|own| own.seconds.point);
    points().fold(f64::NEG_INFINITY, f64::max) - points().fold(f64::INFINITY, f64::min)
}

/// What a strategy saved over the mix in each round in which all of the mix could be paired.
fn by_round(contender: &Contender) -> BTreeMap<u32, f64> {
    let mut rounds: BTreeMap<u32, (usize, f64)> = BTreeMap::new();
    for part in &contender.parts {
        for (round, [theirs, ours]) in &part.pairs {
            let (parts, saved) = rounds.entry(*round).or_default();
            *parts += 1;
            *saved += part.weight * (theirs - ours);
        }
    }
    let whole = rounds.into_iter().filter(|(_, (parts, _))| *parts == contender.parts.len());
    whole.map(|(round, (_, saved))| (round, saved)).collect()
}

/// The chance that alike machines differ as much: an analysis of variance of what each round saved.
fn p_of(decider: &Decider<'_>, saved: &BTreeMap<u32, f64>) -> Option<f64> {
    let mut machines: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for (round, saved) in saved {
        machines.entry(decider.bootstrap.machine(*round)).or_default().push(*saved);
    }
    variance::one_way(&machines.into_values().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;

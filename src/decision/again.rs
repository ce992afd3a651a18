//! What difference a run can tell at all: the baseline's cell, held against itself.
//!
//! The A/A cell is the baseline's cell once more, at another place of every round. What lies between
//! the two is noise and order, and nothing else; a saving of that size is not told from it.

use super::drift::FALSE_ALARM;
use super::joint::{ByRound, Joint};
use super::pairing::{Measured, Scope, pair};
use super::sentence::{quoted, range, rounds, seconds};
use super::{Decider, Decision, Verdict, Weighted};
use crate::model::plan::AGAIN_ROUNDS;
use crate::model::{Builder, Cell, Plan, Sample};
use crate::stats::{Bootstrap, Estimate, Values, paired};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What difference the machine resolves on one workload, link and engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resolution {
    /// The workload.
    pub workload: String,
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// The change of the cell that was measured twice.
    pub change: String,
    /// Its availability.
    pub availability: String,
    /// Id of its strategy, the baseline.
    pub strategy: String,
    /// Its builder.
    pub builder: Builder,
    /// Rounds in which both count.
    pub pairs: usize,
    /// What they show; absent below three pairs.
    pub resolved: Option<Resolved>,
    /// Strategies whose saving over the change mix, or loss, is smaller than what is resolved.
    pub smaller: Vec<Smaller>,
}

/// The baseline's cell against itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resolved {
    /// Mean seconds of the cell minus those of its A/A cell.
    pub seconds: Estimate,
    /// The same as a share of the cell's mean time.
    pub share: Estimate,
    /// Half the width of the interval of `seconds`: the smallest difference that is resolved with
    /// so many pairs.
    pub smallest_s: f64,
    /// The same of `share`.
    pub smallest_share: f64,
    /// The chance of a difference as large as this where nothing but noise makes it.
    pub p: f64,
    /// The chance below which the difference counts as shown: 1 % for all A/A cells of the run
    /// together.
    pub shown_below: f64,
}

/// A strategy whose saving is smaller than what is resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Smaller {
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// Mean seconds a build that it saves; negative if it loses them.
    pub saving_s: f64,
}

impl Resolved {
    /// Whether the baseline differs from itself by more than chance makes it.
    pub fn is_unlike(&self) -> bool {
        self.p < self.shown_below
    }

    /// `p = 0.004`.
    pub fn chance(&self) -> String {
        if self.p < 0.001 { "p under 0.001".to_owned() } else { format!("p = {:.3}", self.p) }
    }

    /// The smallest difference in seconds and per cent.
    fn smallest(&self) -> String {
        format!("{} ({:.1} %)", seconds(self.smallest_s), self.smallest_share * 100.0)
    }
}

impl Resolution {
    /// The cell that was measured twice, as far as a scope does not say it:
    /// `change app, candidates main`.
    pub fn place(&self) -> String {
        format!("change {}, candidates {}", self.change, self.availability)
    }

    /// How the baseline differs from itself, where that is more than chance makes it.
    pub fn unlike(&self) -> Option<String> {
        let found = self.resolved.as_ref().filter(|found| found.is_unlike())?;
        let Self { workload, link, engine, strategy, builder, .. } = self;
        Some(format!(
            "{strategy} ({builder}) of workload {workload}, {}, link {link}, engine {engine}: {} {} \
             against itself over {} ({})",
            self.place(),
            seconds(found.seconds.point),
            range(found.seconds),
            rounds(self.pairs),
            found.chance()
        ))
    }

    fn is_of(&self, scope: &[Weighted]) -> bool {
        scope.first().is_some_and(|of| {
            (&self.workload, &self.link, &self.engine) == (&of.workload, &of.link, &of.engine)
        })
    }

    fn sentences(&self) -> Vec<String> {
        let name = quoted(&self.strategy, self.builder);
        let Some(found) = &self.resolved else {
            return vec![format!(
                "What difference this machine resolves is not known: {name} was measured twice in \
                 {}, {AGAIN_ROUNDS} are needed.",
                rounds(self.pairs)
            )];
        };
        let unlike = match found.is_unlike() {
            false => String::new(),
            true => format!(", which is more than chance makes it ({})", found.chance()),
        };
        let mut sentences = vec![format!(
            "{name}, measured twice in {} ({}), differs from itself by {} {}{unlike}: a difference \
             below {} is not resolved.",
            rounds(self.pairs),
            self.place(),
            seconds(found.seconds.point),
            range(found.seconds),
            found.smallest()
        )];
        let named = |one: &Smaller| {
            format!("{} ({})", quoted(&one.strategy, one.builder), seconds(one.saving_s))
        };
        let smaller: Vec<String> = self.smaller.iter().map(named).collect();
        if !smaller.is_empty() {
            let of = if smaller.len() == 1 { "the saving of" } else { "the savings of" };
            sentences.push(format!("Below that: {of} {}.", smaller.join(", ")));
        }
        sentences
    }
}

/// The baseline's cell and its A/A cell by round: what a scope's numbers differ by where nothing but
/// noise makes it. `weights` are those of the cells that a number is the sum of: a sum of several
/// jobs varies less than one of them. `None` where the scope has no A/A cell.
pub(super) fn noise_of(
    plan: &Plan,
    measured: &Measured<'_>,
    scope: &Scope,
    weights: impl IntoIterator<Item = f64>,
) -> Option<ByRound<2>> {
    let of_scope = |cell: &&Cell| {
        (&cell.workload, &cell.link, &cell.engine) == (&scope.workload, &scope.link, &scope.engine)
    };
    let again = plan.again.iter().find(of_scope)?;
    let cell = Cell { again: false, ..again.clone() };
    let factor = weights.into_iter().map(|weight| weight * weight).sum::<f64>().sqrt();
    let pairs = pair(&measured.totals(&cell), &measured.totals(again));
    Some(pairs.into_iter().map(|(round, both)| (round, both.map(|x| factor * x))).collect())
}

/// What a scope's A/A cell shows, in sentences; none where it has none.
pub(super) fn sentences_of(decision: &Decision, scope: &[Weighted]) -> Vec<String> {
    let of_scope = decision.resolution.iter().filter(|one| one.is_of(scope));
    of_scope.flat_map(Resolution::sentences).collect()
}

/// What every A/A cell of a plan shows, savings left aside. Pure.
pub fn resolutions<'a>(
    plan: &Plan,
    samples: impl IntoIterator<Item = &'a Sample>,
) -> Vec<Resolution> {
    let bootstrap = Bootstrap::new(plan.seed);
    of_decider(&Decider { plan, measured: Measured::new(samples), bootstrap, looks: None }, &[])
}

/// The same, with the strategies whose savings are smaller than what is resolved.
pub(super) fn of_decider(decider: &Decider<'_>, weighted: &[Weighted]) -> Vec<Resolution> {
    let again = &decider.plan.again;
    let shown_below = FALSE_ALARM / again.len().max(1) as f64;
    again.iter().map(|cell| of_cell(decider, cell, shown_below, weighted)).collect()
}

fn of_cell(
    decider: &Decider<'_>,
    again: &Cell,
    shown_below: f64,
    weighted: &[Weighted],
) -> Resolution {
    let cell = Cell { again: false, ..again.clone() };
    let pairs = pair(&decider.measured.totals(&cell), &decider.measured.totals(again));
    let count = pairs.len();
    let differences = Values::new(pairs.values().map(|[once, again]| once - again));
    let enough = count >= AGAIN_ROUNDS as usize;
    let joint = Joint::new([(1.0, pairs)]).filter(|_| enough);
    let resolved = joint.zip(differences.ok()).map(|(joint, differences)| {
        let [seconds, share] = joint.estimate(decider.bootstrap, |[once, again]| {
            let apart = once - again;
            [apart, if once > 0.0 { apart / once } else { 0.0 }]
        });
        let half = |of: Estimate| (of.high - of.low) / 2.0;
        let (smallest_s, smallest_share) = (half(seconds), half(share));
        let p = paired::chance(&differences);
        Resolved { seconds, share, smallest_s, smallest_share, p, shown_below }
    });
    let smallest_s = resolved.as_ref().map_or(0.0, |found| found.smallest_s);
    let mut resolution = Resolution {
        workload: cell.workload,
        link: cell.link,
        engine: cell.engine,
        change: cell.change,
        availability: cell.availability,
        strategy: cell.strategy,
        builder: cell.builder,
        pairs: count,
        resolved,
        smaller: Vec::new(),
    };
    let of_scope = weighted.iter().filter(|one| resolution.is_of(std::slice::from_ref(*one)));
    let smaller = of_scope.filter_map(|one| {
        let saving = one.saving.as_ref().filter(|saving| saving.verdict != Verdict::Baseline)?;
        let saving_s = saving.seconds.point;
        let (strategy, builder) = (one.strategy.clone(), one.builder);
        (saving_s.abs() < smallest_s).then_some(Smaller { strategy, builder, saving_s })
    });
    let smaller = smaller.collect();
    resolution.smaller = smaller;
    resolution
}

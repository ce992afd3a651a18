//! One competitor over all changes and availabilities, by their weights.

use super::joint::{ByRound, Joint};
use super::pairing::{Measured, Scope, pair};
use super::repay::{self, Paired};
use super::{BreakEven, Decider, Weighted, verdict};
use crate::model::plan::Competitor;
use crate::model::{Cell, Plan, State};
use std::collections::{BTreeMap, BTreeSet};

/// Share of builds by change and availability.
pub(super) type Mix = BTreeMap<(String, String), f64>;

/// The mix over what a scope's cells measure, normalised to a sum of 1; all 0 if nothing that is
/// measured has a weight.
pub(super) fn mix(plan: &Plan, cells: &[&Cell]) -> Mix {
    let mut mix: Mix = cells
        .iter()
        .map(|cell| {
            let weight =
                plan.change_weight(&cell.change) * plan.availability_weight(&cell.availability);
            ((cell.change.clone(), cell.availability.clone()), weight)
        })
        .collect();
    let sum: f64 = mix.values().sum();
    if sum > 0.0 {
        mix.values_mut().for_each(|weight| *weight /= sum);
    }
    mix
}

/// One cell of the mix for a competitor: its seconds, and its pairs with the baseline.
struct Part {
    state: State,
    weight: f64,
    own: ByRound<1>,
    pairs: ByRound<2>,
}

/// The result of one competitor over the mix. Cells without weight are left out: they may be
/// measured for the reader's interest, but no build is like them.
pub(super) fn weighted(
    scope: &Scope,
    decider: &Decider<'_>,
    mix: &Mix,
    competitor: &Competitor,
    baseline: Option<&Competitor>,
) -> Weighted {
    let bootstrap = decider.bootstrap;
    let mut missing = BTreeSet::new();
    let parts: Vec<Part> = mix
        .iter()
        .filter(|(_, weight)| **weight > 0.0)
        .map(|((change, availability), &weight)| {
            let cell = scope.cell(decider.plan, change, availability, competitor);
            let beside =
                baseline.map(|baseline| scope.cell(decider.plan, change, availability, baseline));
            part(&decider.measured, weight, &cell, beside.as_ref(), &mut missing)
        })
        .collect();
    let total: Option<Joint<1>> =
        Joint::new(parts.iter().map(|part| (part.weight, part.own.clone())));
    let paired: Vec<Paired> =
        parts.into_iter().map(|part| (part.state, part.weight, part.pairs)).collect();
    let is_baseline = baseline == Some(competitor);
    let saving = baseline.and_then(|(_, against)| {
        if is_baseline {
            return total.as_ref().map(|own| verdict::of_baseline(decider.plan, own, *against));
        }
        let joint = Joint::new(paired.iter().map(|(_, weight, pairs)| (*weight, pairs.clone())))?;
        Some(verdict::saving(decider.plan, bootstrap, &joint, *against))
    });
    Weighted {
        workload: scope.workload.clone(),
        link: scope.link.clone(),
        engine: scope.engine.clone(),
        strategy: competitor.0.clone(),
        builder: competitor.1,
        total_s: total.map(|total| total.estimate(bootstrap, |sums| sums)[0]),
        saving,
        builds_to_repay: repay::builds_to_repay(bootstrap, &paired).filter(|_| !is_baseline),
        not_repaid: None,
        hit_share: BreakEven::not_known("not decided"),
        shares: Vec::new(),
        money: None,
        replay: None,
        missing: missing.into_iter().collect(),
    }
}

fn part(
    measured: &Measured<'_>,
    weight: f64,
    cell: &Cell,
    beside: Option<&Cell>,
    missing: &mut BTreeSet<String>,
) -> Part {
    let own = measured.totals(cell);
    let theirs = beside.map(|beside| measured.totals(beside)).unwrap_or_default();
    let pairs = pair(&theirs, &own);
    if own.is_empty() {
        missing.insert(cell.key().0);
    }
    if let Some(beside) = beside.filter(|_| theirs.is_empty()) {
        missing.insert(beside.key().0);
    } else if beside.is_some() && pairs.is_empty() {
        missing.insert(cell.key().0);
    }
    Part { state: cell.state, weight, own, pairs }
}

//! One competitor over all changes and availabilities, by their weights.

use super::joint::{ByRound, Joint};
use super::money::{self, Money, Priced};
use super::pairing::{Measured, Scope, pair};
use super::repay::{self, Paired};
use super::{BreakEven, Decider, Saving, Weighted, looks, replay, shares, verdict};
use crate::model::plan::Competitor;
use crate::model::{Cell, Plan, State};
use crate::stats::{Bootstrap, Estimate};
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
pub(super) struct Part {
    pub(super) change: String,
    pub(super) availability: String,
    pub(super) state: State,
    pub(super) weight: f64,
    own: ByRound<1>,
    pub(super) pairs: ByRound<2>,
    cell: Cell,
    beside: Option<Cell>,
    /// Keys of cells that lack what the part needs.
    missing: Vec<String>,
}

/// A competitor with what was measured of it over the mix.
pub(super) struct Contender {
    pub(super) competitor: Competitor,
    pub(super) baseline: Option<Competitor>,
    /// Cells with a weight. Those without are left out: they may be measured for the reader's
    /// interest, but no build is like them.
    pub(super) parts: Vec<Part>,
    /// First builds where no candidate exists, weighted by their changes alone, for the case that
    /// this availability has no weight in the mix.
    first: Vec<Part>,
    missing: BTreeSet<String>,
}

impl Contender {
    pub(super) fn new(
        plan: &Plan,
        measured: &Measured<'_>,
        scope: &Scope,
        mix: &Mix,
        competitor: &Competitor,
        baseline: Option<&Competitor>,
    ) -> Self {
        let mut contender = Self {
            competitor: competitor.clone(),
            baseline: baseline.cloned(),
            parts: Vec::new(),
            first: Vec::new(),
            missing: BTreeSet::new(),
        };
        for ((change, availability), &weight) in mix {
            let cell = scope.cell(plan, change, availability, competitor);
            let beside = baseline.map(|baseline| scope.cell(plan, change, availability, baseline));
            if weight > 0.0 {
                let part = part(measured, weight, cell, beside);
                contender.missing.extend(part.missing.iter().cloned());
                contender.parts.push(part);
            } else if availability == NONE {
                let weight = plan.change_weight(change);
                contender.first.push(part(measured, weight, cell, beside));
            }
        }
        contender
    }

    pub(super) fn is_baseline(&self) -> bool {
        self.baseline.as_ref() == Some(&self.competitor)
    }

    /// The baseline's seconds and its own over the mix, of the rounds in which all of them count.
    pub(super) fn complete_pairs(&self) -> ByRound<2> {
        looks::complete(self.parts.iter().map(|part| (part.weight, &part.pairs)))
    }

    /// Its seconds over the mix, of the rounds in which all of its cells count.
    pub(super) fn complete_times(&self) -> ByRound<1> {
        looks::complete(self.parts.iter().map(|part| (part.weight, &part.own)))
    }

    /// The cells of the mix, and first builds that have no weight in it.
    fn with_first(&self) -> impl Iterator<Item = &Part> + Clone {
        let in_mix = self.parts.iter().any(|part| part.availability == NONE);
        self.parts.iter().chain(self.first.iter().filter(move |_| !in_mix))
    }

    /// The result over the mix. `others`: the pairs of the scope's other competitors.
    pub(super) fn weighted(
        &self,
        scope: &Scope,
        decider: &Decider<'_>,
        others: &[ByRound<2>],
        dearest: Option<&str>,
    ) -> Weighted {
        let (plan, bootstrap) = (decider.plan, decider.bootstrap);
        let total: Option<Joint<1>> =
            Joint::new(self.parts.iter().map(|part| (part.weight, part.own.clone())));
        let pairs: Option<Joint<2>> =
            Joint::new(self.parts.iter().map(|part| (part.weight, part.pairs.clone())));
        let saving = self.baseline.as_ref().and_then(|(_, against)| {
            if self.is_baseline() {
                return total.as_ref().map(|own| verdict::of_baseline(plan, own, *against));
            }
            let pairs = pairs.as_ref()?;
            match &decider.looks {
                Some(looks) => looks.saving(plan, &self.complete_pairs(), others, *against),
                None => Some(verdict::saving(plan, bootstrap, pairs, *against)),
            }
        });
        let (builds_to_repay, not_repaid, hit_share) = self.first_builds(bootstrap);
        let commits = replayed(plan, &self.parts);
        let shares = match commits {
            None if !self.is_baseline() => shares::shares(bootstrap, &self.parts, dearest),
            _ => Vec::new(),
        };
        Weighted {
            workload: scope.workload.clone(),
            link: scope.link.clone(),
            engine: scope.engine.clone(),
            strategy: self.competitor.0.clone(),
            builder: self.competitor.1,
            total_s: total.map(|total| total.estimate(bootstrap, |sums| sums)[0]),
            builds_to_repay,
            not_repaid,
            hit_share,
            shares,
            money: self.money(decider, saving.as_ref()),
            replay: commits
                .zip(pairs.filter(|_| !self.is_baseline()))
                .map(|(commits, pairs)| replay::replay(bootstrap, commits, &pairs)),
            saving,
            missing: self.missing.iter().cloned().collect(),
        }
    }

    /// `N*`, or why there is none, and `h*`.
    fn first_builds(&self, bootstrap: Bootstrap) -> (Option<Estimate>, Option<String>, BreakEven) {
        const BASELINE: &str = "it is the baseline";
        if self.is_baseline() {
            return (None, Some(BASELINE.to_owned()), BreakEven::not_known(BASELINE));
        }
        let paired: Vec<Paired> =
            self.with_first().map(|part| (part.state, part.weight, part.pairs.clone())).collect();
        let (builds, not_repaid) = match repay::builds_to_repay(bootstrap, &paired) {
            Ok(builds) => (Some(builds), None),
            Err(reason) => (None, Some(reason.to_owned())),
        };
        (builds, not_repaid, shares::hit_share(bootstrap, self.with_first()))
    }

    fn money(&self, decider: &Decider<'_>, saving: Option<&Saving>) -> Option<Money> {
        let prices = decider.plan.prices.as_ref()?;
        let priced: Vec<Priced> = self
            .parts
            .iter()
            .map(|part| {
                let own = decider.measured.counted(&part.cell);
                let beside = part.beside.as_ref().filter(|_| !self.is_baseline());
                let theirs = beside.map(|cell| decider.measured.counted(cell));
                Priced::new(prices, part.weight, &own, &theirs.unwrap_or_default())
            })
            .collect();
        let saving = saving.filter(|_| !self.is_baseline());
        money::money(prices, decider.bootstrap, &priced, saving.map(|saving| saving.seconds))
    }
}

/// How many commits are replayed, if that is what these changes are.
fn replayed(plan: &Plan, parts: &[Part]) -> Option<u32> {
    let changes: BTreeSet<&str> = parts.iter().map(|part| part.change.as_str()).collect();
    let all = !changes.is_empty() && changes.iter().all(|name| plan.commit(name).is_some());
    u32::try_from(changes.len()).ok().filter(|_| all)
}

/// Availability in which no candidate exists.
const NONE: &str = "none";

fn part(measured: &Measured<'_>, weight: f64, cell: Cell, beside: Option<Cell>) -> Part {
    let own = measured.totals(&cell);
    let theirs = beside.as_ref().map(|beside| measured.totals(beside)).unwrap_or_default();
    let pairs = pair(&theirs, &own);
    let mut missing = Vec::new();
    if own.is_empty() {
        missing.push(cell.key().0);
    }
    if let Some(beside) = beside.as_ref().filter(|_| theirs.is_empty()) {
        missing.push(beside.key().0);
    } else if beside.is_some() && pairs.is_empty() {
        missing.push(cell.key().0);
    }
    Part {
        change: cell.change.clone(),
        availability: cell.availability.clone(),
        state: cell.state,
        weight,
        own,
        pairs,
        cell,
        beside,
        missing,
    }
}

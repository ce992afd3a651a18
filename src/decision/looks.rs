//! Savings of an adaptive run, which was looked at after every round: intervals that hold at all
//! looks and for all strategies together ([`sequential`](crate::stats::sequential)).
//!
//! What is looked at is one number a round: the saving over the mix, of the rounds in which every
//! cell of strategy and baseline counts.

use super::joint::ByRound;
use super::pairing::{Measured, Scope, baseline_for, competitors};
use super::verdict;
use super::{Saving, Verdict};
use crate::model::{Builder, Plan};
use crate::stats::Estimate;
use crate::stats::sequential::{Bounds, ERROR, FIRST_LOOK};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the verdicts of an adaptive run hold with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sequential {
    /// The chance of any wrong verdict over the mix, at any look, among all of them together.
    pub error: f64,
    /// How many verdicts over the mix share it.
    pub verdicts: usize,
    /// Rounds before the first look, below which there is no verdict.
    pub first_look: usize,
}

/// The looks of one run.
#[derive(Debug, Clone)]
pub(super) struct Looks {
    bounds: Bounds,
    verdicts: usize,
}

impl Looks {
    /// Of a plan's verdicts, up to so many rounds; `None` where the protocol is the plain one.
    pub(super) fn of(plan: &Plan, rounds: usize) -> Option<Self> {
        let verdicts = verdicts(plan);
        plan.adaptive.then(|| Self { bounds: Bounds::new(verdicts, rounds), verdicts })
    }

    /// What is said of them.
    pub(super) fn in_short(&self) -> Sequential {
        Sequential { error: ERROR, verdicts: self.verdicts, first_look: FIRST_LOOK }
    }

    /// The saving from the baseline's seconds and the competitor's by round. `others` are the same
    /// of those whose spread is likely to be alike.
    pub(super) fn saving<'a>(
        &self,
        plan: &Plan,
        own: &ByRound<2>,
        others: impl IntoIterator<Item = &'a ByRound<2>>,
        against: Builder,
    ) -> Option<Saving> {
        let n = own.len() as f64;
        let last = *own.keys().last()?;
        let baseline_s = own.values().map(|[baseline, _]| baseline).sum::<f64>() / n;
        let savings = saved(own, last);
        let companions: Vec<Vec<f64>> = others.into_iter().map(|one| saved(one, last)).collect();
        let looked = self.bounds.mean(&savings, &companions);
        // Before the first look there is no verdict, and no interval that would mean anything.
        let seconds = looked.unwrap_or_else(|| Estimate::exactly(savings.iter().sum::<f64>() / n));
        let as_share = |seconds: f64| if baseline_s > 0.0 { seconds / baseline_s } else { 0.0 };
        let relevant_s = verdict::relevant_s(plan, baseline_s);
        let pairs = own.len();
        let verdict = match looked {
            Some(_) => verdict::judge(seconds, relevant_s, pairs, FIRST_LOOK),
            None => Verdict::TooFewRounds,
        };
        Some(Saving {
            against,
            seconds,
            share: Estimate {
                point: as_share(seconds.point),
                low: as_share(seconds.low),
                high: as_share(seconds.high),
            },
            relevant_s,
            pairs,
            verdict,
            more_rounds: verdict::more_rounds(verdict, seconds, relevant_s, pairs, FIRST_LOOK),
        })
    }
}

/// What was saved in each round up to `last`: what comes later must not move the verdict on a
/// strategy that is not measured any more.
fn saved(pairs: &ByRound<2>, last: u32) -> Vec<f64> {
    pairs.range(..=last).map(|(_, [baseline, ours])| baseline - ours).collect()
}

/// How many verdicts over the mix there may be.
fn verdicts(plan: &Plan) -> usize {
    let of_scope = |scope: &Scope| {
        let cells = scope.cells(plan);
        let compared = |(strategy, builder): &(String, Builder)| {
            *strategy != plan.baseline && baseline_for(plan, &cells, *builder).is_some()
        };
        competitors(&cells).iter().filter(|one| compared(one)).count()
    };
    Scope::all(plan).iter().map(of_scope).sum()
}

/// The weighted sum over cells, of the rounds that all of them have.
pub(super) fn complete<'a, const M: usize>(
    cells: impl Iterator<Item = (f64, &'a ByRound<M>)>,
) -> ByRound<M> {
    let mut cells = cells;
    let Some((weight, first)) = cells.next() else { return ByRound::new() };
    let mut sums: ByRound<M> =
        first.iter().map(|(round, numbers)| (*round, numbers.map(|x| weight * x))).collect();
    for (weight, cell) in cells {
        sums.retain(|round, sums| {
            let numbers = cell.get(round);
            for (sum, number) in sums.iter_mut().zip(numbers.into_iter().flatten()) {
                *sum += weight * number;
            }
            numbers.is_some()
        });
    }
    sums
}

/// The last round of which something counts.
pub(super) fn last_round(plan: &Plan, measured: &Measured<'_>) -> usize {
    let rounds = plan.cells.iter().flat_map(|cell| measured.counted(cell));
    rounds.map(|sample| sample.round as usize).max().unwrap_or(0)
}

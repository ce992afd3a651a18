//! The verdicts of two runs, strategy by strategy.

use super::{Said, VerdictPair};
use crate::decision::{Decision, Verdict, Weighted};

/// Verdicts over the change mix of what is in both runs, in NEW's order. The baseline has none.
pub(super) fn pairs(base: &Decision, new: &Decision) -> Vec<VerdictPair> {
    let pair = |new: &Weighted| {
        let is_same = |other: &&Weighted| place(other) == place(new);
        let before = base.weighted.iter().find(is_same)?;
        Some(VerdictPair {
            workload: new.workload.clone(),
            link: new.link.clone(),
            engine: new.engine.clone(),
            strategy: new.strategy.clone(),
            builder: new.builder,
            base: said(before)?,
            new: said(new)?,
        })
    };
    new.weighted.iter().filter_map(pair).collect()
}

fn place(one: &Weighted) -> impl PartialEq + use<'_> {
    (&one.workload, &one.link, &one.engine, &one.strategy, one.builder)
}

fn said(one: &Weighted) -> Option<Said> {
    let saving = one.saving.as_ref().filter(|saving| saving.verdict != Verdict::Baseline)?;
    Some(Said { verdict: saving.verdict, seconds: saving.seconds })
}

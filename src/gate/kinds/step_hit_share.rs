//! Enough Dockerfile instructions are taken from a cache.

use super::{CELLS, Kind, per_cent};
use crate::gate::{Evidence, Part, Rule, State};
use crate::model;

/// The row of `KINDS`.
pub(super) const KIND: Kind = Kind {
    id: "step-hit-share",
    summary: "at least this share of steps is hit in every job that finds a cache",
    needs: &["at_least"],
    takes: CELLS,
    defaults: Rule::clone,
    check,
};

/// Of each cell whose jobs are to find a cache, the job with the fewest hits counts: hits do not vary
/// by themselves, and a cache that comes and goes is worse than its mean.
fn check(rule: &Rule, evidence: &Evidence<'_>) -> Vec<Part> {
    let least = rule.at_least.unwrap_or_default();
    let finds = |state| matches!(state, model::State::Steady | model::State::ReadOnly);
    let cells = evidence.cells(rule).into_iter().filter(|(_, row, _)| finds(row.state));
    cells
        .map(|(key, _, samples)| {
            let shares = samples.iter().filter(|sample| sample.step_count() > 0).map(|sample| {
                let (hits, steps) = (sample.step_hits(), sample.step_count());
                (hits as f64 / steps as f64, hits, steps)
            });
            let Some((share, hits, steps)) = shares.min_by(|a, b| a.0.total_cmp(&b.0)) else {
                return Part::new(key, State::Skip, "no job with steps counts");
            };
            let state = if share < least { State::Fail } else { State::Pass };
            let said = format!(
                "{hits} of {steps} steps hit ({}), of {} demanded",
                per_cent(share),
                per_cent(least)
            );
            Part::new(key, state, said).with(share)
        })
        .collect()
}

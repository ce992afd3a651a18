//! Leaving a cache behind takes no more than its share of a job.

use super::{CELLS, Kind, per_cent};
use crate::gate::{Evidence, Part, Rule, State};

/// The row of `KINDS`.
pub(super) const KIND: Kind = Kind {
    id: "export-share",
    summary: "at most this share of a job's time goes into leaving a cache behind (save, store, \
              cache export)",
    needs: &["at_most"],
    takes: CELLS,
    defaults: Rule::clone,
    check,
};

/// Of each cell: all seconds of its jobs that went into leaving a cache, of all their seconds.
fn check(rule: &Rule, evidence: &Evidence<'_>) -> Vec<Part> {
    let most = rule.at_most.unwrap_or_default();
    let of = |(key, _, samples): (String, _, Vec<&crate::model::Sample>)| {
        let (mut leaving, mut all) = (0.0, 0.0);
        for sample in samples {
            leaving += sample.leaving_s()?;
            all += sample.total_s();
        }
        // A job in which nothing of the kind was timed says nothing of its share.
        (all > 0.0).then(|| {
            let share = leaving / all;
            let state = if share > most { State::Fail } else { State::Pass };
            let said = format!(
                "leaving the cache takes {} of the job, {} at most",
                per_cent(share),
                per_cent(most)
            );
            Part::new(key, state, said).with(share)
        })
    };
    evidence.cells(rule).into_iter().filter_map(of).collect()
}

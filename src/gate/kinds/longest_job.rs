//! A job, or one phase of it, takes no longer than it may.

use super::Kind;
use crate::gate::{Evidence, Part, Rule, State};
use crate::model::Sample;
use crate::stats::{Bootstrap, Values};

/// The row of `KINDS`.
pub(super) const KIND: Kind = Kind {
    id: "longest-job",
    summary: "a typical job (or its phase, such as `build`) takes at most this long",
    needs: &["limit"],
    takes: &[
        "phase",
        "workload",
        "change",
        "availability",
        "strategy",
        "builder",
        "link",
        "engine",
    ],
    defaults: Rule::clone,
    check,
};

/// Of each cell the median, which fails if its whole interval lies above the limit.
fn check(rule: &Rule, evidence: &Evidence<'_>) -> Vec<Part> {
    let bootstrap = Bootstrap::new(evidence.plan.seed);
    let seconds = |sample: &&Sample| match rule.phase {
        Some(phase) => sample.phase_s(phase),
        None => Some(sample.total_s()),
    };
    let of = |(key, _, samples): (String, _, Vec<&Sample>)| {
        let Ok(values) = Values::new(samples.iter().filter_map(seconds)) else {
            let without = rule.phase.filter(|_| !samples.is_empty());
            let said = match without {
                Some(phase) => format!("its jobs have no phase {phase}"),
                None => "no sample counts".to_owned(),
            };
            return Part::new(key, State::Skip, said);
        };
        let median = bootstrap.median(&values);
        let state = match (median.low > rule.limit_s, values.count()) {
            // The range of two jobs misses the true median every second time.
            (true, 1 | 2) => State::Skip,
            (true, _) => State::Fail,
            (false, _) => State::Pass,
        };
        let interval = match values.count() {
            1 => "[n/a] of 1 job".to_owned(),
            n => format!("[{:.2}, {:.2}] of {n} jobs", median.low, median.high),
        };
        let few = if state == State::Skip { ", too few to tell" } else { "" };
        let (point, limit) = (median.point, rule.limit_s);
        let said = format!("median {point:.2} s {interval}, {limit:.2} s at most{few}");
        Part::new(key, state, said).with(median.point)
    };
    evidence.cells(rule).into_iter().map(of).collect()
}

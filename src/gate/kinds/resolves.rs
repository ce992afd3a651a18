//! The run was quiet enough to be judged: its A/A cells show what difference it resolves.

use super::{Kind, per_cent};
use crate::decision::Resolution;
use crate::gate::{Evidence, Part, Rule, State};
use crate::model::CellKey;

/// The row of `KINDS`.
pub(super) const KIND: Kind = Kind {
    id: "resolves",
    summary: "the smallest difference that the run tells from noise, by its A/A cells, is at most \
              this share of a job or this long",
    needs: &[],
    takes: &["at_most", "limit", "workload", "link", "engine"],
    defaults: Rule::clone,
    check,
};

/// Of each workload, link and engine. With both a share and a time, as with the smallest saving that
/// matters, the larger one counts: it is enough to be below one of them.
fn check(rule: &Rule, evidence: &Evidence<'_>) -> Vec<Part> {
    if rule.at_most.is_none() && rule.limit.is_none() {
        let said = "add `at_most`, a share such as 0.05, or `limit`, a time such as \"2s\"";
        return vec![Part::new("", State::Misconfigured, said)];
    }
    let all = &evidence.decision.resolution;
    if all.is_empty() {
        let said = "this run measured no cell of the baseline twice (`aa`, `--no-aa`), so that \
                    nobody knows what it resolves";
        return vec![Part::new("", State::Skip, said)];
    }
    let speaks_of = |of: &&Resolution| {
        let place = [of.workload.as_str(), of.link.as_str(), of.engine.as_str()];
        rule.speaks_of_place(place, (&of.strategy, of.builder))
    };
    all.iter().filter(speaks_of).map(|of| part(rule, of)).collect()
}

fn part(rule: &Rule, of: &Resolution) -> Part {
    let place = CellKey::of([
        &of.workload,
        &of.change,
        &of.availability,
        &of.strategy,
        of.builder.as_str(),
        &of.link,
        &of.engine,
    ])
    .0;
    let Some(found) = &of.resolved else {
        let said = format!("measured twice in {} rounds, too few to tell", of.pairs);
        return Part::new(place, State::Skip, said);
    };
    let limit = rule.limit.as_ref().map(|_| rule.limit_s);
    let fine = rule.at_most.is_some_and(|most| found.smallest_share <= most)
        || limit.is_some_and(|most| found.smallest_s <= most);
    let state = if fine { State::Pass } else { State::Fail };
    let wanted: Vec<String> = [
        rule.at_most.map(|most| format!("{} at most", per_cent(most))),
        limit.map(|most| format!("{most:.2} s at most")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let said = format!(
        "of {} rounds a difference of {:.2} s ({}) is the smallest that is resolved, {}",
        of.pairs,
        found.smallest_s,
        per_cent(found.smallest_share),
        wanted.join(" or ")
    );
    let value = rule.at_most.map_or(found.smallest_s, |_| found.smallest_share);
    Part::new(place, state, said).with(value)
}

//! Nothing of a kind was noticed.

use super::Kind;
use crate::config::nearest;
use crate::gate::{Evidence, Part, Rule, State};
use crate::model::finding::FINDINGS;
use crate::model::{Event, Finding};

/// The row of `KINDS`.
pub(super) const KIND: Kind = Kind {
    id: "no-finding",
    summary: "the run has no finding of this id (docs/traps.md lists them)",
    needs: &["id"],
    takes: &[],
    defaults: Rule::clone,
    check,
};

/// How many findings are quoted.
const SHOWN: usize = 3;

fn check(rule: &Rule, evidence: &Evidence<'_>) -> Vec<Part> {
    let id = rule.id.as_deref().unwrap_or_default();
    if !FINDINGS.iter().any(|kind| kind.id == id) {
        let hint = nearest(id, FINDINGS.iter().map(|kind| kind.id))
            .map_or_else(String::new, |best| format!("did you mean `{best}`? "));
        let said = format!("there is no finding `{id}`; {hint}docs/traps.md lists them");
        return vec![Part::new("", State::Misconfigured, said)];
    }
    let samples = evidence.samples();
    if samples.is_empty() {
        return vec![Part::new("", State::Skip, "nothing was measured")];
    }
    let of_run = evidence.events.iter().filter_map(|event| match event {
        Event::RunFinding { finding } => Some(("the run".to_owned(), finding)),
        _ => None,
    });
    let of_samples = samples.iter().flat_map(|sample| {
        sample.findings.iter().map(|finding| (format!("sample {}", sample.sample), finding))
    });
    let all: Vec<(String, &Finding)> =
        of_run.chain(of_samples).filter(|(_, finding)| finding.id == id).collect();
    if all.is_empty() {
        return vec![Part::new("", State::Pass, format!("no finding `{id}`")).with(0.0)];
    }
    let quoted: Vec<String> = all
        .iter()
        .take(SHOWN)
        .map(|(place, finding)| format!("{place}: {}", finding.detail))
        .collect();
    let times = if all.len() == 1 { "once".to_owned() } else { format!("{} times", all.len()) };
    let said = format!("`{id}` {times}; {}", quoted.join("; "));
    vec![Part::new("", State::Fail, said).with(all.len() as f64)]
}

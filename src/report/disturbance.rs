//! Disturbed samples in words, for every format alike.

use super::text;
use super::text::plural;
use crate::decision::{Decision, WithAndWithout};

/// Most verdicts that are named one by one.
const MOST_NAMED: usize = 4;

/// How many samples were disturbed, and whether the verdicts hang on them; nothing where none was.
/// Names stand in backticks.
pub(super) fn sentence(decision: &Decision) -> Option<String> {
    let disturbance = &decision.disturbance;
    if disturbance.samples.is_empty() {
        return None;
    }
    let count = disturbance.samples.len();
    let counts = if count == 1 { "counts" } else { "count" };
    let begin = format!("{} {counts} all the same", plural(count, "disturbed sample"));
    let (few, differing): (Vec<&WithAndWithout>, Vec<&WithAndWithout>) =
        disturbance.differing().partition(|one| one.is_too_little());
    if few.len() == disturbance.verdicts.len() {
        return Some(format!("{begin}; without them too few rounds are left for a verdict."));
    }
    let mut sentence = begin;
    if differing.is_empty() {
        sentence += "; without them every verdict is the same";
    } else {
        let mut named: Vec<String> =
            differing.iter().take(MOST_NAMED).map(|one| without(decision, one)).collect();
        if differing.len() > MOST_NAMED {
            named.push(format!("{} more", differing.len() - MOST_NAMED));
        }
        sentence += &format!("; without them other verdicts: {}", named.join("; "));
    }
    if !few.is_empty() {
        let verdicts = plural(few.len(), "verdict");
        sentence += &format!("; for {verdicts} too few rounds are left without them");
    }
    Some(sentence + ".")
}

/// `` `pull (classic)` on engine own: undecided instead of pays off ``
fn without(decision: &Decision, one: &WithAndWithout) -> String {
    let mut whose = format!("`{} ({})`", one.strategy, one.builder);
    type Axis = (&'static str, fn(&WithAndWithout) -> &str);
    let axes: [Axis; 3] = [
        ("for workload", |one| &one.workload),
        ("on link", |one| &one.link),
        ("on engine", |one| &one.engine),
    ];
    for (word, axis) in axes {
        let verdicts = &decision.disturbance.verdicts;
        if verdicts.iter().any(|other| axis(other) != axis(one)) {
            whose += &format!(" {word} {}", axis(one));
        }
    }
    let instead = one.without.as_ref().map_or(text::NOT_MEASURED, |saving| saving.verdict.label());
    format!("{whose}: {instead} instead of {}", one.with.label())
}

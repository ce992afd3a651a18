//! `verdict.env`: the verdict as `key=value` lines, which GitHub Actions takes as outputs of a step
//! and GitLab as a dotenv report, so that a pipeline can go on from it without reading JSON.

use super::text::harmless;
use super::{Format, Model, ReportError, ReportFile};
use crate::decision::{best, winners};

/// The row of `FORMATS` for `key=value` lines.
pub(super) const FORMAT: Format = Format {
    name: "env",
    files: &["verdict.env"],
    summary: "the verdict as key=value lines, for the next step of a pipeline",
    render,
    stream: None,
};

/// GitLab takes no dotenv report above 5 KiB; in characters.
const LONGEST_VALUE: usize = 1_000;

/// Where workloads, links or engines have different answers.
const DIFFERS: &str = "differs";

fn render(model: &Model<'_>) -> Result<Vec<ReportFile>, ReportError> {
    let verdicts = model.decision.scopes().map(|scope| {
        let saving = best(model.decision, scope).and_then(|best| best.saving.as_ref());
        saving.map_or("n/a", |saving| saving.verdict.label()).to_owned()
    });
    let strategies = winners(model.decision).into_iter().map(|one| one.strategy.clone());
    let builders = winners(model.decision).into_iter().map(|one| one.builder.to_string());
    let sentences = model.scopes.iter().filter_map(|scope| scope.sentences.first());
    let sentence = sentences.map(String::as_str).collect::<Vec<_>>().join(" ");
    let lines = [
        ("breakeven_run", model.plan.run.clone()),
        ("breakeven_ending", model.run.ending_text().to_owned()),
        ("breakeven_verdict", common(verdicts)),
        ("breakeven_strategy", common(strategies)),
        ("breakeven_builder", common(builders)),
        ("breakeven_sentence", sentence),
    ];
    let text: String =
        lines.into_iter().map(|(key, value)| format!("{key}={}\n", line(&value))).collect();
    Ok(vec![ReportFile { path: FORMAT.files[0].into(), bytes: text.into_bytes() }])
}

/// What all say; empty where nobody says anything.
fn common(values: impl Iterator<Item = String>) -> String {
    let mut values: Vec<String> = values.collect();
    values.sort();
    values.dedup();
    match values.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        _ => DIFFERS.to_owned(),
    }
}

/// A value on one line: names come from outside, and a line break in one would be another key.
fn line(value: &str) -> String {
    harmless(value).chars().take(LONGEST_VALUE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_answers_are_no_answer() {
        let common = |values: &[&str]| common(values.iter().map(ToString::to_string));
        assert_eq!(common(&[]), "");
        assert_eq!(common(&["pays off", "pays off"]), "pays off");
        assert_eq!(common(&["pays off", "undecided"]), DIFFERS);
    }

    #[test]
    fn a_value_stays_on_its_line() {
        let hostile = line("a\nPATH=/evil\r::set-env");
        assert!(!hostile.contains(['\n', '\r']) && !hostile.contains("::"), "{hostile:?}");
        assert_eq!(line(&"x".repeat(5_000)).len(), LONGEST_VALUE);
    }
}

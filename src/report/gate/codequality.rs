//! GitLab's code quality report: an issue for each rule that does not hold.

use super::{Gate, Output, ReportError, State, Target, unfinished};
use crate::report::text::visible;
use serde_json::json;
use sha2::{Digest, Sha256};

/// The row of `OUTPUTS`.
pub(super) const OUTPUT: Output = Output {
    option: "gitlab-codequality",
    summary: "GitLab code quality report (JSON): an issue for each rule that does not hold",
    target: Target::File,
    render,
};

fn render(gate: &Gate) -> Result<String, ReportError> {
    let broken =
        gate.rules.iter().filter(|rule| matches!(rule.state, State::Fail | State::Misconfigured));
    let issue = |rule: &crate::gate::Checked| {
        // The same rule is the same issue in every run, wherever it moves in its file.
        let fingerprint = hex::encode(Sha256::digest(format!("{}\n{}", rule.title, rule.keys)));
        json!({
            "description": visible(&format!("{}: {}", rule.title, rule.reasons().join("; "))),
            "check_name": format!("breakeven/{}", rule.kind),
            "fingerprint": fingerprint,
            "severity": if rule.state == State::Fail { "major" } else { "critical" },
            "location": {
                "path": rule.file.display().to_string(),
                "lines": { "begin": rule.line },
            },
        })
    };
    // Every issue needs a place: that of the rules, which this run could not answer.
    let of_run = unfinished(gate).filter(|_| gate.is_cut_short()).zip(gate.rules.first());
    let of_run = of_run.map(|(said, rule)| {
        json!({
            "description": said,
            "check_name": "breakeven/whole",
            "fingerprint": hex::encode(Sha256::digest("the run is whole")),
            "severity": "critical",
            "location": {
                "path": rule.file.display().to_string(),
                "lines": { "begin": rule.line },
            },
        })
    });
    let issues: Vec<_> = broken.map(issue).chain(of_run).collect();
    let text = serde_json::to_string_pretty(&issues)
        .map_err(|error| ReportError::format("the code quality report", error))?;
    Ok(text + "\n")
}

//! Markdown for a job's summary (`$GITHUB_STEP_SUMMARY`), to which every step appends.

use super::{Gate, Output, ReportError, State, Target, counts, reasons, unfinished};
use crate::report::text::markdown;

/// The row of `OUTPUTS`.
pub(super) const OUTPUT: Output = Output {
    option: "summary",
    summary: "Markdown, appended to the file: for $GITHUB_STEP_SUMMARY",
    target: Target::Append,
    render,
};

fn render(gate: &Gate) -> Result<String, ReportError> {
    let mut lines = vec![format!("## Breakeven: {}", markdown(&counts(gate))), String::new()];
    if let Some(said) = unfinished(gate) {
        let sign = if gate.is_cut_short() { "❌" } else { "⚠" };
        lines.extend([format!("{sign} {}", markdown(&said)), String::new()]);
    }
    lines.extend(["| state | rule | says | from |".to_owned(), "|---|---|---|---|".to_owned()]);
    for rule in &gate.rules {
        let sign = match rule.state {
            State::Pass => "✅",
            State::Skip => "⏭",
            State::Fail => "❌",
            State::Misconfigured => "⚠",
        };
        let reasons: Vec<String> = reasons(rule).lines().map(markdown).collect();
        lines.push(format!(
            "| {sign} {} | {}<br>{} | {} | {} |",
            rule.state,
            markdown(&rule.title),
            markdown(&rule.effective),
            reasons.join("<br>"),
            markdown(&rule.origin())
        ));
    }
    lines.extend([String::new(), format!("<sub>run {}</sub>", markdown(&gate.run)), String::new()]);
    Ok(lines.join("\n") + "\n")
}

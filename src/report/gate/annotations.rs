//! Workflow commands that GitHub Actions makes annotations of. What escapes what is as in GitHub's
//! own toolkit (`escapeData` and `escapeProperty` of @actions/core).

use super::{Gate, Output, ReportError, State, Target, reasons, unfinished};
use crate::report::text::visible;

/// The row of `OUTPUTS`.
pub(super) const OUTPUT: Output = Output {
    option: "github-annotations",
    summary: "GitHub annotations, as workflow commands on stdout",
    target: Target::Stdout,
    render,
};

fn render(gate: &Gate) -> Result<String, ReportError> {
    let line = |rule: &crate::gate::Checked| {
        let command = match rule.state {
            State::Pass => return None,
            State::Skip => "notice",
            State::Fail | State::Misconfigured => "error",
        };
        // Line by line, since a line break of a message is one that may be shown.
        let reasons: Vec<String> =
            reasons(rule).lines().map(|line| visible(line).into_owned()).collect();
        Some(format!(
            "::{command} file={},line={},title={}::{}\n",
            property(&rule.file.display().to_string()),
            rule.line,
            property(&format!("{}: {}", rule.state, rule.title)),
            data(&reasons.join("\n"))
        ))
    };
    let of_run = unfinished(gate).map(|said| {
        let command = if gate.is_cut_short() { "error" } else { "warning" };
        format!("::{command} title={}::{}\n", property("the run is not whole"), data(&said))
    });
    Ok(gate.rules.iter().filter_map(line).chain(of_run).collect())
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(&visible(text)).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_property_or_a_command() {
        assert_eq!(property("a:b,c%\nd::"), "a%3Ab%2Cc%25\\nd%3A%3A");
        assert_eq!(data("50 %\r\n::error::x"), "50 %25%0D%0A::error::x");
    }
}

//! OpenMetrics text, as GitLab's metrics reports and Prometheus read it.

use super::{Gate, Output, ReportError, State, Target};
use crate::report::text::visible;

/// The row of `OUTPUTS`.
pub(super) const OUTPUT: Output = Output {
    option: "metrics",
    summary: "OpenMetrics text: what was measured, and what became of each rule",
    target: Target::File,
    render,
};

fn render(gate: &Gate) -> Result<String, ReportError> {
    let mut states = String::new();
    let mut values = String::new();
    for rule in &gate.rules {
        let labels = format!(
            "rule=\"{}\",kind=\"{}\",from=\"{}\"",
            label(&rule.title),
            rule.kind,
            label(&rule.origin())
        );
        for state in State::ALL {
            let is = u8::from(rule.state == state);
            states += &format!("breakeven_rule{{{labels},breakeven_rule=\"{state}\"}} {is}\n");
        }
        for (number, part) in rule.parts.iter().enumerate() {
            if let Some(value) = part.value.filter(|value| value.is_finite()) {
                let place = label(&part.place);
                values += &format!(
                    "breakeven_rule_value{{{labels},part=\"{number}\",place=\"{place}\"}} {value}\n"
                );
            }
        }
    }
    let whole = u8::from(gate.is_whole());
    Ok(format!(
        "# TYPE breakeven_run_whole gauge\n\
         # HELP breakeven_run_whole Whether all was measured that was to be.\n\
         breakeven_run_whole {whole}\n\
         # TYPE breakeven_rule stateset\n\
         # HELP breakeven_rule What became of a rule.\n{states}\
         # TYPE breakeven_rule_value gauge\n\
         # HELP breakeven_rule_value What a rule is held against: seconds, a share or a count.\n\
         {values}# EOF\n"
    ))
}

/// A label's value: a backslash, a quote and a line break are escaped.
fn label(text: &str) -> String {
    visible(text).replace('\\', "\\\\").replace('"', "\\\"")
}

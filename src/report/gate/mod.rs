//! What a run held against rules comes to: on the terminal, and as files that CI systems read. An
//! output is one file and one line in [`OUTPUTS`].

mod annotations;
mod codequality;
mod junit;
mod metrics;
mod summary;

use super::facts::ending_text;
use super::text::harmless;
use super::{ReportError, Style, terminal::Page};
use crate::gate::{Checked, Gate, State};
use crate::model::event::Ending;

/// Where an output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Into a file of its own, which is replaced.
    File,
    /// At the end of a file that others write too.
    Append,
    /// To stdout.
    Stdout,
}

/// One output: a row of [`OUTPUTS`].
#[derive(Debug)]
pub struct Output {
    /// Its option on the command line.
    pub option: &'static str,
    /// One line: what it is.
    pub summary: &'static str,
    /// Where it goes.
    pub target: Target,
    /// Makes the text.
    pub render: fn(&Gate) -> Result<String, ReportError>,
}

/// Every output, in the order in which they are listed.
pub static OUTPUTS: &[Output] =
    &[junit::OUTPUT, annotations::OUTPUT, summary::OUTPUT, codequality::OUTPUT, metrics::OUTPUT];

/// How many of the things that pass are listed of a rule.
const PASSED_SHOWN: usize = 3;

/// The result as text: every rule as it was carried out, where it is from, and what became of it.
pub fn text(gate: &Gate, style: Style) -> String {
    let mut page = Page::new(style);
    let rules = super::text::plural(gate.rules.len(), "rule");
    page.line(&format!("Run {} held against {rules}", harmless(&gate.run)));
    for rule in &gate.rules {
        let code = match rule.state {
            State::Pass => "32",
            State::Skip => "33",
            State::Fail | State::Misconfigured => "31;1",
        };
        page.line("");
        let state = page.paint(code, &format!("{:<13}", rule.state));
        page.line(&format!("{state}  {}", harmless(&rule.title)));
        let indent = " ".repeat(15);
        page.wrapped(
            &indent,
            &indent,
            &format!("{}: {}", harmless(&rule.origin()), harmless(&rule.effective)),
        );
        let (passed, others): (Vec<_>, Vec<_>) =
            rule.parts.iter().partition(|part| part.state == State::Pass);
        for part in others.iter().chain(passed.iter().take(PASSED_SHOWN)) {
            let said = format!("{}: {}", part.state, harmless(&part.line()));
            page.wrapped(&format!("{indent}- "), &format!("{indent}  "), &said);
        }
        if passed.len() > PASSED_SHOWN {
            page.line(&format!("{indent}- and {} more that pass", passed.len() - PASSED_SHOWN));
        }
    }
    page.line("");
    page.line(&counts(gate));
    if let Some(said) = unfinished(gate) {
        let code = if gate.is_cut_short() { "31;1" } else { "33" };
        let sign = if gate.is_cut_short() { "no pass" } else { "note" };
        page.wrapped(&page.paint(code, &format!("{sign}: ")), "  ", &said);
    }
    page.into_text()
}

/// `4 rules: 1 pass, 2 skip, 1 fail`.
fn counts(gate: &Gate) -> String {
    let states = State::ALL.into_iter().map(|state| (state, gate.count(state)));
    let states: Vec<String> = states
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    format!("{}: {}", super::text::plural(gate.rules.len(), "rule"), states.join(", "))
}

/// What an output has to say of a run that is not whole, and how to go on.
fn unfinished(gate: &Gate) -> Option<String> {
    if gate.is_whole() {
        return None;
    }
    let held = if gate.is_cut_short() {
        "rules that do not fail say nothing of what was not measured"
    } else {
        "rules were held against what was measured"
    };
    let advice = match gate.ending {
        Some(Ending::NotWhole) => {
            "go on with the parts (`breakeven run --resume PART_DIR`), then `breakeven merge` anew"
        }
        _ => "`breakeven run --resume RUN_DIR` goes on with it",
    };
    Some(format!("the run is {}; {held}; {advice}", ending_text(gate.ending)))
}

/// Why a rule is what it is, in one text of several lines.
fn reasons(rule: &Checked) -> String {
    rule.reasons().join("\n")
}

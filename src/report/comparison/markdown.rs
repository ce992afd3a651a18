//! A comparison as Markdown, fit for a comment on a pull request or a job's summary.

use super::{ACROSS, Comparison, ComparisonFormat, ReportError, Style, text};
use crate::report::text::markdown;

/// The row of `COMPARISON_FORMATS` for Markdown.
pub(super) const FORMAT: ComparisonFormat = ComparisonFormat {
    id: "markdown",
    summary: "for a comment on a pull request or a job's summary",
    render,
};

fn render(comparison: &Comparison, _: Style) -> Result<String, ReportError> {
    let mut lines = vec!["# What differs between two runs".to_owned(), String::new()];
    let list = |lines: &mut Vec<String>, items: &mut dyn Iterator<Item = String>| {
        lines.extend(items.map(|item| format!("- {}", markdown(&item))));
        lines.push(String::new());
    };
    list(&mut lines, &mut super::sentences(comparison).into_iter());
    if !comparison.across.is_empty() {
        lines.extend([format!("⚠ **Across.** {}", markdown(ACROSS)), String::new()]);
        list(&mut lines, &mut comparison.across.iter().cloned());
    }
    lines.extend(["## Verdicts over the change mix".to_owned(), String::new()]);
    list(&mut lines, &mut super::verdicts(comparison).into_iter());
    lines.extend(tables(comparison));
    for (which, keys) in [("base", &comparison.only_in_base), ("new", &comparison.only_in_new)] {
        if !keys.is_empty() {
            lines.extend([format!("## Only in {which}"), String::new()]);
            list(&mut lines, &mut keys.iter().cloned());
        }
    }
    let mut foot = super::heads(comparison).to_vec();
    foot.extend(comparison.notes.iter().cloned());
    foot.push(super::legend(comparison));
    lines.push(format!("<sub>{}</sub>", markdown(&foot.join(" · "))));
    Ok(lines.join("\n") + "\n")
}

fn tables(comparison: &Comparison) -> Vec<String> {
    let columns = super::columns(comparison);
    let row = |cells: &mut dyn Iterator<Item = String>| {
        format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
    };
    let mut lines = Vec::new();
    for (title, cells) in super::groups(comparison) {
        lines.extend([format!("### {}", markdown(&title)), String::new()]);
        let joined = |(first, second): (String, String)| markdown(&text::joined((first, second)));
        lines.push(row(&mut columns.iter().map(|column| {
            let (first, second) = column.heading;
            joined((first.to_owned(), second.to_owned()))
        })));
        let rules = columns.iter().map(|column| if column.is_number { "---:" } else { "---" });
        lines.push(format!("|{}|", rules.collect::<Vec<_>>().join("|")));
        for cell in cells {
            lines.push(row(&mut columns.iter().map(|column| joined((column.show)(cell)))));
        }
        lines.push(String::new());
    }
    lines
}

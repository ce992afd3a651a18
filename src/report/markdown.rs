//! `report.md`: fit for a comment on a pull request. The verdict comes first.

use super::columns::{self, Column, Layout};
use super::findings::FindingGroup;
use super::model::Model;
use super::text::{self, NOT_MEASURED, markdown};
use super::{Format, ReportError, ReportFile};
use crate::decision::{Group, Row};
use crate::model::{Phase, Severity};

const FILE: &str = "report.md";

/// The row of `FORMATS` for Markdown.
pub(super) const FORMAT: Format = Format {
    name: "markdown",
    files: &[FILE],
    summary: "verdict, tables and findings, fit for a comment on a pull request",
    render,
};

fn render(model: &Model<'_>) -> Result<Vec<ReportFile>, ReportError> {
    let mut lines = Vec::new();
    head(&mut lines, model);
    weighted(&mut lines, model);
    for group in &model.decision.groups {
        group_table(&mut lines, model, group);
    }
    findings(&mut lines, model);
    lost(&mut lines, model);
    foot(&mut lines, model);
    let mut bytes = lines.join("\n").into_bytes();
    bytes.push(b'\n');
    Ok(vec![ReportFile { path: FILE.into(), bytes }])
}

fn head(lines: &mut Vec<String>, model: &Model<'_>) {
    lines.push("# Does carrying the build cache pay off?".to_owned());
    lines.push(String::new());
    for sentence in &model.sentences {
        lines.push(format!("- {}", model.with_names(sentence, markdown, ("**", "**"))));
    }
    if model.run.is_partial() {
        let reason = match model.run.reason.as_str() {
            "" => String::new(),
            reason => format!(" ({})", markdown(reason)),
        };
        lines.push(format!("- ⚠ **{}**{reason}", model.run.ending_text()));
    }
    lines.push(String::new());
}

fn heading(lines: &mut Vec<String>, level: &str, text: &str) {
    lines.push(format!("{level} {text}"));
}

fn row(lines: &mut Vec<String>, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    lines.push(format!("| {} |", cells.join(" | ")));
}

/// The heading of a table with the line beneath it, which says what is set flush right.
fn rule_below(lines: &mut Vec<String>, headings: impl IntoIterator<Item = (String, bool)>) {
    let (texts, numbers): (Vec<String>, Vec<bool>) = headings.into_iter().unzip();
    row(lines, texts.iter().map(|text| markdown(text)));
    let cells: Vec<&str> =
        numbers.into_iter().map(|number| if number { "---:" } else { "---" }).collect();
    lines.push(format!("|{}|", cells.join("|")));
}

fn weighted(lines: &mut Vec<String>, model: &Model<'_>) {
    let scopes = model
        .decision
        .weighted
        .chunk_by(|a, b| (&a.workload, &a.link, &a.engine) == (&b.workload, &b.link, &b.engine));
    for scope in scopes {
        let Some(first) = scope.first() else { continue };
        let title = markdown(&model.scope_suffix(first));
        heading(lines, "##", &format!("Over all changes and candidates, by their weights{title}"));
        let headings = columns::weighted_headings(&model.decision.baseline);
        rule_below(lines, headings.map(|(parts, number)| (text::joined(parts), number)));
        for one in scope {
            row(lines, columns::weighted_cells(one).map(|parts| markdown(&text::joined(parts))));
        }
        lines.push(String::new());
    }
}

fn group_table(lines: &mut Vec<String>, model: &Model<'_>, group: &Group) {
    heading(lines, "###", &markdown(&model.title(group).line()));
    let layout = Layout::WIDE;
    // Phases are one column here: a comment on a pull request is narrow.
    let columns: Vec<Column> = layout
        .columns(model, group)
        .into_iter()
        .filter(|column| !matches!(column, Column::Phase(_)))
        .collect();
    let headings = columns
        .iter()
        .map(|column| (column.heading(&model.decision.baseline, &layout), column.is_number()));
    rule_below(lines, headings.chain([("phases, median s".to_owned(), false)]));
    for one in &group.rows {
        let cells = columns.iter().map(|column| markdown(&column.cell(one, &layout)));
        row(lines, cells.chain([phases(one)]));
    }
    lines.push(String::new());
}

/// `pull 1.20 · build 3.40 · push 0.51`.
fn phases(row: &Row) -> String {
    let shown: Vec<String> = Phase::ALL
        .iter()
        .filter_map(|phase| {
            row.phases.get(phase).map(|value| format!("{phase} {}", text::plain_seconds(*value)))
        })
        .collect();
    if shown.is_empty() { NOT_MEASURED.to_owned() } else { shown.join(" · ") }
}

fn findings(lines: &mut Vec<String>, model: &Model<'_>) {
    if model.findings.is_empty() {
        return;
    }
    heading(lines, "##", "Findings");
    lines.extend(model.findings.iter().map(finding));
    lines.push(String::new());
}

fn finding(group: &FindingGroup) -> String {
    let word = match group.severity {
        Severity::Invalid => "invalid",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let seen = group
        .seen()
        .map(|seen| format!(" Seen: {}.", markdown(seen.trim_end_matches('.'))))
        .unwrap_or_default();
    format!(
        "- **{word}: {}** {} *{}*{seen}",
        markdown(&group.heading()),
        markdown(&group.meaning),
        markdown(&group.advice)
    )
}

fn lost(lines: &mut Vec<String>, model: &Model<'_>) {
    if model.lost.is_empty() {
        return;
    }
    heading(lines, "##", "Samples that do not count");
    for group in &model.lost {
        let (cell, line) = (markdown(&group.cell), markdown(&group.line()));
        lines.push(format!("- **{}** {cell}: {line}", group.status));
    }
    lines.push(String::new());
}

fn foot(lines: &mut Vec<String>, model: &Model<'_>) {
    let facts: Vec<String> =
        model.plan.facts.iter().map(|(key, value)| format!("{key} {value}")).collect();
    let facts =
        if facts.is_empty() { String::new() } else { format!(" · {}", facts.join(" · ")) };
    lines.push(format!(
        "<sub>{}</sub>",
        markdown(&format!(
            "Breakeven {} · run {} · {}{facts}. {}",
            model.plan.breakeven,
            model.plan.run,
            model.counts_line(),
            columns::legend(model),
        ))
    ));
}

//! `report.html`: one file that needs nothing else, with the charts in it. It has no script.

use super::columns::{self, Column, Layout};
use super::model::Model;
use super::text::{self, NOT_MEASURED};
use super::{Format, ReportError, ReportFile, chart};
use crate::decision::{Saving, Verdict, Weighted};
use crate::model::Severity;
use std::fmt::Write as _;

const FILE: &str = "report.html";

/// The row of `FORMATS` for HTML.
pub(super) const FORMAT: Format = Format {
    name: "html",
    files: &[FILE],
    summary: "one self-contained page with the charts",
    render,
};

const STYLE: &str = include_str!("report.css");

fn render(model: &Model<'_>) -> Result<Vec<ReportFile>, ReportError> {
    let page = page(model)?;
    Ok(vec![ReportFile { path: FILE.into(), bytes: page.into_bytes() }])
}

fn page(model: &Model<'_>) -> Result<String, ReportError> {
    let mut page = String::new();
    head(&mut page, model);
    weighted(&mut page, model);
    let charts = chart::drawings(model)?;
    for (number, group) in model.decision.groups.iter().enumerate() {
        // The chart shows its title; the heading is for those who find their way by headings.
        let title = text::html(&model.title(group).line());
        push(&mut page, &format!("<h2 class=unseen>{title}</h2>"));
        for chart in charts.iter().filter(|chart| chart.group == number) {
            push(&mut page, &figure(chart));
        }
        push(&mut page, &group_table(model, group));
    }
    push(&mut page, &format!("<p class=quiet>{}</p>", text::html(&columns::legend(model))));
    findings(&mut page, model);
    lost(&mut page, model);
    facts(&mut page, model);
    push(&mut page, "</main></body></html>");
    Ok(page)
}

fn push(page: &mut String, line: &str) {
    page.push_str(line);
    page.push('\n');
}

fn head(page: &mut String, model: &Model<'_>) {
    let run = text::html(&model.plan.run);
    push(page, "<!doctype html>");
    push(page, "<html lang=en><head><meta charset=utf-8>");
    push(page, "<meta name=viewport content='width=device-width, initial-scale=1'>");
    push(
        page,
        &format!("<title>Breakeven {run}</title><style>\n{STYLE}</style></head><body><main>"),
    );
    push(page, "<h1>Does carrying the build cache pay off?</h1>");
    let class = if model.run.is_partial() { "warning" } else { "quiet" };
    let reason = text::html(&model.run.reason);
    push(page, &format!("<p class={class}>Run {run}: {} {reason}</p>", model.run.ending_text()));
    push(page, "<div class=verdict>");
    for sentence in &model.sentences {
        let sentence = model.with_names(sentence, text::html, ("<b>", "</b>"));
        push(page, &format!("<p>{sentence}</p>"));
    }
    push(page, "</div>");
}

/// The chart, given a name for those who cannot see it.
fn figure(chart: &chart::Drawing) -> String {
    let named = format!("<svg role=\"img\" aria-label=\"{}\" ", text::html(&chart.title));
    format!("<figure>{}</figure>", chart.svg.replacen("<svg ", &named, 1))
}

fn cell(tag: &str, class: &str, text: &str) -> String {
    format!("<{tag} class='{class}'>{}</{tag}>", text::html(text))
}

fn number_class(number: bool) -> &'static str {
    if number { "number" } else { "" }
}

fn verdict_class(saving: Option<&Saving>) -> &'static str {
    match saving.map(|saving| saving.verdict) {
        Some(Verdict::PaysOff) => "pays",
        Some(Verdict::DoesNotPayOff) => "loses",
        _ => "quiet",
    }
}

fn table(heading: &str, rows: &str) -> String {
    format!(
        "<div class=wide><table><thead><tr>{heading}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

fn group_table(model: &Model<'_>, group: &crate::decision::Group) -> String {
    let layout = Layout::WIDE;
    let columns = layout.columns(model, group);
    let heading: String = columns
        .iter()
        .map(|column| {
            let text = column.heading(&model.decision.baseline, &layout);
            cell("th", number_class(column.is_number()), &text)
        })
        .collect();
    let mut rows = String::new();
    for row in &group.rows {
        rows.push_str("<tr>");
        for column in &columns {
            let class = match column {
                Column::Verdict => verdict_class(row.saving.as_ref()),
                other => number_class(other.is_number()),
            };
            rows.push_str(&cell("td", class, &column.cell(row, &layout)));
        }
        rows.push_str("</tr>\n");
    }
    table(&heading, &rows)
}

fn weighted(page: &mut String, model: &Model<'_>) {
    let scopes = model
        .decision
        .weighted
        .chunk_by(|a, b| (&a.workload, &a.link, &a.engine) == (&b.workload, &b.link, &b.engine));
    for scope in scopes {
        let Some(first) = scope.first() else { continue };
        let title = text::html(&model.scope_suffix(first));
        push(page, &format!("<h2>Over all changes and candidates, by their weights{title}</h2>"));
        let headings = columns::weighted_headings(&model.decision.baseline);
        let heading: String = headings
            .iter()
            .map(|(parts, number)| cell("th", number_class(*number), &text::joined(parts.clone())))
            .collect();
        let numbers = headings.map(|(_, number)| number);
        let rows: String = scope.iter().map(|one| weighted_row(one, numbers)).collect();
        push(page, &table(&heading, &rows));
    }
}

fn weighted_row(one: &Weighted, numbers: [bool; 7]) -> String {
    let cells = columns::weighted_cells(one).into_iter().zip(numbers).enumerate();
    let cells: String = cells
        .map(|(position, (parts, number))| {
            let mut class = number_class(number).to_owned();
            if columns::WEIGHTED_COLOURED.contains(&position) {
                class = format!("{class} {}", verdict_class(one.saving.as_ref()));
            }
            cell("td", class.trim(), &text::joined(parts))
        })
        .collect();
    format!("<tr>{cells}</tr>\n")
}

fn findings(page: &mut String, model: &Model<'_>) {
    if model.findings.is_empty() {
        return;
    }
    push(page, "<h2>Findings</h2><dl>");
    for group in &model.findings {
        let class = match group.severity {
            Severity::Invalid => "loses",
            Severity::Warning => "warning",
            Severity::Note => "quiet",
        };
        push(page, &format!("<dt class={class}>{}</dt>", text::html(&group.heading())));
        let (meaning, advice) = (text::html(&group.meaning), text::html(&group.advice));
        push(page, &format!("<dd>{meaning} <i>{advice}</i></dd>"));
        for detail in group.seen().into_iter().chain(group.places()) {
            push(page, &format!("<dd class=quiet>{}</dd>", text::html(&detail)));
        }
    }
    push(page, "</dl>");
}

fn lost(page: &mut String, model: &Model<'_>) {
    if model.lost.is_empty() {
        return;
    }
    push(page, "<h2>Samples that do not count</h2><dl>");
    for group in &model.lost {
        let (cell, line) = (text::html(&group.cell), text::html(&group.line()));
        push(page, &format!("<dt>{}: {cell}</dt><dd>{line}</dd>", group.status));
    }
    push(page, "</dl>");
}

fn facts(page: &mut String, model: &Model<'_>) {
    let mut text =
        format!("<h2>The run</h2><p>{}</p><table><tbody>", text::html(&model.counts_line()));
    let own = [
        ("started", model.run.started_at.as_str()),
        ("ended", model.run.ended_at.as_str()),
        ("breakeven", &model.plan.breakeven),
    ];
    let facts = model.plan.facts.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    for (key, value) in own.into_iter().chain(facts) {
        let value = if value.is_empty() { NOT_MEASURED } else { value };
        // Writing into a string cannot fail.
        let _ = write!(text, "<tr>{}{}</tr>", cell("th", "", key), cell("td", "", value));
    }
    push(page, &format!("{text}</tbody></table>"));
}

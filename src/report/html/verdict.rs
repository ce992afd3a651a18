//! The verdict, first of all, and what would change it.

use super::Section;
use super::markup::{Cell, Head, Table, heading};
use crate::decision::{Verdict, Weighted};
use crate::report::model::Model;
use crate::report::scope::Scope;
use crate::report::{ReportError, columns, disturbance, stopping, text};

pub(super) const SECTION: Section = Section { id: "verdict", title: "Verdict", html };

fn html(model: &Model<'_>) -> Result<Option<String>, ReportError> {
    let mut html = String::new();
    if model.run.is_partial() {
        html +=
            "<p class=warning>This is a partial run: it says less than the plan asked for.</p>\n";
    }
    if model.scopes.is_empty() {
        html += "<p>Nothing was measured that could be compared.</p>\n";
    }
    if model.scopes.len() > 1 {
        html += &overview(model).html();
    }
    let aside = stopping::sentences(model).into_iter().chain(disturbance::sentence(model.decision));
    let aside: String =
        aside.map(|sentence| format!("<p>{}</p>\n", named(model, &sentence))).collect();
    // Of the whole run. The verdict comes first, be it the table of all or the only one.
    let only = model.scopes.len() == 1;
    if !only {
        html += &aside;
    }
    for scope in &model.scopes {
        html += &heading(3, &scope.title);
        html += "<div class=verdict>\n";
        for sentence in &scope.sentences {
            html += &format!("<p>{}</p>\n", named(model, sentence));
        }
        html += "</div>\n";
        if only {
            html += &aside;
        }
        if !scope.outlook.is_empty() {
            html += "<h4>What would change it</h4>\n<ul>\n";
            for sentence in &scope.outlook {
                html += &format!("<li>{}\n", named(model, sentence));
            }
            html += "</ul>\n";
        }
    }
    Ok(Some(html))
}

/// A sentence in which the names of strategies are bold.
pub(super) fn named(model: &Model<'_>, sentence: &str) -> String {
    model.with_names(sentence, text::html, ("<b>", "</b>"))
}

/// One line for each workload, link and engine. They stand side by side and are never paired.
fn overview(model: &Model<'_>) -> Table {
    let rows = model.scopes.iter().map(|scope| {
        let best = fastest(model, scope);
        let saving = best.and_then(|best| columns::compared(best.saving.as_ref()).flatten());
        let name = best.map_or_else(
            || text::NOT_MEASURED.to_owned(),
            |best| format!("{} ({})", best.strategy, best.builder),
        );
        let parts = |parts: Option<(String, String)>| {
            Cell::parts(parts.unwrap_or_else(|| (text::NOT_MEASURED.to_owned(), String::new())))
        };
        let tone = super::tone(saving);
        vec![
            Cell::text(&scope.title),
            Cell::text(&name),
            Cell::parts(text::verdict_parts(saving)).toned(tone),
            parts(saving.map(|saving| text::saving_parts(&saving.seconds))).toned(tone),
            Cell::text(&saving.map_or(0, |saving| saving.pairs).to_string()),
        ]
    });
    Table {
        caption: "Of the strategies that are compared, the one whose builds take the least time"
            .to_owned(),
        rows: rows.collect(),
        heads: vec![
            Head::words("where"),
            Head::words("strategy"),
            Head::words("verdict"),
            Head::number(format!("saving vs {} a build", model.decision.baseline)),
            Head::number("rounds").less(),
        ],
    }
}

/// The fastest of the competitors, of those that pay off if any does.
fn fastest<'a>(model: &Model<'_>, scope: &Scope<'a>) -> Option<&'a Weighted> {
    let pays = |one: &Weighted| {
        one.saving.as_ref().is_some_and(|saving| saving.verdict == Verdict::PaysOff)
    };
    let total = |one: &Weighted| one.total_s.map_or(f64::INFINITY, |total| total.point);
    scope
        .weighted
        .iter()
        .filter(|one| one.strategy != model.decision.baseline && !one.keeps_runner())
        .min_by(|a, b| pays(b).cmp(&pays(a)).then(total(a).total_cmp(&total(b))))
}

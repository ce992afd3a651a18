//! Every strategy over all changes and candidates, by their weights.

use super::Section;
use super::markup::{Cell, Head, Table, note};
use super::tone;
use crate::report::model::Model;
use crate::report::scope::Scope;
use crate::report::text::plural;
use crate::report::{ReportError, columns, text};

pub(super) const SECTION: Section = Section { id: "mix", title: "Over your change mix", html };

fn html(model: &Model<'_>) -> Result<Option<String>, ReportError> {
    if model.scopes.is_empty() {
        return Ok(None);
    }
    let mut html = String::new();
    for scope in &model.scopes {
        html += &table(model, scope).html();
        html += &replay(scope);
    }
    if let Some(mix) = &model.plan.mix {
        html += &note(&format!("Weights from git history: {mix}."));
    }
    Ok(Some(html))
}

/// What each strategy would have saved over the commits of a replay.
fn replay(scope: &Scope<'_>) -> String {
    let mut html = String::new();
    for one in scope.weighted {
        let Some(replay) = &one.replay else { continue };
        html += &format!(
            "<p>Over the last {}, <b>{} ({})</b> would have saved {} of {}.</p>\n",
            plural(usize::try_from(replay.commits).unwrap_or(usize::MAX), "commit"),
            text::html(&one.strategy),
            one.builder,
            text::html(&text::joined(text::saving_parts(&replay.saved_s))),
            text::html(&text::joined(text::seconds_parts(&replay.baseline_s)))
        );
    }
    html
}

/// Columns that a narrow page does without.
const LESS: [bool; 7] = [false, true, true, false, true, false, true];

fn table(model: &Model<'_>, scope: &Scope<'_>) -> Table {
    let headings = columns::weighted_headings(&model.decision.baseline);
    let heads = headings.into_iter().zip(LESS).map(|((parts, number), less)| {
        let text = columns::joined(parts, false);
        let head = if number { Head::number(text) } else { Head::words(text) };
        if less { head.less() } else { head }
    });
    let rows = scope.weighted.iter().map(|one| {
        let cells = columns::weighted_cells(one).into_iter().enumerate();
        let cells = cells.map(|(place, parts)| {
            let coloured = columns::WEIGHTED_COLOURED.contains(&place);
            let cell = Cell::parts(parts);
            if coloured { cell.toned(tone(one.saving.as_ref())) } else { cell }
        });
        cells.collect()
    });
    let of = if scope.title.is_empty() { String::new() } else { format!(": {}", scope.title) };
    Table {
        caption: format!("Expected seconds a build over all changes and candidates{of}"),
        heads: heads.collect(),
        rows: rows.collect(),
    }
}

//! Every strategy over all changes and candidates, by their weights.

use super::Section;
use super::markup::{Cell, Head, Table, note};
use super::tone;
use crate::report::model::{Model, Scope};
use crate::report::{ReportError, columns};

pub(super) const SECTION: Section = Section { id: "mix", title: "Over your change mix", html };

fn html(model: &Model<'_>) -> Result<Option<String>, ReportError> {
    if model.scopes.is_empty() {
        return Ok(None);
    }
    let mut html = String::new();
    for scope in &model.scopes {
        html += &table(model, scope).html();
    }
    if let Some(mix) = &model.plan.mix {
        html += &note(&format!("Weights from git history: {mix}."));
    }
    Ok(Some(html))
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

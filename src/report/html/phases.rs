//! Where the time goes: for each workload, change and candidates the figure, its numbers and the
//! Dockerfile's instructions.

use super::Section;
use super::markup::{Cell, Head, Table, figure, heading, note};
use super::tone;
use crate::decision::Group;
use crate::report::chart::Part;
use crate::report::columns::{self, Column, Layout};
use crate::report::model::Model;
use crate::report::{ReportError, steps, text};
use rayon::prelude::*;

pub(super) const SECTION: Section = Section { id: "phases", title: "Where the time goes", html };

fn html(model: &Model<'_>) -> Result<Option<String>, ReportError> {
    if model.decision.groups.is_empty() {
        return Ok(None);
    }
    let mut html = note(&columns::legend(model));
    for (number, scope) in model.scopes.iter().enumerate() {
        // Of many links and engines, the first one stands open and the others are a click away.
        if model.scopes.len() > 1 {
            let open = if number == 0 { " open" } else { "" };
            let title = text::html(&scope.title);
            html += &format!("<details class=scope{open}><summary>{title}</summary>\n");
        }
        let groups: Vec<(usize, &Group)> = model.groups_of(scope).collect();
        let articles: Result<Vec<String>, ReportError> =
            groups.into_par_iter().map(|(place, group)| article(model, place, group)).collect();
        html += &articles?.concat();
        if model.scopes.len() > 1 {
            html += "</details>\n";
        }
    }
    Ok(Some(html))
}

fn article(model: &Model<'_>, place: usize, group: &Group) -> Result<String, ReportError> {
    let mut html = String::from("<article>\n");
    html += &heading(3, &model.title(group).line());
    if let Some(drawing) = model.drawing("phases", Part::Group(place))? {
        html += &figure(drawing, "Phases of a job, in seconds.");
    }
    html += &numbers(model, group).html();
    html += &instructions(model, group);
    html += "</article>\n";
    Ok(html)
}

fn numbers(model: &Model<'_>, group: &Group) -> Table {
    let layout = Layout::WIDE;
    let columns = layout.columns(model, group);
    let heads = columns.iter().map(|column| {
        let text = column.heading(&model.decision.baseline, &layout);
        let head = if column.is_number() { Head::number(text) } else { Head::words(text) };
        let kept =
            matches!(column, Column::Name | Column::Total | Column::Saving | Column::Verdict);
        if kept { head } else { head.less() }
    });
    let rows = group.rows.iter().map(|row| {
        let cells = columns.iter().map(|column| {
            let cell = Cell::parts(column.parts(row, &layout));
            if matches!(column, Column::Verdict | Column::Saving) {
                cell.toned(tone(row.saving.as_ref()))
            } else {
                cell
            }
        });
        cells.collect()
    });
    Table {
        caption: format!("Numbers of {}", model.title(group).line()),
        heads: heads.collect(),
        rows: rows.collect(),
    }
}

/// Instructions × strategies, folded away until somebody asks.
fn instructions(model: &Model<'_>, group: &Group) -> String {
    let table = steps::table(model, group);
    if table.steps.is_empty() {
        return String::new();
    }
    let mut heads = vec![Head::words("stage, step"), Head::words("instruction")];
    heads.extend(group.rows.iter().map(|row| {
        let n = model.samples_of(group, row).count();
        Head::number(format!("{}, n = {n}", steps::heading(row)))
    }));
    let rows = table.steps.iter().map(|step| {
        let instruction = text::shortened(&text::visible(&step.instruction), 90);
        let mut cells = vec![Cell::text(&step.place()), Cell::text(&instruction)];
        cells.extend(step.under.iter().map(|one| match one {
            None => Cell::text(text::NOT_MEASURED),
            Some(one) if one.hits == one.n => Cell::text(&one.text()).toned("pays"),
            Some(one) => Cell::text(&one.text()),
        }));
        cells
    });
    let table = Table {
        caption: format!(
            "Instructions, {}: taken from a cache (hit), or median seconds where carried out",
            model.title(group).line()
        ),
        heads,
        rows: rows.collect(),
    };
    format!(
        "<details><summary>Steps: what was taken from a cache</summary>\n{}</details>\n",
        table.html()
    )
}

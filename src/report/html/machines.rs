//! Section of a merged run: each machine's own result.

use super::Section;
use super::markup::{Cell, Head, Table, note};
use crate::report::model::Model;
use crate::report::{ReportError, machines};

/// The row of `SECTIONS`.
pub(super) const SECTION: Section = Section { id: "machines", title: "Machines", html };

fn html(model: &Model<'_>) -> Result<Option<String>, ReportError> {
    if model.machines.is_empty() {
        return Ok(None);
    }
    let strategies = &model.decision.machines.strategies;
    let heads = machines::headings(model);
    let table = Table {
        caption: "What each strategy saves on each machine by itself, over the change mix"
            .to_owned(),
        heads: heads
            .into_iter()
            .map(|(text, number)| if number { Head::number(text) } else { Head::words(text) })
            .collect(),
        rows: strategies
            .iter()
            .map(|one| machines::cells(model, one).into_iter().map(Cell::parts).collect())
            .collect(),
    };
    let rows = model.machines.iter().map(|one| {
        let fact = |name: &str| Cell::text(one.facts.get(name).map_or("n/a", String::as_str));
        vec![
            Cell::text(&format!("machine {}", one.machine)),
            Cell::text(&one.rounds.to_string()),
            Cell::text(&one.not_ok.to_string()),
            Cell::text(&crate::report::text::duration(one.duration_s)),
            fact("machine processor"),
            fact("machine memory"),
            fact("machine kernel"),
            Cell::text(&one.run),
        ]
    });
    let known = Table {
        caption: "The machines".to_owned(),
        heads: vec![
            Head::words("machine"),
            Head::number("rounds"),
            Head::number("samples not ok"),
            Head::number("measured for").less(),
            Head::words("processor"),
            Head::words("memory").less(),
            Head::words("kernel").less(),
            Head::words("run").less(),
        ],
        rows: rows.collect(),
    };
    Ok(Some(table.html() + &note(&machines::legend(model)) + &known.html()))
}

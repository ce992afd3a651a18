//! The history as one self-contained page, in the style of a run's.

use super::{LEGEND, ReportError, View, day, groups, told, verdict_line};
use crate::report::chart::trend::{Line, Subject, draw_lines};
use crate::report::html::markup::{Cell, Head, Table, heading, note, picture};
use crate::report::html::{self, Part};
use crate::report::text;
use crate::report::text::plural;
use crate::trend::{CellTrend, MachineTrends, Series};

/// Rows of the table of shifts.
const MOST: usize = 200;

/// The page.
pub fn page(view: &View<'_>) -> Result<String, ReportError> {
    let mut parts = vec![Part { id: "shifts", title: "Level shifts", html: shifts(view) }];
    let mut trends = String::new();
    for machine in &view.trends.machines {
        trends += &of_machine(machine)?;
    }
    parts.push(Part { id: "trends", title: "Trends by machine model", html: trends });
    let verdicts = verdicts(view);
    if !verdicts.is_empty() {
        parts.push(Part { id: "verdicts", title: "Verdicts that changed", html: verdicts });
    }
    if !view.damaged.is_empty() {
        parts.push(Part { id: "damaged", title: "Damaged objects", html: damaged(view) });
    }
    let first = view.trends.machines.iter().map(|one| one.first_at.as_str()).min();
    let last = view.trends.machines.iter().map(|one| one.last_at.as_str()).max();
    let head = format!(
        "<header>\n<h1>Does carrying the build cache still pay off?</h1>\n<p class=quiet>{}<br>{} on \
         {}, {} to {}</p>\n</header>\n",
        text::html(view.address),
        plural(view.trends.runs, "run"),
        plural(view.trends.machines.len(), "machine model"),
        text::html(day(first.unwrap_or_default())),
        text::html(day(last.unwrap_or_default())),
    );
    Ok(html::document("Breakeven history", &head, &parts))
}

fn shifts(view: &View<'_>) -> String {
    let (told, small) = told(view.trends);
    let mut html = String::new();
    let rows = told.iter().take(MOST).map(|one| {
        let changed = match one.shift.changed.as_slice() {
            [] => "nothing that is recorded".to_owned(),
            lines => lines.join("; "),
        };
        vec![
            Cell::text(day(&one.shift.at)),
            Cell::text(&one.cell.key),
            Cell::text(one.what()),
            Cell::text(&one.levels()).toned(if one.worse() { "loses" } else { "pays" }),
            Cell::text(&one.machine.machine),
            Cell::text(&one.shift.run),
            Cell::text(&changed),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if rows.is_empty() {
        html += &note("No shift that matters.");
    } else {
        let heads = ["since", "cell", "of", "level", "machine model", "first run", "changed then"];
        let table = Table {
            caption: "Shifts that matter, the latest first".to_owned(),
            heads: heads.map(Head::words).into(),
            rows,
        };
        html += &table.prose();
    }
    if told.len() > MOST {
        html += &note(&format!("And {} more: `--format json` has them.", told.len() - MOST));
    }
    if small > 0 {
        html += &note(&format!("{} too small to matter.", plural(small, "shift")));
    }
    html + &note(LEGEND)
}

fn of_machine(machine: &MachineTrends) -> Result<String, ReportError> {
    let mut html = heading(3, &machine.machine);
    html += &note(&format!(
        "{}, {} to {}",
        plural(machine.runs, "run"),
        day(&machine.first_at),
        day(&machine.last_at)
    ));
    for (title, cells) in groups(machine) {
        html += &heading(4, &title);
        html += &figure("Time of a job", "seconds", 1.0, &cells, |cell| &cell.time)?;
        html += &figure(
            "Saving against the baseline",
            "% of the baseline's time",
            100.0,
            &cells,
            |cell| &cell.saving,
        )?;
        let few = cells.iter().filter(|cell| cell.time.too_few).count();
        if few > 0 {
            html += &note(&format!(
                "{} of {} have too few runs for a shift to be found: 10 at least.",
                few,
                plural(cells.len(), "cell")
            ));
        }
    }
    Ok(html)
}

fn figure<'a>(
    title: &str,
    unit: &str,
    scale: f64,
    cells: &[&'a CellTrend],
    of: impl Fn(&'a CellTrend) -> &'a Series,
) -> Result<String, ReportError> {
    let lines: Vec<Line<'_>> = cells
        .iter()
        .map(|cell| (format!("{} ({})", cell.strategy, cell.builder), of(cell)))
        .collect();
    let drawn = draw_lines(Subject { title, unit, scale }, &lines)?;
    Ok(drawn.map_or_else(String::new, |svg| picture(&svg, title)))
}

fn verdicts(view: &View<'_>) -> String {
    let mut html = String::new();
    for machine in view.trends.machines.iter().filter(|one| !one.verdict_changes.is_empty()) {
        html += &heading(3, &machine.machine);
        html += "<ul>\n";
        for change in &machine.verdict_changes {
            html += &format!("<li>{}\n", text::html(&verdict_line(change)));
        }
        html += "</ul>\n";
    }
    html
}

fn damaged(view: &View<'_>) -> String {
    let line = |one: &crate::history::Damaged| format!("<li>{}\n", text::html(&one.why));
    format!("<ul>\n{}</ul>\n", view.damaged.iter().map(line).collect::<String>())
}

//! Trends on the terminal.

use super::{LEGEND, ReportError, Series, Style, TrendFormat, View, day, level, told};
use super::{groups, per_cent, verdict_line};
use crate::report::terminal::{Page, new_table, widest};
use crate::report::text;
use crate::report::text::plural;
use crate::trend::{CellTrend, MachineTrends};
use comfy_table::{Cell, CellAlignment, Color, Table};

/// The row of `TREND_FORMATS` for the terminal.
pub(super) const FORMAT: TrendFormat =
    TrendFormat { id: "terminal", summary: "for people", render };

/// Shifts and changes of verdicts that are told at most.
const MOST: usize = 20;

/// Points of a small picture.
const SPARKS: usize = 24;

fn render(view: &View<'_>, style: Style) -> Result<String, ReportError> {
    let mut page = Page::new(style);
    let trends = view.trends;
    page.heading(&format!("Breakeven history {}", text::harmless(view.address)));
    let models = plural(trends.machines.len(), "machine model");
    page.line(&format!("{} on {models}", plural(trends.runs, "run")));
    if !view.damaged.is_empty() {
        page.line(&format!("{} left out", plural(view.damaged.len(), "damaged object")));
    }
    shifts(&mut page, view);
    for machine in &trends.machines {
        of_machine(&mut page, machine);
    }
    if trends.runs > 0 {
        page.line("");
        page.wrapped("", "", LEGEND);
    }
    Ok(page.into_text())
}

fn shifts(page: &mut Page, view: &View<'_>) {
    let (told, small) = told(view.trends);
    page.heading("Level shifts that matter, the latest first");
    for one in told.iter().take(MOST) {
        let code = if one.worse() { "31" } else { "32" };
        let levels = page.paint(code, &one.levels());
        let key = text::harmless(&one.cell.key);
        page.wrapped("  ", "    ", &format!("{} {} {levels}", day(&one.shift.at), one.what()));
        page.wrapped("    ", "      ", &key);
        if view.trends.machines.len() > 1 {
            page.wrapped("    ", "      ", &format!("on {}", text::harmless(&one.machine.machine)));
        }
        page.wrapped("    ", "      ", &format!("first run: {}", text::harmless(&one.shift.run)));
        for line in one.shift.changed.iter().take(6) {
            page.wrapped("    - ", "      ", &text::harmless(line));
        }
        if one.shift.changed.len() > 6 {
            page.line(&format!("    - and {} more", one.shift.changed.len() - 6));
        }
    }
    match (told.len(), small) {
        (0, 0) => page.line("  none"),
        (0, small) => page.line(&format!("  none; {} too small to matter", plural(small, "shift"))),
        (all, _) if all > MOST => {
            page.line(&format!("  and {} more, see --format json", all - MOST))
        }
        _ => {}
    }
}

fn of_machine(page: &mut Page, machine: &MachineTrends) {
    page.heading(&format!(
        "{}: {}, {} to {}",
        text::harmless(&machine.machine),
        plural(machine.runs, "run"),
        day(&machine.first_at),
        day(&machine.last_at)
    ));
    for (title, cells) in groups(machine) {
        page.line("");
        page.wrapped("", "  ", &text::harmless(&title));
        let mut table = table(&cells, true);
        if widest(&mut table) > page.width() {
            table = self::table(&cells, false);
        }
        page.table(&mut table);
    }
    if !machine.verdict_changes.is_empty() {
        page.line("");
        page.line("Verdicts over the change mix that changed, the latest first");
        for change in machine.verdict_changes.iter().take(MOST) {
            page.wrapped("  ", "    ", &text::harmless(&verdict_line(change)));
        }
    }
}

fn table(cells: &[&CellTrend], wide: bool) -> Table {
    let mut heads =
        vec![("strategy", false), ("runs", true), ("level\ns", true), ("last\ns", true)];
    heads.extend([("last shift\nof time", false), ("saving\nlevel", true)]);
    heads.push(("last shift\nof saving", false));
    if wide {
        heads.push(("time, the last runs", false));
    }
    let aligned = |cell: Cell, number: bool| {
        cell.set_alignment(if number { CellAlignment::Right } else { CellAlignment::Left })
    };
    let mut table = new_table(heads.iter().map(|(head, number)| aligned(Cell::new(head), *number)));
    for cell in cells {
        let name = text::shortened(&text::harmless(&cell.strategy), 28);
        let seconds = |value: Option<f64>| {
            value.map_or_else(|| text::NOT_MEASURED.to_owned(), text::plain_seconds)
        };
        let mut row = vec![
            aligned(Cell::new(format!("{name}\n({})", cell.builder)), false),
            aligned(Cell::new(cell.time.points.len()), true),
            aligned(Cell::new(seconds(level(&cell.time).map(|(level, _)| level))), true),
            aligned(Cell::new(seconds(cell.time.points.last().map(|last| last.value))), true),
            shift(&cell.time, false),
            aligned(
                Cell::new(
                    level(&cell.saving).map_or_else(String::new, |(level, _)| per_cent(level)),
                ),
                true,
            ),
            shift(&cell.saving, true),
        ];
        if wide {
            row.push(Cell::new(sparks(&cell.time)));
        }
        table.add_row(row);
    }
    table
}

/// The last shift that matters, with its day.
fn shift(series: &Series, of_saving: bool) -> Cell {
    if series.points.is_empty() {
        return Cell::new("");
    }
    if series.too_few {
        return Cell::new("too few runs");
    }
    let Some(shift) = series.shifts.iter().rev().find(|shift| shift.matters) else {
        return Cell::new("none");
    };
    let by = if of_saving {
        format!("{} points", text::deviation(shift.after - shift.before).trim_end_matches(" %"))
    } else {
        text::deviation(shift.after / shift.before - 1.0)
    };
    let worse = (shift.after > shift.before) != of_saving;
    Cell::new(format!("{by}\n{}", day(&shift.at))).fg(if worse { Color::Red } else { Color::Green })
}

/// A small picture of the last values, from their lowest to their highest.
fn sparks(series: &Series) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let last = &series.points[series.points.len().saturating_sub(SPARKS)..];
    let values = || last.iter().map(|point| point.value);
    let (low, high) =
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let step = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.0 };
        STEPS[((share * 7.0).round() as usize).min(7)]
    };
    values().map(step).collect()
}

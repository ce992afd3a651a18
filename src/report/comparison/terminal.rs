//! A comparison on the terminal. A table that is too wide first puts intervals under their points,
//! then leaves columns out and says which.

use super::{ACROSS, Column, Comparison, ComparisonFormat, ReportError, Style};
use super::{DOWN, HITS, NEW, SHARE, UP, text};
use crate::compare::{CellDifference, Word};
use crate::report::columns;
use crate::report::terminal::{Page, new_table, widest};
use comfy_table::{Cell, CellAlignment, Color, Table};

/// The row of `COMPARISON_FORMATS` for the terminal.
pub(super) const FORMAT: ComparisonFormat =
    ComparisonFormat { id: "terminal", summary: "for people", render };

/// What is left out of a table that does not fit, the dearest last.
const LEFT_OUT: [&[&Column]; 4] =
    [&[], &[&DOWN, &UP], &[&DOWN, &UP, &SHARE], &[&DOWN, &UP, &SHARE, &HITS, &NEW]];

/// Which columns a table has, and whether cells have two lines.
struct Layout {
    columns: Vec<&'static Column>,
    two_lines: bool,
    missed: Vec<&'static str>,
}

fn render(comparison: &Comparison, style: Style) -> Result<String, ReportError> {
    let mut page = Page::new(style);
    page.heading(&format!(
        "Breakeven: {} compared with {}",
        text::harmless(&comparison.new.run),
        text::harmless(&comparison.base.run)
    ));
    for head in super::heads(comparison) {
        page.wrapped("", "  ", &text::harmless(&head));
    }
    for note in &comparison.notes {
        page.wrapped("note: ", "  ", &text::harmless(note));
    }
    if !comparison.across.is_empty() {
        page.heading("Across");
        page.wrapped("  ", "  ", ACROSS);
        for line in &comparison.across {
            page.wrapped("  - ", "    ", &text::harmless(line));
        }
    }
    tables(&mut page, comparison);
    page.heading("Verdicts over the change mix");
    for line in super::verdicts(comparison) {
        page.wrapped("  ", "    ", &text::harmless(&line));
    }
    for (which, keys) in [("base", &comparison.only_in_base), ("new", &comparison.only_in_new)] {
        if !keys.is_empty() {
            page.heading(&format!("Only in {which}"));
            for key in keys {
                page.wrapped("  ", "    ", &text::harmless(key));
            }
        }
    }
    page.heading("In short");
    for sentence in super::sentences(comparison) {
        page.wrapped("  ", "  ", &text::harmless(&sentence));
    }
    Ok(page.into_text())
}

fn tables(page: &mut Page, comparison: &Comparison) {
    let layouts = layouts(comparison);
    let fits = |layout: &&Layout| {
        super::groups(comparison)
            .all(|(_, cells)| widest(&mut table(cells, layout)) <= page.width())
    };
    let Some(layout) = layouts.iter().find(fits).or(layouts.last()) else { return };
    for (title, cells) in super::groups(comparison) {
        page.heading(&text::harmless(&title));
        page.table(&mut table(cells, layout));
    }
    page.line("");
    page.wrapped("", "", &super::legend(comparison));
    if !layout.missed.is_empty() {
        let out = format!(
            "Left out at {} columns: {}. All of it is in --format json.",
            page.width(),
            layout.missed.join(", ")
        );
        page.wrapped("", "", &out);
    }
}

/// Every layout, the most telling first.
fn layouts(comparison: &Comparison) -> Vec<Layout> {
    let all = super::columns(comparison);
    let mut layouts = vec![Layout { columns: all.clone(), two_lines: false, missed: Vec::new() }];
    for out in LEFT_OUT {
        let is_out = |column: &&Column| out.iter().any(|one| one.heading == column.heading);
        layouts.push(Layout {
            columns: all.iter().copied().filter(|column| !is_out(column)).collect(),
            two_lines: true,
            missed: all.iter().filter(|column| is_out(column)).map(|c| c.heading.0).collect(),
        });
    }
    layouts
}

fn table(cells: &[CellDifference], layout: &Layout) -> Table {
    let set = |parts: (String, String), column: &Column| {
        let alignment = if column.is_number { CellAlignment::Right } else { CellAlignment::Left };
        let parts = (text::harmless(&parts.0), text::harmless(&parts.1));
        Cell::new(columns::joined(parts, layout.two_lines)).set_alignment(alignment)
    };
    let mut table = new_table(layout.columns.iter().map(|column| {
        let (first, second) = column.heading;
        set((first.to_owned(), second.to_owned()), column)
    }));
    for cell in cells {
        table.add_row(layout.columns.iter().map(|column| {
            let shown = set((column.show)(cell), column);
            if ["difference", "share", "new is"].contains(&column.heading.0) {
                coloured(shown, cell.word)
            } else {
                shown
            }
        }));
    }
    table
}

fn coloured(cell: Cell, word: Word) -> Cell {
    match word {
        Word::Faster => cell.fg(Color::Green),
        Word::Slower => cell.fg(Color::Red),
        Word::TooFewRounds | Word::NotMeasured => cell.fg(Color::Yellow),
        Word::NoDifferenceShown => cell.fg(Color::DarkGrey),
    }
}

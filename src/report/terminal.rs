//! The report on the terminal. It fits the width that it is given: a table that is too wide first
//! puts intervals under their points, then leaves columns out and says which.

use super::findings::FindingGroup;
use super::model::Model;
use super::text;
use super::text::plural;
use super::{FORMATS, columns, disturbance, machines, stopping};
use crate::decision::{Group, Saving, Verdict, Weighted};
use crate::model::{Severity, Status};
use columns::{Column, Layout};
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};
use std::path::Path;

/// How a terminal report is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether to colour it. The caller knows of `NO_COLOR` and of terminals.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// Narrower than this nothing useful fits; the terminal then breaks the lines.
const LEAST_WIDTH: usize = 60;

/// The report as text for a terminal. `dir` is the run directory, as the user is to see it.
pub fn terminal(model: &Model<'_>, style: Style, dir: &Path) -> String {
    let mut page = Page::new(style);
    head(&mut page, model);
    groups(&mut page, model);
    weighted(&mut page, model);
    verdict(&mut page, model);
    machines(&mut page, model);
    findings(&mut page, model);
    lost(&mut page, model);
    unsupported(&mut page, model);
    links(&mut page, model);
    files(&mut page, dir);
    page.text
}

/// A page of text that is being written.
pub(super) struct Page {
    style: Style,
    text: String,
}

impl Page {
    /// An empty page.
    pub(super) fn new(style: Style) -> Self {
        Self { style: Style { width: style.width.max(LEAST_WIDTH), ..style }, text: String::new() }
    }

    /// Columns that a line may have.
    pub(super) const fn width(&self) -> usize {
        self.style.width
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// A line. Nothing in it is a command to a CI system that reads along, whichever name or table
    /// it is from.
    pub(super) fn line(&mut self, text: &str) {
        self.text.push_str(&text::without_commands(text.trim_end()));
        self.text.push('\n');
    }

    /// Text that is broken at spaces, further lines indented. A word that is longer than a line
    /// keeps its own: it is better copied whole than read in two.
    pub(super) fn wrapped(&mut self, first: &str, rest: &str, text: &str) {
        let mut line = first.to_owned();
        let mut empty = true;
        for word in text.split(' ') {
            if !empty && line.chars().count() + 1 + word.chars().count() > self.style.width {
                self.line(&line);
                rest.clone_into(&mut line);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.line(&line);
    }

    /// A bold line with an empty one above it.
    pub(super) fn heading(&mut self, text: &str) {
        let bold = self.paint("1", text);
        self.line("");
        self.line(&bold);
    }

    /// Text in an ANSI style, where colours are wanted.
    pub(super) fn paint(&self, code: &str, text: &str) -> String {
        if self.style.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A table.
    pub(super) fn table(&mut self, table: &mut Table) {
        table.force_no_tty();
        if self.style.color {
            table.enforce_styling();
        }
        let lines: Vec<String> = table.lines().collect();
        for line in lines {
            self.line(&line);
        }
    }
}

fn head(page: &mut Page, model: &Model<'_>) {
    let (plan, run) = (model.plan, &model.run);
    let ending = run.ending_text();
    let name = page.paint("1", &format!("Breakeven {}", text::visible(&plan.run)));
    let color = if run.is_partial() { "33" } else { "32" };
    let ending = page.paint(color, ending);
    page.line(&format!("{name} · {ending}"));
    if !run.reason.is_empty() {
        page.wrapped("  ", "  ", &text::visible(&run.reason));
    }
    page.wrapped("", "  ", &model.counts_line());
    if !run.facts.is_empty() {
        let facts: Vec<String> = run
            .facts
            .iter()
            .map(|(key, value)| format!("{} {}", text::visible(key), text::visible(value)))
            .collect();
        page.wrapped("", "  ", &facts.join(" · "));
    }
}

fn groups(page: &mut Page, model: &Model<'_>) {
    let layout = Layout::ALL
        .iter()
        .find(|layout| {
            model
                .decision
                .groups
                .iter()
                .all(|group| widest(&mut group_table(model, group, layout)) <= page.style.width)
        })
        .unwrap_or(&Layout::NARROWEST);
    for group in &model.decision.groups {
        page.heading(&text::visible(&model.title(group).line()));
        let mut table = group_table(model, group, layout);
        if widest(&mut table) > page.style.width {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(page.style.width).unwrap_or(u16::MAX));
        }
        page.table(&mut table);
    }
    if model.decision.groups.is_empty() {
        page.line("");
        page.line("Nothing was measured that could be compared.");
        return;
    }
    page.line("");
    page.wrapped("", "", &columns::legend(model));
    let missed = layout.missed(model);
    if !missed.is_empty() {
        let out = format!(
            "Left out at {} columns: {}. All of it is in report.md.",
            page.style.width,
            missed.join(", ")
        );
        page.wrapped("", "", &out);
    }
}

fn group_table(model: &Model<'_>, group: &Group, layout: &Layout) -> Table {
    let columns = layout.columns(model, group);
    let mut table = new_table(columns.iter().map(|column| {
        let heading = column.heading(&model.decision.baseline, layout);
        Cell::new(heading).set_alignment(alignment(column))
    }));
    for row in &group.rows {
        table.add_row(columns.iter().map(|column| {
            let cell = Cell::new(column.cell(row, layout)).set_alignment(alignment(column));
            match column {
                Column::Saving | Column::Verdict => coloured(cell, row.saving.as_ref()),
                _ => cell,
            }
        }));
    }
    table
}

/// An empty table with its headings.
pub(super) fn new_table(heading: impl Iterator<Item = Cell>) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heading.collect::<Vec<_>>());
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    table
}

fn alignment(column: &Column) -> CellAlignment {
    if column.is_number() { CellAlignment::Right } else { CellAlignment::Left }
}

fn coloured(cell: Cell, saving: Option<&Saving>) -> Cell {
    match saving.map(|saving| saving.verdict) {
        Some(Verdict::PaysOff) => cell.fg(Color::Green),
        Some(Verdict::DoesNotPayOff) => cell.fg(Color::Red),
        Some(Verdict::Undecided | Verdict::TooFewRounds) => cell.fg(Color::Yellow),
        Some(Verdict::Baseline) | None => cell.fg(Color::DarkGrey),
    }
}

/// Columns of its longest line.
pub(super) fn widest(table: &mut Table) -> usize {
    table.force_no_tty();
    table.lines().map(|line| line.trim_end().chars().count()).max().unwrap_or(0)
}

fn weighted(page: &mut Page, model: &Model<'_>) {
    let decision = model.decision;
    let scopes = decision
        .weighted
        .chunk_by(|a, b| (&a.workload, &a.link, &a.engine) == (&b.workload, &b.link, &b.engine));
    for scope in scopes {
        let Some(first) = scope.first() else { continue };
        page.heading(&format!(
            "Over all changes and candidates, by their weights{}",
            text::visible(&model.scope_suffix(first))
        ));
        let two_lines = [false, true].into_iter().find(|two_lines| {
            widest(&mut weighted_table(model, scope, *two_lines)) <= page.style.width
        });
        let mut table = weighted_table(model, scope, two_lines.unwrap_or(true));
        if two_lines.is_none() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(page.style.width).unwrap_or(u16::MAX));
        }
        page.table(&mut table);
    }
}

fn weighted_table(model: &Model<'_>, scope: &[Weighted], two_lines: bool) -> Table {
    let headings = columns::weighted_headings(&model.decision.baseline);
    let numbers = headings.each_ref().map(|(_, number)| *number);
    let set = |parts: (String, String), number: bool| {
        let alignment = if number { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(columns::joined(parts, two_lines)).set_alignment(alignment)
    };
    let mut table = new_table(headings.into_iter().map(|(parts, number)| set(parts, number)));
    for one in scope {
        let cells = columns::weighted_cells(one).into_iter().zip(numbers).enumerate();
        table.add_row(cells.map(|(position, (parts, number))| {
            let cell = set(parts, number);
            if columns::WEIGHTED_COLOURED.contains(&position) {
                coloured(cell, one.saving.as_ref())
            } else {
                cell
            }
        }));
    }
    table
}

fn verdict(page: &mut Page, model: &Model<'_>) {
    page.heading("Verdict");
    for sentence in &model.sentences {
        let plain = model.with_names(sentence, |text| text::visible(text).into_owned(), ("", ""));
        page.wrapped("  ", "  ", &plain);
    }
    let aside = stopping::sentences(model).into_iter().chain(disturbance::sentence(model.decision));
    for sentence in aside {
        let plain = model.with_names(&sentence, |text| text::visible(text).into_owned(), ("", ""));
        page.wrapped("  ", "  ", &plain);
    }
    if model.run.is_partial() {
        page.wrapped("  ", "  ", "This is a partial run: it says less than the plan asked for.");
    }
}

/// As many machines as there is room for; the other formats have them all.
fn machines(page: &mut Page, model: &Model<'_>) {
    if model.machines.is_empty() {
        return;
    }
    page.heading("Machines: saving a build");
    let all = model.decision.machines.machines.len();
    let fits = |shown: &usize| widest(&mut machine_table(model, *shown)) <= page.style.width;
    let shown = (1..=all).rev().find(fits).unwrap_or(1);
    page.table(&mut machine_table(model, shown));
    if shown < all {
        let out = format!("Left out: {}. All are in report.html.", plural(all - shown, "machine"));
        page.wrapped("", "", &out);
    }
    for one in &model.machines {
        page.wrapped("  ", "    ", &text::visible(&machines::line(one)));
    }
    page.wrapped("  ", "  ", &machines::legend(model));
}

fn machine_table(model: &Model<'_>, shown: usize) -> Table {
    let headings = machines::headings(model);
    let last = headings.len() - 1;
    let is_shown = |at: usize| at <= shown || at == last;
    let set = |text: String, number: bool| {
        let alignment = if number { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(text).set_alignment(alignment)
    };
    let numbers: Vec<bool> = headings.iter().map(|(_, number)| *number).collect();
    let heads = headings.into_iter().enumerate().filter(|(at, _)| is_shown(*at));
    let mut table = new_table(heads.map(|(_, (text, number))| set(text, number)));
    for one in &model.decision.machines.strategies {
        let cells = machines::cells(model, one).into_iter().enumerate();
        table.add_row(cells.filter(|(at, _)| is_shown(*at)).map(|(at, parts)| {
            let parts = (text::visible(&parts.0).into_owned(), parts.1);
            set(columns::joined(parts, true), numbers[at])
        }));
    }
    table
}

fn findings(page: &mut Page, model: &Model<'_>) {
    if model.findings.is_empty() {
        return;
    }
    page.heading("Findings");
    for group in &model.findings {
        finding(page, group);
    }
}

fn finding(page: &mut Page, group: &FindingGroup) {
    let (code, word) = match group.severity {
        Severity::Invalid => ("31", "invalid"),
        Severity::Warning => ("33", "warning"),
        Severity::Note => ("36", "note"),
    };
    let word = page.paint(code, &format!("{word:<7}"));
    page.line(&format!("  {word}  {}", text::visible(&group.heading())));
    page.wrapped("           ", "           ", &text::visible(&group.meaning));
    page.wrapped("           → ", "             ", &text::visible(&group.advice));
    if let Some(seen) = group.seen() {
        page.wrapped("           seen: ", "             ", &text::visible(&seen));
    }
}

fn lost(page: &mut Page, model: &Model<'_>) {
    if model.lost.is_empty() {
        return;
    }
    page.heading("Samples that do not count");
    for group in &model.lost {
        let code = if group.status == Status::Interrupted { "33" } else { "31" };
        let word = page.paint(code, &format!("{:<11}", group.status));
        page.line(&format!("  {word}  {}", text::visible(&group.cell)));
        page.wrapped("               ", "               ", &text::visible(&group.line()));
    }
}

fn unsupported(page: &mut Page, model: &Model<'_>) {
    if model.unsupported.is_empty() {
        return;
    }
    page.heading("Not measured");
    for one in &model.unsupported {
        page.line(&format!("  {} ({})", text::visible(&one.what), plural(one.cells, "cell")));
        page.wrapped("    ", "    ", &text::visible(&one.reason));
        page.wrapped("    → ", "      ", &text::visible(&one.advice));
    }
}

fn links(page: &mut Page, model: &Model<'_>) {
    if model.links.iter().all(|link| link.measured.is_none()) {
        return;
    }
    page.heading("Links, as measured before their first use");
    for link in &model.links {
        let measured = link.measured.map_or_else(
            || text::NOT_MEASURED.to_owned(),
            |(down, up, rtt)| {
                format!(
                    "{} down, {} up, {} round trip",
                    text::rate(down),
                    text::rate(up),
                    text::milliseconds(rtt)
                )
            },
        );
        page.wrapped("  ", "    ", &format!("{}: {measured}", text::visible(&link.name)));
    }
}

fn files(page: &mut Page, dir: &Path) {
    let names: Vec<&str> = FORMATS.iter().flat_map(|format| format.files).copied().collect();
    page.heading("Files");
    page.wrapped("  ", "  ", &text::visible(&dir.display().to_string()));
    page.wrapped("  ", "  ", &names.join("  "));
}

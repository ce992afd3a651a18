//! Many runs in a row, for people and programs. A format is one file and one line in
//! [`TREND_FORMATS`]; the page is beside them, since it is a file and not what is printed.

mod json;
mod page;
mod terminal;

pub use json::{TREND_VERSION, schema};
pub use page::page;

use super::text;
use super::{ReportError, Style};
use crate::history::Damaged;
use crate::trend::{CellTrend, MachineTrends, Series, Shift, Trends, VerdictChange};

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Where the history lies.
    pub address: &'a str,
    /// What its runs show together.
    pub trends: &'a Trends,
    /// Objects that could not be used.
    pub damaged: &'a [Damaged],
}

/// One way to show trends: a row of [`TREND_FORMATS`].
#[derive(Debug)]
pub struct TrendFormat {
    /// What it is called on the command line.
    pub id: &'static str,
    /// One line: what it is for.
    pub summary: &'static str,
    /// Makes the text.
    pub render: fn(&View<'_>, Style) -> Result<String, ReportError>,
}

/// Every format, in the order in which they are listed.
pub static TREND_FORMATS: &[TrendFormat] = &[terminal::FORMAT, json::FORMAT];

/// Finds a format by its id.
pub fn trend_format(id: &str) -> Option<&'static TrendFormat> {
    TREND_FORMATS.iter().find(|format| format.id == id)
}

/// Cells that share a table and a figure, with its title: those that differ only in strategy and
/// builder.
fn groups(machine: &MachineTrends) -> Vec<(String, Vec<&CellTrend>)> {
    let mut groups: Vec<(String, Vec<&CellTrend>)> = Vec::new();
    for cell in &machine.cells {
        let title = format!(
            "workload {}, link {}, engine {} · change {} · candidates {}",
            cell.workload, cell.link, cell.engine, cell.change, cell.availability
        );
        match groups.iter_mut().find(|(known, _)| *known == title) {
            Some((_, cells)) => cells.push(cell),
            None => groups.push((title, vec![cell])),
        }
    }
    groups
}

/// A shift that matters, with whose it is.
struct Told<'a> {
    machine: &'a MachineTrends,
    cell: &'a CellTrend,
    /// Whether it is the saving's, not the time's.
    of_saving: bool,
    shift: &'a Shift,
}

/// Every shift that matters, the latest first, and how many others there are.
fn told<'a>(trends: &'a Trends) -> (Vec<Told<'a>>, usize) {
    let (mut all, mut small) = (Vec::new(), 0);
    for machine in &trends.machines {
        for cell in &machine.cells {
            for (of_saving, series) in [(false, &cell.time), (true, &cell.saving)] {
                small += series.shifts.iter().filter(|shift| !shift.matters).count();
                let mattering = series.shifts.iter().filter(|shift| shift.matters);
                all.extend(mattering.map(|shift| Told { machine, cell, of_saving, shift }));
            }
        }
    }
    all.sort_by(|a, b| b.shift.at.cmp(&a.shift.at).then(a.of_saving.cmp(&b.of_saving)));
    (all, small)
}

impl Told<'_> {
    fn what(&self) -> &'static str {
        if self.of_saving { "saving" } else { "time" }
    }

    /// `12.3 s → 15.0 s (+22 %)`, `+43 % → +20 % of the baseline`.
    fn levels(&self) -> String {
        let Shift { before, after, .. } = self.shift;
        if self.of_saving {
            let [before, after] = [before, after].map(|share| per_cent(*share));
            return format!("{before} → {after} of the baseline");
        }
        let share = if *before > 0.0 { after / before - 1.0 } else { f64::NAN };
        let [before, after] = [before, after].map(|seconds| text::plain_seconds(*seconds));
        format!("{before} s → {after} s ({})", text::deviation(share))
    }

    /// Whether it is for the worse: slower, or less saved.
    fn worse(&self) -> bool {
        (self.shift.after > self.shift.before) != self.of_saving
    }
}

fn per_cent(share: f64) -> String {
    text::deviation(share)
}

/// `2026-03-02` of an RFC 3339 time.
fn day(at: &str) -> &str {
    let day = at.split('T').next().unwrap_or_default();
    if day.is_empty() { text::NOT_MEASURED } else { day }
}

/// The last level and since when it holds, for a table.
fn level(series: &Series) -> Option<(f64, usize)> {
    series.levels.last().map(|level| (level.value, level.to - level.from))
}

/// What verdicts did, a line each.
fn verdict_line(change: &VerdictChange) -> String {
    let VerdictChange { at, was, is, run } = change;
    format!(
        "{}: {} ({}), workload {}, link {}, engine {}: {} → {} (saving a build: {} → {}; run {run})",
        day(at),
        is.strategy,
        is.builder,
        is.workload,
        is.link,
        is.engine,
        was.verdict,
        is.verdict,
        text::joined(text::saving_parts(&was.seconds)),
        text::joined(text::saving_parts(&is.seconds)),
    )
}

/// How shifts are to be read.
const LEGEND: &str = "A level is the median of the runs' medians between two shifts. A shift is \
                      where ranks change by more than chance makes them in 1 of 100 series \
                      (docs/history.md), and is told where it is larger than the smallest \
                      difference that matters. Below 10 runs nothing can be said. Machine models \
                      are never mixed; what else changed at a shift is beside it, and need not be \
                      its cause.";

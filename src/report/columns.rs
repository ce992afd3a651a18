//! Columns of the tables that compare strategies, for terminal, Markdown and HTML alike: what a
//! cell says is decided here once.

use super::model::Model;
use super::text::{self, NOT_MEASURED};
use crate::decision::{BreakEven, Crossing, Group, Row, Saving, Verdict, Weighted};
use crate::model::Phase;
use crate::stats::Estimate;

/// A column of a table that compares strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Strategy and builder.
    Name,
    /// State of the samples, where it has a column of its own.
    State,
    /// Samples that count, of those that were measured; in two lines, pairs beneath.
    N,
    /// Rounds that the saving is paired over, where it has a column of its own.
    Pairs,
    /// Median of the whole job with its interval.
    Total,
    /// Saving with its interval.
    Saving,
    /// Verdict.
    Verdict,
    /// Median seconds of a phase.
    Phase(Phase),
    /// Step hits of steps.
    Hits,
    /// Median bytes down.
    Down,
    /// Median bytes up.
    Up,
}

/// Which columns a table has, and whether an interval stands under its point.
#[derive(Debug)]
pub(super) struct Layout {
    /// Whether cells have two lines. State and pairs then have no columns of their own: they
    /// stand under the strategy and under n.
    pub two_lines: bool,
    phases: bool,
    bytes: bool,
    hits: bool,
    /// What it leaves out, for the reader.
    pub left_out: &'static [&'static str],
}

impl Layout {
    /// Everything in one line.
    pub(super) const WIDE: Self =
        Self { two_lines: false, phases: true, bytes: true, hits: true, left_out: &[] };
    const TWO_LINES: Self = Self { two_lines: true, ..Self::WIDE };
    const NO_BYTES: Self = Self { bytes: false, left_out: &["bytes"], ..Self::TWO_LINES };
    const NO_PHASES: Self =
        Self { phases: false, left_out: &["phases", "bytes"], ..Self::NO_BYTES };

    /// The last resort.
    pub(super) const NARROWEST: Self =
        Self { hits: false, left_out: &["phases", "hits", "bytes"], ..Self::NO_PHASES };

    /// Every layout, the most telling first.
    pub(super) const ALL: [Self; 5] =
        [Self::WIDE, Self::TWO_LINES, Self::NO_BYTES, Self::NO_PHASES, Self::NARROWEST];

    /// The columns of a group's table: none for a phase that no row of it has, none for bytes
    /// where the run has none.
    pub(super) fn columns(&self, model: &Model<'_>, group: &Group) -> Vec<Column> {
        let mut columns = vec![Column::Name];
        columns.extend((!self.two_lines).then_some(Column::State));
        columns.extend([Column::N, Column::Total]);
        columns.extend((!self.two_lines).then_some(Column::Pairs));
        columns.extend([Column::Saving, Column::Verdict]);
        if self.phases {
            let has = |phase: &Phase| group.rows.iter().any(|row| row.phases.contains_key(phase));
            columns.extend(Phase::ALL.into_iter().filter(has).map(Column::Phase));
        }
        columns.extend(self.hits.then_some(Column::Hits));
        if self.bytes && has_bytes(model) {
            columns.extend([Column::Down, Column::Up]);
        }
        columns
    }

    /// What a reader of this run's tables misses.
    pub(super) fn missed(&self, model: &Model<'_>) -> Vec<&'static str> {
        let missed = self.left_out.iter().copied();
        missed.filter(|name| *name != "bytes" || has_bytes(model)).collect()
    }
}

fn has_bytes(model: &Model<'_>) -> bool {
    let mut rows = model.decision.groups.iter().flat_map(|group| &group.rows);
    rows.any(|row| row.bytes_down.is_some() || row.bytes_up.is_some())
}

impl Column {
    /// What stands above it.
    pub(super) fn heading(self, baseline: &str, layout: &Layout) -> String {
        let two = |first: &str, second: &str| {
            joined((first.to_owned(), second.to_owned()), layout.two_lines)
        };
        match self {
            Self::Name => "strategy".to_owned(),
            Self::State => "state".to_owned(),
            Self::N if layout.two_lines => "n\npairs".to_owned(),
            Self::N => "n".to_owned(),
            Self::Pairs => "pairs".to_owned(),
            Self::Total => two("median", "[95 %]"),
            Self::Saving => two(&format!("saving vs {}", short(baseline)), "[95 %]"),
            Self::Verdict => "verdict".to_owned(),
            Self::Phase(phase) => two(phase.as_str(), "s"),
            Self::Hits => "hits".to_owned(),
            Self::Down => "down".to_owned(),
            Self::Up => "up".to_owned(),
        }
    }

    /// What it says of a strategy, in one string.
    pub(super) fn cell(self, row: &Row, layout: &Layout) -> String {
        let parts = self.parts(row, layout);
        match self {
            Self::Verdict if layout.two_lines => broken(parts),
            _ => joined(parts, layout.two_lines),
        }
    }

    /// What it says of a strategy, in two parts, the second of which may be empty.
    pub(super) fn parts(self, row: &Row, layout: &Layout) -> (String, String) {
        let one = |text: String| (text, String::new());
        let unmeasured = || one(NOT_MEASURED.to_owned());
        match self {
            Self::Name => {
                let under = if layout.two_lines {
                    format!("({}, {})", row.builder, row.state)
                } else {
                    format!("({})", row.builder)
                };
                (short(&row.strategy), under)
            }
            Self::State => one(row.state.to_string()),
            Self::N if layout.two_lines => (n(row), pairs(row)),
            Self::N => one(n(row)),
            Self::Pairs => one(pairs(row)),
            Self::Total => row.total_s.as_ref().map_or_else(unmeasured, text::seconds_parts),
            Self::Saving => match compared(row.saving.as_ref()) {
                None => one(String::new()),
                Some(saving) => {
                    saving.map_or_else(unmeasured, |saving| text::saving_parts(&saving.seconds))
                }
            },
            Self::Verdict => text::verdict_parts(row.saving.as_ref()),
            // A phase that the job does not have is empty, as in samples.csv.
            Self::Phase(phase) => one(row
                .phases
                .get(&phase)
                .map(|value| text::plain_seconds(*value))
                .unwrap_or_default()),
            Self::Hits => one(text::hits(row.hits, row.steps)),
            Self::Down => one(row.bytes_down.map_or_else(|| NOT_MEASURED.to_owned(), text::bytes)),
            Self::Up => one(row.bytes_up.map_or_else(|| NOT_MEASURED.to_owned(), text::bytes)),
        }
    }

    /// Whether it is set flush right.
    pub(super) const fn is_number(self) -> bool {
        !matches!(self, Self::Name | Self::State | Self::Verdict)
    }
}

/// Samples that count; where some do not, of how many.
fn n(row: &Row) -> String {
    let all = row.n + row.invalid + row.failed;
    if all == row.n { row.n.to_string() } else { format!("{}/{all}", row.n) }
}

/// Rounds that the saving is paired over; empty for the baseline.
fn pairs(row: &Row) -> String {
    match compared(row.saving.as_ref()) {
        None => String::new(),
        Some(saving) => saving.map_or(0, |saving| saving.pairs).to_string(),
    }
}

/// The saving of a strategy that is compared: `None` for the baseline itself, which has none;
/// `Some(None)` where one was to be measured and was not.
pub(super) fn compared(saving: Option<&Saving>) -> Option<Option<&Saving>> {
    match saving {
        Some(saving) if saving.verdict == Verdict::Baseline => None,
        other => Some(other),
    }
}

/// Builds until the first one is repaid, in two parts.
pub(super) fn builds_parts(builds: &Estimate) -> (String, String) {
    if [builds.point, builds.low, builds.high].iter().all(|value| *value == 0.0) {
        return ("0 builds".to_owned(), String::new());
    }
    if ![builds.point, builds.low, builds.high].iter().all(|value| value.is_finite()) {
        return (NOT_MEASURED.to_owned(), String::new());
    }
    (format!("{:.1} builds", builds.point), format!("[{:.1}, {:.1}]", builds.low, builds.high))
}

/// Where along a quantity a strategy saves time: `above 34 Mbit/s [20 Mbit/s, 51 Mbit/s]`.
fn break_even(even: &BreakEven, show: fn(f64) -> String, end: &str) -> String {
    let value = |crossing: &Crossing| {
        let low = crossing.low.map_or_else(|| show(0.0), show);
        let high = crossing.high.map_or_else(|| end.to_owned(), show);
        format!("{} [{low}, {high}]", show(crossing.point))
    };
    match even {
        BreakEven::Above(crossing) => format!("above {}", value(crossing)),
        BreakEven::Below(crossing) => format!("below {}", value(crossing)),
        BreakEven::Always => "always".to_owned(),
        BreakEven::Never => "never".to_owned(),
        BreakEven::NotKnown { reason } => format!("{NOT_MEASURED}: {reason}"),
    }
}

/// From or up to which bandwidth a strategy saves time.
pub(super) fn bandwidth(even: &BreakEven) -> String {
    break_even(even, text::rate, "no end")
}

/// From or up to which share of builds a strategy saves time.
pub(super) fn share(even: &BreakEven) -> String {
    break_even(even, text::weight, "100 %")
}

/// An amount without its unit, for a column whose heading has it.
pub(super) fn amount_parts(estimate: &Estimate) -> (String, String) {
    let [point, low, high] = [estimate.point, estimate.low, estimate.high];
    let show = |value: f64| format!("{value:.2}");
    match [point, low, high].iter().all(|value| value.is_finite()) {
        true => (show(point), format!("[{}, {}]", show(low), show(high))),
        false => (NOT_MEASURED.to_owned(), String::new()),
    }
}

/// The same with a sign: + is gained.
pub(super) fn gain_parts(estimate: &Estimate) -> (String, String) {
    let [point, low, high] = [estimate.point, estimate.low, estimate.high];
    let show = |value: f64| {
        let text = format!("{value:+.2}");
        if matches!(text.as_str(), "+0.00" | "-0.00") { "0.00".to_owned() } else { text }
    };
    match [point, low, high].iter().all(|value| value.is_finite()) {
        true => (show(point), format!("[{}, {}]", show(low), show(high))),
        false => (NOT_MEASURED.to_owned(), String::new()),
    }
}

/// A verdict in two lines: a long one that has no second part is broken.
fn broken((first, second): (String, String)) -> String {
    match first.split_once(" pay ") {
        Some((before, after)) if second.is_empty() => format!("{before}\npay {after}"),
        _ => joined((first, second), true),
    }
}

/// Two parts in one line or in two.
pub(super) fn joined((first, second): (String, String), two_lines: bool) -> String {
    match (second.is_empty(), two_lines) {
        (true, _) => first,
        (false, true) => format!("{first}\n{second}"),
        (false, false) => format!("{first} {second}"),
    }
}

/// The name of a strategy as it fits a cell. A journal of another version may name any.
fn short(strategy: &str) -> String {
    text::shortened(&text::visible(strategy), 32)
}

/// How the tables are to be read.
pub(super) fn legend(model: &Model<'_>) -> String {
    let bytes = if has_bytes(model) {
        " down, up: median bytes of those requests whose bytes were counted."
    } else {
        ""
    };
    let interval = match model.decision.sequential {
        Some(_) => "an interval that holds at any time",
        None => "its 95 % interval",
    };
    // A range holds the true median unless all jobs lie on one side of it: 1 − 2 · 0.5ⁿ.
    let rows = || model.decision.groups.iter().flat_map(|group| &group.rows);
    let few = if rows().any(|row| (2..5).contains(&row.n)) {
        " (of fewer than 5 their range, which holds the true one in 50 % of cases with 2, in 75 % \
         with 3, in 88 % with 4)"
    } else {
        ""
    };
    format!(
        "median: of the n jobs that count, with its 95 % interval{few}. saving: mean over rounds \
         paired with {}, with {interval}; + is faster. phases: medians in seconds, empty where the \
         job has none. hits: steps taken from a cache.{bytes} n/a: not measured.",
        text::visible(&model.decision.baseline)
    )
}

/// Positions of saving, share and verdict among the cells of a weighted table.
pub(super) const WEIGHTED_COLOURED: [usize; 3] = [3, 4, 5];

/// What stands above the columns of a weighted table, in two parts, and whether it is a number.
pub(super) fn weighted_headings(baseline: &str) -> [((String, String), bool); 7] {
    let two = |first: &str, second: &str| (first.to_owned(), second.to_owned());
    [
        (two("strategy", ""), false),
        (two("rounds", ""), true),
        (two("expected", "a build"), true),
        (two(&format!("saving vs {}", short(baseline)), "a build"), true),
        (two("share", ""), true),
        (two("verdict", ""), false),
        (two("first build", "repaid after"), true),
    ]
}

/// What the weighted table says of a strategy, in two parts each.
pub(super) fn weighted_cells(one: &Weighted) -> [(String, String); 7] {
    let nothing = || (String::new(), String::new());
    let unmeasured = || (NOT_MEASURED.to_owned(), String::new());
    let saving = one.saving.as_ref();
    let shown = |show: fn(&Saving) -> (String, String)| match compared(saving) {
        None => nothing(),
        Some(saving) => saving.map_or_else(unmeasured, show),
    };
    let rounds = saving.map_or_else(|| NOT_MEASURED.to_owned(), |saving| saving.pairs.to_string());
    [
        (short(&one.strategy), format!("({})", one.builder)),
        (rounds, String::new()),
        one.total_s.as_ref().map_or_else(unmeasured, text::seconds_parts),
        shown(|saving| text::saving_parts(&saving.seconds)),
        shown(|saving| text::share_parts(&saving.share)),
        text::verdict_parts(saving),
        match compared(saving) {
            None => nothing(),
            Some(_) => one.builds_to_repay.as_ref().map_or_else(unmeasured, builds_parts),
        },
    ]
}

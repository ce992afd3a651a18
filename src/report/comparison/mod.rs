//! Two runs side by side, for people and programs. What is said is decided here once; a format is
//! one file and one line in [`COMPARISON_FORMATS`].

mod json;
mod markdown;
mod terminal;

pub use json::{COMPARISON_VERSION, schema};

use super::text::plural;
use super::text::{self, NOT_MEASURED};
use super::{ReportError, Style};
use crate::compare::{CellDifference, Comparison, VerdictPair, Word};
use crate::stats::Estimate;

/// One way to show a comparison: a row of [`COMPARISON_FORMATS`].
#[derive(Debug)]
pub struct ComparisonFormat {
    /// What it is called on the command line.
    pub id: &'static str,
    /// One line: what it is for.
    pub summary: &'static str,
    /// Makes the text.
    pub render: fn(&Comparison, Style) -> Result<String, ReportError>,
}

/// Every format, in the order in which they are listed.
pub static COMPARISON_FORMATS: &[ComparisonFormat] =
    &[terminal::FORMAT, markdown::FORMAT, json::FORMAT];

/// Finds a format by its id.
pub fn comparison_format(id: &str) -> Option<&'static ComparisonFormat> {
    COMPARISON_FORMATS.iter().find(|format| format.id == id)
}

/// A column: its heading, whether it is a number, and what it says of a cell, in two parts.
struct Column {
    heading: (&'static str, &'static str),
    is_number: bool,
    show: fn(&CellDifference) -> (String, String),
}

const NAME: Column = Column {
    heading: ("strategy", ""),
    is_number: false,
    show: |cell| {
        let name = text::shortened(&text::visible(&cell.strategy), 32);
        (name, format!("({})", cell.builder))
    },
};
const ROUNDS: Column = Column {
    heading: ("n", ""),
    is_number: true,
    show: |cell| (format!("{}, {}", cell.base.n, cell.new.n), String::new()),
};
const BASE: Column = Column {
    heading: ("base", "mean"),
    is_number: true,
    show: |cell| (seconds(cell.base.mean_s), String::new()),
};
const NEW: Column = Column {
    heading: ("new", "mean"),
    is_number: true,
    show: |cell| (seconds(cell.new.mean_s), String::new()),
};
const DIFFERENCE: Column = Column {
    heading: ("difference", ""),
    is_number: true,
    show: |cell| time(cell, |time| text::saving_parts(&time.seconds)),
};
const SHARE: Column = Column {
    heading: ("share", ""),
    is_number: true,
    show: |cell| time(cell, |time| text::share_parts(&time.share)),
};
const WORD: Column = Column {
    heading: ("new is", ""),
    is_number: false,
    show: |cell| match cell.word {
        Word::NoDifferenceShown => ("no difference".to_owned(), "shown".to_owned()),
        word => (word.label().to_owned(), String::new()),
    },
};
const HITS: Column = Column {
    heading: ("hits", ""),
    is_number: true,
    show: |cell| {
        let [base, new] = [&cell.base, &cell.new].map(|side| text::hits(side.hits, side.steps));
        moved(base, new)
    },
};
const DOWN: Column = Column {
    heading: ("down", ""),
    is_number: true,
    show: |cell| moved(bytes(cell.base.bytes_down), bytes(cell.new.bytes_down)),
};
const UP: Column = Column {
    heading: ("up", ""),
    is_number: true,
    show: |cell| moved(bytes(cell.base.bytes_up), bytes(cell.new.bytes_up)),
};

/// Every column; those of bytes only where some were counted.
fn columns(comparison: &Comparison) -> Vec<&'static Column> {
    let counted = comparison.cells.iter().flat_map(|cell| [&cell.base, &cell.new]);
    let has_bytes = counted.clone().any(|s| s.bytes_down.is_some() || s.bytes_up.is_some());
    let mut columns = vec![&NAME, &ROUNDS, &BASE, &NEW, &DIFFERENCE, &SHARE, &WORD, &HITS];
    if has_bytes {
        columns.extend([&DOWN, &UP]);
    }
    columns
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(
        || NOT_MEASURED.to_owned(),
        |value| format!("{} s", text::plain_seconds(value)),
    )
}

fn bytes(count: Option<u64>) -> String {
    count.map_or_else(|| NOT_MEASURED.to_owned(), text::bytes)
}

fn time(
    cell: &CellDifference,
    show: fn(&crate::compare::Difference) -> (String, String),
) -> (String, String) {
    cell.time.as_ref().map_or_else(|| (NOT_MEASURED.to_owned(), String::new()), show)
}

/// `6/8`, or `6/8 → 2/8` where it is another one now.
fn moved(base: String, new: String) -> (String, String) {
    if base == new { (base, String::new()) } else { (base, format!("→ {new}")) }
}

/// Cells that share a table, with its title: those that differ only in strategy and builder.
fn groups(comparison: &Comparison) -> impl Iterator<Item = (String, &[CellDifference])> {
    let place = |cell: &CellDifference| {
        [&cell.workload, &cell.change, &cell.availability, &cell.link, &cell.engine]
            .map(Clone::clone)
    };
    let groups = comparison.cells.chunk_by(move |a, b| place(a) == place(b));
    groups.map(|cells| {
        let of = &cells[0];
        let title = format!(
            "workload {}, link {}, engine {} · change {} · candidates {}",
            of.workload, of.link, of.engine, of.change, of.availability
        );
        (title, cells)
    })
}

/// What comes out, in sentences.
fn sentences(comparison: &Comparison) -> Vec<String> {
    let count = |word| comparison.count(word);
    let unknown = count(Word::TooFewRounds) + count(Word::NotMeasured);
    let mut first = format!(
        "Of {} in both runs, {} slower and {} faster; for {} no difference is shown",
        plural(comparison.cells.len(), "cell"),
        are(count(Word::Slower)),
        are(count(Word::Faster)),
        count(Word::NoDifferenceShown),
    );
    if unknown > 0 {
        first += &format!(", and for {unknown} there are fewer than five rounds");
    }
    let mut sentences = vec![first + "."];
    if let Some(shift) = &comparison.baseline {
        let by = text::joined(text::saving_parts(&shift.time.seconds));
        let share = text::joined(text::share_parts(&shift.time.share));
        let of = format!("The {} cells of the baseline {} together", shift.cells, shift.strategy);
        sentences.push(match shift.word {
            Word::Slower | Word::Faster => format!(
                "{of} are {} as well: {by}, {share}. What moves jobs without a cache is not the \
                 cache: look at the machine, the engine and the network first.",
                shift.word
            ),
            _ => format!("{of} show no difference: {by}, {share}."),
        });
    }
    let hits = comparison.cells.iter().filter(|cell| cell.hits_moved()).count();
    if hits > 0 {
        sentences.push(format!("Step hits are others in {}.", plural(hits, "cell")));
    }
    sentences
}

fn are(count: usize) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{count} are") }
}

/// Verdicts that are others now, a line each, and how many are not.
fn verdicts(comparison: &Comparison) -> Vec<String> {
    let changed: Vec<&VerdictPair> =
        comparison.verdicts.iter().filter(|pair| pair.changed()).collect();
    let same = comparison.verdicts.len() - changed.len();
    let line = |pair: &&VerdictPair| {
        let saves = |seconds: &Estimate| text::joined(text::saving_parts(seconds));
        format!(
            "{} ({}), workload {}, link {}, engine {}: {} → {} (saving a build: {} → {})",
            pair.strategy,
            pair.builder,
            pair.workload,
            pair.link,
            pair.engine,
            pair.base.verdict,
            pair.new.verdict,
            saves(&pair.base.seconds),
            saves(&pair.new.seconds),
        )
    };
    let mut lines: Vec<String> = changed.iter().map(line).collect();
    if same > 0 || lines.is_empty() {
        lines.push(format!("{} as before", plural(same, "verdict")));
    }
    lines
}

/// What is above the first table: which runs they are.
fn heads(comparison: &Comparison) -> [String; 2] {
    [("base", &comparison.base), ("new", &comparison.new)].map(|(which, run)| {
        let at = if run.started_at.is_empty() { NOT_MEASURED } else { run.started_at.as_str() };
        format!("{which}: run {}, {at}, {}", run.run, plural(run.rounds, "round"))
    })
}

/// What a comparison across machines, engines or contents means.
const ACROSS: &str = "These runs were not measured under the same conditions. A difference below is \
                      one of all of this together, not of the cache, the build or the machine alone:";

/// How the tables are to be read.
fn legend(comparison: &Comparison) -> String {
    let together = match comparison.statements {
        0 => String::new(),
        1 => " The one interval here has 95 %.".to_owned(),
        statements => format!(
            " All {statements} statements here hold together with 95 %, so that each interval has \
             {:.2} %.",
            comparison.confidence * 100.0
        ),
    };
    format!(
        "difference: mean of NEW minus mean of BASE, + is slower; rounds of two runs cannot be \
         paired.{together} faster, slower: the whole interval lies beyond the smallest difference \
         that matters. no difference shown: it does not, which is no proof that there is none. Runs at two moments: what the \
         machine did in between is in the difference. n: rounds that count. n/a: not measured."
    )
}

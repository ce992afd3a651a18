//! Two runs side by side: what takes longer now, what takes less, and where nothing can be said.
//! Pure: what two runs have recorded in, differences out.
//!
//! **It must not cry wolf.** A run has many cells, and of twenty comparisons at 95 % one is wrong by
//! chance. So each interval has the confidence 1 − 0.05/m, `m` being the number of statements
//! (Bonferroni's inequality; Dunn, "Multiple Comparisons Among Means", Journal of the American
//! Statistical Association 56, 1961): *all* of a comparison hold together with 95 %, whatever the
//! cells of a round have in common. A word other than `no difference shown` needs the whole interval
//! beyond the smallest saving that matters, as a verdict does.
//!
//! **Of a run that several machines measured, machines are what chance drew**, not their rounds, as
//! in its own decision; the comparison says so.

mod across;
mod cells;
mod many;
mod verdicts;

pub use across::Across;
pub use many::{RUNS, against};

use crate::decision::{Decision, Verdict};
use crate::model::{Builder, CellKey, Event, Plan, Sample, sample};
use crate::stats::bootstrap::machines::LEAST;
use crate::stats::{Bootstrap, Estimate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Share of comparisons in which, by chance alone, one statement or more may be wrong.
pub const ERROR: f64 = 0.05;

/// What is known of one of the two runs.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// Its recorded events.
    pub events: &'a [Event],
    /// What was decided from them.
    pub decision: &'a Decision,
}

impl<'a> Side<'a> {
    /// Samples of the run, of several of one place the one that stands.
    fn samples(&self) -> Vec<&'a Sample> {
        sample::standing(self.events.iter().filter_map(Event::sample))
    }
}

/// What two runs say of a cell's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// The whole interval lies below minus the smallest saving that matters.
    Faster,
    /// The whole interval lies above the smallest saving that matters.
    Slower,
    /// Neither. That is not the same as "no difference".
    NoDifferenceShown,
    /// Fewer than five rounds count in one of the runs.
    TooFewRounds,
    /// No sample counts in one of the runs.
    NotMeasured,
}

impl Word {
    /// How reports say it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoDifferenceShown => "no difference shown",
            Self::TooFewRounds => "too few rounds",
            Self::NotMeasured => "n/a",
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// NEW minus BASE: positive is slower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Difference of the mean times in seconds.
    pub seconds: Estimate,
    /// The same as a share of BASE's mean time.
    pub share: Estimate,
    /// The smallest difference that matters, in seconds: of the two plans', the larger.
    pub relevant_s: f64,
}

impl Difference {
    fn word(&self) -> Word {
        if self.seconds.low > self.relevant_s {
            Word::Slower
        } else if self.seconds.high < -self.relevant_s {
            Word::Faster
        } else {
            Word::NoDifferenceShown
        }
    }
}

/// What one run measured of a cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellSide {
    /// Samples that count.
    pub n: usize,
    /// Mean seconds of the whole job.
    pub mean_s: Option<f64>,
    /// Fewest and most step hits.
    pub hits: Option<(usize, usize)>,
    /// Most steps.
    pub steps: Option<usize>,
    /// Median bytes from registry and storage, where counted.
    pub bytes_down: Option<u64>,
    /// Median bytes to registry and storage, where counted.
    pub bytes_up: Option<u64>,
}

/// A cell that is in both runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellDifference {
    /// The workload.
    pub workload: String,
    /// The change.
    pub change: String,
    /// The availability.
    pub availability: String,
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// What BASE measured.
    pub base: CellSide,
    /// What NEW measured.
    pub new: CellSide,
    /// The difference of whole jobs; absent below five counted rounds in either run.
    pub time: Option<Difference>,
    /// What it says.
    pub word: Word,
}

impl CellDifference {
    /// Its key, as everywhere.
    pub fn key(&self) -> String {
        CellKey::of([
            &self.workload,
            &self.change,
            &self.availability,
            &self.strategy,
            self.builder.as_str(),
            &self.link,
            &self.engine,
        ])
        .0
    }

    /// Whether the range of step hits is another one.
    pub fn hits_moved(&self) -> bool {
        let known = self.base.hits.is_some() && self.new.hits.is_some();
        known && (self.base.hits, self.base.steps) != (self.new.hits, self.new.steps)
    }
}

/// The jobs without a cache of both runs, all cells together: what moves them too is rarely the
/// cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineShift {
    /// Id of the baseline.
    pub strategy: String,
    /// How many of its cells are in both runs.
    pub cells: usize,
    /// The difference of their mean.
    pub time: Difference,
    /// What it says.
    pub word: Word,
}

/// The verdict on a strategy over the change mix in both runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictPair {
    /// The workload.
    pub workload: String,
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// What BASE says.
    pub base: Said,
    /// What NEW says.
    pub new: Said,
}

impl VerdictPair {
    /// Whether it is another one now.
    pub fn changed(&self) -> bool {
        self.base.verdict != self.new.verdict
    }
}

/// A verdict with the saving that it is made from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    /// The verdict.
    pub verdict: Verdict,
    /// Mean seconds saved a build against the baseline, with its 95 % interval.
    pub seconds: Estimate,
}

/// Which run it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunName {
    /// Its id.
    pub run: String,
    /// Wall clock of its start, RFC 3339, UTC; empty if its journal does not say.
    pub started_at: String,
    /// Counted rounds with at least one sample.
    pub rounds: usize,
}

/// Two runs, compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The run that is compared with.
    pub base: RunName,
    /// The run that is compared.
    pub new: RunName,
    /// What makes the two runs not comparable, if they were compared all the same: every difference
    /// below is one of all this together.
    pub across: Vec<String>,
    /// What else differs between them, and what a reader must know.
    pub notes: Vec<String>,
    /// Statements that hold together with 95 %.
    pub statements: usize,
    /// The confidence of each interval of a difference: 1 − 0.05 / statements.
    pub confidence: f64,
    /// Cells that are in both runs, in NEW's order.
    pub cells: Vec<CellDifference>,
    /// Keys of cells that only BASE has.
    pub only_in_base: Vec<String>,
    /// Keys of cells that only NEW has.
    pub only_in_new: Vec<String>,
    /// The baseline's cells together; absent where fewer than two can be compared.
    pub baseline: Option<BaselineShift>,
    /// Verdicts over the change mix that are in both runs.
    pub verdicts: Vec<VerdictPair>,
}

impl Comparison {
    /// Cells of which this is said.
    pub fn count(&self, word: Word) -> usize {
        self.cells.iter().filter(|cell| cell.word == word).count()
    }
}

/// Compares two runs. Whether they may be compared is for the caller to know: `across` is what
/// makes them not comparable, `notes` what else differs.
pub fn compare(
    base: Side<'_>,
    new: Side<'_>,
    across: Vec<String>,
    notes: Vec<String>,
) -> Comparison {
    // A seed of a plan has 32 bits: the two lie side by side.
    let bootstrap = Bootstrap::new(base.plan.seed ^ new.plan.seed.rotate_left(32));
    compare_by(base, new, bootstrap, across, notes)
}

fn compare_by(
    base: Side<'_>,
    new: Side<'_>,
    bootstrap: Bootstrap,
    across: Vec<String>,
    mut notes: Vec<String>,
) -> Comparison {
    notes.extend([("BASE", base), ("NEW", new)].into_iter().filter_map(|(name, side)| {
        let machines = side.plan.machines.filter(|machines| *machines > 1)?;
        Some(by_machines(name, machines))
    }));
    let pairs = cells::Pairs::new(&base, &new);
    let statements = pairs.statements();
    let confidence = 1.0 - ERROR / statements.max(1) as f64;
    Comparison {
        base: name(&base),
        new: name(&new),
        across,
        notes,
        statements,
        confidence,
        cells: pairs.differences(bootstrap, confidence),
        baseline: pairs.baseline(bootstrap, confidence),
        verdicts: verdicts::pairs(base.decision, new.decision),
        only_in_base: pairs.only_in_base,
        only_in_new: pairs.only_in_new,
    }
}

/// What a reader must know of a run that several machines measured.
fn by_machines(name: &str, machines: u32) -> String {
    match machines as usize >= LEAST {
        true => format!(
            "{name} was measured on {machines} machines: they are what intervals are made from, and \
             not their rounds"
        ),
        false => format!(
            "{name} was measured on {machines} machines, fewer than the {LEAST} from which intervals \
             are made from machines: they are made from rounds, and reach as far as each machine by \
             itself"
        ),
    }
}

fn name(side: &Side<'_>) -> RunName {
    let started = side.events.iter().find_map(|event| match event {
        Event::RunStarted { at, .. } => Some(at.clone()),
        _ => None,
    });
    RunName {
        run: side.plan.run.clone(),
        started_at: started.unwrap_or_default(),
        rounds: side.decision.rounds,
    }
}

#[cfg(test)]
mod tests;

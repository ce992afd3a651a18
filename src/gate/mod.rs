//! Rules that a run is held against: is caching still worth it, is anything worse than it may be?
//! Pure: rules and what a run recorded in, outcomes out.
//!
//! **A rule fails on evidence only.** Where an interval lies on both sides of a limit, the rule does
//! not fail: a gate that cries wolf is switched off.

mod file;
mod kinds;

pub use file::{RULES_FILE, Rule, Rules, Undecided, schema};
pub use kinds::{KINDS, Kind};

use crate::compare::{Across, Comparison};
use crate::decision::{Decision, Group, Row};
use crate::model::event::Ending;
use crate::model::{CellKey, Event, Plan, Sample, sample};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// What became of a rule, or of one thing that it speaks of. The greater one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing was measured that the rule speaks of, or not enough to tell.
    Skip,
    /// It holds, or nothing shows that it does not.
    Pass,
    /// It does not hold.
    Fail,
    /// It cannot be asked: it names what does not exist.
    Misconfigured,
}

impl State {
    /// Every state, the best first.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Skip, Self::Fail, Self::Misconfigured];

    /// The word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Misconfigured => "misconfigured",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a rule says of one thing that it speaks of.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it speaks of: a cell's key, a strategy's place, a finding; empty for the run.
    pub place: String,
    /// What became of it.
    pub state: State,
    /// What was measured, or why nothing can be said.
    pub said: String,
    /// The number that is held against the rule's, in its unit.
    pub value: Option<f64>,
}

impl Part {
    fn new(place: impl Into<String>, state: State, said: impl Into<String>) -> Self {
        Self { place: place.into(), state, said: said.into(), value: None }
    }

    fn with(self, value: f64) -> Self {
        Self { value: Some(value), ..self }
    }
}

/// A rule with what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// What it is called.
    pub title: String,
    /// Id of its kind.
    pub kind: &'static str,
    /// Its keys as it was carried out: what makes it this rule, wherever it stands in its file.
    pub keys: String,
    /// The rule as it was carried out, defaults and what the command line set included.
    pub effective: String,
    /// The file that it is from, as it was named.
    pub file: PathBuf,
    /// Its line there, from 1.
    pub line: usize,
    /// What became of it: the greatest of its parts' states.
    pub state: State,
    /// What it says of each thing that it speaks of. Never empty.
    pub parts: Vec<Part>,
}

impl Checked {
    /// `rules.toml:3`.
    pub fn origin(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }

    /// Parts that made it what it is, in lines.
    pub fn reasons(&self) -> Vec<String> {
        let deciding = self.parts.iter().filter(|part| part.state == self.state);
        deciding.map(Part::line).collect()
    }
}

impl Part {
    /// What it says, with what it speaks of before it.
    pub fn line(&self) -> String {
        match self.place.as_str() {
            "" => self.said.clone(),
            place => format!("{place}: {}", self.said),
        }
    }
}

/// A run held against rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Id of the run.
    pub run: String,
    /// How it ended; absent if it was killed or is not over.
    pub ending: Option<Ending>,
    /// Every rule, in the order of its file.
    pub rules: Vec<Checked>,
}

impl Gate {
    /// How many rules are in this state.
    pub fn count(&self, state: State) -> usize {
        self.rules.iter().filter(|rule| rule.state == state).count()
    }

    /// Whether all was measured that was to be.
    pub fn is_whole(&self) -> bool {
        self.ending.is_some_and(Ending::is_whole)
    }

    /// Whether what was measured is too little to let the run pass: it was killed, interrupted or
    /// broken off. A run that used its time up, or was put together of the parts that there are, is
    /// as long as somebody asked for: it is too little where no rule passes.
    pub fn is_cut_short(&self) -> bool {
        match self.ending {
            Some(Ending::Complete | Ending::Settled) => false,
            Some(Ending::OutOfTime | Ending::NotWhole) => self.count(State::Pass) == 0,
            Some(Ending::Interrupted | Ending::Aborted) | None => true,
        }
    }
}

/// What is known of the run with which `regression` compares.
#[derive(Debug, Clone)]
pub enum Baseline {
    /// The comparison with it.
    Compared(Box<Comparison>),
    /// It was measured under other conditions.
    NotComparable(Vec<String>),
    /// The history has not enough runs before it, yet.
    TooFew(Vec<String>),
    /// There is none that can be read.
    Unreadable(String),
}

/// What rules are held against.
pub struct Evidence<'a> {
    /// The run's plan.
    pub plan: &'a Plan,
    /// Its recorded events, and what they show together.
    pub events: &'a [Event],
    /// What was decided from them.
    pub decision: &'a Decision,
    /// Runs that rules name as their baseline, by how [`Rule::compares_with`] names them.
    pub baselines: BTreeMap<(PathBuf, Across), Baseline>,
}

impl<'a> Evidence<'a> {
    /// Samples, of several of one place the one that stands.
    fn samples(&self) -> Vec<&'a Sample> {
        sample::standing(self.events.iter().filter_map(Event::sample))
    }

    /// Cells that a rule speaks of, with their keys and the samples that count.
    fn cells(&self, rule: &Rule) -> Vec<(String, &'a Row, Vec<&'a Sample>)> {
        let samples = self.samples();
        let mut cells = Vec::new();
        for group in &self.decision.groups {
            let speaks_of = |row: &&Row| {
                rule.speaks_of(
                    [&group.change, &group.availability],
                    [&group.workload, &group.link, &group.engine],
                    (&row.strategy, row.builder),
                )
            };
            for row in group.rows.iter().filter(speaks_of) {
                let key = key(group, row);
                let of = |sample: &&&Sample| sample.counts() && sample.cell.key().0 == key;
                let counted = samples.iter().filter(of).copied().collect();
                cells.push((key, row, counted));
            }
        }
        cells
    }
}

fn key(group: &Group, row: &Row) -> String {
    CellKey::of([
        &group.workload,
        &group.change,
        &group.availability,
        &row.strategy,
        row.builder.as_str(),
        &group.link,
        &group.engine,
    ])
    .0
}

/// Holds a run against rules.
pub fn check(rules: &Rules, evidence: &Evidence<'_>) -> Gate {
    let of = |rule: &Rule| {
        let mut parts = rule.misnamed(evidence.plan);
        if parts.is_empty() {
            parts = (rule.kind().check)(rule, evidence);
        }
        if parts.is_empty() {
            parts = vec![Part::new("", State::Skip, rule.nothing(evidence.plan))];
        }
        Checked {
            title: rule.title(),
            kind: rule.kind().id,
            keys: rule.keys(),
            effective: rule.effective(),
            file: rules.file.clone(),
            line: rule.line,
            state: parts.iter().map(|part| part.state).max().unwrap_or(State::Skip),
            parts,
        }
    };
    Gate {
        run: evidence.plan.run.clone(),
        ending: Ending::of(evidence.events),
        rules: rules.rules.iter().map(of).collect(),
    }
}

//! What is shown, whatever the format: computed from plan, events and decision, and nothing else.

use super::ReportError;
use super::findings::{self, FindingGroup, LostGroup};
use crate::decision::{self, Decision, Group, Weighted};
use crate::model::event::Ending;
use crate::model::{Event, Plan, Sample, Status};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a report shows.
#[derive(Debug, Clone)]
pub struct Model<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Every sample, warm-up included, in the order of measuring.
    pub samples: Vec<&'a Sample>,
    /// What was decided from them.
    pub decision: &'a Decision,
    /// The verdict, in sentences.
    pub sentences: Vec<String>,
    /// What was noticed, the gravest first.
    pub findings: Vec<FindingGroup>,
    /// Samples that do not count, by what became of them and where.
    pub lost: Vec<LostGroup>,
    /// Facts about the run.
    pub run: RunFacts,
}

/// Facts about a run as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// Wall clock of the first start, RFC 3339, UTC.
    pub started_at: String,
    /// Wall clock of the last end; empty if the run was killed.
    pub ended_at: String,
    /// Seconds that it ran, over all of its starts; `None` if it was killed.
    pub duration_s: Option<f64>,
    /// How it ended; `None` if it was killed or is still running.
    pub ending: Option<Ending>,
    /// Why it is not complete; empty if it is.
    pub reason: String,
    /// Samples of the warm-up round.
    pub warm_up: usize,
    /// Samples of counted rounds by what became of them.
    pub counts: BTreeMap<Status, usize>,
}

impl RunFacts {
    /// Whether not every planned sample was measured.
    pub fn is_partial(&self) -> bool {
        self.ending != Some(Ending::Complete)
    }

    /// How the run ended, in a few words.
    pub fn ending_text(&self) -> &'static str {
        match self.ending {
            Some(Ending::Complete) => "complete",
            Some(Ending::OutOfTime) => "partial: the time budget was used up",
            Some(Ending::Interrupted) => "partial: interrupted",
            Some(Ending::Aborted) => "partial: engine or registry could not go on",
            None => "partial: the run was killed or is not over",
        }
    }

    /// Counted samples of this status.
    pub fn count(&self, status: Status) -> usize {
        self.counts.get(&status).copied().unwrap_or(0)
    }
}

impl<'a> Model<'a> {
    /// Puts together what is shown.
    pub fn new(
        plan: &'a Plan,
        events: &'a [Event],
        decision: &'a Decision,
    ) -> Result<Self, ReportError> {
        let run = run_facts(plan, events)?;
        let mut samples: Vec<&Sample> = events
            .iter()
            .filter_map(|event| match event {
                Event::SampleFinished { sample } => Some(sample.as_ref()),
                _ => None,
            })
            .collect();
        samples.sort_by_key(|sample| sample.sample);
        let findings = findings::grouped(events, &samples);
        let lost = findings::lost(&samples);
        Ok(Self {
            plan,
            decision,
            sentences: decision::sentence(decision),
            findings,
            lost,
            run: RunFacts {
                warm_up: samples.iter().filter(|sample| sample.round == 0).count(),
                counts: counts(&samples),
                ..run
            },
            samples,
        })
    }

    /// Samples of a group and one of its rows that count.
    pub fn samples_of(
        &self,
        group: &Group,
        row: &decision::Row,
    ) -> impl Iterator<Item = &'a Sample> {
        let is_of = |sample: &Sample| {
            let cell = &sample.cell;
            sample.counts()
                && cell.strategy == row.strategy
                && cell.builder == row.builder
                && cell.workload == group.workload
                && cell.change == group.change
                && cell.availability == group.availability
                && cell.link == group.link
                && cell.engine == group.engine
        };
        self.samples.iter().copied().filter(move |sample| is_of(sample))
    }

    /// Rounds, samples by what became of them, duration and seed, in one line.
    pub fn counts_line(&self) -> String {
        let counted: usize = self.run.counts.values().sum();
        let states = [Status::Ok, Status::Invalid, Status::Failed, Status::Interrupted]
            .into_iter()
            .filter(|status| self.run.count(*status) > 0)
            .map(|status| format!("{} {status}", self.run.count(status)))
            .collect::<Vec<_>>();
        let mut parts = vec![format!("{} of {}", self.decision.rounds, plural_rounds(self.plan))];
        if counted == 0 {
            parts.push("no samples".to_owned());
        } else {
            parts.push(format!("{}: {}", plural(counted, "sample"), states.join(", ")));
        }
        if self.run.warm_up > 0 {
            parts.push(format!("{} of warm-up, not counted", self.run.warm_up));
        }
        if let Some(seconds) = self.run.duration_s {
            parts.push(super::text::duration(seconds));
        }
        parts.push(format!("seed {}", self.plan.seed));
        parts.join(" · ")
    }

    /// `: workload web, link slow`, as far as there are several of them in this run.
    pub fn scope_suffix(&self, of: &Weighted) -> String {
        let several = |axis: fn(&Weighted) -> &str| {
            self.decision.weighted.iter().any(|other| axis(other) != axis(of))
        };
        let mut place = Vec::new();
        if several(|w| &w.workload) {
            place.push(format!("workload {}", of.workload));
        }
        if several(|w| &w.link) {
            place.push(format!("link {}", of.link));
        }
        if several(|w| &w.engine) {
            place.push(format!("engine {}", of.engine));
        }
        if place.is_empty() { String::new() } else { format!(": {}", place.join(", ")) }
    }

    /// A sentence, made safe for a format by `escape`, in which the names of strategies stand
    /// between two marks of that format instead of backticks.
    pub fn with_names(
        &self,
        sentence: &str,
        escape: impl Fn(&str) -> String,
        (open, close): (&str, &str),
    ) -> String {
        let mut names: BTreeSet<String> = BTreeSet::from([self.decision.baseline.clone()]);
        for row in &self.decision.weighted {
            names.insert(format!("{} ({})", row.strategy, row.builder));
            names.insert(format!("{} ({})", self.decision.baseline, row.builder));
        }
        names.iter().fold(escape(sentence), |text, name| {
            let marked = format!("{open}{}{close}", escape(name));
            text.replace(&escape(&format!("`{name}`")), &marked)
        })
    }

    /// What a group is called: only the axes that have more than one value in this run, and
    /// always change and availability.
    pub fn title(&self, group: &Group) -> GroupTitle {
        let several = |axis: fn(&Group) -> &str| {
            self.decision.groups.iter().any(|other| axis(other) != axis(group))
        };
        let mut place = Vec::new();
        if several(|g| &g.workload) {
            place.push(group.workload.clone());
        }
        if several(|g| &g.link) {
            place.push(format!("link {}", group.link));
        }
        if several(|g| &g.engine) {
            place.push(format!("engine {}", group.engine));
        }
        GroupTitle {
            place: place.join(", "),
            change: group.change.clone(),
            candidates: group.availability.clone(),
            weight: super::text::weight(group.weight),
        }
    }
}

/// The parts of a group's name. Change and candidates are names from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupTitle {
    /// Workload, link and engine, where there are several; may be empty.
    pub place: String,
    /// The change.
    pub change: String,
    /// The candidates that exist.
    pub candidates: String,
    /// Share of builds.
    pub weight: String,
}

impl GroupTitle {
    /// As one line: `change app · candidates branch+main · 42 % of builds`.
    pub fn line(&self) -> String {
        let place =
            if self.place.is_empty() { String::new() } else { format!("{} · ", self.place) };
        format!(
            "{place}change {} · candidates {} · {} of builds",
            self.change, self.candidates, self.weight
        )
    }
}

fn run_facts(plan: &Plan, events: &[Event]) -> Result<RunFacts, ReportError> {
    let mut facts = RunFacts {
        started_at: String::new(),
        ended_at: String::new(),
        duration_s: None,
        ending: None,
        reason: String::new(),
        warm_up: 0,
        counts: BTreeMap::new(),
    };
    let mut started = false;
    let mut lasted = 0.0;
    for event in events {
        match event {
            Event::RunStarted { run, at, .. } => {
                if *run != plan.run {
                    return Err(ReportError::OtherRun {
                        plan: plan.run.clone(),
                        journal: run.clone(),
                    });
                }
                if !started {
                    facts.started_at.clone_from(at);
                }
                started = true;
                // A run that goes on after its end has not ended.
                facts.ending = None;
                facts.ended_at.clear();
                facts.reason.clear();
                facts.duration_s = None;
            }
            Event::RunEnded { ending, reason, at, duration_s } => {
                lasted += duration_s;
                facts.ending = Some(*ending);
                facts.ended_at.clone_from(at);
                facts.reason.clone_from(reason);
                facts.duration_s = Some(lasted);
            }
            _ => {}
        }
    }
    if started { Ok(facts) } else { Err(ReportError::NoStart) }
}

fn counts(samples: &[&Sample]) -> BTreeMap<Status, usize> {
    let mut counts = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.round > 0) {
        *counts.entry(sample.status).or_insert(0) += 1;
    }
    counts
}

fn plural_rounds(plan: &Plan) -> String {
    plural(usize::try_from(plan.rounds).unwrap_or(usize::MAX), "round")
}

/// `1 sample`, `2 samples`.
pub(super) fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

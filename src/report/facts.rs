//! Facts about a run beside its figures: when and how it ran, on what, and what was left out.

use super::ReportError;
use crate::model::event::Ending;
use crate::model::plan::{EnginePlan, LinkPlan};
use crate::model::{Event, Left, Plan, Sample, Status};
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Cells that an engine cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// Which.
    pub what: String,
    /// How many cells were left out.
    pub cells: usize,
    /// Why not.
    pub reason: String,
    /// What would make it possible.
    pub advice: String,
}

/// A link as it was asked for and as it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// What was asked for; `None` if the plan does not know it.
    pub asked: Option<LinkPlan>,
    /// Down and up in bits a second and round-trip time in seconds, measured before its first
    /// use.
    pub measured: Option<(f64, f64, f64)>,
}

/// Facts about a run as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// Wall clock of the first start, RFC 3339, UTC.
    pub started_at: String,
    /// Wall clock of the last end; empty if the run was killed.
    pub ended_at: String,
    /// Seconds that it ran, over all of its parts; `None` if the last one was killed. A part that
    /// was killed counts up to the end of its last sample.
    pub duration_s: Option<f64>,
    /// How often it was resumed.
    pub resumed: usize,
    /// How it ended; `None` if it was killed or is still running.
    pub ending: Option<Ending>,
    /// Why it is not complete; empty if it is.
    pub reason: String,
    /// Samples of the warm-up round.
    pub warm_up: usize,
    /// Samples of counted rounds by what became of them.
    pub counts: BTreeMap<Status, usize>,
    /// Machine, engines and versions.
    pub facts: BTreeMap<String, String>,
}

impl RunFacts {
    /// Whether not every planned sample was measured.
    pub fn is_partial(&self) -> bool {
        !self.ending.is_some_and(Ending::is_whole)
    }

    /// How the run ended, in a few words.
    pub fn ending_text(&self) -> &'static str {
        ending_text(self.ending)
    }

    /// Counted samples of this status.
    pub fn count(&self, status: Status) -> usize {
        self.counts.get(&status).copied().unwrap_or(0)
    }
}

/// How a run ended, in a few words.
pub(super) fn ending_text(ending: Option<Ending>) -> &'static str {
    match ending {
        Some(Ending::Complete) => "complete",
        Some(Ending::Settled) => "complete: every verdict was settled",
        Some(Ending::OutOfTime) => "partial: the time budget was used up",
        Some(Ending::Interrupted) => "partial: interrupted",
        Some(Ending::NotWhole) => "partial: parts are missing or not complete",
        Some(Ending::Aborted) => "partial: it could not go on",
        None => "partial: the run was killed or is not over",
    }
}

/// Strategies that left the race.
pub(super) fn left(events: &[Event]) -> Vec<Left> {
    let of = |event: &Event| match event {
        Event::StrategyLeft { left } => Some(Left::clone(left)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

/// Each thing that an engine cannot do, once.
pub(super) fn unsupported(events: &[Event]) -> Vec<Unsupported> {
    let mut all: Vec<Unsupported> = Vec::new();
    for event in events {
        let Event::Unsupported(found) = event else { continue };
        let one = Unsupported {
            what: found.what.clone(),
            cells: found.cells.len(),
            reason: found.reason.clone(),
            advice: found.advice.clone(),
        };
        // A resumed run finds the same once more.
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// What the plan knows of machine and engines, and what a run's own engines turned out to be: until
/// they ran, only the engine that they were made on was known.
fn known(plan: &Plan, events: &[Event]) -> BTreeMap<String, String> {
    let mut facts = plan.facts.clone();
    for event in events {
        let Event::EngineFacts { engine, version, store } = event else { continue };
        let of = match plan.engines.len() {
            1 => "engine".to_owned(),
            _ => format!("engine {engine}"),
        };
        for (what, value) in [("version", version), ("store", store)] {
            // Without a daemon it is on no other engine.
            let alone = matches!(plan.engines.get(engine), Some(EnginePlan::Buildah { .. }));
            let host = plan.facts.get(&format!("{of} {what}")).filter(|_| !alone);
            facts.extend(host.map(|host| (format!("{of} {what} of its host"), host.clone())));
            facts.insert(format!("{of} {what}"), value.clone());
        }
    }
    facts
}

/// The links that cells name, as last measured.
pub(super) fn links(plan: &Plan, events: &[Event]) -> Vec<Link> {
    let mut names: BTreeSet<&str> = plan.cells.iter().map(|cell| cell.link.as_str()).collect();
    let mut measured: BTreeMap<&str, (f64, f64, f64)> = BTreeMap::new();
    for event in events {
        if let Event::LinkMeasured { link, down_bps, up_bps, rtt_s } = event {
            names.insert(link);
            measured.insert(link, (*down_bps, *up_bps, *rtt_s));
        }
    }
    let link = |name: &str| Link {
        name: name.to_owned(),
        asked: plan.links.get(name).copied(),
        measured: measured.get(name).copied(),
    };
    names.into_iter().map(link).collect()
}

/// `standing`: the samples that stand, warm-up included.
pub(super) fn run_facts(
    plan: &Plan,
    events: &[Event],
    standing: &[&Sample],
) -> Result<RunFacts, ReportError> {
    let mut facts = RunFacts {
        started_at: String::new(),
        ended_at: String::new(),
        duration_s: None,
        resumed: 0,
        ending: None,
        reason: String::new(),
        warm_up: standing.iter().filter(|sample| sample.round == 0).count(),
        counts: counts(standing),
        facts: known(plan, events),
    };
    let mut started = false;
    let mut lasted = 0.0;
    // Seconds of the part in hand as far as its samples show, and when it began.
    let (mut part, mut began) = (0.0, None);
    for event in events {
        match event {
            Event::RunStarted { run, at, .. } => {
                if *run != plan.run {
                    return Err(ReportError::OtherRun {
                        plan: plan.run.clone(),
                        journal: run.clone(),
                    });
                }
                facts.started_at.clone_from(at);
                began = moment(at);
                started = true;
            }
            Event::RunResumed { at, .. } => {
                lasted += part;
                (part, began) = (0.0, moment(at));
                facts.resumed += 1;
                // A run that goes on after its end has not ended.
                facts.ending = None;
                facts.ended_at.clear();
                facts.reason.clear();
                facts.duration_s = None;
            }
            Event::SampleFinished { sample } => {
                if let Some((began, at)) = began.zip(moment(&sample.started_at)) {
                    let whole = sample.total_s() + sample.reset_s + sample.overhead_s;
                    part = ((at - began).as_seconds_f64() + whole).max(part);
                }
            }
            Event::RunEnded { ending, reason, at, duration_s } => {
                lasted += duration_s;
                part = 0.0;
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

fn moment(at: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(at, &Rfc3339).ok()
}

fn counts(samples: &[&Sample]) -> BTreeMap<Status, usize> {
    let mut counts = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.round > 0) {
        *counts.entry(sample.status).or_insert(0) += 1;
    }
    counts
}

//! What lets faults of a registry or a storage loose: each in its phase of one sample.

use super::front::Fault;
use super::runs::UsersRegistry;
use breakeven::model::event::Ending;
use breakeven::model::{Event, Phase, Sample, Status};
use breakeven::run::Outcome;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

/// One fault, and what becomes of the sample that it hits.
#[derive(Debug, Clone)]
pub struct Case {
    pub what: &'static str,
    /// Killed if none: the registry's process is, until the phase is over.
    pub fault: Option<Fault>,
    pub becomes: Becomes,
}

/// What becomes of a sample that a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becomes {
    /// It does not count.
    Spoilt,
    /// It is as good as any.
    Good,
    /// Either: it depends on what the client makes of it.
    Either,
}

/// What can be wrong with an answer of any kind.
///
/// Engines and builders answer much of this with attempts of their own, so that all of it takes
/// minutes: `BREAKEVEN_TEST_FAULTS=all` does it, otherwise some have to do.
pub fn cases() -> Vec<Case> {
    let case = |what, fault| Case { what, fault: Some(fault), becomes: Becomes::Spoilt };
    vec![
        Case { what: "killed", fault: None, becomes: Becomes::Spoilt },
        case("resets", Fault::Reset),
        case("401", Fault::Answer(401, "{}")),
        case("404", Fault::Answer(404, "{}")),
        case("429", Fault::Answer(429, "{}")),
        case("500", Fault::Answer(500, "{}")),
        case("503", Fault::Answer(503, "{}")),
        case("hangs", Fault::Silence),
    ]
}

/// What can be wrong with an answer that has a body.
pub fn cases_of_bodies() -> [Case; 2] {
    [
        Case { what: "truncated", fault: Some(Fault::Cut(20)), becomes: Becomes::Spoilt },
        // All of it comes: a client that knows its length and its digest need not mind.
        Case {
            what: "states another length",
            fault: Some(Fault::Length(9)),
            becomes: Becomes::Either,
        },
    ]
}

/// Those of the cases that are to be tried this time.
pub fn chosen(mut cases: Vec<Case>, usual: &[&str]) -> Vec<Case> {
    if std::env::var("BREAKEVEN_TEST_FAULTS").is_err() {
        cases.retain(|case| usual.contains(&case.what));
    }
    cases
}

/// Requests that are met, by their first line.
pub type Meets = fn(&str) -> bool;

/// Faults that are to come up one after another, in a phase of a strategy's samples.
pub struct Row {
    pub strategy: &'static str,
    pub phase: Phase,
    /// Which requests of the phase are met.
    pub meets: Meets,
    pub cases: Vec<Case>,
}

/// What comes up in one sample.
#[derive(Clone)]
struct Planned {
    phase: Phase,
    meets: Meets,
    case: Case,
}

/// Lets each fault loose in its phase, and notes in which sample.
pub struct Saboteur(Mutex<State>);

struct State {
    registry: UsersRegistry,
    killed: bool,
    left: BTreeMap<&'static str, VecDeque<Planned>>,
    /// What comes up in the sample in hand.
    next: Option<Planned>,
    /// What is up.
    now: Option<Planned>,
    /// By the sample's number; whether a request was met.
    done: BTreeMap<u32, (Phase, Case, bool)>,
    sample: u32,
}

impl Saboteur {
    pub fn new(rows: Vec<Row>, registry: UsersRegistry) -> Self {
        let mut left: BTreeMap<_, VecDeque<_>> = BTreeMap::new();
        for Row { strategy, phase, meets, cases } in rows {
            let planned = cases.into_iter().map(|case| Planned { phase, meets, case });
            left.entry(strategy).or_default().extend(planned);
        }
        Self(Mutex::new(State {
            registry,
            killed: false,
            left,
            next: None,
            now: None,
            done: BTreeMap::new(),
            sample: 0,
        }))
    }

    /// How many rounds it takes until every fault has come up.
    pub fn rounds(&self) -> u32 {
        self.0.lock().unwrap().left.values().map(VecDeque::len).max().unwrap() as u32
    }

    /// What happens to a request.
    pub fn meet(&self, first: &str) -> Fault {
        let mut state = self.0.lock().unwrap();
        let Some(Planned { case, .. }) = state.now.clone().filter(|now| (now.meets)(first)) else {
            return Fault::None;
        };
        let sample = state.sample;
        if let Some(done) = state.done.get_mut(&sample) {
            done.2 = true;
        }
        case.fault.unwrap_or_else(|| {
            if !std::mem::replace(&mut state.killed, true) {
                state.registry.kill();
            }
            Fault::None
        })
    }

    pub fn hear(&self, event: &Event) {
        let mut state = self.0.lock().unwrap();
        match event {
            Event::SampleStarted { sample, round, cell, .. } if *round > 0 => {
                let strategy = cell.0.split('/').nth(3).unwrap();
                state.sample = *sample;
                state.next = state.left.get_mut(strategy).and_then(VecDeque::pop_front);
                if let Some(Planned { phase, case, .. }) = state.next.clone() {
                    state.done.insert(*sample, (phase, case, false));
                }
            }
            Event::PhaseStarted { phase: Some(phase) } => {
                state.stop();
                state.now = state.next.take_if(|next| next.phase == *phase);
            }
            Event::SampleFinished { .. } => state.stop(),
            _ => {}
        }
    }

    /// Every fault came up; each is its own sample's and nobody else's.
    pub fn judge(&self, outcome: &Outcome, samples: &[Sample]) {
        let state = self.0.lock().unwrap();
        let last = samples.last().map(|sample| (sample.sample, sample.cell.key(), &sample.reason));
        let last_fault = last.as_ref().and_then(|(number, ..)| state.done.get(number));
        assert!(outcome.error.is_none(), "{:?} after {last:?} {last_fault:?}", outcome.error);
        assert_eq!(outcome.ending, Ending::Complete);
        let left: usize = state.left.values().map(VecDeque::len).sum();
        assert_eq!(left, 0, "the run was too short for the table");
        let mut not_ok = 0;
        for sample in samples {
            let key = sample.cell.key();
            let found: Vec<&str> = sample.findings.iter().map(|f| f.id.as_str()).collect();
            let told = format!("{key}: {} {:?} {found:?}", sample.status, sample.reason);
            let Some((phase, case, met)) = state.done.get(&sample.sample) else {
                assert_eq!(sample.status, Status::Ok, "nothing was wrong, yet {told}");
                continue;
            };
            let told = format!("{} in {phase}: {told}", case.what);
            assert!(met, "nobody met it: {told}");
            if case.becomes == Becomes::Good {
                assert_eq!(sample.status, Status::Ok, "{told}");
            }
            if case.becomes != Becomes::Spoilt && sample.status == Status::Ok {
                continue;
            }
            not_ok += 1;
            match sample.status {
                Status::Failed => {
                    assert!(sample.reason.contains(phase.as_str()), "{told}");
                    let hangs = matches!(case.fault, Some(Fault::Silence));
                    assert!(!hangs || found.contains(&"timed-out"), "{told}");
                }
                // A source that cannot be had is left out by builders: such a sample is not slow.
                Status::Invalid => {
                    assert!(["pull", "fetch", "build"].contains(&phase.as_str()), "{told}");
                }
                _ => panic!("{told}"),
            }
        }
        assert_eq!(outcome.not_ok, not_ok);
    }
}

impl State {
    fn stop(&mut self) {
        self.now = None;
        if std::mem::take(&mut self.killed) {
            self.registry.again();
        }
    }
}

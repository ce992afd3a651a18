//! Hand-made runs with figures such as real ones have: the fixture's service, two builders, three
//! strategies, two changes, with and without a cache left by an earlier job; and the same on several
//! links and engines.

mod plans;
mod samples;

use breakeven::decision::{self, Decision};
use breakeven::model::event::{Ending, JOURNAL_VERSION, Unsupported};
use breakeven::model::finding;
use breakeven::model::{
    Builder, Cell, CellKey, DeployPull, Event, Finding, FindingKind, Phase, Plan, Sample, Status,
};
use breakeven::report::{self, ReportFile};
use plans::{plan, wide_plan, with_again};
use samples::sample;
use std::sync::{Arc, OnceLock};

/// A run to be reported.
pub struct Run {
    pub plan: Plan,
    pub events: Vec<Event>,
    decision: OnceLock<Decision>,
}

impl Run {
    /// So many rounds of everything, nothing wrong but what `change` does to each sample.
    pub fn new(rounds: u32, change: impl Fn(&mut Sample)) -> Self {
        Self::of(plan(rounds), change)
    }

    /// A run of this plan.
    fn of(plan: Plan, change: impl Fn(&mut Sample)) -> Self {
        let rounds = plan.rounds;
        let mut events = vec![Event::RunStarted {
            version: JOURNAL_VERSION,
            run: plan.run.clone(),
            at: "2026-03-02T09:00:00Z".to_owned(),
        }];
        let mut number = 0;
        for round in 0..=rounds {
            for (position, cell) in (0..).zip(plan.measured()) {
                number += 1;
                let mut sample = sample(number, round, position, cell);
                change(&mut sample);
                events.push(Event::SampleFinished { sample: Box::new(sample) });
            }
        }
        let mut run = Self { plan, events, decision: OnceLock::new() };
        run.end(Ending::Complete, "");
        run
    }

    /// The run as it usually goes: one invalid sample, one that failed, one finding that explains
    /// the invalid one, and notes.
    pub fn usual() -> Self {
        let mut run = Self::new(6, |sample| {
            sample.findings.push(Finding::new(
                &finding::BASE_PRESENT,
                "breakeven-fixture-base:1 was on the engine",
            ));
            match (sample.round, sample.cell.key().0.as_str()) {
                (2, "article/app/branch+main/cold/buildkit/loopback/shared") => spoil(
                    sample,
                    Status::Invalid,
                    "steps were taken from build cache that this run did not make",
                    Some((&finding::FOREIGN_CACHE, "2 of 8 steps hit in a cold build")),
                ),
                (4, "article/deps/branch+main/inline/buildkit/loopback/shared") => {
                    sample.phases.edit(|rows| rows.truncate(1));
                    spoil(
                        sample,
                        Status::Failed,
                        "push 127.0.0.1:5005/article:branch failed: received unexpected HTTP \
                         status: 500 Internal Server Error",
                        None,
                    );
                }
                _ => {}
            }
        });
        let finding = Finding::new(&finding::BYTES_NOT_COUNTED, "registry 127.0.0.1:5005");
        run.events.insert(1, Event::RunFinding { finding });
        let last = run.events.len() - 1;
        run.events.splice(last..last, pulls());
        run
    }

    /// Eight rounds with an A/A cell, whose jobs take this share of their time.
    pub fn twice(share: f64) -> Self {
        Self::of(with_again(8), |sample| {
            if sample.cell.again {
                sample.phases.edit(|rows| rows.iter_mut().for_each(|row| row.duration_s *= share));
            }
        })
    }

    /// Three links, two engines, one of which cannot export caches, a strategy that only reads, and
    /// something of everything that can go wrong.
    pub fn wide() -> Self {
        let plan = wide_plan(6);
        let mut run = Self::of(plan, |sample| {
            let key = sample.cell.key().0;
            match sample.round {
                // Somebody else's work on the machine.
                3 => {
                    sample.phases.edit(|rows| {
                        rows.iter_mut()
                            .filter(|row| row.phase == Phase::Build)
                            .for_each(|row| row.duration_s *= 1.08);
                    });
                    let took = Finding::new(&finding::OTHER_WORK, "the hypervisor took 8 %");
                    sample.findings.push(took);
                }
                2 if key == "article/app/branch+main/inline/buildkit/office/modern" => spoil(
                    sample,
                    Status::Invalid,
                    "the cache was asked for and no step hit",
                    Some((&finding::SOURCE_WITHOUT_HIT, "0 of 8 steps hit")),
                ),
                5 if key == "article/deps/branch+main/cold/buildkit/slow/shared" => {
                    sample.phases.edit(|rows| rows.truncate(1));
                    spoil(
                        sample,
                        Status::Failed,
                        "push 127.0.0.1:5005/article:branch failed: unexpected EOF",
                        None,
                    );
                }
                _ => {}
            }
        });
        let mut before: Vec<Event> = Vec::new();
        for (name, link) in &run.plan.links {
            before.push(Event::LinkMeasured {
                link: name.clone(),
                down_bps: link.down_bps.map_or(9.4e9, |bps| bps * 0.991),
                up_bps: link
                    .up_bps
                    .map_or(8.1e9, |bps| bps * if name == "slow" { 0.91 } else { 1.004 }),
                rtt_s: link.rtt_s + 0.000_3,
            });
        }
        before.push(Event::RunFinding {
            finding: Finding::new(&finding::LINK_NOT_AS_ASKED, "slow: 4.6 Mbit/s up of 5.0 Mbit/s"),
        });
        before.push(Event::EngineFacts {
            engine: "modern".to_owned(),
            version: "26.1.5".to_owned(),
            store: "overlayfs (containerd)".to_owned(),
        });
        for strategy in ["registry-max", "registry-read-only"] {
            before.push(Event::Unsupported(Box::new(Unsupported {
                what: format!("{strategy} (buildkit) on engine shared"),
                cells: (0..12).map(|_| CellKey(strategy.to_owned())).collect(),
                reason: "the engine does not know the cache exporter `registry`".to_owned(),
                advice:
                    "Use an engine with the containerd image store, such as one of [engine.NAME] \
                         with kind = \"private\"."
                        .to_owned(),
                finding: finding::UNSUPPORTED.id.to_owned(),
            })));
        }
        run.events.splice(1..1, before);
        run
    }

    /// A run in which every name and text from outside is out to break a format.
    pub fn hostile(name: &str) -> Self {
        let rename = |cell: &mut Cell| {
            for part in [
                &mut cell.workload,
                &mut cell.change,
                &mut cell.availability,
                &mut cell.strategy,
                &mut cell.link,
                &mut cell.engine,
            ] {
                *part = format!("{part}{name}");
            }
        };
        let mut run = Self::of(with_again(5), |sample| {
            rename(Arc::make_mut(&mut sample.cell));
            sample.cache_source = name.to_owned();
            sample.phases.edit(|rows| {
                for row in rows {
                    row.operation = name.to_owned();
                    row.reference = name.to_owned();
                }
            });
            sample.steps.edit(|steps| {
                for step in steps {
                    step.stage += name;
                    step.instruction = name.to_owned();
                }
            });
            sample.findings.push(Finding { id: name.to_owned(), detail: name.to_owned() });
            sample.findings.push(Finding::new(&finding::BASE_PRESENT, name));
            if sample.sample == 20 {
                spoil(sample, Status::Failed, name, None);
            }
        });
        let plan = &mut run.plan;
        plan.baseline += name;
        plan.cells.iter_mut().chain(&mut plan.again).for_each(rename);
        plan.changes =
            plan.changes.iter().map(|(key, c)| (format!("{key}{name}"), c.clone())).collect();
        plan.availabilities.iter_mut().for_each(|one| one.name += name);
        plan.facts.insert(name.to_owned(), name.to_owned());
        plan.run += name;
        plan.breakeven += name;
        for event in &mut run.events {
            match event {
                Event::RunStarted { run, .. } => *run += name,
                Event::RunEnded { reason, .. } => name.clone_into(reason),
                _ => {}
            }
        }
        run
    }

    /// The usual run, killed: the journal just stops.
    pub fn killed() -> Self {
        let mut run = Self::usual();
        run.events.truncate(80);
        run
    }

    pub fn end(&mut self, ending: Ending, reason: &str) {
        let samples = self.events.len() as f64;
        self.events.push(Event::RunEnded {
            ending,
            reason: reason.to_owned(),
            at: "2026-03-02T09:21:40Z".to_owned(),
            duration_s: 11.5 * samples,
        });
    }

    pub fn samples(&self) -> Vec<Sample> {
        let sample = |event: &Event| match event {
            Event::SampleFinished { sample } => Some(sample.as_ref().clone()),
            _ => None,
        };
        self.events.iter().filter_map(sample).collect()
    }

    /// Made once, when it is first asked for.
    pub fn decision(&self) -> &Decision {
        let pull = |event: &Event| match event {
            Event::DeployPulled { pull } => Some(DeployPull::clone(pull)),
            _ => None,
        };
        self.decision.get_or_init(|| {
            let pulls: Vec<DeployPull> = self.events.iter().filter_map(pull).collect();
            decision::decide(&self.plan, &self.samples()).with_pulls(&self.plan, &pulls)
        })
    }

    pub fn files(&self) -> Vec<ReportFile> {
        report::render(&self.plan, &self.events, self.decision()).expect("a report can be made")
    }
}

/// Five pulls of the image that one builder made, and one of the other's that failed.
fn pulls() -> Vec<Event> {
    let pull = |builder, round, duration_s: Option<f64>| DeployPull {
        workload: "article".to_owned(),
        engine: "shared".to_owned(),
        link: "loopback".to_owned(),
        builder,
        round,
        duration_s,
        bytes_down: Some(2_140_000),
        requests: Some(9),
        present: vec!["breakeven-fixture-base:1".to_owned()],
        reason: match duration_s {
            Some(_) => String::new(),
            None => "pull 127.0.0.1:5005/article:branch failed: unexpected EOF".to_owned(),
        },
    };
    let seconds = (1..).zip([0.41, 0.39, 0.44, 0.40, 0.43]);
    let mut pulls: Vec<DeployPull> =
        seconds.map(|(round, seconds)| pull(Builder::Classic, round, Some(seconds))).collect();
    pulls.push(pull(Builder::Buildkit, 1, None));
    pulls.into_iter().map(|pull| Event::DeployPulled { pull: Box::new(pull) }).collect()
}

pub fn spoil(
    sample: &mut Sample,
    status: Status,
    reason: &str,
    finding: Option<(&FindingKind, &str)>,
) {
    sample.status = status;
    sample.reason = reason.to_owned();
    sample.findings.extend(finding.map(|(kind, detail)| Finding::new(kind, detail)));
}

//! Hand-made runs with figures such as real ones have: the fixture's service, two builders, three
//! strategies, two changes, with and without a cache left by an earlier job; and the same on several
//! links and engines.

use breakeven::decision::{self, Decision};
use breakeven::model::event::{Ending, JOURNAL_VERSION, Unsupported};
use breakeven::model::finding;
use breakeven::model::plan::{
    ArchivePlan, Availability, Candidate, Change, EnginePlan, Keep, Limits, LinkPlan, PLAN_VERSION,
    RegistryPlan, Relevance, Store, Workload,
};
use breakeven::model::prices::{Prices, Rounding};
use breakeven::model::{
    Builder, Cell, CellKey, DeployPull, Event, Finding, FindingKind, Phase, PhaseRecord, Plan,
    PullMode, Sample, State, Status, StepRecord,
};
use breakeven::report::{self, ReportFile};
use std::collections::BTreeMap;
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

fn plan(rounds: u32) -> Plan {
    let workload = Workload {
        context: "/src/article".into(),
        dockerfile: "/src/article/Dockerfile".into(),
        target: None,
        build_args: BTreeMap::new(),
        secret_args: BTreeMap::new(),
        stages: vec!["builder".to_owned()],
        bases: vec!["breakeven-fixture-base:1".to_owned()],
        layout: Vec::new(),
    };
    let weighted = |weight| Change { weight, ..Change::default() };
    let have = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let competitors = [
        ("cold", Builder::Classic),
        ("cold", Builder::Buildkit),
        ("save-load-stages", Builder::Classic),
        ("inline", Builder::Buildkit),
    ];
    let mut cells = Vec::new();
    for change in ["app", "deps"] {
        for availability in ["branch+main", "none"] {
            for (strategy, builder) in competitors {
                let state = match (strategy, availability) {
                    ("cold", _) => State::Cold,
                    (_, "none") => State::Populate,
                    _ => State::Steady,
                };
                cells.push(Cell {
                    workload: "article".to_owned(),
                    change: change.to_owned(),
                    availability: availability.to_owned(),
                    strategy: strategy.to_owned(),
                    builder,
                    link: "loopback".to_owned(),
                    engine: "shared".to_owned(),
                    state,
                    again: false,
                });
            }
        }
    }
    Plan {
        version: PLAN_VERSION,
        run: "20260302-090000-k7".to_owned(),
        breakeven: "0.1.0".to_owned(),
        config: "/src/breakeven.toml".into(),
        seed: 42,
        rounds,
        adaptive: false,
        deploy_rounds: 5,
        max_time_s: None,
        baseline: "cold".to_owned(),
        pull: PullMode::First,
        relevance: Relevance { share: 0.02, seconds: 1.0 },
        workloads: BTreeMap::from([("article".to_owned(), workload)]),
        mix: None,
        replayed: None,
        changes: BTreeMap::from([
            ("none".to_owned(), weighted(0.0)),
            ("app".to_owned(), weighted(7.0)),
            ("deps".to_owned(), weighted(3.0)),
        ]),
        candidates: ["branch", "main"]
            .map(|name| Candidate { name: name.to_owned(), lacks: Vec::new() })
            .into(),
        availabilities: vec![
            Availability {
                name: "branch+main".to_owned(),
                have: have(&["branch", "main"]),
                weight: 9.0,
            },
            Availability { name: "none".to_owned(), have: Vec::new(), weight: 1.0 },
        ],
        engines: BTreeMap::from([("shared".to_owned(), EnginePlan::Shared { host: None })]),
        links: BTreeMap::from([("unshaped".to_owned(), LinkPlan::default())]),
        strategies: BTreeMap::new(),
        archive: ArchivePlan::default(),
        image_manifest: false,
        registry: RegistryPlan::Managed,
        storage: None,
        history: None,
        limits: Limits {
            build_s: 3600.0,
            transfer_s: 900.0,
            storage_s: 900.0,
            cleanup_s: 60.0,
            retries: 0,
        },
        prices: None,
        cells,
        again: Vec::new(),
        shard: None,
        machines: None,
        facts: [
            ("cpus", "2"),
            ("engine", "Docker 20.10.24, API 1.41, overlay2"),
            ("host", "Debian GNU/Linux 12, 6.1.0-18-amd64"),
            ("memory", "7.8 GB"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
    }
}

/// The same with the A/A cell that a configuration would give it.
fn with_again(rounds: u32) -> Plan {
    let plan = plan(rounds);
    let is_it = |cell: &&Cell| {
        (&*cell.change, &*cell.availability, &*cell.strategy, cell.builder)
            == ("app", "branch+main", "cold", Builder::Buildkit)
    };
    let again = plan.cells.iter().filter(is_it).map(|cell| Cell { again: true, ..cell.clone() });
    Plan { again: again.collect(), ..plan }
}

fn wide_plan(rounds: u32) -> Plan {
    let link = |down, up, rtt_s| LinkPlan { down_bps: down, up_bps: up, rtt_s };
    let private = EnginePlan::Private {
        host: None,
        image: "breakeven-engine:1".to_owned(),
        store: Some(Store::Containerd),
        keep: Keep::Sample,
    };
    let mut plan = Plan {
        links: BTreeMap::from([
            ("slow".to_owned(), link(Some(20e6), Some(5e6), 0.04)),
            ("office".to_owned(), link(Some(100e6), Some(40e6), 0.02)),
            ("fast".to_owned(), link(Some(1e9), Some(1e9), 0.002)),
        ]),
        engines: BTreeMap::from([
            ("shared".to_owned(), EnginePlan::Shared { host: None }),
            ("modern".to_owned(), private),
        ]),
        prices: Some(Prices {
            seen: "2026-11".to_owned(),
            currency: "USD".to_owned(),
            per_minute: 0.006,
            rounding: Rounding::Minute,
            out_per_gb: 0.09,
            in_per_gb: 0.0,
            storage_per_gb_month: 0.1,
            keep_builds: 30,
            per_10k_requests: 0.004,
            waiting_per_minute: 0.0,
            builds_per_day: 40.0,
            sources: BTreeMap::new(),
        }),
        ..plan(rounds)
    };
    let mut cells = Vec::new();
    for (engine, link) in
        plan.engines.keys().flat_map(|engine| plan.links.keys().map(move |link| (engine, link)))
    {
        for cell in &plan.cells {
            let cell = Cell { link: link.clone(), engine: engine.clone(), ..cell.clone() };
            if engine == "modern" && cell.strategy == "inline" {
                cells.push(Cell { strategy: "registry-max".to_owned(), ..cell.clone() });
                let state = if cell.state == State::Steady { State::ReadOnly } else { State::Cold };
                let strategy = "registry-read-only".to_owned();
                cells.push(Cell { strategy, state, ..cell.clone() });
            }
            cells.push(cell);
        }
    }
    plan.cells = cells;
    plan
}

/// What a link adds to moving so many bytes with so many requests.
fn on_the_wire(link: &str, down: u64, up: u64, requests: u64) -> f64 {
    let (down_bps, up_bps, rtt_s) = match link {
        "slow" => (20e6, 5e6, 0.04),
        "office" => (100e6, 40e6, 0.02),
        "fast" => (1e9, 1e9, 0.002),
        _ => return 0.0,
    };
    down as f64 * 8.0 / down_bps + up as f64 * 8.0 / up_bps + requests as f64 * rtt_s
}

/// What a job does: its phases with the operation, what it is done on, and seconds.
fn job(cell: &Cell) -> Vec<(Phase, &'static str, &'static str, f64)> {
    const IMAGE: &str = "127.0.0.1:5005/article:branch";
    const ARCHIVE: &str = "branch.tar";
    let deps = cell.change == "deps";
    let build = |seconds| (Phase::Build, "build", IMAGE, seconds);
    match (cell.strategy.as_str(), cell.state) {
        ("cold", _) => {
            let seconds = if cell.builder == Builder::Classic { 15.1 } else { 13.2 };
            vec![build(seconds), (Phase::Push, "push", IMAGE, 0.62)]
        }
        ("registry-max", State::Populate) => {
            vec![build(16.2), (Phase::Push, "push", IMAGE, 0.62)]
        }
        ("registry-max", _) => {
            vec![build(if deps { 9.8 } else { 2.4 }), (Phase::Push, "push", IMAGE, 0.31)]
        }
        ("registry-read-only", State::ReadOnly) => {
            vec![build(if deps { 8.7 } else { 1.6 }), (Phase::Push, "push", IMAGE, 0.31)]
        }
        ("registry-read-only", _) => vec![build(13.3), (Phase::Push, "push", IMAGE, 0.6)],
        ("inline", State::Populate) => vec![build(13.9), (Phase::Push, "push", IMAGE, 0.7)],
        ("inline", _) => {
            vec![build(if deps { 12.4 } else { 2.1 }), (Phase::Push, "push", IMAGE, 0.31)]
        }
        (_, State::Populate) => vec![
            (Phase::Fetch, "fetch (missing)", ARCHIVE, 0.004),
            (Phase::Build, "build --target builder", IMAGE, 12.0),
            (Phase::Build, "build", IMAGE, 3.1),
            (Phase::Save, "save", ARCHIVE, 1.7),
            (Phase::Store, "store", ARCHIVE, 0.4),
            (Phase::Push, "push", IMAGE, 0.6),
        ],
        _ => vec![
            (Phase::Fetch, "fetch", ARCHIVE, 0.35),
            (Phase::Load, "load", ARCHIVE, 1.9),
            (Phase::Build, "build --target builder", IMAGE, if deps { 11.6 } else { 0.3 }),
            (Phase::Build, "build", IMAGE, if deps { 2.9 } else { 0.8 }),
            (Phase::Save, "save", ARCHIVE, 1.7),
            (Phase::Store, "store", ARCHIVE, 0.4),
            (Phase::Push, "push", IMAGE, 0.3),
        ],
    }
}

fn sample(number: u32, round: u32, position: u32, cell: &Cell) -> Sample {
    let steady = matches!(cell.state, State::Steady | State::ReadOnly);
    let mut phases = Vec::new();
    for (seq, (phase, operation, reference, seconds)) in (0..).zip(job(cell)) {
        let storage = matches!(phase, Phase::Fetch | Phase::Store);
        let bytes = storage.then_some(24_117_248).filter(|_| operation != "fetch (missing)");
        let mut moved = (
            bytes.filter(|_| phase == Phase::Fetch),
            bytes.filter(|_| phase == Phase::Store),
            None,
        );
        if cell.link != "loopback" {
            moved = counted(cell, phase, moved);
        }
        let (down, up, requests) = moved;
        let wire =
            on_the_wire(&cell.link, down.unwrap_or(0), up.unwrap_or(0), requests.unwrap_or(0));
        // A link is paced: what it adds does not vary.
        let duration_s = seconds * noise(number, seq) + wire;
        let record = |operation: &str, duration_s, within: bool| PhaseRecord {
            seq,
            phase,
            operation: operation.to_owned(),
            reference: reference.to_owned(),
            duration_s,
            bytes_down: down.filter(|_| !within),
            bytes_up: up.filter(|_| !within),
            requests: requests.filter(|_| !within),
            within,
        };
        phases.push(record(operation, duration_s, false));
        if phase == Phase::Build && cell.builder == Builder::Buildkit {
            if steady {
                phases.push(record("import", duration_s * 0.05, true));
            }
            phases.push(record("steps", duration_s * 0.8, true));
            phases.push(record("export", duration_s * 0.15, true));
        }
    }
    let hits = match (steady, cell.change.as_str()) {
        (false, _) => 0,
        (true, "app") => 6,
        (true, _) => 2,
    };
    let steps = [
        ("builder", 1, "RUN package-install build-tools"),
        ("builder", 2, "COPY Gemfile Gemfile.lock ./"),
        ("builder", 3, "RUN bundle install"),
        ("1", 1, "RUN package-install runtime"),
        ("1", 2, "COPY --from=builder /bundle /bundle"),
        ("1", 3, "ENV RACK_ENV=production"),
        ("1", 4, "COPY . /app"),
        ("1", 5, "CMD [\"/app/serve\"]"),
    ];
    Sample {
        sample: number,
        round,
        position,
        machine: None,
        cell: cell.clone().into(),
        status: Status::Ok,
        reason: String::new(),
        phases: phases.into(),
        steps: (0..)
            .zip(steps)
            .map(|(place, (stage, step, instruction))| StepRecord {
                build: 0,
                stage: stage.to_owned(),
                step,
                instruction: instruction.to_owned(),
                hit: place < hits,
                duration_s: Some(if place < hits { 0.0 } else { 0.5 * noise(number, place) }),
            })
            .collect(),
        cache_source: if steady { "branch".to_owned() } else { String::new() },
        image_bytes: Some(58_720_256),
        workspace_hash: format!("{number:064x}").as_str().into(),
        started_at: format!("2026-03-02T09:{:02}:{:02}Z", number / 6 % 60, number % 6 * 10),
        reset_s: 0.4,
        overhead_s: 0.02,
        noise: None,
        findings: Vec::new(),
    }
}

/// Bytes and requests of a phase on a link that counts them.
fn counted(
    cell: &Cell,
    phase: Phase,
    (down, up, _): (Option<u64>, Option<u64>, Option<u64>),
) -> (Option<u64>, Option<u64>, Option<u64>) {
    let found = matches!(cell.state, State::Steady | State::ReadOnly);
    let app = cell.change == "app";
    match phase {
        Phase::Push if found && app => (Some(4_200), Some(900_000), Some(14)),
        Phase::Push if found => (Some(4_200), Some(8_400_000), Some(18)),
        Phase::Push => (Some(6_100), Some(21_300_000), Some(31)),
        Phase::Build => {
            let down = match cell.strategy.as_str() {
                "cold" | "save-load-stages" => 0,
                _ if !found => 1_800,
                "inline" => 12_600_000,
                _ => 19_400_000,
            };
            let up = match (cell.strategy.as_str(), cell.state) {
                ("registry-max", State::Populate) => 24_000_000,
                ("registry-max", _) => 1_600_000,
                _ => 0,
            };
            (Some(down), Some(up), Some(if down == 0 { 0 } else { 12 }))
        }
        Phase::Fetch | Phase::Store => (down.or(Some(0)), up.or(Some(0)), Some(1)),
        _ => (down, up, None),
    }
}

/// A factor around 1 that depends on nothing but its arguments.
fn noise(number: u32, place: u32) -> f64 {
    let mixed = (number.wrapping_mul(2_654_435_761) ^ place.wrapping_mul(40_503)) % 1_000;
    0.96 + f64::from(mixed) / 1_000.0 * 0.08
}

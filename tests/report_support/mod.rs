//! A hand-made run with figures such as a real one has: the fixture's service, two builders, three
//! strategies, two changes, with and without a cache left by an earlier job.

use breakeven::decision::{self, Decision};
use breakeven::model::event::{Ending, JOURNAL_VERSION};
use breakeven::model::finding;
use breakeven::model::plan::{
    ArchivePlan, Availability, Candidate, Change, EnginePlan, Limits, LinkPlan, PLAN_VERSION,
    RegistryPlan, Relevance, Workload,
};
use breakeven::model::{
    Builder, Cell, Event, Finding, FindingKind, Phase, PhaseRecord, Plan, PullMode, Sample, State,
    Status, StepRecord,
};
use breakeven::report::{self, Model, ReportFile};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A run to be reported.
pub struct Run {
    pub plan: Plan,
    pub events: Vec<Event>,
    decision: OnceLock<Decision>,
}

impl Run {
    /// So many rounds of everything, nothing wrong but what `change` does to each sample.
    pub fn new(rounds: u32, change: impl Fn(&mut Sample)) -> Self {
        let plan = plan(rounds);
        let mut events = vec![Event::RunStarted {
            version: JOURNAL_VERSION,
            run: plan.run.clone(),
            at: "2026-03-02T09:00:00Z".to_owned(),
        }];
        let mut number = 0;
        for round in 0..=rounds {
            for (position, cell) in (0..).zip(&plan.cells) {
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
                    sample.phases.truncate(1);
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
        let mut run = Self::new(5, |sample| {
            rename(&mut sample.cell);
            sample.cache_source = name.to_owned();
            for row in &mut sample.phases {
                row.operation = name.to_owned();
                row.reference = name.to_owned();
            }
            for step in &mut sample.steps {
                step.stage += name;
                step.instruction = name.to_owned();
            }
            sample.findings.push(Finding { id: name.to_owned(), detail: name.to_owned() });
            sample.findings.push(Finding::new(&finding::BASE_PRESENT, name));
            if sample.sample == 20 {
                spoil(sample, Status::Failed, name, None);
            }
        });
        let plan = &mut run.plan;
        plan.baseline += name;
        plan.cells.iter_mut().for_each(rename);
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

    /// The usual run, stopped in the middle of a sample of the fourth round.
    pub fn interrupted() -> Self {
        let mut run = Self::usual();
        run.events.truncate(62);
        if let Some(Event::SampleFinished { sample }) = run.events.last_mut() {
            sample.phases.truncate(1);
            spoil(sample, Status::Interrupted, "the run was interrupted", None);
        }
        run.end(Ending::Interrupted, "stopped by SIGINT");
        run
    }

    /// The usual run, killed: the journal just stops.
    pub fn killed() -> Self {
        let mut run = Self::usual();
        run.events.truncate(80);
        run
    }

    fn end(&mut self, ending: Ending, reason: &str) {
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
        self.decision.get_or_init(|| decision::decide(&self.plan, &self.samples()))
    }

    pub fn files(&self) -> Vec<ReportFile> {
        report::render(&self.plan, &self.events, self.decision()).expect("a report can be made")
    }

    pub fn file(&self, name: &str) -> String {
        let files = self.files();
        let found = files.iter().find(|file| file.path.to_str() == Some(name));
        let names: Vec<_> = files.iter().map(|file| &file.path).collect();
        let found = found.unwrap_or_else(|| panic!("no {name} among {names:?}"));
        String::from_utf8(found.bytes.clone()).expect("every format is text")
    }

    pub fn terminal(&self, width: usize, color: bool) -> String {
        let model =
            Model::new(&self.plan, &self.events, self.decision()).expect("a model can be made");
        let style = report::Style { color, width };
        report::terminal(&model, style, "reports/20260302-090000-k7".as_ref())
    }
}

fn spoil(sample: &mut Sample, status: Status, reason: &str, finding: Option<(&FindingKind, &str)>) {
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
        limits: Limits { build_s: 3600.0, transfer_s: 900.0, storage_s: 900.0, cleanup_s: 60.0 },
        prices: None,
        cells,
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
    let steady = cell.state == State::Steady;
    let mut phases = Vec::new();
    for (seq, (phase, operation, reference, seconds)) in (0..).zip(job(cell)) {
        let duration_s = seconds * noise(number, seq);
        let storage = matches!(phase, Phase::Fetch | Phase::Store);
        let bytes = storage.then_some(24_117_248).filter(|_| operation != "fetch (missing)");
        let record = |operation: &str, duration_s, within| PhaseRecord {
            seq,
            phase,
            operation: operation.to_owned(),
            reference: reference.to_owned(),
            duration_s,
            bytes_down: bytes.filter(|_| phase == Phase::Fetch),
            bytes_up: bytes.filter(|_| phase == Phase::Store),
            requests: None,
            within,
        };
        phases.push(record(operation, duration_s, false));
        if phase == Phase::Build && cell.builder == Builder::Buildkit {
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
        cell: cell.clone(),
        status: Status::Ok,
        reason: String::new(),
        phases,
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
        workspace_hash: format!("{number:064x}"),
        started_at: format!("2026-03-02T09:{:02}:{:02}Z", number / 6 % 60, number % 6 * 10),
        reset_s: 0.4,
        overhead_s: 0.02,
        findings: Vec::new(),
    }
}

/// A factor around 1 that depends on nothing but its arguments.
fn noise(number: u32, place: u32) -> f64 {
    let mixed = (number.wrapping_mul(2_654_435_761) ^ place.wrapping_mul(40_503)) % 1_000;
    0.96 + f64::from(mixed) / 1_000.0 * 0.08
}

//! Whole runs on a fake engine with a virtual clock: exact snapshots of journal and reports.

mod fake;
#[path = "fake/merge.rs"]
mod merge;
#[path = "fake/resume.rs"]
mod resume;
#[path = "fake/stopping.rs"]
mod stopping;

use breakeven::model::event::Ending;
use breakeven::model::plan::{
    ArchivePlan, Availability, Candidate, Change, Edit, EnginePlan, Limits, LinkPlan, PLAN_VERSION,
    RegistryPlan, Relevance, StageLayout, StepLayout, Workload,
};
use breakeven::model::{Builder, Cell, Event, Plan, PullMode, Sample, Status};
use breakeven::run::journal::{self, Journal};
use breakeven::run::ledger::{Header, Ledger};
use breakeven::run::{Outcome, execute, publish};
use breakeven::strategy::STRATEGIES;
use fake::Fake;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A folder with a context, and the places that a run writes to.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let context = dir.path().join("context");
        std::fs::create_dir_all(context.join("app")).unwrap();
        std::fs::create_dir(dir.path().join("scratch")).unwrap();
        std::fs::write(context.join("Dockerfile"), fake::DOCKERFILE).unwrap();
        std::fs::write(context.join("Gemfile"), "gem 'a'\n").unwrap();
        std::fs::write(context.join("app/main.rb"), "puts 1\n").unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn plan(place: &Place, rounds: u32) -> Plan {
    let append = |files: &str| Change {
        edits: vec![Edit::Append { files: files.to_owned(), text: "# {nonce}\n".to_owned() }],
        weight: 1.0,
        commit: None,
    };
    let run = StepLayout::default();
    let copy = |takes: &str| StepLayout { takes: vec![takes.to_owned()], from_stage: None };
    let from = StepLayout { takes: Vec::new(), from_stage: Some(0) };
    let layout = vec![
        StageLayout {
            name: "builder".to_owned(),
            base_stage: None,
            steps: vec![run.clone(), copy("Gemfile"), run],
            ..StageLayout::default()
        },
        StageLayout {
            name: "1".to_owned(),
            base_stage: None,
            steps: vec![from, copy("app")],
            ..StageLayout::default()
        },
    ];
    let workload = Workload {
        context: place.path("context"),
        dockerfile: place.path("context/Dockerfile"),
        target: None,
        build_args: BTreeMap::new(),
        secret_args: BTreeMap::new(),
        stages: vec!["builder".to_owned()],
        bases: Vec::new(),
        layout,
    };
    let availabilities = vec![
        Availability {
            name: "branch+main".to_owned(),
            have: vec!["branch".to_owned(), "main".to_owned()],
            weight: 9.0,
        },
        Availability { name: "none".to_owned(), have: Vec::new(), weight: 1.0 },
    ];
    let mut cells = Vec::new();
    for strategy in STRATEGIES {
        let of_daemons = |one: &&Builder| Builder::OF_DAEMONS.contains(one);
        for builder in strategy.builders.iter().filter(of_daemons) {
            for change in ["app", "deps"] {
                for availability in &availabilities {
                    cells.push(Cell {
                        workload: "web".to_owned(),
                        change: change.to_owned(),
                        availability: availability.name.clone(),
                        strategy: strategy.id.to_string(),
                        builder: *builder,
                        link: "unshaped".to_owned(),
                        engine: "shared".to_owned(),
                        state: strategy.state(!availability.have.is_empty()),
                        again: false,
                    });
                }
            }
        }
    }
    cells.sort();
    Plan {
        version: PLAN_VERSION,
        run: "r1".to_owned(),
        breakeven: "0.0.0".to_owned(),
        config: PathBuf::from("breakeven.toml"),
        seed: 7,
        rounds,
        adaptive: false,
        deploy_rounds: 0,
        max_time_s: None,
        baseline: "cold".to_owned(),
        pull: PullMode::First,
        relevance: Relevance { share: 0.02, seconds: 1.0 },
        workloads: [("web".to_owned(), workload)].into(),
        mix: None,
        replayed: None,
        changes: [
            ("app".to_owned(), append("app/*.rb")),
            ("deps".to_owned(), append("Gemfile")),
            ("none".to_owned(), Change::default()),
        ]
        .into(),
        candidates: vec![
            Candidate { name: "branch".to_owned(), lacks: Vec::new() },
            Candidate { name: "main".to_owned(), lacks: vec!["app".to_owned()] },
        ],
        availabilities,
        engines: BTreeMap::from([("shared".to_owned(), EnginePlan::Shared { host: None })]),
        links: BTreeMap::from([("unshaped".to_owned(), LinkPlan::default())]),
        strategies: BTreeMap::new(),
        archive: ArchivePlan::default(),
        image_manifest: false,
        registry: RegistryPlan::Managed,
        storage: None,
        history: None,
        limits: Limits {
            build_s: 60.0,
            transfer_s: 60.0,
            storage_s: 60.0,
            cleanup_s: 60.0,
            retries: 0,
        },
        prices: None,
        cells,
        again: Vec::new(),
        shard: None,
        machines: None,
        facts: BTreeMap::new(),
    }
}

async fn run(place: &Place, plan: &Plan, fake: Fake, cancel: &CancellationToken) -> Outcome {
    run_and(place, plan, fake, cancel, &|_| {}).await
}

async fn run_and(
    place: &Place,
    plan: &Plan,
    fake: Fake,
    cancel: &CancellationToken,
    listener: &(dyn Fn(&Event) + Send + Sync),
) -> Outcome {
    let journal = Journal::create(&place.path("out"), plan).unwrap();
    run_into(place, plan, fake, journal, cancel, listener).await
}

async fn run_into(
    place: &Place,
    plan: &Plan,
    fake: Fake,
    mut journal: Journal,
    cancel: &CancellationToken,
    listener: &(dyn Fn(&Event) + Send + Sync),
) -> Outcome {
    let world = Arc::new(fake).world();
    let out = place.path("out");
    let header = Header {
        run: plan.run.clone(),
        private: Vec::new(),
        scratch: place.path("scratch"),
        storage: None,
    };
    // What an earlier part of the run left in it; on a real engine that is removed first.
    let _ = std::fs::remove_dir_all(place.path("state"));
    let ledger = Ledger::create(&place.path("state"), &header).unwrap();
    let dirs = (place.path("scratch"), out.join("logs"));
    let dirs = (dirs.0.as_path(), dirs.1.as_path());
    execute(plan, &world, &mut journal, &ledger, dirs, cancel, listener).await.unwrap()
}

fn samples(events: &[Event]) -> Vec<&Sample> {
    let mut samples = Vec::new();
    for event in events {
        if let Event::SampleFinished { sample } = event {
            samples.push(sample.as_ref());
        }
    }
    samples
}

/// What the run wrote with the folder of this test taken out.
fn redacted(place: &Place, path: &str) -> String {
    let text = std::fs::read_to_string(place.path("out").join(path)).unwrap();
    text.replace(&*place.0.path().to_string_lossy(), "[DIR]")
}

#[tokio::test]
async fn every_strategy_is_measured_and_reported_exactly() {
    let place = Place::new();
    let plan = plan(&place, 5);
    let outcome = run(&place, &plan, Fake::default(), &CancellationToken::new()).await;
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(outcome.ending, Ending::Complete);

    let published = publish(&place.path("out")).unwrap();
    let all = samples(&published.events);
    assert_eq!(all.len(), plan.cells.len() * 6);
    let not_ok: Vec<_> = all.iter().filter(|s| s.status != Status::Ok).collect();
    assert!(not_ok.is_empty(), "{not_ok:#?}");
    insta::assert_snapshot!("report_md", redacted(&place, "report.md"));
    let hits: String = hits_by_cell(&all);
    insta::assert_snapshot!("hits_by_cell", hits);

    // The same journal gives the same bytes.
    let files = ["report.json", "report.md", "samples.csv", "phases.csv", "steps.csv"];
    let first: Vec<_> = files.iter().map(|file| redacted(&place, file)).collect();
    publish(&place.path("out")).unwrap();
    let again: Vec<_> = files.iter().map(|file| redacted(&place, file)).collect();
    assert_eq!(first, again);
}

#[tokio::test]
async fn an_a_a_cell_is_measured_like_the_cell_that_it_repeats() {
    let place = Place::new();
    let mut plan = plan(&place, 4);
    plan.cells.retain(|cell| {
        cell.change == "app"
            && cell.builder == Builder::Classic
            && ["cold", "pull"].contains(&&*cell.strategy)
            && cell.availability != "none"
    });
    let cold = plan.cells.iter().find(|cell| cell.strategy == "cold").unwrap().clone();
    plan.again = vec![Cell { again: true, ..cold.clone() }];
    let outcome = run(&place, &plan, Fake::default(), &CancellationToken::new()).await;
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let published = publish(&place.path("out")).unwrap();
    let all = samples(&published.events);
    assert_eq!(all.len(), 3 * 5);
    let of = |again: bool| -> Vec<&Sample> {
        let is = |one: &&Sample| one.cell.again == again && one.cell.is_as(&cold);
        all.iter().copied().filter(is).collect()
    };
    let (once, again) = (of(false), of(true));
    assert_eq!((once.len(), again.len()), (5, 5));
    for (one, other) in once.iter().zip(&again) {
        assert_eq!((one.round, one.status, other.status), (other.round, Status::Ok, Status::Ok));
        let facts = |sample: &Sample| (sample.step_hits(), sample.step_count(), sample.image_bytes);
        assert_eq!(facts(one), facts(other));
        // In the warm-up all have one nonce, and images are compared.
        assert_eq!(one.workspace_hash == other.workspace_hash, one.round == 0);
    }
    let places: Vec<bool> = once.iter().zip(&again).map(|(a, b)| a.position < b.position).collect();
    assert!(places.contains(&true) && places.contains(&false), "the order is shuffled: {places:?}");
    let [one] = published.decision.resolution.as_slice() else { panic!("no resolution") };
    assert_eq!((one.pairs, one.strategy.as_str()), (4, "cold"));
    let smallest_s = one.resolved.as_ref().unwrap().smallest_s;
    assert!(smallest_s > 0.0 && smallest_s < 1.0, "{one:?}");
    let listed: Vec<&str> =
        published.decision.weighted.iter().map(|one| one.strategy.as_str()).collect();
    assert_eq!(listed, ["cold", "pull"]);
    assert!(redacted(&place, "report.md").contains("measured twice in 4 rounds"));
}

#[tokio::test]
async fn final_images_are_pulled_at_the_beginning_of_the_first_rounds() {
    let place = Place::new();
    let mut plan = Plan { deploy_rounds: 2, ..plan(&place, 3) };
    plan.cells.retain(|cell| cell.strategy == "cold" && cell.change == "app");
    let outcome = run(&place, &plan, Fake::default(), &CancellationToken::new()).await;
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let published = publish(&place.path("out")).unwrap();
    let mut order = Vec::new();
    for event in &published.events {
        match event {
            Event::DeployPulled { pull } => order.push(format!("{} {}", pull.round, pull.builder)),
            Event::SampleFinished { sample } if sample.position == 0 => {
                order.push(format!("round {}", sample.round));
            }
            _ => {}
        }
    }
    let first = ["1 classic", "1 buildkit", "round 1"];
    let second = ["2 classic", "2 buildkit", "round 2"];
    assert_eq!(order, [&["round 0"][..], &first, &second, &["round 3"]].concat());
    for deploy in &published.decision.deploys {
        // The fake's pull takes a second, give or take a little.
        let measured = deploy.measured_s.unwrap();
        assert!((1.0..1.1).contains(&measured.point), "{deploy:?}");
        assert_eq!((deploy.n, deploy.failed), (2, 0), "{deploy:?}");
    }
    assert_eq!(published.decision.deploys.len(), 2);
}

#[tokio::test]
async fn a_pull_that_fails_is_recorded_and_the_run_goes_on() {
    let failed_pull = async |operation: u32| {
        let place = Place::new();
        let mut plan = Plan { deploy_rounds: 1, ..plan(&place, 1) };
        plan.cells.retain(|cell| cell.strategy == "cold" && cell.builder == Builder::Classic);
        let fake = Fake::default().fail_at(operation);
        let outcome = run(&place, &plan, fake, &CancellationToken::new()).await;
        let events = journal::read(&place.path("out")).unwrap().events;
        let pull = events.iter().find_map(|event| match event {
            Event::DeployPulled { pull } if pull.duration_s.is_none() => Some(pull.clone()),
            _ => None,
        })?;
        assert_eq!(
            (outcome.ending, samples(&events).len()),
            (Ending::Complete, plan.cells.len() * 2)
        );
        Some(pull)
    };
    // Which operation is the pull depends on how many jobs come before it.
    for operation in 1..100 {
        if let Some(pull) = failed_pull(operation).await {
            assert!(pull.reason.contains("the fake was told to fail"), "{pull:?}");
            return;
        }
    }
    panic!("no pull was among the first hundred operations");
}

/// One line a cell: hits of steps, source, findings. The same in every counted round.
fn hits_by_cell(samples: &[&Sample]) -> String {
    let mut lines = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.round > 0) {
        let findings: Vec<&str> = sample.findings.iter().map(|f| f.id.as_str()).collect();
        let line = format!(
            "{}/{} from {:?} {findings:?}",
            sample.step_hits(),
            sample.step_count(),
            sample.cache_source
        );
        let known = lines.entry(sample.cell.key().to_string()).or_insert_with(|| line.clone());
        assert_eq!(*known, line, "{} differs between rounds", sample.cell.key());
    }
    lines.iter().map(|(cell, line)| format!("{cell}: {line}\n")).collect()
}

#[tokio::test]
async fn a_failed_step_is_its_samples_and_the_run_goes_on() {
    let place = Place::new();
    let mut plan = plan(&place, 1);
    plan.cells.retain(|cell| cell.strategy == "cold");
    // Operations before the samples: seeding builds and pushes two candidates per builder.
    let seeding = 2 * 2 * 2;
    // The first sample builds, pushes, and exports its image for the proof.
    let fake = Fake::default().fail_at(seeding + 4);
    let outcome = run(&place, &plan, fake, &CancellationToken::new()).await;
    assert_eq!((outcome.ending, outcome.not_ok), (Ending::Complete, 1));
    let published = publish(&place.path("out")).unwrap();
    let all = samples(&published.events);
    assert_eq!(all.len(), plan.cells.len() * 2);
    let failed: Vec<_> = all.iter().filter(|s| s.status == Status::Failed).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].reason.contains("the fake was told to fail"));
    let log = redacted(&place, &format!("logs/{:04}.log", failed[0].sample));
    assert!(log.contains("the fake was told to fail"), "{log}");
}

#[tokio::test]
async fn a_classic_build_that_fails_before_the_samples_says_what_only_buildkit_knows() {
    for (line, advice) in [
        ("RUN --mount=type=cache,target=/c true\n", "builders = [\"buildkit\"]"),
        ("RUN true\n", "The whole log"),
    ] {
        let place = Place::new();
        let mut plan = plan(&place, 1);
        // Nothing but a baseline, so that no tiny build comes before the candidates'.
        plan.cells.retain(|cell| cell.strategy == "cold");
        let dockerfile = &plan.workloads["web"].dockerfile;
        let text = std::fs::read_to_string(dockerfile).unwrap();
        std::fs::write(dockerfile, text + line).unwrap();
        let outcome =
            run(&place, &plan, Fake::default().fail_at(1), &CancellationToken::new()).await;
        assert_eq!(outcome.ending, Ending::Aborted);
        let said = outcome.error.unwrap().to_string();
        assert!(said.contains("with classic failed") && said.contains(advice), "{said}");
        assert_eq!(said.contains("RUN --mount in line"), line.contains("--mount"), "{said}");
    }
}

#[tokio::test]
async fn a_transfer_is_tried_again_as_often_as_the_configuration_says() {
    // After eight operations of seeding, the first sample builds and pushes.
    for (operation, retries, status) in
        [(2, 0, Status::Failed), (2, 1, Status::Ok), (1, 1, Status::Failed)]
    {
        let place = Place::new();
        let mut plan = plan(&place, 1);
        plan.cells.retain(|cell| cell.strategy == "cold");
        plan.limits.retries = retries;
        let fake = Fake::default().fail_at(2 * 2 * 2 + operation);
        run(&place, &plan, fake, &CancellationToken::new()).await;
        let published = publish(&place.path("out")).unwrap();
        let first = samples(&published.events)[0];
        assert_eq!(first.status, status, "{operation} {retries}: {}", first.reason);
        let retried: Vec<_> = first.findings.iter().filter(|f| f.id == "retried").collect();
        assert_eq!(retried.len(), usize::from(status == Status::Ok), "{retried:?}");
        assert!(retried.iter().all(|f| f.detail.contains("the fake was told to fail")));
    }
}

#[tokio::test]
async fn an_image_that_cannot_be_exported_is_not_compared() {
    let place = Place::new();
    let mut plan = plan(&place, 1);
    plan.cells.retain(|cell| cell.strategy == "cold");
    // The warm-up's first sample builds, pushes, and fails to export its image.
    let fake = Fake::default().fail_at(2 * 2 * 2 + 3);
    let outcome = run(&place, &plan, fake, &CancellationToken::new()).await;
    assert_eq!((outcome.ending, outcome.not_ok), (Ending::Complete, 0));
    let published = publish(&place.path("out")).unwrap();
    let found = published.events.iter().filter_map(|event| match event {
        Event::RunFinding { finding } if finding.id == "image-not-compared" => Some(finding),
        _ => None,
    });
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].detail.contains("the fake was told to fail"), "{found:?}");
}

#[tokio::test]
async fn an_interrupted_run_keeps_what_it_has() {
    let place = Place::new();
    let plan = plan(&place, 2);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let listener = move |event: &Event| {
        if matches!(event, Event::SampleFinished { sample } if sample.sample == 10) {
            stop.cancel();
        }
    };
    let outcome = run_and(&place, &plan, Fake::default(), &cancel, &listener).await;
    assert_eq!(outcome.ending, Ending::Interrupted);
    let published = publish(&place.path("out")).unwrap();
    assert_eq!(samples(&published.events).len(), 10);
    assert!(redacted(&place, "report.md").contains("interrupted"));
}

#[tokio::test]
async fn no_sample_begins_after_the_time_budget() {
    let place = Place::new();
    let mut plan = plan(&place, 5);
    plan.cells.retain(|cell| cell.strategy == "cold");
    plan.max_time_s = Some(100.0);
    let outcome = run(&place, &plan, Fake::default(), &CancellationToken::new()).await;
    assert_eq!(outcome.ending, Ending::OutOfTime);
    let published = publish(&place.path("out")).unwrap();
    let count = samples(&published.events).len();
    assert!((1..plan.cells.len() * 6).contains(&count), "{count}");
}

#[test]
fn a_torn_last_line_is_dropped_and_other_damage_is_named() {
    let place = Place::new();
    let plan = plan(&place, 1);
    let out = place.path("out");
    let started = Event::RunStarted { version: 1, run: "r1".to_owned(), at: String::new() };
    let mut journal = Journal::create(&out, &plan).unwrap();
    journal.append(&started).unwrap();
    drop(journal);
    let path = out.join("events.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();

    std::fs::write(&path, format!("{whole}{{\"event\":\"run-en")).unwrap();
    let read = journal::read(&out).unwrap();
    assert!(read.torn);
    assert_eq!(read.events, [started]);

    std::fs::write(&path, format!("{whole}nonsense\n{whole}")).unwrap();
    let error = journal::read(&out).unwrap_err().to_string();
    assert!(error.contains("events.jsonl, line 2"), "{error}");

    std::fs::write(&path, whole.replace("\"version\":1", "\"version\":99")).unwrap();
    let error = journal::read(&out).unwrap_err().to_string();
    assert!(error.contains("version 99"), "{error}");

    let error = Journal::create(&out, &plan).unwrap_err().to_string();
    assert!(error.contains("not empty"), "{error}");
}

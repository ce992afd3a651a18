use super::*;
use crate::engine::BuildOutcome;
use crate::model::plan::{StageLayout, StepLayout};
use crate::model::{BuildStep, Builder, CacheExport, CacheMode, Phase, PhaseRecord, Sources};
use crate::run::job::BuildEvidence;

/// One build of a two-stage workload under BuildKit; what a test changes, it changes here.
struct Case {
    cell: Cell,
    steps: Vec<Step>,
    outcome: BuildOutcome,
    record: JobRecord,
    around: Around,
    left: BTreeMap<ImageRef, Left>,
    dockerfile: String,
    mode: CacheMode,
    stages: Vec<String>,
}

fn image(tag: &str) -> ImageRef {
    ImageRef::new("127.0.0.1:5000/web", tag)
}

fn step(stage: &str, step: u32, hit: bool) -> StepRecord {
    StepRecord {
        build: 0,
        stage: stage.to_owned(),
        step,
        instruction: format!("RUN {stage} {step}"),
        hit,
        duration_s: None,
    }
}

fn case(state: State) -> Case {
    Case {
        cell: Cell {
            workload: "web".to_owned(),
            change: "app".to_owned(),
            availability: "branch".to_owned(),
            strategy: "registry-max".to_owned(),
            builder: Builder::Buildkit,
            link: "unshaped".to_owned(),
            engine: "shared".to_owned(),
            state,
            again: false,
        },
        steps: Vec::new(),
        outcome: BuildOutcome::default(),
        record: JobRecord::default(),
        around: Around::default(),
        left: BTreeMap::new(),
        dockerfile: "FROM a AS builder\nRUN 1\nARG V=1\nRUN 2\nFROM b\nRUN 3\n".to_owned(),
        mode: CacheMode::Max,
        stages: Vec::new(),
    }
}

/// `id: detail` of everything that is noticed.
fn noticed(mut case: Case) -> Vec<String> {
    let build = BuildStep {
        target: None,
        sources: Sources::Caches(vec![image("branch-cache")]),
        tag: image("branch"),
        inline_cache: false,
        export: Some(CacheExport::Registry {
            reference: image("branch-cache"),
            mode: case.mode,
            image_manifest: false,
        }),
    };
    case.steps.push(Step::Build(build.clone()));
    case.record.steps.extend(case.outcome.steps.iter().cloned());
    case.record.builds.push(BuildEvidence {
        step: build,
        sources: Vec::new(),
        local: Vec::new(),
        outcome: case.outcome,
    });
    let run = StepLayout::default();
    let workload = Workload {
        context: "c".into(),
        dockerfile: "d".into(),
        target: None,
        build_args: BTreeMap::new(),
        secret_args: BTreeMap::new(),
        stages: case.stages,
        bases: Vec::new(),
        layout: vec![
            StageLayout {
                name: "builder".to_owned(),
                base_stage: None,
                steps: vec![run.clone(); 2],
                ..StageLayout::default()
            },
            StageLayout {
                name: "1".to_owned(),
                base_stage: None,
                steps: vec![run],
                ..StageLayout::default()
            },
        ],
    };
    let candidate = CandidateFacts {
        name: "branch".to_owned(),
        dockerfile: "FROM a AS builder\nRUN 1\nARG V=1\nRUN 2\nFROM b\nRUN 3\n".to_owned(),
        ..CandidateFacts::default()
    };
    let proof = examine(&Evidence {
        cell: &case.cell,
        steps: &case.steps,
        leaving: &[],
        workload: &workload,
        kept_runner: false,
        record: &case.record,
        candidates: &[&candidate],
        existing: &BTreeSet::new(),
        remote: &BTreeMap::new(),
        left: &case.left,
        attested: &[],
        own: &BTreeMap::new(),
        files: &BTreeMap::new(),
        dockerfile: &case.dockerfile,
        unexplained: &BTreeSet::new(),
        around: &case.around,
    });
    proof.findings.iter().map(|finding| format!("{}: {}", finding.id, finding.detail)).collect()
}

#[test]
fn a_cold_sample_that_had_something_to_start_from() {
    assert_eq!(noticed(case(State::Cold)), Vec::<String>::new());
    let mut with_image = case(State::Cold);
    with_image.around.private = true;
    with_image.around.before.images.insert("sha256:1".to_owned());
    let found = noticed(with_image);
    assert_eq!(found, ["not-cold: 1 images were on the engine of its own before the job"]);
    let mut consulted = case(State::Cold);
    consulted.outcome.imports.push(("127.0.0.1:5000/web:main".to_owned(), None));
    assert_eq!(noticed(consulted), ["not-cold: sources consulted: 127.0.0.1:5000/web:main"]);
    let mut pulled = case(State::Cold);
    pulled.record.phases.push(PhaseRecord {
        seq: 0,
        phase: Phase::Pull,
        operation: "pull".to_owned(),
        reference: "web:main".to_owned(),
        duration_s: 1.0,
        bytes_down: None,
        bytes_up: None,
        requests: None,
        within: false,
    });
    assert_eq!(noticed(pulled), ["not-cold: pull web:main"]);
}

#[test]
fn trap_15_an_import_that_outlasts_the_steps() {
    let mut case = case(State::Populate);
    case.outcome.import_outlasts_steps = true;
    (case.outcome.import_s, case.outcome.steps_s) = (Some(2.0), Some(0.5));
    let found = noticed(case);
    assert_eq!(found, ["import-outlasts-steps: build of tag branch: import 2.0 s, steps 0.5 s"]);
}

#[test]
fn with_every_stage_carried_the_first_missed_step_of_each_is_named() {
    let mut missed = case(State::Steady);
    missed.outcome.steps =
        vec![step("builder", 1, true), step("builder", 2, false), step("1", 1, false)];
    let found = noticed(missed);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("hit-not-fetched: step 1 of stage builder;"), "{found:?}");
    assert!(found[1].contains("stage builder step 2 `RUN builder 2`"), "{found:?}");
    assert!(found[2].contains("stage 1 step 1"), "{found:?}");

    // An argument explains one of them, and what it explains need not hit.
    let mut stamped = case(State::Steady);
    stamped.dockerfile = stamped.dockerfile.replace("V=1", "V=2");
    stamped.outcome.steps =
        vec![step("builder", 1, true), step("builder", 2, false), step("1", 1, true)];
    let found = noticed(stamped);
    let missed: Vec<_> = found.iter().filter(|line| line.starts_with("step-missed")).collect();
    assert_eq!(missed.len(), 1, "{found:?}");
    assert!(missed[0].ends_with("before it stands `ARG V=2`, which was `ARG V=1`"), "{found:?}");

    let mut none = case(State::Steady);
    none.outcome.steps =
        vec![step("builder", 1, false), step("builder", 2, false), step("1", 1, false)];
    assert_eq!(
        noticed(none),
        ["source-without-hit: 3 unchanged steps of carried stages should have hit, none did"]
    );
}

#[test]
fn a_stage_that_is_carried_only_if_it_is_listed_is_told_from_one_that_is() {
    let beside = |stages: &[&str]| {
        let mut again = case(State::Steady);
        again.cell.builder = Builder::Classic;
        again.mode = CacheMode::Min;
        again.stages = stages.iter().map(|&stage| stage.to_owned()).collect();
        again.outcome.steps =
            vec![step("builder", 1, false), step("builder", 2, false), step("1", 1, true)];
        let first = BuildStep {
            target: None,
            sources: Sources::None,
            tag: image("branch-builder"),
            inline_cache: false,
            export: None,
        };
        again.record.builds.push(BuildEvidence {
            step: first,
            sources: Vec::new(),
            local: Vec::new(),
            outcome: again.outcome.clone(),
        });
        let found = noticed(again);
        let of = |id: &str| {
            let line = found.iter().find(|line| line.starts_with(id));
            line.unwrap_or_else(|| panic!("{found:?}")).contains("among the workload's `stages`")
        };
        (of("stage-without-source: stage builder"), of("source-hides-local-cache"))
    };
    assert_eq!(beside(&[]), (true, true));
    assert_eq!(beside(&["builder"]), (false, false));
}

#[test]
fn a_cache_that_stayed_the_same_although_steps_ran_was_not_left() {
    let left = |before: Option<&str>, after: Option<&str>| {
        let mut case = case(State::Populate);
        case.outcome.steps = vec![step("1", 1, false)];
        let of = |digest: Option<&str>| digest.map(str::to_owned);
        let left = Left { before: of(before), after: of(after) };
        case.left.insert(image("branch-cache"), left);
        noticed(case)
    };
    assert_eq!(left(None, Some("a")), Vec::<String>::new());
    assert_eq!(left(Some("a"), Some("b")), Vec::<String>::new());
    for (before, after) in [(None, None), (Some("a"), None), (Some("a"), Some("a"))] {
        let found = left(before, after);
        assert!(found[0].starts_with("cache-not-left"), "{found:?}");
    }
}

#[test]
fn a_clock_that_was_moved_and_heat_are_said() {
    let with = |clock_moved_s, throttled| {
        let mut case = case(State::Cold);
        let noise = Noise { clock_moved_s: Some(clock_moved_s), throttled, ..Noise::default() };
        case.around.noise = Some(noise);
        noticed(case)
    };
    // What keeps a clock in time moves it this little.
    assert_eq!(with(0.4, Some(0)), Vec::<String>::new());
    assert_eq!(with(-3600.0, None), ["clock-moved: 3600.0 s back"]);
    assert_eq!(with(0.6, Some(2)), ["clock-moved: 0.6 s forward", "throttled: 2 times"]);
}

//! Whole runs with Buildah, without a daemon. Buildah and Podman come from `scripts/daemonless.sh`;
//! without them these fail.

use super::harness::{Bed, not_ok, text};
use super::runs::hits_per_stage;
use breakeven::model::{Sample, State, Status};
use std::process::Command;

const CONFIG: &str = r##"
engine = "buildah"

[workload.article]
context = "FIXTURES/article"
dockerfile = "FIXTURES/article/Dockerfile.buildah"

[change.app]
edits = [{ append = "app/serve.sh", text = "# {nonce}\n" }]

[candidate.branch]

[[availability]]
have = ["branch"]

[[availability]]
have = []
"##;

/// Commands and mounts that have to do with a test's folder.
fn at_work(bed: &Bed) -> Vec<String> {
    let folder = bed.path("").display().to_string();
    let processes = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let lines = text(&processes.stdout) + &mounts;
    lines.lines().filter(|line| line.contains(&folder)).map(str::to_owned).collect()
}

#[test]
fn layers_in_a_repository_are_found_by_the_next_build_of_buildah_and_proved() {
    let bed = Bed::new();
    let only = "*/app/branch/*,*/app/none/buildah-layers/*";
    let output = bed.run(CONFIG, &["--rounds", "1", "--seed", "7", "--only", only]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    assert_eq!(bed.leavings(), Vec::<String>::new());
    assert_eq!(at_work(&bed), Vec::<String>::new());

    let samples = bed.samples();
    let of = |strategy: &str, state: State| -> Vec<&Sample> {
        let found: Vec<&Sample> = samples
            .iter()
            .filter(|one| one.cell.strategy == strategy && one.cell.state == state)
            .collect();
        assert!(!found.is_empty(), "{strategy} {state}");
        found
    };
    for sample in &samples {
        assert_eq!(sample.status, Status::Ok, "{}: {}", sample.cell.key(), sample.reason);
    }
    for sample in of("cold", State::Cold).into_iter().chain(of("buildah-layers", State::Populate)) {
        assert!(sample.steps.iter().all(|step| !step.hit), "{}", hits_per_stage(sample));
    }
    let steady = of("buildah-layers", State::Steady);
    let read_only = of("buildah-read-only", State::ReadOnly);
    for sample in steady.into_iter().chain(read_only).chain(of("local", State::Steady)) {
        // What a changed application leaves alone: every RUN and COPY before its own.
        assert_eq!(hits_per_stage(sample), hits(), "{}", sample.cell.key());
        assert_eq!(sample.cache_source, "branch", "{}", sample.cell.key());
    }
    let down = |sample: &Sample| sample.phases.iter().filter_map(|row| row.bytes_down).sum::<u64>();
    for sample in of("buildah-layers", State::Steady) {
        assert!(down(sample) > 8_000_000, "the layers of the dependencies came: {}", down(sample));
    }
}

/// Of `Dockerfile.buildah` with another application.
fn hits() -> String {
    "builder 3/3 1 1/2".to_owned()
}

#[test]
fn clean_ends_the_build_of_a_killed_run_and_ctrl_c_leaves_nothing() {
    let bed = Bed::new();
    let options = ["--rounds", "1", "--only", "*/app/branch/buildah-layers/*"];
    let mut running = bed.start(CONFIG, &options);
    assert!(running.wait_for("sample 1:"), "{}", running.seen);
    assert!(running.wait_for("phase build"), "{}", running.seen);
    running.signal("-KILL");
    running.end();
    let cleaned = bed.clean();
    assert!(cleaned.status.success(), "{}", text(&cleaned.stderr));
    assert_eq!(bed.leavings(), Vec::<String>::new());
    assert_eq!(at_work(&bed), Vec::<String>::new());

    std::fs::remove_dir_all(bed.path("out")).unwrap();
    let mut running = bed.start(CONFIG, &options);
    assert!(running.wait_for("phase build"), "{}", running.seen);
    running.signal("-INT");
    assert_eq!(running.end(), Some(130), "{}", running.seen);
    assert_eq!(bed.leavings(), Vec::<String>::new());
    assert_eq!(at_work(&bed), Vec::<String>::new());
}

//! Resuming and repeating on the real engine: what changed is refused by name, or said.

use super::harness::{Bed, Running, assert_as_before, holdings, text};
use super::lab::{TINY, tiny};
use breakeven::model::{Sample, Status};
use breakeven::run::journal;
use std::path::Path;
use std::process::Output;

const ONLY: [&str; 4] = ["--rounds", "2", "--only", "*/app/*/cold/*/*/*"];

fn workload(bed: &Bed) {
    let dockerfile = "FROM breakeven-fixture-base:1\nCOPY app ./\nRUN echo SALT > /salt\n";
    tiny(bed, &[("Dockerfile", dockerfile), ("app", "SALT\n")]);
}

/// One cell and its A/A cell.
const TWICE: [&str; 4] = ["--rounds", "3", "--only", "*/app/*/cold/classic/*/*"];

/// Stops a run in its third sample.
fn stopped(bed: &Bed) {
    let mut running: Running = bed.start(&format!("aa = true\n{TINY}"), &TWICE);
    assert!(running.wait_for("sample 3:"), "{}", running.seen);
    running.signal("-INT");
    assert_eq!(running.end(), Some(130), "{}", running.seen);
}

fn resume(bed: &Bed) -> Output {
    bed.breakeven().args(["run", "--resume", "out"]).output().unwrap()
}

fn order(samples: &[Sample]) -> Vec<(u32, u32, String)> {
    samples.iter().map(|s| (s.round, s.position, s.cell.key().0)).collect()
}

#[test]
fn a_run_goes_on_only_if_it_would_measure_the_same() {
    let bed = Bed::new();
    let before = holdings();
    workload(&bed);
    stopped(&bed);
    let journal_path = bed.path("out/events.jsonl");
    let bytes = std::fs::read(&journal_path).unwrap();

    // Each of these is one thing that is not as it was.
    let changes: [(&str, &str, &str, &str); 5] = [
        ("tiny/app", "", "more\n", "workload tiny: was "),
        ("tiny/Dockerfile", "RUN echo", "RUN echo again", "workload tiny: was "),
        (
            "breakeven.toml",
            "[change.app]",
            "[limits]\nbuild = \"1m\"\n[change.app]",
            "limits.build_s: was 1800.0, is 60.0",
        ),
        ("out/plan.json", "\"breakeven\": \"", "\"breakeven\": \"9", "breakeven: was 9"),
        (
            "out/plan.json",
            "\"engine version\": \"",
            "\"engine version\": \"9",
            "engine version: was 9",
        ),
    ];
    for (file, find, with, told) in changes {
        let path = bed.path(file);
        let was = std::fs::read_to_string(&path).unwrap();
        let is = if find.is_empty() { format!("{was}{with}") } else { was.replace(find, with) };
        assert_ne!(was, is, "{file}");
        std::fs::write(&path, is).unwrap();
        let output = resume(&bed);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}: {stderr}");
        assert!(stderr.contains(told) && stderr.contains("breakeven repeat"), "{told}: {stderr}");
        assert_eq!(std::fs::read(&journal_path).unwrap(), bytes, "{told}: nothing is written");
        std::fs::write(&path, was).unwrap();
    }
    let options = [&["--rounds", "5"][..], &["--seed", "1"], &["--out", "x"], &["breakeven.toml"]];
    for option in options {
        let mut command = bed.breakeven();
        let output = command.args(["run", "--resume", "out"]).args(option).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{option:?}: {}", text(&output.stderr));
    }

    // The configuration may be gone: the plan is what counts.
    std::fs::remove_file(bed.path("breakeven.toml")).unwrap();
    let output = resume(&bed);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("resumed once"), "{}", text(&output.stdout));
    let samples = bed.samples();
    let (interrupted, finished): (Vec<_>, Vec<_>) =
        samples.iter().partition(|sample| sample.status == Status::Interrupted);
    assert_eq!(finished.len(), 8, "a cell and its A/A cell, four rounds");
    let again = finished.iter().filter(|sample| sample.cell.again).count();
    assert_eq!(again, 4, "it is the same cell after as before");
    assert!(
        text(&output.stdout).contains("measured twice in 3 rounds"),
        "{}",
        text(&output.stdout)
    );
    assert!(interrupted.len() <= 1, "{interrupted:?}");
    let now = std::fs::read(&journal_path).unwrap();
    assert_eq!(now[..bytes.len()], bytes);
    let again = resume(&bed);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains("nothing is left to do"), "{}", text(&again.stderr));
    assert_eq!(std::fs::read(&journal_path).unwrap(), now);
    assert_as_before(&before, "after it went on");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

#[test]
fn a_repeated_run_is_a_new_one_of_the_same_plan_and_says_what_differs() {
    let bed = Bed::new();
    let before = holdings();
    workload(&bed);
    let output = bed.run(TINY, &ONLY);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let first = bed.samples();
    std::fs::write(bed.path("tiny/app"), format!("{} more\n", bed.salt())).unwrap();
    let repeated = bed.breakeven().args(["repeat", "out", "--out", "again"]).output().unwrap();
    let stderr = text(&repeated.stderr);
    assert_eq!(repeated.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("note: workload tiny: was "), "{stderr}");
    let second = super::harness::samples(&bed.path("again"));
    assert_eq!(order(&second), order(&first));
    let plan = |out: &str| journal::read_plan(&bed.path(out)).unwrap();
    let (was, is) = (plan("out"), plan("again"));
    assert_eq!(was.seed, is.seed);
    assert_ne!(was.run, is.run);
    assert_eq!(bed.samples(), first, "the earlier run is only read");
    let nowhere = bed.breakeven().args(["repeat", "nowhere"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2), "{}", text(&nowhere.stderr));
    assert!(!Path::new("nowhere").exists());
    assert_as_before(&before, "after both");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

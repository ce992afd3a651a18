//! Runs of a history in `compare` and `check`.

use crate::made::{command, night, run, said, write};
use crate::support::slow;
use breakeven::model::Event;
use std::fs;
use std::path::Path;

/// Twelve nights in a history, and a run after them whose jobs take this many times as long.
async fn nights(dir: &Path, factor: f64) {
    fs::create_dir(dir.join("h")).unwrap();
    let place = dir.join("h");
    for number in 0..12 {
        night(place.to_str().unwrap(), number, 1.0, |_| ()).await;
    }
    let new = run("tonight", |sample| slow(sample, factor));
    write(&new, &dir.join("tonight"));
}

const RULES: &str = "baseline = \"h#last:10\"\n[[rule]]\nkind = \"regression\"\nat_most = 0.1\n";

#[tokio::test]
async fn a_run_is_held_against_the_last_ones_together() {
    for (factor, code) in [(1.0, 0), (1.5, 5)] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        nights(dir, factor).await;
        let args = ["compare", "h#last:10", "tonight"];
        let [out, _] = said(command(dir, &args).output().unwrap(), 0);
        assert!(out.contains("the last 10 runs of h") && out.contains("10, 5"), "{out}");
        fs::write(dir.join("rules.toml"), RULES).unwrap();
        let [out, _] = said(command(dir, &["check", "tonight"]).output().unwrap(), code);
        let wanted = if code == 0 { "no difference shown" } else { "slower" };
        assert!(out.contains(wanted), "{out}");
    }
}

#[tokio::test]
async fn too_few_and_other_machines_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    nights(dir, 1.0).await;
    let mut other = run("elsewhere", |_| ());
    let processor = "Intel Xeon, 4 cores".to_owned();
    other.plan.facts.insert("machine processor".to_owned(), processor);
    write(&other, &dir.join("elsewhere"));
    let [_, told] = said(command(dir, &["compare", "h#last:10", "elsewhere"]).output().unwrap(), 2);
    assert!(told.contains("0 are comparable on this machine model"), "{told}");
    let across = ["compare", "h#last:10", "elsewhere", "--across"];
    let [out, _] = said(command(dir, &across).output().unwrap(), 0);
    assert!(out.contains("machine processor: was AMD EPYC, 2 cores"), "{out}");
    fs::write(dir.join("rules.toml"), RULES).unwrap();
    let [out, _] = said(command(dir, &["check", "elsewhere"]).output().unwrap(), 0);
    assert!(out.contains("skip") && out.contains("not comparable"), "{out}");
    let [_, told] = said(command(dir, &["compare", "h#nobody", "tonight"]).output().unwrap(), 2);
    assert!(told.contains("there is no run nobody"), "{told}");
}

#[test]
fn a_run_out_of_a_history_is_that_of_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("h")).unwrap();
    for name in ["a", "b"] {
        write(&run(name, |_| ()), &dir.join(name));
        said(command(dir, &["history", "add", name, "--to", "h"]).output().unwrap(), 0);
    }
    let of = |base: &str, new: &str| {
        said(command(dir, &["compare", base, new, "--format", "json"]).output().unwrap(), 0)[0]
            .clone()
    };
    assert_eq!(of("h#a", "h#b"), of("a", "b"));
}

#[test]
fn the_last_one_is_the_last_before_the_run_and_never_the_run_itself() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("h")).unwrap();
    write(&run("tonight", |sample| slow(sample, 1.5)), &dir.join("tonight"));
    said(command(dir, &["history", "add", "tonight", "--to", "h"]).output().unwrap(), 0);
    fs::write(dir.join("rules.toml"), RULES.replace("last:10", "last")).unwrap();
    // The first night: there is nothing to compare with, and that is no fault.
    let [out, _] = said(command(dir, &["check", "tonight"]).output().unwrap(), 0);
    assert!(out.contains("skip: nothing to compare with yet"), "{out}");
    let [_, told] = said(command(dir, &["compare", "h#last", "tonight"]).output().unwrap(), 2);
    assert!(told.contains("no run of that history started before it"), "{told}");
    // One night later.
    let mut before = run("yesterday", |_| ());
    for event in &mut before.events {
        if let Event::RunStarted { at, .. } = event {
            *at = "2026-01-01T03:00:00Z".to_owned();
        }
    }
    write(&before, &dir.join("yesterday"));
    said(command(dir, &["history", "add", "yesterday", "--to", "h"]).output().unwrap(), 0);
    let [out, _] = said(command(dir, &["check", "tonight"]).output().unwrap(), 5);
    assert!(out.contains("slower"), "{out}");
    let [out, _] = said(command(dir, &["compare", "h#last", "tonight"]).output().unwrap(), 0);
    assert!(out.contains("slower") && !out.contains("the same run"), "{out}");
    // Named outright, the run itself is no baseline: such a rule could never fail.
    let itself = ["check", "tonight", "--baseline", "h#tonight"];
    let [out, _] = said(command(dir, &itself).output().unwrap(), 2);
    assert!(out.contains("h#tonight is the run itself"), "{out}");
}

#[tokio::test]
async fn several_runs_are_a_baseline_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    nights(dir, 1.0).await;
    fs::write(dir.join("rules.toml"), RULES).unwrap();
    for args in [&["compare", "tonight", "h#last:10"][..], &["check", "h#last:10"]] {
        let [out, told] = said(command(dir, args).output().unwrap(), 2);
        assert!(out.is_empty() && told.contains("h#last:10 names several runs"), "{told}");
    }
    let [_, told] = said(command(dir, &["compare", "h#last:4", "tonight"]).output().unwrap(), 2);
    assert!(told.contains("Ask for 5 or more") && !told.contains("--across"), "{told}");
}

#[tokio::test]
async fn a_rule_says_what_it_needs_and_what_it_was_asked_across() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    nights(dir, 1.5).await;
    let mut other = run("elsewhere", |sample| slow(sample, 1.5));
    let processor = "Intel Xeon, 4 cores".to_owned();
    other.plan.facts.insert("machine processor".to_owned(), processor);
    write(&other, &dir.join("elsewhere"));
    fs::write(dir.join("rules.toml"), RULES).unwrap();
    let [out, _] = said(command(dir, &["check", "elsewhere"]).output().unwrap(), 0);
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.contains("`across = true` compares all the same"), "{out}");
    fs::write(dir.join("rules.toml"), format!("{RULES}across = true\n")).unwrap();
    let [out, _] = said(command(dir, &["check", "elsewhere"]).output().unwrap(), 5);
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.contains("other conditions, so that it is a difference of all this"), "{out}");
    assert!(out.contains("machine processor: was AMD EPYC, 2 cores, is Intel Xeon"), "{out}");
}

#[tokio::test]
async fn a_repository_that_changes_is_compared_across_its_content_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    nights(dir, 1.0).await;
    let mut changed = run("changed", |sample| slow(sample, 1.5));
    for workload in changed.plan.workloads.values_mut() {
        workload.stages.push("another".to_owned());
    }
    write(&changed, &dir.join("changed"));
    changed.plan.run = "elsewhere".to_owned();
    let processor = "Intel Xeon, 4 cores".to_owned();
    changed.plan.facts.insert("machine processor".to_owned(), processor);
    for event in &mut changed.events {
        if let Event::RunStarted { run, .. } = event {
            "elsewhere".clone_into(run);
        }
    }
    write(&changed, &dir.join("elsewhere"));
    for base in ["h#last:10", "h#last"] {
        for (new, across, code) in [
            ("changed", None, 2),
            ("changed", Some("--across=content"), 0),
            ("changed", Some("--across"), 0),
            ("elsewhere", Some("--across=content"), 2),
            ("elsewhere", Some("--across=everything"), 0),
        ] {
            let args: Vec<&str> = ["compare", base, new].into_iter().chain(across).collect();
            let [out, told] = said(command(dir, &args).output().unwrap(), code);
            let named = if code == 0 { out } else { told };
            assert!(named.contains("another") || new == "elsewhere", "{args:?} {named}");
        }
    }
    fs::write(dir.join("rules.toml"), format!("{RULES}across = \"contents\"\n")).unwrap();
    let [_, told] = said(command(dir, &["check", "changed"]).output().unwrap(), 2);
    assert!(told.contains("did you mean `content`"), "{told}");
    fs::write(dir.join("rules.toml"), format!("{RULES}across = 1\n")).unwrap();
    let [_, told] = said(command(dir, &["check", "changed"]).output().unwrap(), 2);
    assert!(told.contains("allowed: `true` or `false`, or one of `content`"), "{told}");
    fs::write(dir.join("rules.toml"), format!("{RULES}across = \"content\"\n")).unwrap();
    for (new, code, words) in [("changed", 5, "other conditions"), ("elsewhere", 0, "skip")] {
        let [out, _] = said(command(dir, &["check", new]).output().unwrap(), code);
        let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(out.contains(words) && out.contains("across = \"content\""), "{out}");
    }
}

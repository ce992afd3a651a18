//! Runs of a history in `compare` and `check`.

use crate::made::{command, night, run, said, write};
use crate::support::slow;
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

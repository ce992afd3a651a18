//! Whole runs on an engine of their own, with a registry behind a shaped link. The image of the
//! engine comes from `scripts/engine-image.sh`; without it these fail.

use super::harness::{ARTICLE, Bed, assert_as_before, holdings, not_ok, samples, text};
use super::lab::details;
use super::runs::hits_per_stage;
use breakeven::model::{DeployPull, Event, Phase, Status};
use breakeven::run::journal;
use std::collections::BTreeSet;
use std::time::Duration;

/// The pulls of final images that a run recorded.
fn deploys(bed: &Bed) -> Vec<DeployPull> {
    let events = journal::read(&bed.path("out")).unwrap().events;
    let pull = |event| match event {
        Event::DeployPulled { pull } => Some(*pull),
        _ => None,
    };
    events.into_iter().filter_map(pull).collect()
}

/// What the plain docker client meets as well: on this store the classic builder of 26.1 cannot take an
/// ARG from a source ("failed to restore cached image"), and BuildKit does not take a loaded image.
const MODERN: &str = r#"
[engine]
kind = "private"
image = "breakeven-engine:modern"
store = "containerd"
"#;

#[test]
fn every_strategy_hits_what_it_can_on_a_modern_engine_with_the_containerd_store() {
    let bed = Bed::new();
    let before = holdings();
    let config = format!("{MODERN}{ARTICLE}");
    let only = ["--rounds", "1", "--seed", "5", "--only", "*/app/*"];
    let output = bed.run(&config, &only);
    assert_as_before(&before, "after the run");
    assert_eq!(bed.leavings(), Vec::<String>::new());

    let mut seen = std::collections::BTreeMap::new();
    for sample in bed.samples() {
        let cell = &sample.cell;
        // Whether the machine was left alone is no matter of the strategy.
        let ids = sample.findings.iter().map(|finding| finding.id.as_str());
        let findings: Vec<&str> = ids.filter(|id| *id != "other-work").collect();
        let line = format!(
            "{} | {} | from {:?} | {}",
            sample.status,
            hits_per_stage(&sample),
            sample.cache_source,
            findings.join(" ")
        );
        seen.insert(format!("{} {}", cell.strategy, cell.builder), line);
    }
    let mut lines: String = seen.iter().map(|(key, line)| format!("{key}: {line}\n")).collect();
    for event in journal::read(&bed.path("out")).unwrap().events {
        if let Event::Unsupported(found) = event {
            // What follows has an address that is another one each time.
            let reason = found.reason.split(": failed to").next().unwrap_or_default();
            lines += &format!("unsupported: {}: {reason}\n", found.what);
        }
    }
    insta::assert_snapshot!("hits_on_a_private_engine", lines);
    // What is known of the engine that it was made on says nothing about it.
    for known in details(&bed, "known-bad-engine") {
        assert!(known.starts_with("engine private, 26."), "{known}");
    }
    assert!([Some(0), Some(4)].contains(&output.status.code()), "{}", not_ok(&output));
}

#[test]
fn a_private_engine_of_a_killed_run_is_removed_by_clean() {
    let bed = Bed::new();
    let before = holdings();
    let config = format!("{MODERN}{ARTICLE}");
    for phase in ["build", "push"] {
        let options = ["--rounds", "1", "--only", "*/app/*/registry-max/*"];
        let mut running = bed.start(&config, &options);
        assert!(running.wait_for("sample 1:"), "{}", running.seen);
        assert!(running.wait_for(&format!("phase {phase}")), "{}", running.seen);
        running.signal("-KILL");
        assert_eq!(running.end(), None, "{phase} ended before it was killed");
        let cleaned = bed.clean();
        assert_eq!(cleaned.status.code(), Some(0), "{phase}: {}", text(&cleaned.stderr));
        assert_as_before(&before, &format!("killed in {phase}"));
        assert_eq!(bed.leavings(), Vec::<String>::new(), "killed in {phase}");
        std::fs::remove_dir_all(bed.path("out")).unwrap();
    }
}

#[test]
fn an_interrupted_run_leaves_no_private_engine() {
    let bed = Bed::new();
    let before = holdings();
    let options = ["--rounds", "1", "--only", "*/app/*/registry-max/*"];
    let mut running = bed.start(&format!("{MODERN}{ARTICLE}"), &options);
    assert!(running.wait_for("phase build"), "{}", running.seen);
    std::thread::sleep(Duration::from_millis(100));
    running.signal("-INT");
    assert_eq!(running.end(), Some(130), "{}", running.seen);
    assert_as_before(&before, "after the interruption");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

#[test]
fn a_slow_link_takes_its_time_and_its_bytes_are_counted() {
    let bed = Bed::new();
    let before = holdings();
    let links = "[link.slow]\ndown = \"40Mbit\"\nup = \"40Mbit\"\nrtt = \"5ms\"\n[link.fast]\n";
    let config = format!("{ARTICLE}{links}");
    let only = "*/app/*/pull-stages/*,*/app/*/save-load-stages/classic/*,*/app/*/cold/classic/*";
    let output = bed.run(&config, &["--rounds", "1", "--only", only]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    for sample in samples(&bed.path("out")) {
        assert_eq!(sample.status, Status::Ok, "{}", sample.reason);
        let slow = sample.cell.link == "slow";
        for row in sample.phases.iter().filter(|row| !row.within) {
            let moved = row.bytes_down.unwrap_or(0) + row.bytes_up.unwrap_or(0);
            match row.phase {
                Phase::Pull | Phase::Push => assert!(row.requests > Some(0), "{row:?}"),
                Phase::Fetch | Phase::Store => {
                    assert!(row.operation.contains("missing") || moved > 0)
                }
                _ => {}
            }
            // What a line carries in a second bounds the time from below, whatever the machine.
            let least_s = if slow { 8.0 * moved as f64 / 40e6 * 0.9 } else { 0.0 };
            assert!(row.duration_s >= least_s, "{row:?}");
        }
        let pulled = sample.phases.iter().filter(|row| row.phase == Phase::Pull);
        let bytes: u64 = pulled.filter_map(|row| row.bytes_down).sum();
        let carries = sample.cell.strategy == "pull-stages";
        assert_eq!(bytes > 2_000_000, carries, "{}: {bytes}", sample.cell.key());
    }
    let pulls = deploys(&bed);
    let links: BTreeSet<&str> = pulls.iter().map(|pull| pull.link.as_str()).collect();
    assert_eq!((pulls.len(), links), (2, BTreeSet::from(["fast", "slow"])));
    for pull in pulls {
        let (seconds, bytes) = (pull.duration_s.unwrap(), pull.bytes_down.unwrap());
        let least_s = if pull.link == "slow" { 8.0 * bytes as f64 / 40e6 * 0.9 } else { 0.0 };
        assert!(bytes > 1_000_000 && seconds >= least_s, "{pull:?}");
        // It is the user's, and stays.
        assert_eq!(pull.present, ["breakeven-fixture-base:1"]);
    }
    assert_as_before(&before, "after the run");
}

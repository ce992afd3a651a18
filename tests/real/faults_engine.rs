//! An engine that is stopped and started again in the middle of a phase, and one whose disk is
//! full.

use super::harness::{ARTICLE, Bed, assert_as_before, holdings, text};
use super::inner::Inner;
use breakeven::model::{Sample, Status, sample};

fn finished(samples: &[Sample]) -> usize {
    samples.iter().filter(|sample| sample.status == Status::Ok).count()
}

/// Every phase that needs the engine; each takes many seconds, so that without
/// `BREAKEVEN_TEST_FAULTS=all` one has to do.
fn phases(all: &[&'static str]) -> Vec<&'static str> {
    match std::env::var("BREAKEVEN_TEST_FAULTS") {
        Ok(_) => all.to_vec(),
        Err(_) => vec!["load"],
    }
}

#[test]
fn an_engine_that_is_stopped_in_any_phase_ends_the_run_which_then_goes_on() {
    let bed = Bed::new();
    let before = holdings();
    let inner = Inner::start(&bed, None);
    let held = inner.holds();
    let config = format!("{ARTICLE}\n{}", inner.config());
    let only = "*/app/*/pull/classic/*/*,*/app/*/save-load/classic/*/*";
    let mut known = Vec::new();
    // Each stop takes two samples or a few more.
    let phases = phases(&["pull", "build", "save", "load", "push"]);
    let cells_each = 2 * phases.len() + 2;
    let rounds = (cells_each - 1).to_string();
    for (number, phase) in phases.into_iter().enumerate() {
        let mut running = match number {
            0 => bed.start(&config, &["--rounds", &rounds, "--only", only]),
            _ => bed.resume(),
        };
        // One sample is measured to its end each time; the phase is one of a later sample.
        assert!(running.wait_for(" ok "), "{phase}: {}", running.seen);
        assert!(running.wait_for(&format!("phase {phase}")), "{phase}: {}", running.seen);
        inner.stop();
        assert_eq!(running.end(), Some(3), "{phase}: {}", running.seen);
        let samples = bed.samples();
        assert_eq!(samples[..known.len()], known, "{phase}: what was recorded stays");
        let fails = samples[known.len()..].iter().filter(|s| s.status == Status::Failed);
        assert_eq!(fails.count(), 1, "{phase}: one sample is lost, and it says so");
        inner.again();
        known = samples;
    }
    let output =
        bed.breakeven().args(["run", "--resume", "out", "--retry-failed"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let samples = bed.samples();
    let stand = sample::standing(&samples);
    assert_eq!(stand.len(), 2 * cells_each, "two cells");
    assert!(stand.iter().all(|sample| sample.status == Status::Ok));
    assert_eq!(finished(&samples), stand.len(), "nothing is measured twice");
    assert_eq!(inner.holds(), held);
    assert_eq!(bed.leavings(), Vec::<String>::new());
    inner.remove();
    assert_as_before(&before, "after the engine is gone");
}

#[test]
fn a_full_disk_under_the_engine_fails_samples_until_there_is_room() {
    let bed = Bed::new();
    let before = holdings();
    let inner = Inner::start(&bed, Some("64m"));
    let held = inner.holds();
    let config = format!("{ARTICLE}\n{}", inner.config());
    let only = "*/deps/*/pull/*,*/deps/*/save-load/classic/*,*/deps/*/inline/*";
    let phases = phases(&["pull", "load", "build"]);
    let fails = phases.len();
    // More than are needed: a phase may be over before the disk is full.
    let rounds = (fails + 2).to_string();
    let mut running = bed.start(&config, &["--rounds", &rounds, "--only", only]);
    for phase in phases {
        assert!(running.wait_for(" ok "), "{phase}: {}", running.seen);
        assert!(running.wait_for("sample "), "{phase}: {}", running.seen);
        assert!(running.wait_for(&format!("phase {phase}")), "{phase}: {}", running.seen);
        inner.fill();
        assert!(running.wait_for(" failed"), "{phase}: {}", running.seen);
        inner.free();
    }
    assert_eq!(running.end(), Some(4), "{}", running.seen);
    let samples = bed.samples();
    assert_eq!(samples.len(), 3 * (fails + 3), "three cells");
    let failed = samples.iter().filter(|sample| sample.status == Status::Failed).count();
    // The next one may have begun before there was room.
    assert!(failed >= fails, "{failed} of {fails}");
    for sample in samples {
        let told = format!("{}: {} {}", sample.cell.key(), sample.status, sample.reason);
        match sample.status {
            Status::Ok => {}
            Status::Failed => assert!(sample.reason.contains("o space left on device"), "{told}"),
            _ => panic!("{told}"),
        }
    }
    assert_eq!(inner.holds(), held);
    assert_eq!(bed.leavings(), Vec::<String>::new());
    inner.remove();
    assert_as_before(&before, "after the engine is gone");
}

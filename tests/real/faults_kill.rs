//! Ended at random moments by SIGKILL, SIGINT and SIGTERM, and resumed: nothing is lost, nothing is
//! measured twice, nothing is left.

use super::harness::{Bed, assert_as_before, holdings, samples, text};
use super::lab::{TINY, tiny};
use breakeven::model::sample::standing;
use breakeven::model::{Event, Status};
use breakeven::run::journal;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Which moments: more by `BREAKEVEN_TEST_KILLS=100`, a part of them by `BREAKEVEN_TEST_KILLS=25-50`.
fn moments() -> Range<u64> {
    let given = std::env::var("BREAKEVEN_TEST_KILLS").unwrap_or_else(|_| "8".to_owned());
    let (from, to) = given.split_once('-').unwrap_or(("0", &given));
    let number = |text: &str| text.parse().expect("BREAKEVEN_TEST_KILLS is a number or two");
    number(from)..number(to)
}

const ONLY: &str = "*/app/*/cold/*/*/*,*/app/*/pull/*/*/*,*/app/*/inline/*/*/*";

/// Starts the run, or goes on with it.
fn command(bed: &Bed, config: &Path) -> Command {
    let mut command = bed.breakeven();
    command.arg("run").stdout(Stdio::null()).stderr(Stdio::piped());
    match bed.path("out").exists() {
        true => command.args(["--resume", "out"]),
        false => command.arg(config).args(["--out", "out", "--rounds", "3", "--only", ONLY]),
    };
    command
}

/// Events that are in the journal; none where the run was ended before it had one.
fn recorded(bed: &Bed) -> Vec<Event> {
    match bed.path("out/plan.json").exists() {
        true => journal::read(&bed.path("out")).unwrap().events,
        false => Vec::new(),
    }
}

#[test]
fn a_run_that_is_ended_at_random_moments_loses_nothing_and_goes_on() {
    let bed = Bed::new();
    let dockerfile = "FROM breakeven-fixture-base:1\nRUN echo SALT > /salt\nCOPY app ./\n";
    tiny(&bed, &[("Dockerfile", dockerfile), ("app", "SALT\n")]);
    let config = bed.config(TINY);
    let before = holdings();
    let mut completed = 0;
    for moment in moments() {
        // Each by itself, so that parts are parts of the same whole.
        let mut generator = ChaCha8Rng::seed_from_u64(5);
        generator.set_stream(moment);
        let known = recorded(&bed);
        let signal = ["-KILL", "-INT", "-TERM"][generator.random_range(0..3)];
        let cleans = generator.random_range(0..2) == 0;
        let wait = Duration::from_millis(generator.random_range(0..5000));
        let told = format!("moment {moment}, {signal} after {wait:?}");
        let mut child = command(&bed, &config).spawn().unwrap();
        let began = Instant::now();
        let mut ended = None;
        while ended.is_none() && began.elapsed() < wait {
            std::thread::sleep(Duration::from_millis(5));
            ended = child.try_wait().unwrap();
        }
        if ended.is_none() {
            let pid = child.id().to_string();
            assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        }
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        let stderr = text(&stderr);
        match (status.code(), signal) {
            // It came to its end before, or a signal came before anything listened to it.
            (Some(0), _) => {}
            (None, _) if signal == "-KILL" || recorded(&bed).len() == known.len() => {}
            (Some(130), "-INT" | "-TERM") => {}
            (code, _) => panic!("{told}: {code:?} {stderr}"),
        }
        let now = recorded(&bed);
        assert_eq!(now[..known.len()], known, "{told}: what was recorded stays");
        if !bed.path("out/plan.json").exists() {
            let _ = std::fs::remove_dir_all(bed.path("out"));
        }
        if signal == "-KILL" && cleans {
            let cleaned = bed.clean();
            assert_eq!(cleaned.status.code(), Some(0), "{told}: {}", text(&cleaned.stderr));
        }
        if status.code() == Some(0) {
            assert_whole(&bed, &told);
            completed += 1;
            std::fs::remove_dir_all(bed.path("out")).unwrap();
        }
    }
    let output = command(&bed, &config).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_whole(&bed, "at the end");
    assert_as_before(&before, &format!("after moments {:?}, {completed} whole runs", moments()));
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

/// Every cell has one sample in every round, and all of them are ok.
fn assert_whole(bed: &Bed, told: &str) {
    let all = samples(&bed.path("out"));
    let stand = standing(&all);
    let places: BTreeSet<_> = stand.iter().map(|s| (s.round, s.cell.key())).collect();
    let cells: BTreeSet<_> = stand.iter().map(|s| s.cell.key()).collect();
    assert_eq!((places.len(), stand.len()), (cells.len() * 4, cells.len() * 4), "{told}");
    for sample in &all {
        let fine = matches!(sample.status, Status::Ok | Status::Interrupted);
        assert!(fine, "{told}: {} {}: {}", sample.cell.key(), sample.status, sample.reason);
    }
    let finished = all.iter().filter(|sample| sample.status == Status::Ok).count();
    assert_eq!(finished, stand.len(), "{told}: nothing is measured twice");
}

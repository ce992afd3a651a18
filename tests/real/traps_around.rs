//! Traps around a job, and images that are not what they should be: sprung on the real engine.

use super::harness::{Bed, IMPORTED, assert_as_before, docker, holdings, import, text};
use super::lab::{Scene, TINY, assert_all_ok, assert_found, details, tiny};
use breakeven::model::{Event, Phase, Status};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Build cache records on the engine.
fn records() -> BTreeSet<String> {
    let record = |line: String| line.strip_prefix("build cache record ").map(str::to_owned);
    holdings().into_iter().filter_map(record).collect()
}

/// Every image on the engine, intermediate ones included.
fn images() -> BTreeSet<String> {
    docker(&["images", "-aq", "--no-trunc"]).lines().map(str::to_owned).collect()
}

/// Removes build cache records of this test's own.
fn prune(ids: &BTreeSet<String>) {
    for id in ids {
        docker(&["builder", "prune", "-af", "--filter", &format!("id=^{id}$")]);
    }
}

/// Builds with BuildKit as a user does, and keeps the build cache alone; returns the records that
/// this made.
fn users_build(bed: &Bed, dockerfile: &str) -> BTreeSet<String> {
    let before = records();
    let folder = bed.path("users");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("Dockerfile"), dockerfile.replace("SALT", &bed.salt())).unwrap();
    let home = bed.path("buildx");
    let program = std::env::var_os("BREAKEVEN_BUILDX").map_or_else(
        || std::env::home_dir().unwrap().join(".local/share/breakeven/cli-plugins/docker-buildx"),
        Into::into,
    );
    let built = Command::new(program)
        .args(["build", "--builder", "default", "--provenance=false", "--target", "made"])
        .arg("--iidfile")
        .arg(bed.path("made"))
        .arg(&folder)
        .env("BUILDX_CONFIG", home)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    docker(&["rmi", std::fs::read_to_string(bed.path("made")).unwrap().trim()]);
    &records() - &before
}

#[test]
fn trap_23_a_base_tag_that_moves_between_samples() {
    let bed = Bed::new();
    import();
    let base = format!("breakeven-test-moving:{}", std::process::id());
    docker(&["tag", "breakeven-fixture-base:1", &base]);
    let before = holdings();
    tiny(&bed, &[("Dockerfile", &format!("FROM {base}\nCOPY app /SALT\n")), ("app", "1")]);
    let (jobs, moving) = (AtomicU32::new(0), base.clone());
    let meddle = Box::new(move |_: &str| {
        if jobs.fetch_add(1, Ordering::SeqCst) == 1 {
            docker(&["tag", IMPORTED, &moving]);
        }
    });
    let scene = Scene::of(TINY, "*/app/*/cold/classic/*/*");
    let samples = Scene { meddle, ..scene }.play(&bed);
    docker(&["tag", "breakeven-fixture-base:1", &base]);
    let after = holdings();
    docker(&["rmi", &base, IMPORTED]);
    assert_eq!(samples[0].status, Status::Ok, "{}", samples[0].reason);
    assert_eq!(samples[1].status, Status::Invalid);
    assert!(samples[1].reason.starts_with("base-moved"), "{}", samples[1].reason);
    assert_found(&bed, "base-moved", &base);
    assert_eq!(after, before);
}

#[test]
fn trap_24_a_step_that_gives_other_bytes_each_time() {
    let bed = Bed::new();
    let before = holdings();
    let dockerfile = "FROM breakeven-fixture-base:1\nRUN echo SALT > /salt\n\
                      RUN cat /proc/sys/kernel/random/uuid > /id\nCOPY app /\n";
    tiny(&bed, &[("Dockerfile", dockerfile), ("app", "1")]);
    let only = "*/app/*/cold/*/*/*,*/app/*/pull/classic/*/*,*/app/*/inline/buildkit/*/*";
    let samples = Scene::of(TINY, only).play(&bed);
    assert_all_ok(&samples);
    for builder in ["classic", "buildkit"] {
        let details = details(&bed, "step-not-reproducible");
        let of_builder = |detail: &&String| detail.contains(&format!(", {builder} on shared: "));
        let found = details.iter().find(of_builder).unwrap_or_else(|| panic!("{details:?}"));
        assert!(found.contains("random/uuid") && !found.contains("/salt"), "{found}");
    }
    assert_eq!(details(&bed, "image-differs"), Vec::<String>::new());
    assert_as_before(&before, "trap 24");
}

#[test]
fn an_image_that_is_not_that_of_a_build_without_cache_is_wrong() {
    let bed = Bed::new();
    let before = holdings();
    // The network is no part of a step's key: what was built without one is taken all the same.
    let dockerfile = "FROM breakeven-fixture-base:1\nRUN echo SALT; ls /sys/class/net > /net\n\
                      COPY app /\n";
    tiny(&bed, &[("Dockerfile", dockerfile), ("app", "1")]);
    let context = bed.path("tiny");
    let meddle = Box::new(move |reference: &str| {
        let there = images();
        let built = Command::new("docker")
            .env("DOCKER_BUILDKIT", "0")
            .args(["build", "-q", "--no-cache", "--network", "none", "-t", reference])
            .arg(&context)
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", text(&built.stderr));
        docker(&["push", "-q", reference]);
        docker(&["rmi", reference]);
        // The engine takes those with it that nothing else is built upon.
        let left: Vec<String> = images().difference(&there).cloned().collect();
        assert!(left.is_empty(), "{left:?}");
    });
    let scene = Scene::of(TINY, "*/app/*/cold/classic/*/*,*/app/*/pull/classic/*/*");
    let samples = Scene { meddle, ..scene }.play(&bed);
    for sample in &samples {
        let wrong = sample.round > 0 && sample.cell.strategy == "pull";
        let expected = if wrong { Status::Invalid } else { Status::Ok };
        assert_eq!(sample.status, expected, "{}: {}", sample.cell.key(), sample.reason);
        assert!(!wrong || sample.reason == "image-differs: net", "{}", sample.reason);
    }
    assert_found(&bed, "image-differs", "tiny/app/branch/pull/classic/unshaped/shared: net");
    assert_as_before(&before, "image-differs");
}

#[test]
fn trap_25_cache_mounts_that_are_warm_from_before() {
    let bed = Bed::new();
    let dockerfile = "FROM breakeven-fixture-base:1 AS made\n\
                      RUN --mount=type=cache,target=/c echo SALT >> /c/x && cp /c/x /x\n";
    let before = holdings();
    let made = users_build(&bed, dockerfile);
    let with_theirs = holdings();
    let ours = format!("{}COPY app /\n", dockerfile.replace("echo SALT", "echo SALT ours"));
    tiny(&bed, &[("Dockerfile", &ours), ("app", "1")]);
    let samples = Scene::of(TINY, "*/app/*/cold/buildkit/*/*").play(&bed);
    let after = holdings();
    prune(&made);
    assert_all_ok(&samples);
    assert_found(&bed, "cache-mounts-warm", "cache mounts");
    assert_eq!(after, with_theirs);
    assert_as_before(&before, "trap 25");
}

#[test]
fn trap_26_records_that_are_collected_during_a_job() {
    let bed = Bed::new();
    let before = holdings();
    let made = users_build(&bed, "FROM breakeven-fixture-base:1 AS made\nRUN echo SALT > /x\n");
    tiny(&bed, &[("Dockerfile", "FROM scratch\nCOPY app /SALT\n"), ("app", "1")]);
    let all = made.clone();
    let meddle = Box::new(move |_: &str| prune(&all));
    let scene = Scene::of(TINY, "*/app/*/cold/buildkit/*/*");
    let samples = Scene { meddle, ..scene }.play(&bed);
    assert!(records().is_disjoint(&made));
    assert_all_ok(&samples);
    assert_found(&bed, "records-collected", "build cache records");
    assert_as_before(&before, "trap 26");
}

#[test]
fn trap_34_others_work_on_the_engine_meanwhile() {
    let bed = Bed::new();
    import();
    let before = holdings();
    tiny(&bed, &[("Dockerfile", "FROM scratch\nCOPY app /SALT\n"), ("app", "1")]);
    let listener = |event: &Event| {
        if matches!(event, Event::PhaseStarted { phase: Some(Phase::Build) }) {
            let container = docker(&["create", IMPORTED, "none"]);
            docker(&["rm", container.trim()]);
        }
    };
    let scene = Scene::of(TINY, "*/app/*/cold/classic/*/*");
    let samples = Scene { listener: &listener, ..scene }.play(&bed);
    let after = holdings();
    docker(&["rmi", IMPORTED]);
    assert_all_ok(&samples);
    assert_found(&bed, "other-work", "container create breakeven-test-imported:1");
    assert_eq!(after, before);
}

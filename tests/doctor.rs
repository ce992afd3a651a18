//! `breakeven doctor` against this machine's own engine. Nothing else may use it meanwhile.

use breakeven::engine::{Engine, SharedEngine, Snapshot};
use breakeven::run::doctor;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// What one call of the command came to, and the folders that it had to itself.
struct Called {
    output: Output,
    home: tempfile::TempDir,
}

impl Called {
    fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// The answer of `--format json`, which keeps to its schema.
    fn json(&self) -> Value {
        let answer: Value = serde_json::from_slice(&self.output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout(), self.stderr()));
        let schema = serde_json::to_value(doctor::schema()).unwrap();
        jsonschema::validate(&schema, &answer).unwrap();
        answer
    }

    /// Neither a ledger nor a temporary file is left.
    fn assert_tidy(&self) {
        for folder in ["state/breakeven", "tmp"] {
            let Ok(entries) = std::fs::read_dir(self.home.path().join(folder)) else { continue };
            let left: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
}

fn call(arguments: &[&str], environment: &[(&str, &str)]) -> Called {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("tmp")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_breakeven"))
        .arg("doctor")
        .args(arguments)
        .env("XDG_STATE_HOME", home.path().join("state"))
        .env("TMPDIR", home.path().join("tmp"))
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    Called { output, home }
}

/// `state found` of every line of a check.
fn found(answer: &Value, check: &str) -> Vec<String> {
    let lines = answer["lines"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines
        .filter(|line| line["check"] == check)
        .map(|line| format!("{} {}", text(&line["state"]), text(&line["found"])))
        .collect()
}

/// What is on the engine, and that it is the same afterwards. One at a time: build cache records
/// carry no owner.
fn leaving_the_engine_as_it_is(work: impl FnOnce()) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = snapshot();
    work();
    let after = snapshot();
    let images = |snapshot: &Snapshot| (snapshot.images.clone(), snapshot.tags.clone());
    assert_eq!(images(&after), images(&before));
    assert_eq!(after.records, before.records);
}

fn snapshot() -> Snapshot {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = SharedEngine::connect(None)
            .await
            .unwrap_or_else(|error| panic!("these tests need a real engine: {error}"));
        engine.snapshot().await.unwrap()
    })
}

fn write(folder: &Path, registry: &str) -> String {
    let config = folder.join("breakeven.toml");
    std::fs::write(folder.join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n").unwrap();
    let text = format!("[workload.w]\n[change.none]\n[registry]\naddress = \"{registry}\"\n");
    std::fs::write(&config, text).unwrap();
    config.display().to_string()
}

#[test]
fn this_machine_can_do_the_main_job_and_is_left_as_it_was() {
    leaving_the_engine_as_it_is(|| {
        let called = call(&["--format", "json"], &[]);
        let answer = called.json();
        assert_eq!(called.code(), Some(0), "{answer:#}");
        assert_eq!(answer["able"], true);
        for check in ["engine", "store", "registry", "storage"] {
            let lines = found(&answer, check);
            assert!(!lines.is_empty(), "{check}");
            assert!(lines.iter().all(|line| line.starts_with("ok ")), "{lines:?}");
        }
        let builders = found(&answer, "builders");
        assert_eq!(builders.len(), 2, "{builders:?}");
        assert!(builders.iter().all(|line| line.starts_with("ok ")), "{builders:?}");
        let exporters = found(&answer, "exporters");
        assert!(exporters[0].starts_with("ok inline"), "{exporters:?}");
        assert_eq!(exporters.len(), 3, "{exporters:?}");
        called.assert_tidy();
    });
}

#[test]
fn the_noise_of_the_machine_is_measured_alone() {
    leaving_the_engine_as_it_is(|| {
        let called = call(&["--noise=6", "--format", "json"], &[]);
        let answer = called.json();
        assert_eq!(called.code(), Some(0), "{answer:#}");
        let noise = found(&answer, "noise");
        assert!(noise.len() >= 3, "{noise:?}");
        for (line, what) in noise.iter().zip(["hashing", "writing to disk", "a tiny build by"]) {
            assert!(line.contains(what), "{noise:?}");
        }
        // A busy machine does it few times; it is done all the same.
        assert!(!noise[0].contains("hashing, 0 times"), "{noise:?}");
        assert!(found(&answer, "exporters").is_empty(), "nothing else is looked at: {answer:#}");
        called.assert_tidy();
    });
}

#[test]
fn what_is_shown_to_people_names_every_check() {
    leaving_the_engine_as_it_is(|| {
        let called = call(&[], &[("NO_COLOR", "1")]);
        let text = called.stdout();
        for check in ["engine", "store", "builders", "exporters", "registry", "disk", "pressure"] {
            assert!(text.contains(&format!("  {check}")), "{check} is missing:\n{text}");
        }
        assert!(text.contains("A run is possible; "), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
        assert_eq!(called.code(), Some(0));
        called.assert_tidy();
    });
}

#[test]
fn without_buildx_there_is_half_a_run() {
    leaving_the_engine_as_it_is(|| {
        let called =
            call(&["--format", "json"], &[("BREAKEVEN_BUILDX", "/nonexistent/docker-buildx")]);
        let answer = called.json();
        let builders = found(&answer, "builders");
        assert!(builders[0].starts_with("ok classic"), "{builders:?}");
        assert!(builders[1].starts_with("warn "), "{builders:?}");
        assert!(found(&answer, "exporters")[0].starts_with("n/a "));
        assert!(found(&answer, "registry")[0].starts_with("ok "));
        assert_eq!(called.code(), Some(0));
        called.assert_tidy();
    });
}

#[test]
fn without_an_engine_it_says_what_to_do() {
    let called = call(&[], &[("DOCKER_HOST", "unix:///nonexistent/docker.sock")]);
    assert_eq!(called.code(), Some(3));
    let text = called.stdout();
    assert!(text.contains("/nonexistent/docker.sock"), "{text}");
    assert!(text.contains("Start it, or name another in DOCKER_HOST"), "{text}");
    assert!(text.contains("No run is possible"), "{text}");
    called.assert_tidy();
}

#[test]
fn a_registry_that_does_not_answer_makes_a_run_impossible() {
    leaving_the_engine_as_it_is(|| {
        let folder = tempfile::tempdir().unwrap();
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = write(folder.path(), &format!("127.0.0.1:{port}"));
        let called = call(&[&config, "--format", "json"], &[]);
        let answer = called.json();
        assert_eq!(called.code(), Some(3), "{answer:#}");
        let lines = found(&answer, "registry");
        assert!(lines[0].starts_with("fail ") && lines[0].contains("does not answer"), "{lines:?}");
        assert!(found(&answer, "builders").iter().all(|line| line.starts_with("ok ")));
        called.assert_tidy();
    });
}

#[test]
fn a_configuration_that_is_not_right_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("breakeven.toml");
    std::fs::write(&config, "nonsense = 1\n").unwrap();
    let called = call(&[&config.display().to_string()], &[]);
    assert_eq!(called.code(), Some(2));
    assert_eq!(called.stdout(), "");
    assert!(called.stderr().contains("nonsense"), "{}", called.stderr());
    called.assert_tidy();
}

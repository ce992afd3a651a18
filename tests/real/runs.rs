//! Whole runs of the program on the real engine and a real registry.

use super::harness::{
    ARTICLE, Bed, IMPORTED, Users, assert_as_before, docker, holdings, import, not_ok, text,
};
use breakeven::model::{Sample, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// `stage: hits/steps` of a sample, over RUN, COPY and ADD, in the order of the stages.
pub fn hits_per_stage(sample: &Sample) -> String {
    let mut instructions = BTreeMap::new();
    for step in sample.steps.iter().filter(|step| step.makes_content()) {
        // The builder's stage sorts before the final, unnamed one.
        let key = (step.stage != "builder", step.stage, step.step);
        *instructions.entry(key).or_insert(true) &= step.hit;
    }
    let mut stages: BTreeMap<(bool, String), (usize, usize)> = BTreeMap::new();
    for ((last, stage, _), hit) in instructions {
        let count = stages.entry((last, stage.to_owned())).or_default();
        count.0 += usize::from(hit);
        count.1 += 1;
    }
    let shown = stages.iter().map(|((_, stage), (hit, all))| format!("{stage} {hit}/{all}"));
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_strategy_hits_exactly_the_steps_that_it_can_hit() {
    let bed = Bed::new();
    let _users = Users::new();
    let before = holdings();
    // Of the change that few caches serve, those that tell the strategies apart.
    let only = "*/app/*,*/deps/*/cold/buildkit/*,*/deps/*/pull/*,*/deps/*/pull-stages/*,\
                */deps/*/inline-stages/*,*/deps/*/save-load-stages/classic/*";
    let output = bed.run(ARTICLE, &["--rounds", "1", "--seed", "5", "--only", only]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));

    let mut seen = BTreeMap::new();
    for sample in bed.samples() {
        let cell = &sample.cell;
        assert_eq!(sample.status, Status::Ok, "{}: {}", cell.key(), sample.reason);
        // Whether the machine was left alone is no matter of the strategy.
        let ids = sample.findings.iter().map(|finding| finding.id.as_str());
        let findings: Vec<&str> = ids.filter(|id| *id != "other-work").collect();
        let line = format!(
            "{} | from {:?} | {}",
            hits_per_stage(&sample),
            sample.cache_source,
            findings.join(" ")
        );
        let key = format!("{} {} {}", cell.change, cell.strategy, cell.builder);
        let known = seen.entry(key.clone()).or_insert_with(|| line.clone());
        assert_eq!(*known, line, "{key} differs between rounds");
    }
    let lines: String = seen.iter().map(|(key, line)| format!("{key}: {line}\n")).collect();
    insta::assert_snapshot!("hits_on_the_real_engine", lines);
    assert_as_before(&before, "after the run");
    assert_eq!(bed.leavings(), Vec::<String>::new());
    for file in ["report.md", "report.json", "samples.csv", "phases.csv", "steps.csv"] {
        assert!(bed.path("out").join(file).metadata().unwrap().len() > 0, "{file}");
    }
    // Fewer than five rounds: no verdict, and it says so.
    assert!(text(&output.stdout).to_lowercase().contains("no verdict"), "{}", text(&output.stdout));

    // The journal alone gives the same reports, byte for byte.
    let files = ["report.md", "report.json", "samples.csv", "steps.csv", "phases.csv"];
    let read = || files.map(|file| std::fs::read(bed.path("out").join(file)).unwrap());
    let first = read();
    let again = bed.breakeven().args(["report", "out"]).output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert_eq!(read(), first);
    assert_eq!(text(&again.stdout), text(&output.stdout));
}

#[test]
fn the_first_build_ever_populates_and_a_single_stage_needs_no_stages() {
    let bed = Bed::new();
    let config = ARTICLE.replace("FIXTURES/article", "FIXTURES/single-stage")
        + "[[availability]]\nhave = []\n[[availability]]\nhave = [\"main\"]\n";
    let output = bed.run(
        &config,
        &[
            "--rounds",
            "1",
            "--only",
            "*/app/*/cold/classic/*/*,*/app/*/pull/*/*/*,*/app/*/inline/*/*/*",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for sample in bed.samples() {
        // Others may have built from the same base with the same ARG; that makes no content.
        let hits = sample.steps.iter().filter(|step| step.hit && step.makes_content()).count();
        let (state, source) = (sample.cell.state.as_str(), sample.cache_source.as_str());
        match (sample.cell.strategy.as_str(), sample.cell.availability.as_str()) {
            ("cold", _) => assert_eq!((state, source, hits), ("cold", "", 0)),
            (_, "none") => assert_eq!((state, source, hits), ("populate", "", 0)),
            _ => {
                assert_eq!((state, source), ("steady", "main"));
                assert_eq!(hits, 3);
            }
        }
    }
}

#[test]
fn a_run_that_is_killed_in_any_phase_can_be_cleaned_up() {
    let bed = Bed::new();
    let _users = Users::new();
    let before = holdings();
    let cases = [
        ("pull-stages/classic", "pull"),
        ("pull-stages/classic", "build"),
        ("pull-stages/classic", "push"),
        ("save-load-stages/classic", "fetch"),
        ("save-load-stages/classic", "load"),
        ("save-load-stages/classic", "save"),
        ("save-load-stages/classic", "store"),
        ("inline-stages/buildkit", "build"),
    ];
    for (cell, phase) in cases {
        let only = format!("*/app/*/{cell}/*/*");
        let mut running = bed.start(ARTICLE, &["--rounds", "1", "--only", &only]);
        assert!(running.wait_for("sample 1:"), "{cell}: {}", running.seen);
        assert!(running.wait_for(&format!("phase {phase}")), "{cell}: {}", running.seen);
        std::thread::sleep(Duration::from_millis(150));
        running.signal("-KILL");
        assert_eq!(running.end(), None, "{cell} {phase} ended before it was killed");

        let cleaned = bed.clean();
        assert_eq!(cleaned.status.code(), Some(0), "{cell} {phase}: {}", text(&cleaned.stderr));
        assert_as_before(&before, &format!("{cell} killed in {phase}"));
        assert_eq!(bed.leavings(), Vec::<String>::new(), "{cell} killed in {phase}");
        std::fs::remove_dir_all(bed.path("out")).unwrap();
    }
    let nothing = bed.clean();
    assert!(text(&nothing.stderr).contains("nothing to clean"), "{}", text(&nothing.stderr));
}

#[test]
fn an_interrupted_run_ends_within_ten_seconds_and_leaves_a_partial_report() {
    for signal in ["-INT", "-TERM"] {
        let bed = Bed::new();
        let before = holdings();
        // Builds long enough to be interrupted in the middle.
        let slow = ARTICLE.replace("DEPS_SECONDS = \"0\"", "DEPS_SECONDS = \"4\"");
        let only = ["--rounds", "5", "--only", "*/deps/*/cold/*/*/*"];
        let mut running = bed.start(&slow, &only);
        assert!(running.wait_for("sample 2:"), "{}", running.seen);
        assert!(running.wait_for("phase build"), "{}", running.seen);
        let sent = Instant::now();
        running.signal(signal);
        assert_eq!(running.end(), Some(130), "{}", running.seen);
        assert!(sent.elapsed() < Duration::from_secs(10), "{:?}", sent.elapsed());
        let samples = bed.samples();
        assert_eq!(samples.len(), 2);
        assert_eq!(samples[1].status, Status::Interrupted);
        let report = std::fs::read_to_string(bed.path("out/report.md")).unwrap();
        assert!(report.contains("interrupted"), "{report}");
        std::thread::sleep(Duration::from_secs(1));
        assert_as_before(&before, signal);
        assert_eq!(bed.leavings(), Vec::<String>::new(), "{signal}");
    }
}

pub fn image_ids() -> BTreeSet<String> {
    docker(&["images", "-aq", "--no-trunc"]).lines().map(str::to_owned).collect()
}

#[test]
fn a_stage_cache_of_the_users_own_client_is_a_full_source_for_ours() {
    let bed = Bed::new();
    let before = image_ids();
    // What is on the engine before a run is the user's: a cold build that hits it is not cold.
    bed.config(ARTICLE);
    let fixture = bed.path("fixtures/article").to_string_lossy().into_owned();
    let arguments = [
        "build",
        "-q",
        "-t",
        "breakeven-test-foreign:1",
        "--build-arg",
        "PACKAGE_SECONDS=0",
        "--build-arg",
        "PACKAGE_MB=1",
        "--build-arg",
        "DEPS_SECONDS=0",
        "--build-arg",
        "DEPS_MB=2",
        &fixture,
    ];
    let built = std::process::Command::new("docker")
        .env("DOCKER_BUILDKIT", "0")
        .args(arguments)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    let users = image_ids();
    let output = bed.run(ARTICLE, &["--rounds", "1", "--only", "*/app/*/cold/classic/*/*"]);
    let samples = bed.samples();
    let after = image_ids();
    docker(&["rmi", "breakeven-test-foreign:1"]);
    let dangling = docker(&["images", "-aq", "--no-trunc", "--filter", "dangling=true"]);
    for id in dangling.lines().filter(|id| !before.contains(*id)) {
        let _ = std::process::Command::new("docker").args(["rmi", id]).output();
    }
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert_eq!(after, users, "the user's images and build cache are as they were");
    for sample in samples {
        assert_eq!(sample.status, Status::Invalid);
        assert!(sample.reason.starts_with("foreign-cache"), "{}", sample.reason);
        assert_eq!(hits_per_stage(&sample), "builder 3/3 1 1/2");
    }
}

/// A registry of the user's own, ended with the test.
pub struct UsersRegistry {
    process: std::process::Child,
    pub address: String,
    config: std::path::PathBuf,
}

impl UsersRegistry {
    pub fn start(bed: &Bed) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let config = bed.path("registry.yml");
        let storage = bed.path("users-registry");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    \
             enabled: true\nhttp:\n  addr: {address}\n",
            storage.display()
        );
        std::fs::write(&config, text).unwrap();
        Self { process: serve(&config, &address), address, config }
    }

    /// Ends its process at once.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again after it was killed, with all that it held.
    pub fn again(&mut self) {
        self.process = serve(&self.config, &self.address);
    }
}

/// A registry's process, once it answers.
fn serve(config: &std::path::Path, address: &str) -> std::process::Child {
    let process = std::process::Command::new("docker-registry")
        .arg("serve")
        .arg(config)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("docker-registry: run scripts/setup.sh");
    let began = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "the registry does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    process
}

impl Drop for UsersRegistry {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_registry_of_the_users_own_is_used_and_what_is_theirs_in_it_stays() {
    let bed = Bed::new();
    let users = UsersRegistry::start(&bed);
    let theirs = format!("{}/team/service:1", users.address);
    import();
    docker(&["tag", IMPORTED, &theirs]);
    docker(&["push", "-q", &theirs]);
    docker(&["rmi", IMPORTED, &theirs]);
    let before = holdings();
    let config =
        format!("{ARTICLE}\n[registry]\naddress = \"{}\"\nprefix = \"team\"\n", users.address);
    let only = "*/app/*/cold/classic/*/*,*/app/*/pull-stages/*/*/*,*/app/*/inline/*/*/*";
    let output = bed.run(&config, &["--rounds", "1", "--only", only]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    let sources: Vec<_> = bed.samples().iter().map(|s| s.cache_source.clone()).collect();
    assert_eq!(sources.iter().filter(|source| *source == "branch").count(), 4, "{sources:?}");
    assert!(text(&output.stdout).contains("registry-not-restored"));
    docker(&["pull", "-q", &theirs]);
    docker(&["rmi", &theirs]);
    assert_as_before(&before, "after a run with the user's registry");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

//! A registry whose run is killed.

use super::docker::{BINARY, registry_image, try_docker};
use breakeven::registry::{ManagedRegistry, Program, kill_leftover};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DIR: &str = "BREAKEVEN_TEST_REGISTRY_DIR";
const IMAGE: &str = "BREAKEVEN_TEST_REGISTRY_IMAGE";

/// Not a test of its own: what the other tests start as a process of its own and kill.
#[test]
fn run_that_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let program = std::env::var(IMAGE).map_or_else(|_| Program::find(), Program::Image);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _registry = ManagedRegistry::start(&program, "r", Path::new(&dir)).await.unwrap();
        std::fs::write(Path::new(&dir).join("ready"), "").unwrap();
        std::future::pending::<()>().await;
    });
}

/// Starts the run above, kills it when its registry answers.
fn kill_a_run(dir: &Path, path: Option<&Path>, image: Option<&str>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "infra::leftovers::run_that_is_killed"])
        .env(DIR, dir)
        .stdout(Stdio::null());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    if let Some(image) = image {
        command.env(IMAGE, image);
    }
    let mut run = command.spawn().unwrap();
    until("the registry answers", || dir.join("ready").exists());
    run.kill().unwrap();
    run.wait().unwrap();
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The process that the record in `dir` names.
fn recorded(dir: &Path) -> PathBuf {
    let record = std::fs::read(dir.join("registry.pid")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    PathBuf::from(format!("/proc/{}", record["pid"]))
}

#[test]
fn the_registry_dies_with_a_killed_run() {
    let dir = tempfile::tempdir().unwrap();
    kill_a_run(dir.path(), None, None);
    let process = recorded(dir.path());
    until("the registry is gone", || !process.exists());
    assert!(!kill_leftover(dir.path()).unwrap());
    assert!(!dir.path().join("registry.pid").exists());
}

#[test]
fn without_setpriv_it_is_found_and_ended_by_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = tempfile::tempdir().unwrap();
    let which = Command::new("which").arg(BINARY).output().unwrap();
    let binary = String::from_utf8_lossy(&which.stdout).trim().to_owned();
    std::os::unix::fs::symlink(binary, path.path().join(BINARY)).unwrap();
    kill_a_run(dir.path(), Some(path.path()), None);
    let process = recorded(dir.path());
    assert!(process.exists());
    assert!(kill_leftover(dir.path()).unwrap());
    until("the registry is gone", || !process.exists());
    assert!(!kill_leftover(dir.path()).unwrap());
}

#[test]
fn a_container_is_found_and_removed_by_its_record() {
    let image = registry_image();
    let dir = tempfile::tempdir().unwrap();
    kill_a_run(dir.path(), None, Some(&image.reference.to_string()));
    let id = std::fs::read_to_string(dir.path().join("registry.cid")).unwrap();
    let exists = || try_docker(&["inspect", "--type", "container", &id]).status.success();
    assert!(exists());
    assert!(kill_leftover(dir.path()).unwrap());
    assert!(!exists());
    assert!(!kill_leftover(dir.path()).unwrap());
}

//! A run on Podman's API socket. Podman comes from `scripts/daemonless.sh`; without it this fails.

use super::harness::{Bed, text};
use breakeven::model::{Event, Status};
use breakeven::run::journal;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CONFIG: &str = r##"
rounds = 1

[workload.article]
context = "FIXTURES/article"
build_args = { PACKAGE_SECONDS = "0", PACKAGE_MB = "1", DEPS_SECONDS = "0", DEPS_MB = "2" }

[change.app]
edits = [{ append = "app/serve.sh", text = "# {nonce}\n" }]

[candidate.branch]
"##;

/// Podman's service in a folder of a test's own: socket, storage and settings. Nothing of the user's
/// Podman is read or changed.
struct Podman {
    service: Child,
    folder: PathBuf,
}

impl Podman {
    fn start(folder: PathBuf) -> Self {
        std::fs::create_dir(&folder).unwrap();
        // The managed registry has another port each time, and no TLS.
        let registries = folder.join("registries.conf");
        let settings = "unqualified-search-registries = [\"docker.io\"]\n\n\
                    [[registry]]\nlocation = \"127.0.0.1\"\ninsecure = true\n";
        std::fs::write(&registries, settings).unwrap();
        let podman = Self { service: Self::serve(&folder), folder };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/base-image.sh");
        let made = podman.told(&mut Command::new(script));
        assert!(made.status.success(), "{}", text(&made.stderr));
        podman
    }

    /// Starts the service and waits for its socket.
    fn serve(folder: &Path) -> Child {
        let socket = folder.join("podman.sock");
        let _ = std::fs::remove_file(&socket);
        let mut service = Command::new("podman");
        for (option, name) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            service.arg(option).arg(folder.join(name));
        }
        service.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
        service.args(["--events-backend", "file", "system", "service", "--time=0"]);
        service.arg(Self::host(folder)).env("TMPDIR", folder).stderr(Stdio::null());
        service.env("CONTAINERS_REGISTRIES_CONF", folder.join("registries.conf"));
        let service = service.spawn().expect("podman: run scripts/daemonless.sh");
        let since = Instant::now();
        while !socket.exists() {
            assert!(since.elapsed() < Duration::from_secs(60), "Podman's service makes no socket");
            std::thread::sleep(Duration::from_millis(50));
        }
        service
    }

    /// Ends the service in the middle of what it does, as a panic of it does.
    fn kill(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }

    fn host(folder: &Path) -> String {
        format!("unix://{}", folder.join("podman.sock").display())
    }

    /// Runs a command that talks to this engine.
    fn told(&self, command: &mut Command) -> std::process::Output {
        command.env("DOCKER_HOST", Self::host(&self.folder)).output().unwrap()
    }

    /// Every image in its storage, intermediate ones included.
    fn images(&self) -> String {
        let listed = self.told(Command::new("docker").args(["images", "--all", "--quiet"]));
        assert!(listed.status.success(), "{}", text(&listed.stderr));
        text(&listed.stdout)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn podman_builds_behind_its_socket_and_what_it_cannot_do_is_unsupported() {
    let bed = Bed::new();
    let podman = Podman::start(bed.path("podman"));
    let before = podman.images();
    let config = bed.config(CONFIG);
    let cells = ["cold", "local", "pull", "save-load"];
    let cells = cells.map(|one| format!("*/app/branch/{one}/classic/*"));
    let buildkit = ["cold", "save-load", "local-max"];
    let buildkit = buildkit.map(|one| format!("*/app/branch/{one}/buildkit/*"));
    let only = [cells.join(","), buildkit.join(",")].join(",");
    let mut run = bed.breakeven();
    run.arg("run").arg(config).args(["--out", "out", "--only", &only]);
    let output = podman.told(&mut run);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");

    // Nothing is measured of what cannot be done, and everything else is what it claims to be.
    let samples = bed.samples();
    assert_eq!(samples.len(), 4, "warm-up and round of two cells: {stderr}");
    for sample in &samples {
        assert_eq!(sample.status, Status::Ok, "{}", sample.reason);
        let local = sample.cell.strategy == "local";
        assert!(local || sample.cell.strategy == "cold", "{}", sample.cell.key());
        // ARG counts as a step, as CMD does.
        let steps: Vec<_> = sample.steps.iter().map(|step| (step.stage, step.step)).collect();
        let builder = (1..=5).map(|step| ("builder", step));
        assert_eq!(steps, builder.chain((1..=3).map(|step| ("1", step))).collect::<Vec<_>>());
        assert_eq!(sample.steps.iter().any(|step| step.hit), local, "{:?}", sample.steps);
        assert!(sample.image_bytes.is_some_and(|bytes| bytes > 2_000_000));
    }
    let unsupported: Vec<(String, String)> = journal::read(&bed.path("out"))
        .unwrap()
        .events
        .into_iter()
        .filter_map(|event| match event {
            Event::Unsupported(found) => {
                let reason = found.reason;
                Some(found.cells.into_iter().map(move |cell| (cell.to_string(), reason.clone())))
            }
            _ => None,
        })
        .flatten()
        .collect();
    for strategy in ["pull", "save-load"] {
        let key = format!("article/app/branch/{strategy}/classic/unshaped/shared");
        let reasons: Vec<_> = unsupported.iter().filter(|(cell, _)| *cell == key).collect();
        assert!(
            reasons.iter().any(|(_, reason)| reason.contains("an image as a cache source")),
            "{strategy}: {unsupported:?}"
        );
    }
    // An engine that has no BuildKit lacks nothing else of it, and no trap of BuildKit's is found.
    let of_buildkit: Vec<_> =
        unsupported.iter().filter(|(cell, _)| cell.contains("/buildkit/")).collect();
    assert_eq!(of_buildkit.len(), 3, "{of_buildkit:?}");
    assert!(of_buildkit.iter().all(|(_, why)| why.contains("no BuildKit")), "{of_buildkit:?}");
    let report = std::fs::read_to_string(bed.path("out/report.md")).unwrap();
    assert!(!report.contains("loaded-not-consulted"), "{report}");
    assert_eq!(podman.images(), before, "what the run made is gone, intermediate images too");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

#[test]
fn what_is_left_of_a_build_whose_service_died_is_removed_or_named() {
    let bed = Bed::new();
    let mut podman = Podman::start(bed.path("podman"));
    let before = podman.images();
    let config = bed.config(&CONFIG.replace("DEPS_SECONDS = \"0\"", "DEPS_SECONDS = \"2\""));
    let mut run = bed.breakeven();
    run.env("DOCKER_HOST", Podman::host(&podman.folder)).stderr(Stdio::null());
    run.arg("run").arg(config).args(["--out", "out", "--only", "*/app/branch/cold/classic/*"]);
    let mut run = run.stdout(Stdio::null()).spawn().unwrap();
    // Until the step that takes its time is in hand.
    let since = Instant::now();
    while podman.images().lines().count() < before.lines().count() + 4 {
        assert!(since.elapsed() < Duration::from_secs(120), "nothing is built");
    }
    podman.kill();
    run.kill().unwrap();
    run.wait().unwrap();
    podman.service = Podman::serve(&podman.folder);

    // Whose the working containers are nobody can tell, and one of them holds an image.
    let mut clean = bed.breakeven();
    let output = podman.told(clean.arg("clean"));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let (_, command) = said.split_once("`docker rm --force ").expect("the containers are named");
    let named: Vec<_> = command.split('`').next().unwrap().split(' ').collect();
    assert!(named.len() > 2, "of each stage, and of each step in hand or done: {said}");
    let removed = podman.told(Command::new("docker").args(["rm", "--force"]).args(named));
    assert!(removed.status.success(), "{}", text(&removed.stderr));

    let mut clean = bed.breakeven();
    let output = podman.told(clean.arg("clean"));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("docker rm --force"), "{said}");
    assert_eq!(podman.images(), before, "what the run made is gone");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

//! What the tests on the real engine share. No engine is a failure, never a skip.

use breakeven::engine::{Engine, SharedEngine, Snapshot};
use breakeven::model::{Event, Sample};
use breakeven::run::journal;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One test at a time: they compare what is on the engine before and after.
static ENGINE: Mutex<()> = Mutex::new(());

/// A folder of a test's own, with the engine to itself.
pub struct Bed {
    dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// The article fixture with knobs that make its builds quick.
pub const ARTICLE: &str = r##"
[workload.article]
context = "FIXTURES/article"
build_args = { PACKAGE_SECONDS = "0", PACKAGE_MB = "1", DEPS_SECONDS = "0", DEPS_MB = "2" }

[change.app]
weight = 8
edits = [{ append = "app/serve.sh", text = "# {nonce}\n" }]

[change.deps]
weight = 2
edits = [{ append = "Gemfile", text = "# {nonce}\n" }]

[candidate.branch]

[candidate.main]
lacks = ["app"]
"##;

impl Bed {
    pub fn new() -> Self {
        let alone = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { dir: tempfile::tempdir().unwrap(), _alone: alone }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A text that no other test has.
    pub fn salt(&self) -> String {
        self.dir.path().file_name().unwrap().to_string_lossy().replace('.', "")
    }

    /// Writes a configuration; `FIXTURES` in it becomes a copy of the fixtures' folder whose steps
    /// make bytes that no other build makes, so that no cache of others can serve.
    pub fn config(&self, text: &str) -> PathBuf {
        let fixtures = self.path("fixtures");
        if !fixtures.exists() {
            salted_fixtures(&fixtures);
        }
        let path = self.path("breakeven.toml");
        // An A/A cell in every run would take time here and show nothing; a test that is about it
        // asks for it.
        let text = match text.contains("aa = ") {
            true => text.to_owned(),
            false => format!("aa = false\n{text}"),
        };
        std::fs::write(&path, text.replace("FIXTURES", &fixtures.to_string_lossy())).unwrap();
        path
    }

    /// The program, with a state folder of this test's own.
    pub fn breakeven(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breakeven"));
        command
            .current_dir(self.dir.path())
            .env("XDG_STATE_HOME", self.path("state"))
            .env("TMPDIR", self.dir.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, config: &str, options: &[&str]) -> Output {
        let config = self.config(config);
        self.breakeven()
            .arg("run")
            .arg(config)
            .args(["--out", "out"])
            .args(options)
            .output()
            .unwrap()
    }

    /// A run in the background whose stderr can be watched.
    pub fn start(&self, config: &str, options: &[&str]) -> Running {
        let config = self.config(config);
        let mut command = self.breakeven();
        command.arg("run").arg(config).args(["--out", "out"]).args(options);
        Self::watch(command)
    }

    /// The run in `out` goes on, in the background.
    pub fn resume(&self) -> Running {
        let mut command = self.breakeven();
        command.args(["run", "--resume", "out"]);
        Self::watch(command)
    }

    /// The program in the background.
    pub fn watch(mut command: Command) -> Running {
        let mut child = command
            .env("BREAKEVEN_LOG", "breakeven=debug")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { child, stderr, seen: String::new() }
    }

    pub fn samples(&self) -> Vec<Sample> {
        samples(&self.path("out"))
    }

    pub fn clean(&self) -> Output {
        self.breakeven().arg("clean").output().unwrap()
    }

    /// Whether anything of a run is left in this test's folders.
    pub fn leavings(&self) -> Vec<String> {
        let names = |dir: &Path| -> Vec<String> {
            std::fs::read_dir(dir)
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect()
        };
        let mut left: Vec<String> = names(self.dir.path())
            .into_iter()
            .filter(|name| name.starts_with("breakeven-"))
            .collect();
        left.extend(names(&self.path("state/breakeven")));
        left
    }
}

/// Copies the fixtures and gives the package and the manifest a name of this test's own.
fn salted_fixtures(to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
    let salt = to.parent().unwrap().file_name().unwrap().to_string_lossy().replace('.', "");
    for fixture in ["article", "single-stage"] {
        let dockerfile = to.join(fixture).join("Dockerfile");
        let text = std::fs::read_to_string(&dockerfile).unwrap();
        assert!(text.contains("libsample-dev"));
        std::fs::write(&dockerfile, text.replace("libsample-dev", &format!("lib{salt}"))).unwrap();
        let manifest = to.join(fixture).join("Gemfile");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, format!("{text}# {salt}\n")).unwrap();
        let served = to.join(fixture).join("app/serve.sh");
        let text = std::fs::read_to_string(&served).unwrap();
        std::fs::write(&served, format!("{text}# {salt}\n")).unwrap();
    }
}

/// A small disk in memory, mounted until it is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `size` as `mount` takes it, such as `1m`. The folder is made.
    pub fn mount(at: PathBuf, size: &str) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        let size = format!("size={size}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).status();
        assert!(mounted.unwrap().success(), "this test mounts a small tmpfs, as root");
        Self(at)
    }

    /// Takes all room that is left.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        for block in [1 << 20, 1 << 12] {
            let block = vec![0; block];
            while std::io::Write::write_all(&mut file, &block).is_ok() {}
        }
    }

    /// Gives the room back.
    pub fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Counts as the child of this test; killed if the test fails before it ends.
pub struct Running {
    pub child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    pub seen: String,
}

impl Running {
    /// Waits for a line that contains `text`. False if the run ended before.
    pub fn wait_for(&mut self, text: &str) -> bool {
        let mut line = String::new();
        while self.stderr.read_line(&mut line).unwrap() > 0 {
            self.seen.push_str(&line);
            if line.contains(text) {
                return true;
            }
            line.clear();
        }
        false
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// The exit code; None if a signal ended it.
    pub fn end(&mut self) -> Option<i32> {
        while self.wait_for("\u{0}never") {}
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn samples(out: &Path) -> Vec<Sample> {
    let recorded = journal::read(out).unwrap();
    let sample = |event| match event {
        Event::SampleFinished { sample } => Some(*sample),
        _ => None,
    };
    recorded.events.into_iter().filter_map(sample).collect()
}

/// Everything on the engine that a run could touch, one line each.
pub fn holdings() -> BTreeSet<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let snapshot: Snapshot = runtime.block_on(async {
        let engine = SharedEngine::connect(None).await.expect("an engine: run scripts/setup.sh");
        engine.snapshot().await.expect("an engine: run scripts/setup.sh")
    });
    let list = |kind: &str, arguments: &[&str]| -> Vec<String> {
        docker(arguments).lines().map(|line| format!("{kind} {line}")).collect()
    };
    let images = snapshot.images.iter().map(|id| format!("image {id}"));
    let tags = snapshot.tags.iter().map(|(tag, id)| format!("tag {tag} of {id}"));
    let records = snapshot.records.iter().map(|id| format!("build cache record {id}"));
    images
        .chain(tags)
        .chain(records)
        .chain(list(
            "name",
            &["images", "--digests", "--format", "{{.Repository}}@{{.Digest}} {{.ID}}"],
        ))
        .chain(list("container", &["ps", "-aq", "--no-trunc"]))
        .chain(list("volume", &["volume", "ls", "-q"]))
        .chain(list("network", &["network", "ls", "-q", "--no-trunc"]))
        .collect()
}

/// Fails with what is new and what is gone.
#[track_caller]
pub fn assert_as_before(before: &BTreeSet<String>, when: &str) {
    let now = holdings();
    let new: Vec<_> = now.difference(before).collect();
    let gone: Vec<_> = before.difference(&now).collect();
    assert!(new.is_empty() && gone.is_empty(), "{when}: new {new:#?}, gone {gone:#?}");
}

/// The plain docker client, as a user has it.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of a run's stderr that are not about samples that went well.
pub fn not_ok(output: &Output) -> String {
    let stderr = text(&output.stderr);
    stderr.lines().filter(|line| !line.contains(" ok ")).collect::<Vec<_>>().join("\n")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Things of the user's on the engine: a tagged image, a container, and classic build cache from
/// the same base as ours.
pub struct Users {
    tag: String,
    container: String,
    _context: tempfile::TempDir,
}

impl Users {
    pub fn new() -> Self {
        let context = tempfile::tempdir().unwrap();
        let dockerfile =
            "FROM breakeven-fixture-base:1\nRUN echo users > /users\nCOPY Dockerfile /d\n";
        std::fs::write(context.path().join("Dockerfile"), dockerfile).unwrap();
        let tag = format!("breakeven-test-user:{}", std::process::id());
        let path = context.path().to_string_lossy().into_owned();
        let built = Command::new("docker")
            .env("DOCKER_BUILDKIT", "0")
            .args(["build", "-q", "-t", &tag, &path])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", text(&built.stderr));
        let container = docker(&["create", &tag]).trim().to_owned();
        Self { tag, container, _context: context }
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        let remove = |arguments: &[&str]| {
            let _ = Command::new("docker").args(arguments).output();
        };
        remove(&["rm", "-f", &self.container]);
        remove(&["rmi", &self.tag]);
    }
}

/// An image that no builder made.
pub const IMPORTED: &str = "breakeven-test-imported:1";

/// Makes it, for the test to remove.
pub fn import() {
    let import = "tar -c -C / etc/hostname | docker import - breakeven-test-imported:1";
    let imported = Command::new("sh").args(["-c", import]).output().unwrap();
    assert!(imported.status.success(), "{}", text(&imported.stderr));
}

//! What the tests need around an engine: contexts, a registry, the docker client, cleaning up.

use breakeven::engine::{
    BuildOutcome, BuildRequest, Engine, EngineError, Owned, SharedEngine, Snapshot, StepLog,
};
use breakeven::model::{Builder, ImageRef};
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

pub const BASE: &str = "breakeven-fixture-base:1";

/// One engine, one test's names, and the list of what the test made.
pub struct Rig {
    pub engine: SharedEngine,
    pub before: Snapshot,
    pub dir: tempfile::TempDir,
    name: String,
    nonce: String,
    made: Mutex<Owned>,
    /// Build cache records carry no owner, so tests that build and reset go one by one.
    _turn: MutexGuard<'static, ()>,
}

impl Rig {
    pub async fn new(name: &str) -> Self {
        static TURN: OnceLock<AsyncMutex<()>> = OnceLock::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let turn = TURN.get_or_init(AsyncMutex::default).lock().await;
        base_image();
        let engine = SharedEngine::connect(None)
            .await
            .unwrap_or_else(|error| panic!("these tests need a real engine: {error}"));
        let nonce = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self {
            before: engine.snapshot().await.unwrap(),
            engine,
            dir: tempfile::tempdir().unwrap(),
            name: format!("engine-ops-{name}-{nonce}"),
            nonce,
            made: Mutex::default(),
            _turn: turn,
        }
    }

    /// A local name of this test.
    pub fn image(&self, tag: &str) -> ImageRef {
        let image = ImageRef::new(&self.name, tag);
        self.own_tag(&image.to_string());
        image
    }

    /// A name of this test in a registry.
    pub fn remote(&self, registry: &Registry, repository: &str, tag: &str) -> ImageRef {
        let path = format!("{}/{}/{repository}", registry.address, self.name);
        let image = ImageRef::new(path, tag);
        self.own_tag(&image.to_string());
        image
    }

    pub fn own_tag(&self, tag: &str) {
        self.made.lock().unwrap().tags.insert(tag.to_owned());
    }

    pub fn own_image(&self, id: &str) {
        self.made.lock().unwrap().images.insert(id.to_owned());
    }

    pub fn owned(&self) -> Owned {
        self.made.lock().unwrap().clone()
    }

    /// Puts the engine back.
    pub async fn reset(&self) -> Result<(), EngineError> {
        self.engine.reset(&self.owned(), &self.before).await
    }

    /// A two-stage context, new to the engine every time.
    pub fn context(&self) -> PathBuf {
        self.context_with(&two_stages())
    }

    pub fn context_with(&self, dockerfile: &str) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let context = self.dir.path().join(format!("context-{count}"));
        let at = |name: &str| context.join(name);
        std::fs::create_dir_all(at("app/empty")).unwrap();
        let dockerfile = dockerfile.replace("{nonce}", &format!("{}-{count}", self.nonce));
        std::fs::write(at("Dockerfile"), dockerfile).unwrap();
        std::fs::write(at("manifest"), format!("one\n{}-{count}\n", self.nonce)).unwrap();
        std::fs::write(at("app/run.sh"), "#!/bin/sh\necho hello\n").unwrap();
        std::fs::write(at("app/data"), self.nonce.repeat(2000)).unwrap();
        std::fs::write(at("app/debug.log"), "not sent").unwrap();
        std::fs::write(at(".dockerignore"), "# logs\n**/*.log\nsecrets\n!secrets/public\n")
            .unwrap();
        std::fs::create_dir(at("secrets")).unwrap();
        std::fs::write(at("secrets/key"), "not sent").unwrap();
        std::fs::write(at("secrets/public"), "sent").unwrap();
        let mode = std::fs::Permissions::from_mode(0o4750);
        std::fs::set_permissions(at("app/run.sh"), mode).unwrap();
        std::fs::hard_link(at("app/data"), at("app/twin")).unwrap();
        symlink("./run.sh", at("app/link")).unwrap();
        symlink("/nonexistent/outside", at("app/dangling")).unwrap();
        context
    }

    /// Builds and remembers what was made.
    pub async fn build(
        &self,
        builder: Builder,
        context: &Path,
        tag: &ImageRef,
        sources: &[ImageRef],
    ) -> Result<BuildOutcome, EngineError> {
        self.build_target(builder, context, tag, sources, None).await
    }

    pub async fn build_target(
        &self,
        builder: Builder,
        context: &Path,
        tag: &ImageRef,
        sources: &[ImageRef],
        target: Option<&str>,
    ) -> Result<BuildOutcome, EngineError> {
        let dockerfile = context.join("Dockerfile");
        let request = BuildRequest {
            builder,
            context,
            dockerfile: &dockerfile,
            target,
            build_args: &BTreeMap::new(),
            sources,
            layers: None,
            tag,
            inline_cache: builder == Builder::Buildkit,
            cache_folder: None,
            export: None,
            export_folder: Path::new("unused"),
        };
        self.own_tag(&tag.to_string());
        let mut log = StepLog::default();
        self.engine.build(&request, &|id| self.own_image(id), &mut log).await
    }
}

impl Drop for Rig {
    /// Whatever a failed test left, by name and id.
    fn drop(&mut self) {
        let owned = self.owned();
        for name in owned.tags.iter().chain(&owned.images) {
            let known = self.before.images.iter().any(|id| id.contains(name.as_str()));
            if !known && !self.before.tags.contains_key(name) {
                let _ = quiet("docker", &["rmi", "--no-prune", name]);
            }
        }
    }
}

pub fn two_stages() -> String {
    format!(
        "FROM {BASE} AS builder\nRUN echo {{nonce}} > /nonce\nCOPY manifest ./\n\
         RUN mkdir /made && cat manifest > /made/manifest\n\
         FROM {BASE}\nCOPY --from=builder /made /made\nCOPY app ./\nCMD [\"sh\"]\n"
    )
}

/// `stage step hit` of every step; named stages first, since BuildKit runs stages side by side.
pub fn hits(outcome: &BuildOutcome) -> Vec<String> {
    let steps = outcome.steps.iter();
    let mut hits: Vec<_> =
        steps.map(|step| format!("{} {} {}", step.stage, step.step, step.hit)).collect();
    hits.sort_by_key(|hit| hit.starts_with(|first: char| first.is_ascii_digit()));
    hits
}

fn base_image() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        if quiet("docker", &["image", "inspect", BASE]).is_none() {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/base-image.sh");
            assert!(quiet(script, &[]).is_some(), "{script} failed");
        }
    });
}

/// Runs a command; its standard output, or `None` if it fails.
pub fn quiet(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// Runs the docker client.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker")
        .args(arguments)
        .env("DOCKER_BUILDKIT", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Ids of all containers, stopped ones included, that run this text.
pub fn containers_with(text: &str) -> Vec<String> {
    let all = docker(&["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Command}}"]);
    all.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// A registry of the test's own, on a free port, thrown away at the end.
pub struct Registry {
    pub address: String,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Registry {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: {address}\n",
            dir.path().display()
        );
        let file = dir.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need docker-registry");
        let registry = Self { address, child, _dir: dir };
        for _ in 0..200 {
            if std::net::TcpStream::connect(&registry.address).is_ok() {
                return registry;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("the registry does not answer at {}", registry.address);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

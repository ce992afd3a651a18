//! What the tests need around a private engine: the user's engine, registries, contexts.

use breakeven::engine::bases::mirrored_path;
use breakeven::engine::private::{PrivateEngine, PrivateHost, PrivateSpec, Registries};
use breakeven::engine::{BuildOutcome, BuildRequest, Engine, EngineError, SharedEngine, StepLog};
use breakeven::model::plan::{Keep, Store};
use breakeven::model::{Builder, CacheExport, ImageRef};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{Mutex, MutexGuard};

pub const IMAGE: &str = "breakeven-engine:modern";
pub const BASE: &str = "breakeven-fixture-base:1";

/// One test: its run, its folder, and what was on the user's engine before.
pub struct Rig {
    pub run: String,
    pub dir: tempfile::TempDir,
    before: Vec<BTreeSet<String>>,
    /// What is on the user's engine is compared, so tests go one by one.
    _turn: MutexGuard<'static, ()>,
}

impl Rig {
    pub async fn new(name: &str) -> Self {
        static TURN: OnceLock<Mutex<()>> = OnceLock::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let turn = TURN.get_or_init(Mutex::default).lock().await;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            run: format!("test-{name}-{}-{count}", std::process::id()),
            dir: tempfile::tempdir().unwrap(),
            before: of_users(),
            _turn: turn,
        }
    }

    pub async fn connect(
        &self,
        image: &str,
        store: Option<Store>,
        keep: Keep,
    ) -> Result<PrivateHost, EngineError> {
        let spec = PrivateSpec { image: image.to_owned(), store, keep };
        PrivateHost::connect(None, &self.run, "e", spec, self.dir.path()).await
    }

    /// A host, and its registry at the gateway with the base image in it.
    pub async fn host(&self, store: Store, keep: Keep) -> (PrivateHost, Registry) {
        let host = self.connect(IMAGE, Some(store), keep).await.unwrap();
        let registry = Registry::start(self.dir.path(), host.prepare().await.unwrap());
        registry.take_base().await;
        host.trust(registry.registries()).await;
        (host, registry)
    }

    /// A two-stage context. Its last step takes `app`, the step before what the first stage made.
    pub fn context(&self) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let context = self.dir.path().join(format!("context-{count}"));
        std::fs::create_dir_all(&context).unwrap();
        let dockerfile = format!(
            "FROM {BASE} AS builder\nRUN echo {}-{count} > /nonce\nCOPY manifest ./\n\
             RUN mkdir /made && cat manifest > /made/manifest\n\
             FROM {BASE}\nCOPY --from=builder /made /made\nCOPY app ./\n",
            self.run
        );
        std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        std::fs::write(context.join("manifest"), format!("{}-{count}", self.run)).unwrap();
        std::fs::write(context.join("app"), format!("{}-{count}", self.run)).unwrap();
        context
    }

    /// Nothing of this run is left, and what is the user's is as it was.
    pub fn assert_nothing_left(&self) {
        assert_eq!(of_users(), self.before);
        let folder = self.dir.path().join("engine-e");
        assert!(!folder.exists(), "{} is still there", folder.display());
    }
}

impl Drop for Rig {
    /// What a failed test left goes all the same.
    fn drop(&mut self) {
        for (list, remove) in [
            (&["ps", "-aq"][..], &["rm", "-fv"][..]),
            (&["volume", "ls", "-q"], &["volume", "rm"]),
            (&["network", "ls", "-q"], &["network", "rm"]),
        ] {
            let label = format!("label=breakeven.run={}", self.run);
            let listed = docker(&[list, &["--filter", &label]].concat());
            for id in listed.lines() {
                _ = Command::new("docker").args(remove).arg(id).output();
            }
        }
    }
}

/// Containers, volumes, networks, images with their names and digests, and the default bridge.
fn of_users() -> Vec<BTreeSet<String>> {
    let lists: [&[&str]; 5] = [
        &["ps", "-aq", "--no-trunc"],
        &["volume", "ls", "-q"],
        &["network", "ls", "-q", "--no-trunc"],
        &["images", "-a", "--format", "{{.ID}} {{.Repository}}:{{.Tag}} {{.Digest}}"],
        &["network", "inspect", "bridge", "--format", "{{.Id}} {{json .IPAM}} {{json .Options}}"],
    ];
    lists.iter().map(|list| docker(list).lines().map(str::to_owned).collect()).collect()
}

pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What a build is asked for, beyond context and tag.
#[derive(Default)]
pub struct Ask<'a> {
    pub sources: &'a [ImageRef],
    pub inline_cache: bool,
    pub cache_folder: Option<&'a Path>,
    pub export: Option<&'a CacheExport>,
    pub export_folder: Option<&'a Path>,
}

pub async fn build(
    engine: &PrivateEngine,
    builder: Builder,
    context: &Path,
    tag: &ImageRef,
    ask: &Ask<'_>,
) -> Result<BuildOutcome, EngineError> {
    let request = BuildRequest {
        builder,
        context,
        dockerfile: &context.join("Dockerfile"),
        target: None,
        build_args: &BTreeMap::new(),
        sources: ask.sources,
        layers: None,
        tag,
        inline_cache: ask.inline_cache,
        cache_folder: ask.cache_folder,
        export: ask.export,
        export_folder: ask.export_folder.unwrap_or(Path::new("unused")),
    };
    let mut log = StepLog::default();
    let built = engine.build(&request, &|_| {}, &mut log).await;
    // The error tells which step failed, its output why.
    built.map_err(|error| match error {
        EngineError::Failed { operation, reference, cause } => {
            EngineError::Failed { operation, reference, cause: format!("{cause}\n{}", log.text()) }
        }
        other => other,
    })
}

/// `stage step` of every step that was hit, sorted: stages run side by side.
pub fn hits(outcome: &BuildOutcome) -> Vec<String> {
    let steps = outcome.steps.iter().filter(|step| step.hit);
    let mut hits: Vec<_> = steps.map(|step| format!("{} {}", step.stage, step.step)).collect();
    hits.sort_unstable();
    hits
}

/// One store of images behind two addresses: the loopback for the user's engine, the gateway for
/// private ones.
pub struct Registry {
    pub address: String,
    local: String,
    children: Vec<Child>,
}

impl Registry {
    pub fn start(dir: &Path, gateway: IpAddr) -> Self {
        let mut children = Vec::new();
        let addresses = ["127.0.0.1".to_owned(), gateway.to_string()].map(|host| {
            let listener = std::net::TcpListener::bind((host.as_str(), 0)).unwrap();
            let address = listener.local_addr().unwrap().to_string();
            drop(listener);
            let config = format!(
                "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    \
                 rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n",
                dir.join("registry").display()
            );
            let file = dir.join(format!("registry-{address}.yml"));
            std::fs::write(&file, config).unwrap();
            let child = Command::new("docker-registry")
                .arg("serve")
                .arg(&file)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("these tests need docker-registry");
            children.push(child);
            for _ in 0..200 {
                if std::net::TcpStream::connect(&address).is_ok() {
                    return address;
                }
                std::thread::sleep(std::time::Duration::from_millis(25));
            }
            panic!("the registry does not answer at {address}");
        });
        let [local, address] = addresses;
        Self { address, local, children }
    }

    /// Pushes the base image from the user's engine to where a private one looks for it.
    async fn take_base(&self) {
        let path = mirrored_path(BASE).unwrap();
        let (repository, tag) = path.rsplit_once(':').unwrap();
        let to = ImageRef::new(format!("{}/{repository}", self.local), tag);
        let users = SharedEngine::connect(None).await.unwrap();
        users.push_as(BASE, &to, &mut StepLog::default()).await.unwrap();
    }

    /// What a private engine is told of it.
    pub fn registries(&self) -> Registries {
        let address = self.address.clone();
        Registries { insecure: vec![address.clone()], mirror: Some(address) }
    }

    pub fn image(&self, name: &str, tag: &str) -> ImageRef {
        ImageRef::new(format!("{}/test/{name}", self.address), tag)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        for child in &mut self.children {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

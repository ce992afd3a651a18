//! Where storages come from: every sample has a new one, as a fresh runner has it.

use super::engine::BuildahEngine;
use super::leftovers::{self, FOLDER};
use super::place::{self, Place};
use super::program::Program;
use crate::engine::logins::Logins;
use crate::engine::{Engine, EngineError, EngineFacts, EngineHost, Owned, Snapshot, StepLog};
use crate::model::ImageRef;
use crate::model::plan::Driver;
use async_trait::async_trait;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Hands out Buildah, each time with an empty storage of its own.
pub struct BuildahHost {
    /// Buildah on the user's own storage, which is asked for base images and never written to.
    users: BuildahEngine,
    address: String,
    folder: PathBuf,
    wanted: Option<Driver>,
    logins: Arc<Logins>,
    state: Mutex<State>,
}

struct State {
    program: Program,
    driver: Driver,
    registries: Option<PathBuf>,
    /// Storages that were made so far.
    made: u32,
    /// The one in hand.
    current: Option<PathBuf>,
}

impl BuildahHost {
    /// Finds the program. Nothing is made yet. `scratch` is the folder of the run's own files.
    pub async fn connect(
        name: &str,
        driver: Option<Driver>,
        scratch: &Path,
    ) -> Result<Self, EngineError> {
        let program = Program::find().await?;
        let logins = Arc::<Logins>::default();
        let users = BuildahEngine {
            program: program.clone(),
            place: Place::users(),
            logins: Arc::clone(&logins),
        };
        let address = program.path.display().to_string();
        let state = State {
            program,
            driver: driver.unwrap_or(Driver::Overlay),
            registries: None,
            made: 0,
            current: None,
        };
        Ok(Self {
            users,
            address,
            folder: scratch.join(format!("{FOLDER}{name}")),
            wanted: driver,
            logins,
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new, empty storage.
    fn make(&self, driver: Driver) -> Result<BuildahEngine, EngineError> {
        let mut state = self.state();
        state.made += 1;
        let folder = self.folder.join(state.made.to_string());
        let place = Place::make(&folder, driver, state.registries.as_deref());
        let place = place.map_err(|source| io("make the storage", &folder, source))?;
        let (program, logins) = (state.program.clone(), Arc::clone(&self.logins));
        Ok(BuildahEngine { program, place, logins })
    }

    async fn remove(&self, folder: &Path) -> Result<(), EngineError> {
        let path = folder.to_owned();
        let removed = tokio::task::spawn_blocking(move || leftovers::remove(&path)).await;
        removed
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(|source| io("remove", folder, source))
    }

    /// Whether Buildah works here with this driver; `Err` in Buildah's words if not.
    async fn works(&self, driver: Driver) -> Result<Result<(), String>, EngineError> {
        let engine = self.make(driver)?;
        let asked = engine.ask(("try", driver.as_str()), ["info"], &mut StepLog::default()).await;
        if let Some(folder) = engine.place.folder() {
            self.remove(folder).await?;
        }
        Ok(match asked {
            Ok(_) => Ok(()),
            Err(EngineError::Failed { cause, .. }) => Err(cause),
            Err(other) => return Err(other),
        })
    }

    /// Finds a base image: in the user's own storage, on the Docker engine of this machine, or in
    /// the registry that its name says.
    async fn find_base(&self, base: &str, to: &str) -> Result<(), EngineError> {
        let mut log = StepLog::default();
        let push = |from: &str| {
            [
                "push".to_owned(),
                "--tls-verify=false".to_owned(),
                from.to_owned(),
                format!("docker://{to}"),
            ]
        };
        if self.users.inspect(base).await?.is_some() {
            return self.users.ask(("push", base), push(base), &mut log).await.map(drop);
        }
        let driver = self.state().driver;
        let engine = self.make(driver)?;
        let mut refused = Vec::new();
        let mut found = None;
        for transport in ["docker-daemon:", "docker://"] {
            let mut arguments = vec!["pull".into()];
            arguments.extend(engine.place.policy());
            arguments.push(format!("{transport}{base}").into());
            match engine.ask(("pull", base), arguments, &mut log).await {
                Ok(answer) => {
                    found = answer.out.last().map(|id| id.trim().to_owned());
                    break;
                }
                Err(EngineError::Failed { cause, .. }) => {
                    refused.push(format!("{transport} {cause}"))
                }
                Err(other) => return Err(other),
            }
        }
        let pushed = match found {
            Some(id) => engine.ask(("push", base), push(&id), &mut log).await.map(drop),
            None => Err(EngineError::NotCapable {
                what: format!("building on the base image {base}"),
                cause: format!(
                    "it is not in your own storage (buildah images), and {}",
                    refused.join("; ")
                ),
                advice: format!("Get it there: buildah pull {base}"),
            }),
        };
        if let Some(folder) = engine.place.folder() {
            self.remove(folder).await?;
        }
        pushed
    }
}

#[async_trait]
impl EngineHost for BuildahHost {
    fn address(&self) -> &str {
        &self.address
    }

    fn is_private(&self) -> bool {
        true
    }

    fn daemon(&self) -> Option<&str> {
        None
    }

    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        self.users.facts().await
    }

    fn users(&self) -> &dyn Engine {
        &self.users
    }

    /// Sees how Buildah can keep layers here. The registry is reached on this machine's loopback.
    async fn prepare(&self) -> Result<IpAddr, EngineError> {
        std::fs::create_dir_all(&self.folder)
            .map_err(|source| io("make the folder", &self.folder, source))?;
        let trial = self.make(Driver::Vfs)?;
        let mut program = trial.program;
        program.cage(&trial.place).await;
        self.state().program = program;
        if let Some(folder) = trial.place.folder() {
            self.remove(folder).await?;
        }
        let drivers = self.wanted.map_or(vec![Driver::Overlay, Driver::Vfs], |one| vec![one]);
        let mut causes = Vec::new();
        for driver in drivers {
            match self.works(driver).await? {
                Ok(()) => {
                    self.state().driver = driver;
                    return Ok(Ipv4Addr::LOCALHOST.into());
                }
                Err(cause) => causes.push(format!("{}: {cause}", driver.as_str())),
            }
        }
        Err(EngineError::NotCapable {
            what: "keeping layers with Buildah".to_owned(),
            cause: causes.join("; "),
            advice: "Run as root, or as a user with a line in /etc/subuid and /etc/subgid and the \
                     package uidmap; and try `driver = \"vfs\"`"
                .to_owned(),
        })
    }

    async fn publish_base(&self, base: &str, to: &ImageRef) -> Result<(), EngineError> {
        self.find_base(base, &to.to_string()).await
    }

    async fn trust(&self, registry: &str) {
        let file = self.folder.join("registries.conf");
        match std::fs::write(&file, place::registries(registry)) {
            Ok(()) => self.state().registries = Some(file),
            // Builds will then not find their base images, and say so.
            Err(error) => tracing::warn!("write {}: {error}", file.display()),
        }
    }

    fn alias(&self, address: &str, registry: &str) {
        self.logins.alias(address, registry);
    }

    async fn fresh(&self) -> Result<Arc<dyn Engine>, EngineError> {
        let left = self.state().current.take();
        if let Some(folder) = left {
            self.remove(&folder).await?;
        }
        let driver = self.state().driver;
        let engine = self.make(driver)?;
        self.state().current = engine.place.folder().map(Path::to_path_buf);
        Ok(Arc::new(engine))
    }

    async fn release(
        &self,
        _engine: Arc<dyn Engine>,
        _owned: &Owned,
        _before: &Snapshot,
    ) -> Result<(), EngineError> {
        let left = self.state().current.take();
        match left {
            Some(folder) => self.remove(&folder).await,
            None => Ok(()),
        }
    }

    async fn round_over(&self) -> Result<(), EngineError> {
        Ok(())
    }

    async fn close(&self) -> Result<(), EngineError> {
        self.remove(&self.folder).await
    }
}

fn io(operation: &str, folder: &Path, source: std::io::Error) -> EngineError {
    EngineError::Io {
        operation: operation.to_owned(),
        reference: folder.display().to_string(),
        source,
    }
}

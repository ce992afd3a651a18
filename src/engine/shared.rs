//! The user's own engine, through its API and buildx.

use super::buildx::Buildx;
use super::connection::{connect, failure, said, unavailable};
use super::context::ModeForm;
use super::logins::Logins;
use super::windows::{Building, ClassicBuilding, Window, of_broken_off, taken};
use super::{
    BuildOutcome, BuildRequest, Engine, EngineError, EngineEvent, EngineFacts, GivenUp, ImageFacts,
    Owned, PushOutcome, Snapshot, StepLog, Trace, archive, classic, events, images, raw, transfer,
    upkeep,
};
use crate::model::plan::ArchivePlan;
use crate::model::{Builder, ImageRef};
use async_trait::async_trait;
use bollard::Docker;
use bollard::query_parameters::TagImageOptions;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::OnceCell;

/// An engine that others use as well: only what a run made is removed from it.
pub struct SharedEngine {
    docker: Docker,
    address: String,
    facts: EngineFacts,
    /// Whether it is Podman that speaks the API.
    podman: bool,
    mode_form: ModeForm,
    /// The engine's own folder, where it lies on this machine.
    root: Option<PathBuf>,
    buildx: OnceCell<Buildx>,
    logins: Arc<Logins>,
    /// When BuildKit was building for us: only records of these times can be ours.
    windows: Mutex<Vec<Window>>,
    given_up: Mutex<Vec<GivenUp>>,
    /// When the classic builder was building for us since the last reset.
    classic: Mutex<Vec<Window>>,
    /// The Dockerfiles of those of these builds that were broken off.
    broken_off: Mutex<Vec<String>>,
}

/// How long the classic builder may take for the step in hand after its client is gone.
const LAST_STEP: Duration = Duration::from_secs(1);

impl SharedEngine {
    /// Connects to the engine at this address, else to the one that the docker client would use
    /// (`DOCKER_HOST`, the docker context, the default socket), and asks it what it is.
    pub async fn connect(docker_host: Option<&str>) -> Result<Self, EngineError> {
        Self::open(docker_host, None, Arc::default()).await
    }

    /// The same; `root` is where the engine's own folder lies on this machine, if not where the
    /// engine says.
    pub(super) async fn open(
        docker_host: Option<&str>,
        root: Option<PathBuf>,
        logins: Arc<Logins>,
    ) -> Result<Self, EngineError> {
        let (docker, address) = connect(docker_host).await?;
        let down = |cause: String| unavailable(&address, cause);
        let version = docker.version().await.map_err(|error| down(said(&error)))?;
        let info = docker.info().await.map_err(|error| down(said(&error)))?;
        let facts =
            EngineFacts {
                address: address.clone(),
                version: version.version.unwrap_or_default(),
                api: docker.client_version().to_string(),
                store: info.driver.unwrap_or_default(),
                containerd_store: info.driver_status.unwrap_or_default().iter().any(|pair| {
                    pair.iter().any(|word| word.starts_with("io.containerd.snapshotter"))
                }),
                buildx: None,
            };
        let podman = version.components.iter().flatten().any(|one| one.name.contains("Podman"));
        let client = client_version().await.unwrap_or_else(|| facts.version.clone());
        let own = address.starts_with("unix://").then_some(info.docker_root_dir).flatten();
        Ok(Self {
            docker,
            mode_form: mode_form(&client),
            root: root.or(own.map(PathBuf::from)),
            address,
            facts,
            podman,
            buildx: OnceCell::new(),
            logins,
            windows: Mutex::default(),
            given_up: Mutex::default(),
            classic: Mutex::default(),
            broken_off: Mutex::default(),
        })
    }

    /// Its address, such as `unix:///var/run/docker.sock`.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn logins(&self) -> &Arc<Logins> {
        &self.logins
    }

    /// The client names an image by its configuration. In the containerd image store its id is
    /// that of its manifest.
    async fn with_own_id(
        &self,
        mut outcome: BuildOutcome,
        tag: &ImageRef,
        seen: &(dyn for<'id> Fn(&'id str) + Send + Sync),
    ) -> Result<BuildOutcome, EngineError> {
        if self.facts.containerd_store {
            let name = tag.to_string();
            let image = self.docker.inspect_image(&name).await;
            let image = image.map_err(|error| failure("inspect", &name, &self.address, error))?;
            outcome.image = image.id.unwrap_or_default();
            seen(&outcome.image);
            outcome.images_seen.push(outcome.image.clone());
        }
        Ok(outcome)
    }

    async fn buildx(&self) -> Result<&Buildx, EngineError> {
        self.buildx.get_or_try_init(Buildx::find).await
    }

    /// Pushes an image that is on the engine under another name, and leaves nothing of that name
    /// behind: how base images get into the registry that private engines pull from.
    pub async fn push_as(
        &self,
        image: &str,
        to: &ImageRef,
        log: &mut StepLog,
    ) -> Result<PushOutcome, EngineError> {
        let before = self.upkeep().snapshot().await?;
        let options =
            TagImageOptions { repo: Some(to.repository.clone()), tag: Some(to.tag.clone()) };
        let tagged = self.docker.tag_image(image, Some(options)).await;
        tagged.map_err(|error| failure("tag", image, &self.address, error))?;
        let pushed = self.push(to, log).await;
        let owned = Owned { tags: [to.to_string()].into(), ..Owned::default() };
        let reset = self.upkeep().reset(&owned, &before, Some(&[])).await;
        let outcome = pushed?;
        reset.map(|_| outcome)
    }

    /// Containers that Buildah has been working in since a killed run built, on Podman: `podman ps
    /// --external` shows them. They say nothing of whose build they are, so that they are named and left.
    pub async fn working_containers(&self, trace: &Trace) -> Result<Vec<String>, EngineError> {
        if !self.podman {
            return Ok(Vec::new());
        }
        let listed = raw::working_containers(&self.address).await;
        let listed = listed.map_err(|source| EngineError::Io {
            operation: "list".to_owned(),
            reference: "containers of Buildah's".to_owned(),
            source,
        })?;
        let in_time = listed.into_iter().filter(|(_, created)| trace.covers(*created));
        Ok(in_time.map(|(id, _)| id.chars().take(12).collect()).collect())
    }

    /// Removes everything that is on it: for an engine of our own.
    pub(super) async fn empty(&self) -> Result<(), EngineError> {
        self.upkeep().empty().await
    }

    fn upkeep(&self) -> upkeep::Upkeep<'_> {
        upkeep::Upkeep { docker: &self.docker, address: &self.address, api: &self.facts.api }
    }

    /// What is owned, with what a classic build that was broken off has made since: the builder
    /// finishes the step in hand, as a copy, and its last step gets the tag. To be asked before
    /// anything is removed, which would take away what such an image is known by, its parent.
    async fn with_last_step(&self, owned: &Owned, before: &Snapshot) -> Result<Owned, EngineError> {
        let (windows, dockerfiles) = (taken(&self.classic), taken(&self.broken_off));
        let broken = windows.iter().filter(|window| window.broken_off);
        let spans: Vec<_> = broken.filter_map(|window| Some((window.from, window.to?))).collect();
        let mut owned = owned.clone();
        if spans.is_empty() {
            return Ok(owned);
        }
        tokio::time::sleep(LAST_STEP).await;
        let trace = Trace { windows: spans, dockerfiles };
        let found = self.upkeep().leftovers(&owned, before, &trace).await?;
        owned.images.extend(found.images);
        Ok(owned)
    }

    /// Times in which records that BuildKit made can be ours; `None` if the engine's clock need
    /// not be this machine's.
    fn windows(&self) -> Option<Vec<Window>> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.address.starts_with("unix://").then_some(windows)
    }
}

fn no_buildah() -> EngineError {
    EngineError::NotCapable {
        what: "building with Buildah".to_owned(),
        cause: "this engine is a daemon".to_owned(),
        advice: "Name an engine with `kind = \"buildah\"`".to_owned(),
    }
}

#[async_trait]
impl Engine for SharedEngine {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        self.docker.ping().await.map_err(|error| failure("ask", "", &self.address, error))?;
        let buildx = self.buildx().await.ok().map(|buildx| buildx.version.clone());
        Ok(EngineFacts { buildx, ..self.facts.clone() })
    }

    async fn supports(&self, builder: Builder) -> Result<(), EngineError> {
        match builder {
            Builder::Classic => Ok(()),
            // Its API answers to buildx, which would then look for a BuildKit to start there.
            Builder::Buildkit if self.podman => Err(EngineError::NotCapable {
                what: "building with BuildKit".to_owned(),
                cause: "this engine is Podman, which has no BuildKit".to_owned(),
                advice: "Use the classic builder there, or an engine of `kind = \"buildah\"`"
                    .to_owned(),
            }),
            Builder::Buildkit => self.buildx().await.map(|_| ()),
            Builder::Buildah => Err(no_buildah()),
        }
    }

    async fn build(
        &self,
        request: &BuildRequest<'_>,
        seen: &(dyn for<'id> Fn(&'id str) + Send + Sync),
        log: &mut StepLog,
    ) -> Result<BuildOutcome, EngineError> {
        match request.builder {
            Builder::Classic => {
                let form = (self.mode_form, self.podman);
                let mut building = ClassicBuilding {
                    building: Building::begin(&self.classic),
                    broken_off: &self.broken_off,
                    dockerfile: request.dockerfile,
                };
                let outcome =
                    classic::build(&self.docker, &self.address, form, request, seen, log).await;
                building.building.answered = true;
                outcome.map_err(EngineError::noticing_full)
            }
            Builder::Buildkit => {
                let buildx = self.buildx().await?;
                let mut building = Building::begin(&self.windows);
                let outcome = buildx.build(&self.address, &self.logins, request, seen, log).await;
                building.answered = true;
                let explained = |error| self.logins.explain(error, None).noticing_full();
                self.with_own_id(outcome.map_err(explained)?, request.tag, seen).await
            }
            Builder::Buildah => Err(no_buildah()),
        }
    }

    async fn pull(&self, reference: &ImageRef, log: &mut StepLog) -> Result<(), EngineError> {
        let registry = reference.registry();
        let credentials = self.logins.for_engine(registry).await?;
        let pulled = transfer::pull(&self.docker, &self.address, reference, credentials, log).await;
        pulled.map_err(|error| self.logins.explain(error, Some(registry)).noticing_full())
    }

    async fn push(
        &self,
        reference: &ImageRef,
        log: &mut StepLog,
    ) -> Result<PushOutcome, EngineError> {
        let registry = reference.registry();
        let credentials = self.logins.for_engine(registry).await?;
        let pushed = transfer::push(&self.docker, &self.address, reference, credentials, log).await;
        pushed.map_err(|error| self.logins.explain(error, Some(registry)))
    }

    async fn load(&self, archive: &Path, log: &mut StepLog) -> Result<Vec<String>, EngineError> {
        let loaded = archive::load(&self.docker, &self.address, archive, log).await;
        loaded.map_err(EngineError::noticing_full)
    }

    async fn save(
        &self,
        references: &[ImageRef],
        archive: &Path,
        packing: &ArchivePlan,
        log: &mut StepLog,
    ) -> Result<u64, EngineError> {
        archive::save(&self.docker, &self.address, references, (archive, packing), log).await
    }

    async fn inspect(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError> {
        images::inspect(&self.docker, &self.address, self.root.as_deref(), reference).await
    }

    async fn events(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<Vec<EngineEvent>, EngineError> {
        events::events(&self.docker, &self.address, from, to).await
    }

    async fn snapshot(&self) -> Result<Snapshot, EngineError> {
        self.upkeep().snapshot().await
    }

    async fn reset(&self, owned: &Owned, before: &Snapshot) -> Result<(), EngineError> {
        let windows = self.windows();
        // What is known all the same goes all the same.
        let last = self.with_last_step(owned, before).await;
        let all = last.as_ref().unwrap_or(owned);
        let reset = self.upkeep().reset(all, before, windows.as_deref()).await;
        let mut given_up = self.given_up();
        if reset.is_ok() {
            // What was made in closed windows is gone; later records of these times are not ours.
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.retain(|window| window.to.is_none());
        }
        // The first error is the one that counts.
        let late = self.upkeep().remove_given_up(&given_up).await;
        let late = late.map(|left| given_up = left);
        if let (Ok(upkeep::Stay::Records), Some(windows)) = (&reset, windows) {
            given_up.extend(of_broken_off(&windows, &before.records));
        }
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner) = given_up;
        reset.and(late).and(last.map(|_| ()))
    }

    fn given_up(&self) -> Vec<GivenUp> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn remove_given_up(&self, given_up: &[GivenUp]) -> Result<Vec<GivenUp>, EngineError> {
        self.upkeep().remove_given_up(given_up).await
    }

    async fn leftovers(
        &self,
        owned: &Owned,
        before: &Snapshot,
        trace: &Trace,
    ) -> Result<Owned, EngineError> {
        self.upkeep().leftovers(owned, before, trace).await
    }
}

/// Version of the docker client on PATH; the classic builder's cache keys depend on it.
async fn client_version() -> Option<String> {
    let mut client = tokio::process::Command::new("docker");
    client.arg("--version").stdin(std::process::Stdio::null()).kill_on_drop(true);
    let answer = client.output().await.ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    Some(text.strip_prefix("Docker version ")?.split(',').next()?.to_owned())
}

fn mode_form(client: &str) -> ModeForm {
    match client.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major < 23 => ModeForm::WithType,
        _ => ModeForm::Permissions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_follows_the_clients_version() {
        assert_eq!(mode_form("20.10.24+dfsg1"), ModeForm::WithType);
        assert_eq!(mode_form("28.2.2"), ModeForm::Permissions);
        assert_eq!(mode_form(""), ModeForm::Permissions);
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_unavailable() {
        for address in ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1", "ssh://x"] {
            let error = SharedEngine::connect(Some(address)).await.err().unwrap();
            assert!(matches!(error, EngineError::Unavailable { .. }), "{error}");
            assert!(error.to_string().contains(address), "{error}");
        }
    }
}

//! The user's own engine, through its API and buildx.

use super::buildx::Buildx;
use super::context::ModeForm;
use super::logins::Logins;
use super::{
    BuildOutcome, BuildRequest, Engine, EngineError, EngineEvent, EngineFacts, ImageFacts, Owned,
    PushOutcome, Snapshot, StepLog, Trace, address, archive, classic, events, images, transfer,
    upkeep,
};
use crate::model::plan::ArchivePlan;
use crate::model::{Builder, ImageRef};
use async_trait::async_trait;
use bollard::errors::Error;
use bollard::query_parameters::TagImageOptions;
use bollard::{API_DEFAULT_VERSION, Docker};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use time::OffsetDateTime;
use tokio::sync::OnceCell;

/// The client's own limit for the head of an answer, in seconds: none in practice, since every
/// call has a limit of its caller's. bollard's default of 120 s would end long builds.
const NO_LIMIT_S: u64 = 7 * 24 * 3600;

/// An engine that others use as well: only what a run made is removed from it.
pub struct SharedEngine {
    docker: Docker,
    address: String,
    facts: EngineFacts,
    mode_form: ModeForm,
    /// The engine's own folder, where it lies on this machine.
    root: Option<PathBuf>,
    buildx: OnceCell<Buildx>,
    logins: Arc<Logins>,
    /// When BuildKit was building for us: only records of these times can be ours.
    windows: Mutex<Vec<Window>>,
}

/// From a build's start to its end, by this machine's clock; open while it builds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    from: OffsetDateTime,
    to: Option<OffsetDateTime>,
    /// Whether it was broken off, so that the engine may not have noticed yet.
    pub(super) broken_off: bool,
}

/// How long after its answer a builder may still note that it used a record.
const RELEASE: time::Duration = time::Duration::milliseconds(250);

impl Window {
    pub(super) fn covers(&self, moment: OffsetDateTime) -> bool {
        self.from <= moment && self.to.is_none_or(|to| moment <= to + RELEASE)
    }
}

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
        let client = client_version().await.unwrap_or_else(|| facts.version.clone());
        let own = address.starts_with("unix://").then_some(info.docker_root_dir).flatten();
        Ok(Self {
            docker,
            mode_form: mode_form(&client),
            root: root.or(own.map(PathBuf::from)),
            address,
            facts,
            buildx: OnceCell::new(),
            logins,
            windows: Mutex::new(Vec::new()),
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
        reset.map(|()| outcome)
    }

    /// Removes everything that is on it: for an engine of our own.
    pub(super) async fn empty(&self) -> Result<(), EngineError> {
        self.upkeep().empty().await
    }

    fn upkeep(&self) -> upkeep::Upkeep<'_> {
        upkeep::Upkeep { docker: &self.docker, address: &self.address, api: &self.facts.api }
    }

    /// Times in which records that BuildKit made can be ours; `None` if the engine's clock need
    /// not be this machine's.
    fn windows(&self) -> Option<Vec<Window>> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.address.starts_with("unix://").then_some(windows)
    }
}

/// Closes the window of a build however the build ends.
struct Building<'a> {
    windows: &'a Mutex<Vec<Window>>,
    index: usize,
    answered: bool,
}

impl<'a> Building<'a> {
    fn begin(windows: &'a Mutex<Vec<Window>>) -> Self {
        let mut list = windows.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(Window { from: OffsetDateTime::now_utc(), to: None, broken_off: false });
        Self { windows, index: list.len() - 1, answered: false }
    }
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        let mut list = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = list.get_mut(self.index) {
            window.broken_off = !self.answered;
            // An engine that is told to stop may still finish a record.
            window.to = Some(OffsetDateTime::now_utc() + time::Duration::seconds(2));
        }
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
            Builder::Buildkit => self.buildx().await.map(|_| ()),
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
                let form = self.mode_form;
                classic::build(&self.docker, &self.address, form, request, seen, log).await
            }
            Builder::Buildkit => {
                let buildx = self.buildx().await?;
                let mut building = Building::begin(&self.windows);
                let outcome = buildx.build(&self.address, &self.logins, request, seen, log).await;
                building.answered = true;
                let outcome = outcome.map_err(|error| self.logins.explain(error, None))?;
                self.with_own_id(outcome, request.tag, seen).await
            }
        }
    }

    async fn pull(&self, reference: &ImageRef, log: &mut StepLog) -> Result<(), EngineError> {
        let registry = reference.registry();
        let credentials = self.logins.for_engine(registry).await?;
        let pulled = transfer::pull(&self.docker, &self.address, reference, credentials, log).await;
        pulled.map_err(|error| self.logins.explain(error, Some(registry)))
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
        archive::load(&self.docker, &self.address, archive, log).await
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
        let reset = self.upkeep().reset(owned, before, windows.as_deref()).await;
        if reset.is_ok() {
            // What was made in closed windows is gone; later records of these times are not ours.
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.retain(|window| window.to.is_none());
        }
        reset
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

/// A connection to the engine at this address, else to the one that the docker client would use;
/// it has answered.
pub(super) async fn connect(docker_host: Option<&str>) -> Result<(Docker, String), EngineError> {
    let address = address::Places::of_process(docker_host).resolve()?;
    let docker = match address.split_once("://") {
        Some(("unix", _)) => Docker::connect_with_unix(&address, NO_LIMIT_S, API_DEFAULT_VERSION),
        Some(("tcp" | "http", _)) => {
            Docker::connect_with_http(&address, NO_LIMIT_S, API_DEFAULT_VERSION)
        }
        _ => {
            return Err(EngineError::Unavailable {
                cause: "only unix:// and tcp:// addresses without TLS are spoken".to_owned(),
                advice: "Forward the engine's socket (`ssh -L`) and name that in DOCKER_HOST"
                    .to_owned(),
                address,
            });
        }
    };
    let docker = docker.map_err(|error| unavailable(&address, said(&error)))?;
    let docker = docker.negotiate_version().await;
    let docker = docker.map_err(|error| unavailable(&address, said(&error)))?;
    Ok((docker, address))
}

fn unavailable(address: &str, cause: String) -> EngineError {
    EngineError::Unavailable {
        address: address.to_owned(),
        cause,
        advice: "Start it, or name another in DOCKER_HOST".to_owned(),
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

/// bollard's error as ours.
pub(super) fn failure(
    operation: &str,
    reference: &str,
    address: &str,
    error: Error,
) -> EngineError {
    let (operation, reference) = (operation.to_owned(), reference.to_owned());
    match error {
        // What a build lacks is not the image that it is to make; the message names it.
        Error::DockerResponseServerError { status_code: 404, .. } if operation != "build" => {
            EngineError::NotFound { operation, reference }
        }
        Error::DockerResponseServerError { message, .. } => {
            EngineError::Failed { operation, reference, cause: message }
        }
        Error::DockerStreamError { error } => {
            EngineError::Failed { operation, reference, cause: error }
        }
        Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::IOError { .. }
        | Error::SocketNotFoundError(_) => EngineError::Unavailable {
            address: address.to_owned(),
            cause: format!("{operation} {reference}: {}", said(&error)),
            advice: "See whether it still runs, and its log".to_owned(),
        },
        other => EngineError::Failed { operation, reference, cause: said(&other) },
    }
}

/// An error with its causes: hyper's own text is only "client error (Connect)".
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
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

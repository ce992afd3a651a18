//! The user's own engine, through its API and buildx.

use super::buildx::Buildx;
use super::context::ModeForm;
use super::logins::Logins;
use super::{
    BuildOutcome, BuildRequest, Engine, EngineError, EngineEvent, EngineFacts, GivenUp, ImageFacts,
    Owned, PushOutcome, Snapshot, StepLog, Trace, address, archive, classic, events, images,
    transfer, upkeep,
};
use crate::model::plan::ArchivePlan;
use crate::model::{Builder, ImageRef};
use async_trait::async_trait;
use bollard::errors::Error;
use bollard::query_parameters::TagImageOptions;
use bollard::{API_DEFAULT_VERSION, Docker};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
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
/// How long an engine that is told to stop may still be finishing a record.
const LAST: time::Duration = time::Duration::seconds(2);
/// How long the classic builder may take for the step in hand after its client is gone.
const LAST_STEP: Duration = Duration::from_secs(1);

impl Window {
    /// Closes it now, so long after it was opened. If the clock was set meanwhile, records have
    /// times by both.
    fn close(&mut self, now: OffsetDateTime, ran: Duration) {
        self.to = Some(now.max(self.from + ran) + LAST);
        self.from = self.from.min(now - ran);
    }

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

/// Notes what a classic build that is broken off was building, while its file is still there.
struct ClassicBuilding<'a> {
    building: Building<'a>,
    broken_off: &'a Mutex<Vec<String>>,
    dockerfile: &'a Path,
}

impl Drop for ClassicBuilding<'_> {
    fn drop(&mut self) {
        if !self.building.answered
            && let Ok(text) = std::fs::read_to_string(self.dockerfile)
        {
            self.broken_off.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    }
}

fn taken<T>(list: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The builds among these that were broken off, as one.
fn of_broken_off(windows: &[Window], before: &BTreeSet<String>) -> Option<GivenUp> {
    let broken = || windows.iter().filter(|window| window.broken_off);
    let ns = |at: OffsetDateTime| i64::try_from(at.unix_timestamp_nanos()).ok();
    Some(GivenUp {
        from_ns: ns(broken().map(|window| window.from).min()?)?,
        to_ns: ns(broken().filter_map(|window| window.to).max()?)?,
        before: before.clone(),
    })
}

/// Closes the window of a build however the build ends.
struct Building<'a> {
    windows: &'a Mutex<Vec<Window>>,
    index: usize,
    began: Instant,
    answered: bool,
}

impl<'a> Building<'a> {
    fn begin(windows: &'a Mutex<Vec<Window>>) -> Self {
        let mut list = windows.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(Window { from: OffsetDateTime::now_utc(), to: None, broken_off: false });
        Self { windows, index: list.len() - 1, began: Instant::now(), answered: false }
    }
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        let mut list = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = list.get_mut(self.index) {
            window.broken_off = !self.answered;
            window.close(OffsetDateTime::now_utc(), self.began.elapsed());
        }
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

    #[test]
    fn a_window_covers_a_build_by_either_clock_if_it_was_set_meanwhile() {
        let began = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20);
        let ran = Duration::from_secs(60);
        let half = time::Duration::seconds(30);
        for moved in [-3600, 0, 3600].map(time::Duration::seconds) {
            let mut window = Window { from: began, to: None, broken_off: false };
            assert!(window.covers(began + half));
            let ended = began + ran + moved;
            window.close(ended, ran);
            for inside in [began + half, ended - half, ended + time::Duration::SECOND] {
                assert!(window.covers(inside), "{moved}: {inside}");
            }
            let first = began.min(ended - ran);
            assert!(!window.covers(first - time::Duration::SECOND), "{moved}");
            assert!(!window.covers(began.max(ended) + ran + half), "{moved}");
        }
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let failed = |cause: &str| EngineError::Failed {
            operation: "load".to_owned(),
            reference: "a.tar".to_owned(),
            cause: cause.to_owned(),
        };
        let full = failed("write /x: No space left on device").noticing_full();
        assert!(matches!(full, EngineError::Full { .. }));
        assert!(full.to_string().contains("docker system df"), "{full}");
        assert!(matches!(failed("unexpected EOF").noticing_full(), EngineError::Failed { .. }));
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

//! The Docker-compatible daemon that builds, behind one trait. `bollard` stays in this folder.

mod activity;
mod address;
mod archive;
pub mod bases;
pub mod buildah;
mod buildx;
mod classic;
mod connection;
mod context;
mod events;
mod host;
mod images;
mod instructions;
pub mod known_bad;
mod logins;
pub mod private;
mod probe;
mod raw;
pub mod records;
mod shared;
mod transfer;
mod upkeep;
mod vertex;
mod windows;

pub use activity::{Activity, activity};
pub use events::EngineEvent;
pub use host::{EngineHost, SharedHost, open};
pub use probe::{Capability, Trial};
pub use shared::SharedEngine;

use crate::model::plan::ArchivePlan;
use crate::model::{Builder, CacheExport, ImageRef, StepRecord};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use time::OffsetDateTime;

/// Why an engine's operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing answers.
    #[error("the engine at {address} does not answer: {cause}. {advice}")]
    Unavailable {
        /// What was tried.
        address: String,
        /// What came back.
        cause: String,
        /// What to do.
        advice: String,
    },
    /// The engine or its client lacks something.
    #[error("{what} is not possible here: {cause}. {advice}")]
    NotCapable {
        /// What was wanted.
        what: String,
        /// Why not.
        cause: String,
        /// What to do.
        advice: String,
    },
    /// An image that does not exist was asked for.
    #[error("{operation} {reference}: no such image")]
    NotFound {
        /// What was tried.
        operation: String,
        /// On what.
        reference: String,
    },
    /// The operation was carried out and failed.
    #[error("{operation} {reference} failed: {cause}")]
    Failed {
        /// What was tried.
        operation: String,
        /// On what.
        reference: String,
        /// The engine's own message.
        cause: String,
    },
    /// It failed because the disk under the engine is full.
    #[error(
        "{operation} {reference} failed: {cause}. The disk under the engine is full: make room there; \
         `docker system df` shows what takes it"
    )]
    Full {
        /// What was tried.
        operation: String,
        /// On what.
        reference: String,
        /// The engine's own message.
        cause: String,
    },
    /// A registry refused the credentials that it was shown, or wants some.
    #[error(
        "{operation} {reference} failed: {cause}. The registry {registry} wants another login, of an \
         account that may pull and push there: docker login {registry}"
    )]
    LoginRefused {
        /// What was tried.
        operation: String,
        /// On what.
        reference: String,
        /// The engine's own message.
        cause: String,
        /// The registry by its own name, also where a link is in front of it.
        registry: String,
    },
    /// Our side of the operation failed: a file, the disk, a process.
    #[error("{operation} {reference}: {source}")]
    Io {
        /// What was tried.
        operation: String,
        /// On what.
        reference: String,
        /// The operating system's message.
        source: std::io::Error,
    },
}

/// What every system says of a full disk.
const NO_ROOM: &str = "no space left on device";

/// Whether a text says that a disk is full.
fn says_full(text: &str) -> bool {
    text.to_lowercase().contains(NO_ROOM)
}

impl EngineError {
    /// Whether an image could not be removed since another one came to lie upon it.
    pub(crate) fn is_built_upon(&self) -> bool {
        matches!(self, Self::Failed { cause, .. } if cause.contains("dependent child"))
    }

    /// A failure that was for want of room says so.
    fn noticing_full(self) -> Self {
        match self {
            Self::Failed { operation, reference, cause } if says_full(&cause) => {
                Self::Full { operation, reference, cause }
            }
            other => other,
        }
    }
}

/// What is known about the engine; goes into `plan.json`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EngineFacts {
    /// Address, such as `unix:///var/run/docker.sock`.
    pub address: String,
    /// Version of the daemon.
    pub version: String,
    /// API version.
    pub api: String,
    /// Storage driver, such as `overlay2`.
    pub store: String,
    /// Whether images are kept in the containerd image store.
    pub containerd_store: bool,
    /// Version of buildx, if it was found.
    pub buildx: Option<String>,
}

/// One build, as the engine is asked for it.
#[derive(Debug, Clone)]
pub struct BuildRequest<'a> {
    /// The builder.
    pub builder: Builder,
    /// Folder of the prepared context.
    pub context: &'a Path,
    /// The prepared Dockerfile (inside the context or not).
    pub dockerfile: &'a Path,
    /// `--target`.
    pub target: Option<&'a str>,
    /// `--build-arg`.
    pub build_args: &'a BTreeMap<String, String>,
    /// `--cache-from`, in order.
    pub sources: &'a [ImageRef],
    /// `--cache-from` with a repository of layers, which has no tag.
    pub layers: Option<&'a str>,
    /// `--tag`.
    pub tag: &'a ImageRef,
    /// `BUILDKIT_INLINE_CACHE=1`.
    pub inline_cache: bool,
    /// `--cache-from type=local`: a folder that an earlier build exported.
    pub cache_folder: Option<&'a Path>,
    /// `--cache-to`.
    pub export: Option<&'a CacheExport>,
    /// Where [`CacheExport::Local`] exports to.
    pub export_folder: &'a Path,
}

/// What a build said of itself.
#[derive(Debug, Clone, Default)]
pub struct BuildOutcome {
    /// Full id of the image (`sha256:…`).
    pub image: String,
    /// Ids (possibly short) of every image that the builder named while building, hits included.
    pub images_seen: Vec<String>,
    /// Instructions in order.
    pub steps: Vec<StepRecord>,
    /// Seconds that importing cache took, from the builder's own record.
    pub import_s: Option<f64>,
    /// Seconds from the first step's start to the last step's end, likewise.
    pub steps_s: Option<f64>,
    /// Seconds that exporting the image took, likewise.
    pub export_s: Option<f64>,
    /// Seconds that exporting the cache took, likewise; it may overlap with the image's export.
    pub cache_export_s: Option<f64>,
    /// For each source that the builder tried to import: the reference, and its error if any.
    pub imports: Vec<(String, Option<String>)>,
    /// Whether an import ended after the last step did (trap 15).
    pub import_outlasts_steps: bool,
    /// Exports that failed although the build succeeded: name and message (trap 29).
    pub export_errors: Vec<(String, String)>,
    /// Steps (stage, step) that were found and whose layers were fetched during the build.
    pub fetched: Vec<(String, u32)>,
    /// Layers that the builder says it left in the registry, each under a name of its own.
    pub exported: Vec<ImageRef>,
}

/// What a push said of itself.
#[derive(Debug, Clone, Default)]
pub struct PushOutcome {
    /// Layers that were sent.
    pub pushed: u32,
    /// Layers that were there already.
    pub existed: u32,
    /// Layers that were mounted from another repository.
    pub mounted: u32,
    /// Digest of the manifest, where the engine says it.
    pub digest: Option<String>,
}

/// What is known about a local image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImageFacts {
    /// Full id.
    pub id: String,
    /// `repository@digest` entries.
    pub repo_digests: Vec<String>,
    /// Diff ids of the layers, bottom first.
    pub layers: Vec<String>,
    /// Bytes, uncompressed, as the engine states it.
    pub size: u64,
    /// Whether its history says that BuildKit made it.
    pub by_buildkit: bool,
    /// Whether its history says that the classic builder made it (both false: imported).
    pub by_classic: bool,
    /// Whether its configuration has `moby.buildkit.cache.v0`.
    pub inline_cache: bool,
}

/// What is on an engine: the basis for removing only what came afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// Full ids of all images, intermediate ones included.
    pub images: BTreeSet<String>,
    /// Every `repository:tag`, with the image that it names.
    pub tags: BTreeMap<String, String>,
    /// Ids of BuildKit's build cache records.
    pub records: BTreeSet<String>,
    /// Those of them that are caches of `RUN --mount=type=cache` (trap 25).
    #[serde(default)]
    pub cache_mounts: BTreeSet<String>,
}

/// What this run made on an engine and must remove again, by identity.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owned {
    /// Tags that were made by build, pull or load.
    pub tags: BTreeSet<String>,
    /// Ids (possibly short) of images named by the builder's answers.
    pub images: BTreeSet<String>,
    /// Ids of BuildKit's build cache records, where [`Engine::leftovers`] found them.
    #[serde(default)]
    pub records: BTreeSet<String>,
}

/// When and from what a run that was killed has built: what [`Engine::leftovers`] goes by.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Spans of time in which it was building.
    pub windows: Vec<(OffsetDateTime, OffsetDateTime)>,
    /// Texts of the Dockerfiles that it built.
    pub dockerfiles: Vec<String>,
}

impl Trace {
    /// Whether a moment lies within one of the windows.
    pub fn covers(&self, moment: OffsetDateTime) -> bool {
        self.windows.iter().any(|(from, to)| *from <= moment && moment <= *to)
    }

    /// Whether a moment that is known to the whole second may lie within one of the windows.
    pub fn meets_second(&self, second: OffsetDateTime) -> bool {
        let next = second + time::Duration::SECOND;
        self.windows.iter().any(|(from, to)| *from < next && second <= *to)
    }
}

/// A build that was given up, and of which the engine still uses build cache records: it goes on
/// with an import until the registry answers or hangs up. Before that they cannot be removed;
/// afterwards they have other ids, and say that they were created when they were.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GivenUp {
    /// When the build began, in nanoseconds since 1970.
    pub from_ns: i64,
    /// When it was given up, likewise.
    pub to_ns: i64,
    /// Ids of records that were there before.
    pub before: BTreeSet<String>,
}

/// Text of an operation for the sample's log, collected in memory and written after the clock
/// has stopped.
#[derive(Debug, Default)]
pub struct StepLog(String);

impl StepLog {
    /// Adds a line.
    pub fn line(&mut self, text: impl AsRef<str>) {
        if !self.0.is_empty() && !self.0.ends_with('\n') {
            self.0.push('\n');
        }
        self.0.push_str(text.as_ref().trim_end());
        self.0.push('\n');
    }

    /// Adds output as it comes, in pieces that end anywhere.
    pub fn piece(&mut self, text: impl AsRef<str>) {
        self.0.push_str(text.as_ref());
    }

    /// The collected text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// A Docker-compatible daemon. Every operation returns when the engine's answer is complete;
/// dropping its future abandons it (and ends a child process, if there is one).
#[async_trait]
pub trait Engine: Send + Sync {
    /// Asks the engine what it is. [`EngineError::Unavailable`] if nothing answers.
    async fn facts(&self) -> Result<EngineFacts, EngineError>;

    /// Whether this builder can be used here; the error says what is missing.
    async fn supports(&self, builder: Builder) -> Result<(), EngineError>;

    /// Builds and tags. `seen` is told of every image as soon as the builder names it, so that
    /// even a killed run leaves a trace of it.
    async fn build(
        &self,
        request: &BuildRequest<'_>,
        seen: &(dyn for<'id> Fn(&'id str) + Send + Sync),
        log: &mut StepLog,
    ) -> Result<BuildOutcome, EngineError>;

    /// Pulls. [`EngineError::NotFound`] if the registry has no such tag or repository.
    async fn pull(&self, reference: &ImageRef, log: &mut StepLog) -> Result<(), EngineError>;

    /// Pushes.
    async fn push(
        &self,
        reference: &ImageRef,
        log: &mut StepLog,
    ) -> Result<PushOutcome, EngineError>;

    /// Loads an archive, streamed, however it is packed; returns the tags that it brought.
    async fn load(&self, archive: &Path, log: &mut StepLog) -> Result<Vec<String>, EngineError>;

    /// Saves several images into one archive and packs it, streamed to a temporary name and
    /// renamed; returns its size in bytes.
    async fn save(
        &self,
        references: &[ImageRef],
        archive: &Path,
        packing: &ArchivePlan,
        log: &mut StepLog,
    ) -> Result<u64, EngineError>;

    /// What is known about a local image, by reference or id; `None` if there is none.
    async fn inspect(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError>;

    /// What happened to images and containers on the engine within a span that has passed, by this
    /// run and by others.
    async fn events(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<Vec<EngineEvent>, EngineError>;

    /// What is on the engine now.
    async fn snapshot(&self) -> Result<Snapshot, EngineError>;

    /// Puts the engine back to a fresh runner: removes what is `owned` and was not in `before`,
    /// and the build cache records that were not in `before`. Nothing else. Goes on after an
    /// error and returns the first one.
    async fn reset(&self, owned: &Owned, before: &Snapshot) -> Result<(), EngineError>;

    /// Builds that were given up and of which [`Engine::reset`] could not remove everything yet.
    /// Each later reset tries again.
    fn given_up(&self) -> Vec<GivenUp> {
        Vec::new()
    }

    /// Removes what such builds left, as far as the engine has let go of it. Returns those of which
    /// something is still in use.
    async fn remove_given_up(&self, _: &[GivenUp]) -> Result<Vec<GivenUp>, EngineError> {
        Ok(Vec::new())
    }

    /// What a killed run has made beyond what it could note down, ready to be given to
    /// [`Engine::reset`]: images that are not in `before`, have no tag, were created in a window
    /// (or restored from an owned image, whose time they have) and either stem from an owned image or are what an instruction of our Dockerfiles makes;
    /// and build cache records that were created in a window and are not in `before`.
    async fn leftovers(
        &self,
        owned: &Owned,
        before: &Snapshot,
        trace: &Trace,
    ) -> Result<Owned, EngineError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_meets_a_window_that_begins_and_ends_in_it() {
        let at = |ms| OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(ms);
        let trace = Trace { windows: vec![(at(5_300), at(5_800))], dockerfiles: Vec::new() };
        let met: Vec<i64> =
            (3..8).filter(|second| trace.meets_second(at(second * 1_000))).collect();
        assert_eq!(met, [5]);
        let longer = Trace { windows: vec![(at(5_300), at(7_000))], ..trace };
        let met: Vec<i64> =
            (3..9).filter(|second| longer.meets_second(at(second * 1_000))).collect();
        assert_eq!(met, [5, 6, 7]);
    }
}

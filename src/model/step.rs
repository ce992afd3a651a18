//! What a job does, as data: a strategy is a list of these.

use super::reference::{ArchiveName, ImageRef};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A timed part of a job. A job's cost is the sum of its phases.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Shared storage to local disk.
    Fetch,
    /// Archive to engine.
    Load,
    /// Registry to engine.
    Pull,
    /// Dockerfile to image.
    Build,
    /// Engine to archive.
    Save,
    /// Local disk to shared storage.
    Store,
    /// Engine to registry.
    Push,
}

impl Phase {
    /// Every phase, in the order of a job and of the columns of `samples.csv`.
    pub const ALL: [Self; 7] =
        [Self::Fetch, Self::Load, Self::Pull, Self::Build, Self::Save, Self::Store, Self::Push];

    /// The word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Load => "load",
            Self::Pull => "pull",
            Self::Build => "build",
            Self::Save => "save",
            Self::Store => "store",
            Self::Push => "push",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a list of candidates is brought in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PullMode {
    /// The first one that exists; the others are not asked for (`a || b || true`).
    First,
    /// Each one that exists.
    All,
}

/// Which images a build names as cache sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sources {
    /// No `--cache-from` at all.
    None,
    /// These, whether they exist or not, in this order.
    Named(Vec<ImageRef>),
    /// Those of these that an earlier pull or load of this job really brought, or that an
    /// earlier build of this job made, in this order.
    Present(Vec<ImageRef>),
    /// These exported caches in the registry, whether they exist or not, in this order.
    Caches(Vec<ImageRef>),
    /// The cache folder that this job unpacked, if it did.
    Folder,
    /// The layers in this repository (without a tag), whether it exists or not: Buildah looks for
    /// each step's by a key of its own.
    Layers(String),
}

impl Sources {
    /// The references that may be named, in order.
    pub fn references(&self) -> &[ImageRef] {
        match self {
            Self::None | Self::Folder | Self::Layers(_) => &[],
            Self::Named(list) | Self::Present(list) | Self::Caches(list) => list,
        }
    }
}

/// One call of the builder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildStep {
    /// `--target`; the workload's own target (or the last stage) if absent.
    pub target: Option<String>,
    /// `--cache-from`.
    pub sources: Sources,
    /// `--tag`.
    pub tag: ImageRef,
    /// Whether BuildKit writes its cache records into the image's configuration.
    pub inline_cache: bool,
    /// `--cache-to`.
    #[serde(default)]
    pub export: Option<CacheExport>,
}

/// Cache that a build leaves outside of its image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum CacheExport {
    /// In the registry, under a name of its own.
    Registry {
        /// The name.
        reference: ImageRef,
        /// Which steps.
        mode: CacheMode,
        /// Whether it is written as an image manifest, which more registries take, and not as an
        /// index.
        image_manifest: bool,
    },
    /// In the folder that [`Step::Pack`] packs.
    Local {
        /// Which steps.
        mode: CacheMode,
    },
    /// In the registry, every step's layer under a tag of its own.
    Layers {
        /// The repository, without a tag.
        repository: String,
    },
    /// In the builder's own storage on this machine, where a builder keeps steps only if it is
    /// told to.
    Kept,
}

/// Which steps an exported cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CacheMode {
    /// Those of the final stage.
    Min,
    /// Those of every stage.
    Max,
}

impl CacheMode {
    /// As `--cache-to` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// One step of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Step {
    /// Copies the first of these archives that exists from the shared storage to local disk.
    /// None there is no error: the job goes on without.
    Fetch {
        /// Candidates' archives, best first.
        archives: Vec<ArchiveName>,
    },
    /// Loads the archive that `Fetch` brought, if it brought one.
    Load,
    /// Unpacks the archive that `Fetch` brought, if it brought one, into a cache folder.
    Unpack,
    /// Pulls images. A missing one is no error: the job goes on without.
    Pull {
        /// What to pull, best first.
        references: Vec<ImageRef>,
        /// How many of them.
        mode: PullMode,
    },
    /// Builds.
    Build(BuildStep),
    /// Saves images into one archive on local disk.
    Save {
        /// Which images.
        references: Vec<ImageRef>,
        /// Under which name.
        archive: ArchiveName,
    },
    /// Packs the cache folder that a build left into one archive on local disk.
    Pack {
        /// Under which name.
        archive: ArchiveName,
    },
    /// Copies the archive from local disk to the shared storage.
    Store {
        /// Under which name.
        archive: ArchiveName,
    },
    /// Pushes an image.
    Push {
        /// Which image.
        reference: ImageRef,
    },
}

impl Step {
    /// The phase that this step's time is counted in.
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Fetch { .. } => Phase::Fetch,
            Self::Load | Self::Unpack => Phase::Load,
            Self::Pull { .. } => Phase::Pull,
            Self::Build(_) => Phase::Build,
            Self::Save { .. } | Self::Pack { .. } => Phase::Save,
            Self::Store { .. } => Phase::Store,
            Self::Push { .. } => Phase::Push,
        }
    }
}

//! The resolved plan of a run: everything that decides what is measured, validated and printable.

use super::cell::{Builder, Cell};
use super::custom::CustomStrategy;
use super::mix::MixPlan;
use super::prices::Prices;
use super::shard::Shard;
use super::step::PullMode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Version of `plan.json`.
pub const PLAN_VERSION: u32 = 2;

/// Rounds from which on a plan has A/A cells: of fewer pairs nothing can be said.
pub const AGAIN_ROUNDS: u32 = 3;

/// A resolved plan, written as `plan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// Id of the run: letters, digits and `-`, unique.
    pub run: String,
    /// Version of Breakeven.
    pub breakeven: String,
    /// The configuration file that it was made from.
    pub config: PathBuf,
    /// Seed of everything random.
    pub seed: u64,
    /// Counted rounds, of all shards together, of an adaptive run at most; one uncounted warm-up round
    /// comes before them.
    pub rounds: u32,
    /// Whether the run stops once every verdict is settled. Absent in plans of versions that always
    /// measured every round.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adaptive: bool,
    /// In how many of them, from the first, final images are also pulled as nodes pull them.
    #[serde(default)]
    pub deploy_rounds: u32,
    /// Longest time for the run in seconds, if limited.
    pub max_time_s: Option<f64>,
    /// Id of the strategy that others are compared with.
    pub baseline: String,
    /// How several candidates are pulled.
    pub pull: PullMode,
    /// Whether an exported cache is written to the registry as an image manifest.
    #[serde(default)]
    pub image_manifest: bool,
    /// Smallest saving that matters.
    pub relevance: Relevance,
    /// Workloads by name.
    pub workloads: BTreeMap<String, Workload>,
    /// Changes by name; `none` is always there.
    pub changes: BTreeMap<String, Change>,
    /// Where the changes' weights come from, if not from the configuration.
    #[serde(default)]
    pub mix: Option<MixPlan>,
    /// How many commits are replayed as changes; absent where changes are edits.
    #[serde(default)]
    pub replayed: Option<u32>,
    /// Candidates, best first. A job pushes under the name of the first one.
    pub candidates: Vec<Candidate>,
    /// Availabilities, in the order of the configuration.
    pub availabilities: Vec<Availability>,
    /// Engines by name; a cell names one of them.
    pub engines: BTreeMap<String, EnginePlan>,
    /// Links by name; a cell names one of them.
    pub links: BTreeMap<String, LinkPlan>,
    /// Strategies of the user's own by id.
    #[serde(default)]
    pub strategies: BTreeMap<String, CustomStrategy>,
    /// Registry.
    pub registry: RegistryPlan,
    /// The shared storage: a folder, or an address such as `s3://bucket/prefix`; a temporary
    /// folder if absent.
    pub storage: Option<String>,
    /// Where the run's object is written when it has ended: a folder, or an address such as
    /// `s3://bucket/prefix`; nowhere if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// How archives are packed.
    #[serde(default)]
    pub archive: ArchivePlan,
    /// Time limits.
    pub limits: Limits,
    /// What builds cost in money; absent in plans of a version that knew no prices.
    #[serde(default)]
    pub prices: Option<Prices>,
    /// Every cell, sorted; those of [`Self::again`] are not among them.
    pub cells: Vec<Cell>,
    /// A/A cells: one cell of the baseline for each workload, link and engine, measured a second
    /// time in every round; none in plans of a version that knew none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<Cell>,
    /// The part of the rounds that this run measures; absent where it measures all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// How many parts the run was measured in, each on a machine of its own, if it was put together
    /// from them: round r is of part `(r − 1) mod machines + 1`, as with [`Shard`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines: Option<u32>,
    /// Facts about machine and engine, filled in when the run starts.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
}

impl Plan {
    /// Every cell that a round measures: what is compared, and A/A cells.
    pub fn measured(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().chain(&self.again)
    }

    /// The weight of a change within the change mix, normalised to a sum of 1 over the changes
    /// that the plan measures.
    pub fn change_weight(&self, change: &str) -> f64 {
        let used = |name: &str| self.cells.iter().any(|cell| cell.change == name);
        let sum: f64 =
            self.changes.iter().filter(|(name, _)| used(name)).map(|(_, c)| c.weight).sum();
        let own = self.changes.get(change).filter(|_| used(change)).map_or(0.0, |c| c.weight);
        if sum > 0.0 { own / sum } else { 0.0 }
    }

    /// The commit that a change is, if it is one of a replay.
    pub fn commit(&self, change: &str) -> Option<&CommitPlan> {
        self.changes.get(change).and_then(|change| change.commit.as_ref())
    }

    /// A workload as it is under a change. Every workload that a cell names is in the plan.
    pub fn workload(&self, name: &str, change: &str) -> &Workload {
        let commit = self.commit(change);
        commit.and_then(|commit| commit.built.workloads.get(name)).unwrap_or(&self.workloads[name])
    }

    /// The weight of an availability, normalised to a sum of 1 over those that the plan measures.
    pub fn availability_weight(&self, availability: &str) -> f64 {
        let used = |name: &str| self.cells.iter().any(|cell| cell.availability == name);
        let sum: f64 = self.availabilities.iter().filter(|a| used(&a.name)).map(|a| a.weight).sum();
        let own = self
            .availabilities
            .iter()
            .find(|a| a.name == availability && used(availability))
            .map_or(0.0, |a| a.weight);
        if sum > 0.0 { own / sum } else { 0.0 }
    }

    /// Whether this run measures a round: all of them, unless it is a shard.
    pub fn has_round(&self, round: u32) -> bool {
        self.shard.is_none_or(|shard| shard.has(round))
    }

    /// Counted rounds that this run measures.
    pub fn own_rounds(&self) -> u32 {
        let own = (1..=self.rounds).filter(|round| self.has_round(*round)).count();
        u32::try_from(own).unwrap_or(u32::MAX)
    }

    /// The candidate under whose name the measured jobs push.
    pub fn own_candidate(&self) -> &str {
        self.candidates.first().map_or("main", |candidate| candidate.name.as_str())
    }
}

/// The smallest saving that matters: the larger of a share of the baseline and an absolute time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Relevance {
    /// Share of the baseline's time, such as 0.02.
    pub share: f64,
    /// Seconds.
    pub seconds: f64,
}

/// A build context and Dockerfile as a user has it. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// Folder of the build context.
    pub context: PathBuf,
    /// The Dockerfile.
    pub dockerfile: PathBuf,
    /// `--target`, if not the last stage.
    pub target: Option<String>,
    /// `--build-arg` values.
    pub build_args: BTreeMap<String, String>,
    /// Secret `--build-arg`s, with the environment variable that holds the value of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_args: BTreeMap<String, String>,
    /// Named stages whose images stage strategies carry, in Dockerfile order, final one excluded.
    pub stages: Vec<String>,
    /// The images named by FROM that are not stages.
    pub bases: Vec<String>,
    /// What the Dockerfile's stages take, for deriving which steps a change leaves alone.
    #[serde(default)]
    pub layout: Vec<StageLayout>,
}

/// One stage of a Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageLayout {
    /// Its name, or its number (from 0) where it has none: as in `steps.csv`.
    pub name: String,
    /// Number of the stage that it starts from, if it starts from one.
    pub base_stage: Option<usize>,
    /// Its RUN, COPY and ADD instructions in order.
    pub steps: Vec<StepLayout>,
    /// Whether it has an ARG.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub argument: bool,
}

/// One instruction that makes file system content.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepLayout {
    /// Patterns of the files that it takes from the build context; none for RUN.
    pub takes: Vec<String>,
    /// Number of the stage that it takes files from (`COPY --from`, `RUN --mount=from`).
    pub from_stage: Option<usize>,
}

/// What differs from the previous build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Edits in order; none for the change `none`.
    pub edits: Vec<Edit>,
    /// Weight in the change mix.
    pub weight: f64,
    /// The commit that is built, if the change is one of a replay.
    #[serde(default)]
    pub commit: Option<CommitPlan>,
}

/// A commit of the repository's history that is built as a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitPlan {
    /// The first line of its message.
    pub title: String,
    /// What a sample builds.
    pub built: Revision,
    /// Its first parent: what every candidate was built from.
    pub before: Revision,
}

/// A commit, with the workloads as its Dockerfiles have them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Its full id.
    pub commit: String,
    /// Workloads by name. Their paths are those of the user's checkout.
    pub workloads: BTreeMap<String, Workload>,
}

/// One edit of a workspace. `{nonce}` in texts becomes a value that no other sample has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "edit")]
pub enum Edit {
    /// Adds text at the end of every matching file.
    Append {
        /// Glob of files, relative to the context.
        files: String,
        /// The text.
        text: String,
    },
    /// Replaces every occurrence of a text in every matching file.
    Replace {
        /// Glob of files.
        files: String,
        /// What to look for, literally.
        find: String,
        /// What to put in its place.
        with: String,
    },
    /// Creates a file (or overwrites it).
    Create {
        /// Path, relative to the context.
        file: String,
        /// Its content.
        text: String,
    },
    /// Deletes every matching file.
    Delete {
        /// Glob of files.
        files: String,
    },
    /// Copies a file of the user's over a file of the workspace.
    Copy {
        /// Absolute path of the source.
        from: PathBuf,
        /// Path, relative to the context.
        file: String,
    },
}

/// An image that an earlier build may have left as a cache source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name, which is also its tag.
    pub name: String,
    /// Changes that it lacks: it was built with an older variant of what these changes edit.
    pub lacks: Vec<String>,
}

/// Which candidates exist when a job starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Availability {
    /// The names joined by `+`, or `none`.
    pub name: String,
    /// Candidates that exist, best first.
    pub have: Vec<String>,
    /// Weight.
    pub weight: f64,
}

/// Where images are pushed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum RegistryPlan {
    /// A real registry that the run starts on 127.0.0.1 and throws away.
    Managed,
    /// The user's registry.
    External {
        /// `host[:port]`.
        address: String,
        /// Path before every repository of ours.
        prefix: String,
    },
}

/// A Docker-compatible daemon that builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum EnginePlan {
    /// The user's own daemon; only what a run made is removed from it.
    Shared {
        /// Its address; found as the docker client finds it if absent.
        host: Option<String>,
    },
    /// A daemon of this run's alone, in a container of the user's engine, thrown away.
    Private {
        /// Address of the user's engine that the container runs on; found as the docker client
        /// finds it if absent.
        host: Option<String>,
        /// Image with a `dockerd`.
        image: String,
        /// Where the daemon keeps images; its own default if absent.
        store: Option<Store>,
        /// How long one daemon is kept.
        keep: Keep,
    },
    /// No daemon: Buildah, with a storage of its own for every sample.
    Buildah {
        /// How it keeps layers; found out if absent.
        driver: Option<Driver>,
    },
}

impl EnginePlan {
    /// The builders that such an engine may have.
    pub const fn builders(&self) -> &'static [Builder] {
        match self {
            Self::Shared { .. } | Self::Private { .. } => &Builder::OF_DAEMONS,
            Self::Buildah { .. } => &[Builder::Buildah],
        }
    }
}

/// How Buildah keeps layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// As differences, mounted over one another.
    Overlay,
    /// As whole copies, which works everywhere and is slow.
    Vfs,
}

impl Driver {
    /// As `--storage-driver` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Vfs => "vfs",
        }
    }
}

impl EnginePlan {
    /// Address of the user's engine, if the configuration names one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Shared { host } | Self::Private { host, .. } => host.as_deref(),
            Self::Buildah { .. } => None,
        }
    }

    /// Whether the daemon is this run's alone.
    pub const fn is_private(&self) -> bool {
        matches!(self, Self::Private { .. })
    }
}

/// Where a daemon keeps images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// The daemon's own store (driver overlay2).
    Overlay2,
    /// The containerd image store.
    Containerd,
}

/// How long one private daemon is kept.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Each sample has a new one, as a fresh runner has.
    #[default]
    Sample,
    /// One serves a whole round and is emptied between samples.
    Round,
}

/// The network between a job and its registry or storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkPlan {
    /// Bits a second towards the job; unlimited if absent.
    pub down_bps: Option<f64>,
    /// Bits a second away from the job; unlimited if absent.
    pub up_bps: Option<f64>,
    /// Round-trip time in seconds.
    pub rtt_s: f64,
}

impl LinkPlan {
    /// Whether it shapes nothing.
    pub fn is_unshaped(&self) -> bool {
        self.down_bps.is_none() && self.up_bps.is_none() && self.rtt_s <= 0.0
    }
}

/// How archives of images and caches are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivePlan {
    /// Format.
    pub compression: Compression,
    /// Level; the format's own default if absent.
    pub level: Option<i32>,
    /// Threads that compress.
    pub threads: u32,
}

impl Default for ArchivePlan {
    fn default() -> Self {
        Self { compression: Compression::None, level: None, threads: 1 }
    }
}

/// Format of an archive.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not compressed, as `docker save` writes it.
    #[default]
    None,
    /// As `gzip` writes it.
    Gzip,
    /// As `zstd` writes it.
    Zstd,
}

impl Compression {
    /// The levels that there are; none where nothing is compressed.
    pub const fn levels(self) -> Option<std::ops::RangeInclusive<i32>> {
        match self {
            Self::None => None,
            Self::Gzip => Some(1..=9),
            Self::Zstd => Some(1..=19),
        }
    }

    /// The level where none is named: what the command of this name takes.
    pub const fn default_level(self) -> Option<i32> {
        match self {
            Self::None => None,
            Self::Gzip => Some(6),
            Self::Zstd => Some(3),
        }
    }

    /// What the name of such an archive ends with.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::None => "tar",
            Self::Gzip => "tar.gz",
            Self::Zstd => "tar.zst",
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// Longest time for each kind of wait, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// One build.
    pub build_s: f64,
    /// One pull, push, load or save.
    pub transfer_s: f64,
    /// One fetch or store.
    pub storage_s: f64,
    /// Cleaning up after a sample or a run.
    pub cleanup_s: f64,
    /// How often a pull, push, fetch or store that failed is tried again.
    #[serde(default)]
    pub retries: u32,
}

/// A competitor: a strategy under a builder.
pub type Competitor = (String, Builder);

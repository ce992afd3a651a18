//! The shape of `breakeven.toml`. Comments here are what the JSON schema and editors show.

use crate::model::custom::CustomStrategy;
use crate::model::plan::Compression;
use crate::model::plan::{Driver, Keep, Store};
use crate::model::{Builder, MixSource, PullMode, Rounding};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What Breakeven measures, and how. Paths are relative to this file; durations are written as
/// "90s", "10m" or "1h 30m".
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "breakeven.toml")]
pub struct File {
    /// Seed of everything random (order of the rounds, nonces, bootstrap). Drawn anew for each
    /// run, and recorded in plan.json, if absent.
    pub seed: Option<u32>,
    /// Counted rounds of the plain protocol: every cell is measured once in each. A verdict needs
    /// at least 5. Without it a run goes on until every verdict is settled, up to `max_rounds`.
    #[schemars(range(min = 1))]
    pub rounds: Option<u32>,
    /// Most counted rounds of a run that stops once every verdict is settled, after 3 at the
    /// earliest. 30 if neither this nor `rounds` is there.
    #[schemars(range(min = 3, max = 1000))]
    pub max_rounds: Option<u32>,
    /// In how many counted rounds, from the first, each final image is also pulled as a node pulls
    /// it, over each link; 0 for never.
    #[serde(default = "defaults::deploy_rounds")]
    pub deploy_rounds: u32,
    /// Longest time for a run. No new round is begun that would probably not end within it.
    pub max_time: Option<String>,
    /// Id of the strategy that others are compared with.
    #[serde(default = "defaults::baseline")]
    pub baseline: String,
    /// Whether one cell of the baseline for each workload, link and engine is measured twice in every
    /// round (the A/A cell), which shows what difference the machine resolves. From 3 rounds on.
    #[serde(default = "defaults::aa")]
    pub aa: bool,
    /// Measures only cells that one of these filters takes. A filter is a glob over the cell's
    /// key (`workload/change/availability/strategy/builder/link/engine`), or, without a `/`, over
    /// any one part of it.
    pub only: Option<Vec<String>>,
    /// Changes to measure: names, or commits to replay; every change that is written below if
    /// absent. `none` always exists.
    pub changes: Option<Changes>,
    /// Workloads by name. The name is part of the repository that images are pushed to.
    pub workload: BTreeMap<String, Workload>,
    /// Changes by name.
    #[serde(default)]
    pub change: BTreeMap<String, Change>,
    /// Weights of the changes from elsewhere than this file.
    pub mix: Option<Mix>,
    /// Candidates by name, best first: the order in the file is the order in which a job looks
    /// for them. The name is the image's tag. A job pushes under the name of the first one. One
    /// candidate `main` that lacks nothing if absent.
    #[serde(default)]
    pub candidate: BTreeMap<String, Candidate>,
    /// Which candidates exist when a job starts, and how often. All of them, always, if absent.
    pub availability: Option<Vec<Availability>>,
    /// Which strategies are measured.
    #[serde(default)]
    pub strategies: Strategies,
    /// Strategies of your own by id, made of the same steps as ours.
    #[serde(default)]
    pub strategy: BTreeMap<String, CustomStrategy>,
    /// The engine that builds: `"shared"` (your own, the default), `"private"` (a new one of this
    /// run's alone for every sample), a table, or several tables by name, which are measured side
    /// by side and never compared as if paired.
    pub engine: Option<Engines>,
    /// Links by name: each cell is measured over each of them. One without any limit if absent.
    #[serde(default)]
    pub link: BTreeMap<String, Link>,
    /// The registry that images are pushed to.
    #[serde(default)]
    pub registry: Registry,
    /// The storage that jobs share for archives: a folder or an address (`"s3://bucket/prefix"`,
    /// `"gs://bucket/prefix"`, `"az://container/prefix"`), or a table. A temporary folder if absent.
    pub storage: Option<Storage>,
    /// The history that each run is written into when it has ended: a folder or an address
    /// (`"s3://bucket/prefix"`, `"gs://bucket/prefix"`, `"az://container/prefix"`).
    pub history: Option<String>,
    /// How archives are packed.
    #[serde(default)]
    pub archive: Archive,
    /// Longest time for each kind of step. A step that takes longer is a failed sample.
    #[serde(default)]
    pub limits: Limits,
    /// The smallest saving that matters: the larger of the two.
    #[serde(default)]
    pub relevance: Relevance,
    /// What builds cost in money: a file with a price list, or the prices themselves. Those that
    /// are not written are those of the dated default list, src/config/prices.toml.
    pub prices: Option<PriceList>,
}

/// A build context and Dockerfile.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Folder of the build context; the folder of this file if absent.
    #[serde(default = "defaults::context")]
    pub context: String,
    /// The Dockerfile; `Dockerfile` in the context if absent.
    pub dockerfile: Option<String>,
    /// The stage to build (`--target`); the last one if absent.
    pub target: Option<String>,
    /// Build arguments (`--build-arg`): texts, or `{ env = "NAME" }` for a secret one.
    #[serde(default)]
    pub build_args: BTreeMap<String, BuildArg>,
    /// Stages whose images stage strategies carry; if absent, the named stages that the final one
    /// is made from.
    pub stages: Option<Vec<String>>,
}

/// A build argument.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BuildArg {
    /// Its value.
    Value(String),
    /// A secret one.
    Secret(SecretArg),
}

/// A secret build argument. Its value comes from the environment and appears in no file, log,
/// report or printed command.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretArg {
    /// The environment variable that holds the value, of at least 8 characters.
    pub env: String,
}

/// Which changes are measured.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Changes {
    /// Those of these names.
    Named(Vec<String>),
    /// The newest commits of the repository that holds the contexts.
    Replay(Replay),
}

/// The newest commits of the repository that holds the contexts, each built with what its first
/// parent left behind.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// How many.
    #[schemars(range(min = 1))]
    pub replay: u32,
    /// The revision whose line of first parents it is: a branch, a tag, an id.
    #[serde(default = "defaults::rev")]
    pub rev: String,
}

/// What differs from the previous build.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// How often this change happens, against the other ones. Not together with `[mix]`.
    #[serde(default = "defaults::weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// Globs of the files that belong to this change, for `[mix]`: a commit that touches one of
    /// them is such a change. If absent: the files that its edits name, and all that the first
    /// instruction takes that takes one of them.
    pub paths: Option<Vec<String>>,
    /// Edits of a copy of the context, in this order. `{nonce}` in a text becomes a value that no
    /// other sample has. Globs and paths are relative to the context.
    #[serde(default)]
    pub edits: Vec<Edit>,
}

/// One edit. The user's own files are never touched: edits are made in a copy.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Edit {
    /// Adds text at the end of every matching file.
    Append(Append),
    /// Replaces every occurrence of a text in every matching file.
    Replace(Replace),
    /// Creates a file, or overwrites it.
    Create(Create),
    /// Deletes every matching file.
    Delete(Delete),
    /// Copies a file over a file of the context.
    Copy(Copy),
}

/// Adds text at the end of every matching file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Append {
    /// Glob of files.
    pub append: String,
    /// The text.
    pub text: String,
}

/// Replaces every occurrence of a text in every matching file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// Glob of files.
    pub replace: String,
    /// What to look for, literally.
    pub find: String,
    /// What to put in its place.
    pub with: String,
}

/// Creates a file, or overwrites it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Path of the file.
    pub create: String,
    /// Its content.
    pub text: String,
}

/// Deletes every matching file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Glob of files.
    pub delete: String,
}

/// Copies a file over a file of the context.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// Path of the source, relative to this configuration file.
    pub copy: String,
    /// Path in the context.
    pub to: String,
}

/// Weights of the changes from elsewhere than this file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Where they come from.
    pub from: MixSource,
    /// How many commits are looked at, the newest ones.
    #[serde(default = "defaults::commits")]
    #[schemars(range(min = 1))]
    pub commits: u32,
    /// The revision whose history it is: a branch, a tag, an id.
    #[serde(default = "defaults::rev")]
    pub rev: String,
}

/// An image that an earlier build may have left as a cache source.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Changes that it still lacks: it was built before they were made.
    #[serde(default)]
    pub lacks: Vec<String>,
}

/// Which candidates exist when a job starts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Availability {
    /// Names of the candidates that exist; `[]` is the first build ever.
    pub have: Vec<String>,
    /// How often that is so, against the other availabilities.
    #[serde(default = "defaults::weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
}

/// Which strategies are measured.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Strategies {
    /// Ids of strategies; every one that fits the workload and the builders if absent.
    #[serde(rename = "use")]
    pub selected: Option<Vec<String>>,
    /// Builders.
    #[serde(default = "defaults::builders")]
    pub builders: Vec<Builder>,
    /// How many of the candidates a job pulls: the `first` that exists, or `all` that exist.
    #[serde(default = "defaults::pull")]
    pub pull: PullMode,
    /// Whether `registry-min` and `registry-max` write their cache as an image manifest, which
    /// registries take that refuse the index that BuildKit writes otherwise.
    #[serde(default)]
    pub image_manifest: bool,
}

/// The engine, or engines, that build.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Engines {
    /// One, by its kind.
    Kind(EngineKind),
    /// One.
    One(Engine),
    /// Several by name.
    Named(BTreeMap<String, Engine>),
}

/// Whose daemon builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// Your own daemon; only what a run made is removed from it.
    Shared,
    /// A daemon of this run's alone, in a container of your engine, thrown away.
    Private,
    /// No daemon: Buildah, with a storage of this run's alone for every sample.
    Buildah,
}

/// An engine that builds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Whose daemon it is.
    #[serde(default = "defaults::engine")]
    pub kind: EngineKind,
    /// Address of your engine, such as "unix:///var/run/docker.sock" or "tcp://127.0.0.1:2375";
    /// found as the docker client finds it (DOCKER_HOST, the docker context, the default socket)
    /// if absent. A private engine is a container of this one.
    pub host: Option<String>,
    /// Image of a private engine, with a `dockerd`; `docker:dind` if absent.
    pub image: Option<String>,
    /// Where a private engine keeps images; its own default if absent.
    pub store: Option<Store>,
    /// Whether a private engine is made new for every `sample` (the default), or once a `round`
    /// and emptied between its samples, which is quicker and less like a fresh runner.
    pub keep: Option<Keep>,
    /// How Buildah keeps layers: `overlay`, or `vfs`, which works everywhere and is slow; `overlay`
    /// where it works if absent.
    pub driver: Option<Driver>,
}

/// The network between a job and its registry and storage.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Bits a second to the job, such as "100Mbit"; "unlimited" if absent.
    #[serde(default = "defaults::rate")]
    pub down: String,
    /// Bits a second from the job, such as "20Mbit"; "unlimited" if absent.
    #[serde(default = "defaults::rate")]
    pub up: String,
    /// Round-trip time, such as "20ms"; "0s" if absent.
    #[serde(default = "defaults::round_trip")]
    pub rtt: String,
}

/// Whether the registry is ours or the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistryKind {
    /// A real registry that the run starts on 127.0.0.1 and throws away.
    Managed,
    /// A registry that exists.
    External,
}

/// The registry that images are pushed to.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// `external` if an address is given, else `managed`.
    pub kind: Option<RegistryKind>,
    /// `host` or `host:port` of an external registry.
    pub address: Option<String>,
    /// Path before every repository that is pushed to an external registry; `breakeven` if
    /// absent.
    pub prefix: Option<String>,
}

/// The storage that jobs share for archives.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Storage {
    /// A folder or an address.
    Address(String),
    /// Either of them, by its kind.
    Table(StorageTable),
}

/// The storage that jobs share for archives.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageTable {
    /// A folder, such as the mount point of a network file system.
    pub directory: Option<String>,
    /// An address in an object store: `s3://bucket/prefix`, `gs://bucket/prefix` or
    /// `az://container/prefix`. Credentials and endpoints come from the environment.
    pub url: Option<String>,
}

/// How archives are packed. The time for it is part of the save and load phases.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Format.
    #[serde(default)]
    pub compression: Compression,
    /// Level: 1 to 9 for gzip (6 if absent), 1 to 19 for zstd (3 if absent).
    pub level: Option<i32>,
    /// Threads that compress; 1 if absent. Only zstd can use more.
    #[schemars(range(min = 1))]
    pub threads: Option<u32>,
}

/// Longest time for each kind of step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// One build.
    pub build: String,
    /// One pull, push, load or save.
    pub transfer: String,
    /// One fetch from or store to the shared storage.
    pub storage: String,
    /// Cleaning up after a sample or a run.
    pub cleanup: String,
    /// How often a pull, push, fetch or store that failed is tried again, at once, as the job in
    /// CI would. The time of all attempts counts.
    #[schemars(range(max = 100))]
    pub retries: u32,
}

/// The smallest saving that matters: the larger of the two.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Relevance {
    /// Share of the baseline's time; 0.02 is 2 %.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// Seconds.
    #[schemars(range(min = 0.0))]
    pub seconds: f64,
}

/// A price list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PriceList {
    /// In a file of its own.
    File(String),
    /// Here.
    Here(Box<Prices>),
}

/// Prices, in one currency. A gigabyte is 10⁹ bytes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// When they were seen, such as "2026-11".
    pub seen: Option<String>,
    /// Code of the currency, such as "USD".
    pub currency: Option<String>,
    /// A minute of a runner.
    #[schemars(range(min = 0.0))]
    pub per_minute: Option<f64>,
    /// What a job's time is rounded up to before it is billed.
    pub rounding: Option<Rounding>,
    /// A gigabyte from registry or storage to a job.
    #[schemars(range(min = 0.0))]
    pub out_per_gb: Option<f64>,
    /// A gigabyte from a job to registry or storage.
    #[schemars(range(min = 0.0))]
    pub in_per_gb: Option<f64>,
    /// A gigabyte that is kept for a month.
    #[schemars(range(min = 0.0))]
    pub storage_per_gb_month: Option<f64>,
    /// Builds whose images and caches are kept.
    pub keep_builds: Option<u32>,
    /// Ten thousand requests to registry and storage.
    #[schemars(range(min = 0.0))]
    pub per_10k_requests: Option<f64>,
    /// A minute that a developer waits for a job; 0 leaves waiting out.
    #[schemars(range(min = 0.0))]
    pub waiting_per_minute: Option<f64>,
    /// Builds a day, every day of the month; above 0.
    #[schemars(range(min = 0.0))]
    pub builds_per_day: Option<f64>,
    /// Where each price was seen, by its key.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
}

impl Default for Strategies {
    fn default() -> Self {
        Self {
            selected: None,
            builders: defaults::builders(),
            pull: defaults::pull(),
            image_manifest: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let [build, transfer, storage, cleanup] = ["30m", "10m", "10m", "1m"].map(str::to_owned);
        Self { build, transfer, storage, cleanup, retries: 0 }
    }
}

impl Default for Relevance {
    fn default() -> Self {
        Self { share: 0.02, seconds: 1.0 }
    }
}

/// Values of keys that are absent.
mod defaults {
    use super::EngineKind;
    use crate::model::{Builder, PullMode};

    pub(super) const fn deploy_rounds() -> u32 {
        5
    }
    pub(super) const fn aa() -> bool {
        true
    }
    pub(super) fn baseline() -> String {
        "cold".to_owned()
    }
    pub(super) fn context() -> String {
        ".".to_owned()
    }
    pub(super) const fn weight() -> f64 {
        1.0
    }
    pub(super) const fn commits() -> u32 {
        200
    }
    pub(super) fn rev() -> String {
        "HEAD".to_owned()
    }
    pub(super) fn builders() -> Vec<Builder> {
        Builder::ALL.to_vec()
    }
    pub(super) const fn pull() -> PullMode {
        PullMode::First
    }
    pub(super) fn rate() -> String {
        "unlimited".to_owned()
    }
    pub(super) fn round_trip() -> String {
        "0s".to_owned()
    }
    pub(super) const fn engine() -> EngineKind {
        EngineKind::Shared
    }
}

/// The JSON schema of `breakeven.toml`: what is committed as `docs/breakeven.schema.json`.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}

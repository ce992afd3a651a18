//! The resolved plan of a run: everything that decides what is measured, validated and printable.

mod archive;
mod engine;
mod workload;

pub use archive::{ArchivePlan, Compression};
pub use engine::{Driver, EnginePlan, Keep, Store};
pub use workload::{Change, CommitPlan, Edit, Revision, StageLayout, StepLayout, Workload};

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

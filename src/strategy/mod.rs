//! Strategies: how a job gets a cache and leaves one behind. Each is data: a list of steps.
//!
//! A new strategy is one new file here and one line in [`STRATEGIES`].

mod article_printed;
mod buildah_layers;
mod buildah_read_only;
mod cold;
pub mod custom;
pub mod export;
mod inline;
mod inline_stages;
mod local;
mod local_max;
mod local_min;
mod pull;
mod pull_stages;
mod registry_max;
mod registry_min;
mod registry_read_only;
mod save_load;
mod save_load_stages;
pub mod shell;

use crate::model::custom::CustomStrategy;
use crate::model::{ArchiveName, Builder, ImageRef, Plan, PullMode, State, Step};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One strategy: a row of [`STRATEGIES`], or one of the user's own.
#[derive(Debug, Clone)]
pub struct Strategy {
    /// Its id in files and on the command line.
    pub id: Cow<'static, str>,
    /// One line: what a job under it does.
    pub summary: Cow<'static, str>,
    /// Builders that it works with.
    pub builders: Cow<'static, [Builder]>,
    /// Where the cache comes from.
    pub cache: CacheFrom,
    /// Whether it carries the images of named stages, so that it differs from its plain form only
    /// where there are such stages.
    pub needs_stages: bool,
    /// The steps of a job.
    pub recipe: Recipe,
    /// The steps of the jobs that leave the cache, where a job under this strategy only reads it.
    pub left_by: Option<fn(&Job) -> Vec<Step>>,
}

/// How the steps of a job are spelled out.
#[derive(Debug, Clone)]
pub enum Recipe {
    /// By a function of ours.
    Ours(fn(&Job) -> Vec<Step>),
    /// From the user's own templates.
    Custom(Arc<CustomStrategy>),
}

/// Where a job finds the cache of earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheFrom {
    /// Nowhere: the runner is fresh and nothing is asked for.
    Nowhere,
    /// On the engine: the runner was kept.
    Engine,
    /// In the registry.
    Registry,
    /// In the shared storage.
    Storage,
}

/// What a strategy needs to know of a job to spell out its steps.
#[derive(Debug, Clone)]
pub struct Job {
    /// `host:port/path` of the workload's repository.
    pub repository: String,
    /// All candidates that a job would look for, best first, whether they exist or not.
    pub candidates: Vec<String>,
    /// The candidate under whose name this job leaves its images.
    pub own: String,
    /// Named stages before the final one, in Dockerfile order.
    pub stages: Vec<String>,
    /// How several candidates are pulled.
    pub pull: PullMode,
    /// The builder.
    pub builder: Builder,
    /// What the names of archives end with: see [`crate::model::plan::Compression::suffix`].
    pub suffix: &'static str,
    /// Whether an exported cache is written to the registry as an image manifest.
    pub image_manifest: bool,
}

impl Job {
    /// The final image of a candidate.
    pub fn image(&self, candidate: &str) -> ImageRef {
        ImageRef::new(&self.repository, candidate)
    }

    /// The image of a candidate's stage.
    pub fn stage_image(&self, candidate: &str, stage: &str) -> ImageRef {
        ImageRef::new(&self.repository, format!("{candidate}-{stage}"))
    }

    /// The final image that this job builds and pushes.
    pub fn own_image(&self) -> ImageRef {
        self.image(&self.own)
    }

    /// The image of a stage that this job builds.
    pub fn own_stage_image(&self, stage: &str) -> ImageRef {
        self.stage_image(&self.own, stage)
    }

    /// Final images of all candidates, best first.
    pub fn candidate_images(&self) -> Vec<ImageRef> {
        self.candidates.iter().map(|candidate| self.image(candidate)).collect()
    }

    /// Images of one stage of all candidates, best first.
    pub fn candidate_stage_images(&self, stage: &str) -> Vec<ImageRef> {
        self.candidates.iter().map(|candidate| self.stage_image(candidate, stage)).collect()
    }

    /// The exported cache of a candidate in the registry.
    pub fn cache(&self, candidate: &str) -> ImageRef {
        ImageRef::new(&self.repository, format!("{candidate}-cache"))
    }

    /// The repository of layers that Buildah's jobs share, without a tag.
    pub fn layers(&self) -> String {
        format!("{}-layers", self.repository)
    }

    /// The archive of a candidate's images.
    pub fn archive(&self, candidate: &str) -> ArchiveName {
        ArchiveName(format!("{candidate}.{}", self.suffix))
    }

    /// The archive of a candidate's cache folder.
    pub fn cache_archive(&self, candidate: &str) -> ArchiveName {
        ArchiveName(format!("{candidate}-cache.{}", self.suffix))
    }

    /// What `name` makes of every candidate, best first.
    fn each<T>(&self, name: impl Fn(&Self, &str) -> T) -> Vec<T> {
        self.candidates.iter().map(|candidate| name(self, candidate)).collect()
    }
}

/// Every strategy, in the order in which reports show them.
pub static STRATEGIES: &[&Strategy] = &[
    &cold::STRATEGY,
    &local::STRATEGY,
    &pull::STRATEGY,
    &pull_stages::STRATEGY,
    &article_printed::STRATEGY,
    &save_load::STRATEGY,
    &save_load_stages::STRATEGY,
    &inline::STRATEGY,
    &inline_stages::STRATEGY,
    &registry_min::STRATEGY,
    &registry_max::STRATEGY,
    &registry_read_only::STRATEGY,
    &local_min::STRATEGY,
    &local_max::STRATEGY,
    &buildah_layers::STRATEGY,
    &buildah_read_only::STRATEGY,
];

/// The strategy of ours with this id.
pub fn ours(id: &str) -> Option<&'static Strategy> {
    STRATEGIES.iter().copied().find(|strategy| strategy.id == id)
}

/// The strategy that a plan means by this id.
pub fn find(plan: &Plan, id: &str) -> Option<Strategy> {
    let custom = || plan.strategies.get(id).map(|strategy| custom::strategy(id, strategy));
    ours(id).cloned().or_else(custom)
}

/// Every strategy: ours in the order of the table, then the user's own.
pub fn table(own: &BTreeMap<String, CustomStrategy>) -> Vec<Strategy> {
    let own = own.iter().map(|(id, strategy)| custom::strategy(id, strategy));
    STRATEGIES.iter().copied().cloned().chain(own).collect()
}

impl Strategy {
    /// The steps of a job.
    pub fn steps(&self, job: &Job) -> Vec<Step> {
        match &self.recipe {
            Recipe::Ours(steps) => steps(job),
            Recipe::Custom(strategy) => custom::steps(strategy, job),
        }
    }

    /// The steps of a job that leaves the cache which a job under this strategy finds.
    pub fn leaving(&self, job: &Job) -> Vec<Step> {
        self.left_by.map_or_else(|| self.steps(job), |steps| steps(job))
    }

    /// The state that a job under this strategy is in when some (or no) candidates exist.
    pub fn state(&self, candidates_exist: bool) -> State {
        match (self.cache, candidates_exist) {
            (CacheFrom::Nowhere, _) => State::Cold,
            _ if self.left_by.is_some() => State::ReadOnly,
            (_, false) => State::Populate,
            (_, true) => State::Steady,
        }
    }
}

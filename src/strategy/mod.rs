//! Strategies: how a job gets a cache and leaves one behind. Each is data: a list of steps.
//!
//! A new strategy is one new file here and one line in [`STRATEGIES`].

mod article_printed;
mod cold;
mod inline;
mod inline_stages;
mod local;
mod pull;
mod pull_stages;
mod save_load;
mod save_load_stages;
pub mod shell;

use crate::model::{ArchiveName, Builder, ImageRef, PullMode, State, Step};

/// One strategy: a row of [`STRATEGIES`].
#[derive(Debug)]
pub struct Strategy {
    /// Its id in files and on the command line.
    pub id: &'static str,
    /// One line: what a job under it does.
    pub summary: &'static str,
    /// Builders that it works with.
    pub builders: &'static [Builder],
    /// Where the cache comes from.
    pub cache: CacheFrom,
    /// Whether it carries the images of named stages, so that it differs from its plain form only
    /// where there are such stages.
    pub needs_stages: bool,
    /// The steps of a job.
    pub steps: fn(&Job) -> Vec<Step>,
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

    /// Archives of all candidates, best first.
    pub fn candidate_archives(&self) -> Vec<ArchiveName> {
        self.candidates.iter().map(|candidate| ArchiveName(format!("{candidate}.tar"))).collect()
    }

    /// The archive that this job leaves.
    pub fn own_archive(&self) -> ArchiveName {
        ArchiveName(format!("{}.tar", self.own))
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
];

/// The strategy of this id.
pub fn find(id: &str) -> Option<&'static Strategy> {
    STRATEGIES.iter().copied().find(|strategy| strategy.id == id)
}

impl Strategy {
    /// The state that a job under this strategy is in when some (or no) candidates exist.
    pub fn state(&self, candidates_exist: bool) -> State {
        match (self.cache, candidates_exist) {
            (CacheFrom::Nowhere, _) => State::Cold,
            (_, false) => State::Populate,
            (_, true) => State::Steady,
        }
    }
}

//! Buildah's own way: each step's layer in a repository of the registry, under a key of its own.

use super::{CacheFrom, Job, Recipe, Strategy};
use crate::model::{BuildStep, Builder, CacheExport, Sources, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("buildah-layers"),
    summary: Cow::Borrowed("each step's layer found in and pushed to a cache repository; push"),
    builders: Cow::Borrowed(&[Builder::Buildah]),
    cache: CacheFrom::Registry,
    needs_stages: false,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

pub(super) fn steps(job: &Job) -> Vec<Step> {
    build(job, Some(CacheExport::Layers { repository: job.layers() }))
}

/// One build that looks for every step's layer, and a push. All candidates leave their layers in
/// the same repository.
pub(super) fn build(job: &Job, export: Option<CacheExport>) -> Vec<Step> {
    vec![
        Step::Build(BuildStep {
            target: None,
            sources: Sources::Layers(job.layers()),
            tag: job.own_image(),
            inline_cache: false,
            export,
        }),
        Step::Push { reference: job.own_image() },
    ]
}

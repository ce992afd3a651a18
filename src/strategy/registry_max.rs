//! Cache exported to the registry under a name of its own, with the steps of every stage.

use super::{CacheFrom, Job, Recipe, Strategy};
use crate::model::{BuildStep, Builder, CacheExport, CacheMode, Sources, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("registry-max"),
    summary: Cow::Borrowed("cache imported from and exported to the registry, mode=max; push"),
    builders: Cow::Borrowed(&[Builder::Buildkit]),
    cache: CacheFrom::Registry,
    needs_stages: false,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

pub(super) fn steps(job: &Job) -> Vec<Step> {
    export(job, CacheMode::Max)
}

/// One build that imports every candidate's cache and exports its own, and a push.
pub(super) fn export(job: &Job, mode: CacheMode) -> Vec<Step> {
    let export = CacheExport::Registry {
        reference: job.cache(&job.own),
        mode,
        image_manifest: job.image_manifest,
    };
    import(job, Some(export))
}

/// One build that imports every candidate's cache, and a push.
pub(super) fn import(job: &Job, export: Option<CacheExport>) -> Vec<Step> {
    vec![
        Step::Build(BuildStep {
            target: None,
            sources: Sources::Caches(job.each(Job::cache)),
            tag: job.own_image(),
            inline_cache: false,
            export,
        }),
        Step::Push { reference: job.own_image() },
    ]
}

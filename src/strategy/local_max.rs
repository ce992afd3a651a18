//! Cache exported to a folder, carried as an archive over the shared storage, with the steps of
//! every stage.

use super::{CacheFrom, Job, Recipe, Strategy};
use crate::model::{BuildStep, Builder, CacheExport, CacheMode, Sources, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("local-max"),
    summary: Cow::Borrowed("fetch a cache folder, build with it, mode=max; push, store the folder"),
    builders: Cow::Borrowed(&[Builder::Buildkit]),
    cache: CacheFrom::Storage,
    needs_stages: false,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

fn steps(job: &Job) -> Vec<Step> {
    carry(job, CacheMode::Max)
}

/// Fetch and unpack before the build; push, pack and store after it. The folder that is exported
/// is a new one: one that is exported to again would keep what no build needs any more.
pub(super) fn carry(job: &Job, mode: CacheMode) -> Vec<Step> {
    let archive = job.cache_archive(&job.own);
    vec![
        Step::Fetch { archives: job.each(Job::cache_archive) },
        Step::Unpack,
        Step::Build(BuildStep {
            target: None,
            sources: Sources::Folder,
            tag: job.own_image(),
            inline_cache: false,
            export: Some(CacheExport::Local { mode }),
        }),
        Step::Push { reference: job.own_image() },
        Step::Pack { archive: archive.clone() },
        Step::Store { archive },
    ]
}

//! Carry the final image as an archive over shared storage.

use super::{CacheFrom, Job, Recipe, Strategy};
use crate::model::{BuildStep, Builder, ImageRef, Sources, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("save-load"),
    summary: Cow::Borrowed("fetch an archive, load, build with it as a source, push, save, store"),
    builders: Cow::Borrowed(&Builder::OF_DAEMONS),
    cache: CacheFrom::Storage,
    needs_stages: false,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

fn steps(job: &Job) -> Vec<Step> {
    let build = Step::Build(BuildStep {
        target: None,
        sources: Sources::Present(job.candidate_images()),
        tag: job.own_image(),
        inline_cache: job.builder == Builder::Buildkit,
        export: None,
    });
    carry(job, vec![build], vec![job.own_image()])
}

/// Fetch and load before the builds; push, save and store after them.
///
/// BuildKit takes a loaded image as a source only through its inline cache metadata, so builds
/// under it must write these.
pub(super) fn carry(job: &Job, builds: Vec<Step>, images: Vec<ImageRef>) -> Vec<Step> {
    let mut steps = vec![Step::Fetch { archives: job.each(Job::archive) }, Step::Load];
    steps.extend(builds);
    steps.push(Step::Push { reference: job.own_image() });
    steps.push(Step::Save { references: images, archive: job.archive(&job.own) });
    steps.push(Step::Store { archive: job.archive(&job.own) });
    steps
}

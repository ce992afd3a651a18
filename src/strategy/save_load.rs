//! Carry the final image as an archive over shared storage.

use super::{CacheFrom, Job, Strategy};
use crate::model::{BuildStep, Builder, ImageRef, Sources, Step};

pub(super) static STRATEGY: Strategy = Strategy {
    id: "save-load",
    summary: "fetch an archive, load, build with it as a source, push, save, store",
    builders: &Builder::ALL,
    cache: CacheFrom::Storage,
    needs_stages: false,
    steps,
};

fn steps(job: &Job) -> Vec<Step> {
    let build = Step::Build(BuildStep {
        target: None,
        sources: Sources::Present(job.candidate_images()),
        tag: job.own_image(),
        inline_cache: job.builder == Builder::Buildkit,
    });
    carry(job, vec![build], vec![job.own_image()])
}

/// Fetch and load before the builds; push, save and store after them.
///
/// BuildKit takes a loaded image as a source only through its inline cache metadata, so builds
/// under it must write these.
pub(super) fn carry(job: &Job, builds: Vec<Step>, images: Vec<ImageRef>) -> Vec<Step> {
    let mut steps = vec![Step::Fetch { archives: job.candidate_archives() }, Step::Load];
    steps.extend(builds);
    steps.push(Step::Push { reference: job.own_image() });
    steps.push(Step::Save { references: images, archive: job.own_archive() });
    steps.push(Step::Store { archive: job.own_archive() });
    steps
}

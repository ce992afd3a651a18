//! Carry the final image and the images of all stages in one archive over shared storage.

use super::{CacheFrom, Job, Recipe, Strategy, inline_stages, pull_stages, save_load};
use crate::model::{Builder, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("save-load-stages"),
    summary: Cow::Borrowed("like save-load, with the images of all stages in the same archive"),
    builders: Cow::Borrowed(&Builder::OF_DAEMONS),
    cache: CacheFrom::Storage,
    needs_stages: true,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

fn steps(job: &Job) -> Vec<Step> {
    let builds = match job.builder {
        Builder::Classic => pull_stages::builds(job),
        // Not with Buildah, which takes no image as a source: see `builders`.
        Builder::Buildkit | Builder::Buildah => {
            inline_stages::builds(job, crate::model::Sources::Present)
        }
    };
    let images = job
        .stages
        .iter()
        .map(|stage| job.own_stage_image(stage))
        .chain([job.own_image()])
        .collect();
    save_load::carry(job, builds, images)
}

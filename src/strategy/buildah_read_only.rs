//! What builds of pull requests do with Buildah: they find layers that others left, and leave none.

use super::{CacheFrom, Job, Recipe, Strategy, buildah_layers};
use crate::model::{Builder, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("buildah-read-only"),
    summary: Cow::Borrowed("layers of buildah-layers jobs found, none pushed; push"),
    builders: Cow::Borrowed(&[Builder::Buildah]),
    cache: CacheFrom::Registry,
    needs_stages: false,
    recipe: Recipe::Ours(steps),
    left_by: Some(buildah_layers::steps),
};

fn steps(job: &Job) -> Vec<Step> {
    buildah_layers::build(job, None)
}

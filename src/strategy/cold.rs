//! The baseline: a fresh runner that asks for no cache.

use super::{CacheFrom, Job, Recipe, Strategy};
use crate::model::{BuildStep, Builder, Sources, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("cold"),
    summary: Cow::Borrowed("fresh runner, no cache source: build, push"),
    builders: Cow::Borrowed(&Builder::ALL),
    cache: CacheFrom::Nowhere,
    needs_stages: false,
    recipe: Recipe::Ours(build_and_push),
    left_by: None,
};

/// A build without a source, and a push of the final image.
pub(super) fn build_and_push(job: &Job) -> Vec<Step> {
    vec![
        Step::Build(BuildStep {
            target: None,
            sources: Sources::None,
            tag: job.own_image(),
            inline_cache: false,
            export: None,
        }),
        Step::Push { reference: job.own_image() },
    ]
}

//! The baseline: a fresh runner that asks for no cache.

use super::{CacheFrom, Job, Strategy};
use crate::model::{BuildStep, Builder, Sources, Step};

pub(super) static STRATEGY: Strategy = Strategy {
    id: "cold",
    summary: "fresh runner, no cache source: build, push",
    builders: &Builder::ALL,
    cache: CacheFrom::Nowhere,
    needs_stages: false,
    steps: build_and_push,
};

/// A build without a source, and a push of the final image.
pub(super) fn build_and_push(job: &Job) -> Vec<Step> {
    vec![
        Step::Build(BuildStep {
            target: None,
            sources: Sources::None,
            tag: job.own_image(),
            inline_cache: false,
        }),
        Step::Push { reference: job.own_image() },
    ]
}

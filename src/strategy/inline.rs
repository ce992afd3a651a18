//! BuildKit's inline cache: the pushed image carries its cache records, nothing is pulled.

use super::{CacheFrom, Job, Strategy};
use crate::model::{BuildStep, Builder, Sources, Step};

pub(super) static STRATEGY: Strategy = Strategy {
    id: "inline",
    summary: "no pull: every candidate as a source, inline cache written, push",
    builders: &[Builder::Buildkit],
    cache: CacheFrom::Registry,
    needs_stages: false,
    steps,
};

fn steps(job: &Job) -> Vec<Step> {
    vec![
        Step::Build(BuildStep {
            target: None,
            sources: Sources::Named(job.candidate_images()),
            tag: job.own_image(),
            inline_cache: true,
        }),
        Step::Push { reference: job.own_image() },
    ]
}

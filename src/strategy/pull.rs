//! Pull earlier images, build with each as a source.

use super::{CacheFrom, Job, Strategy};
use crate::model::{BuildStep, Builder, Sources, Step};

pub(super) static STRATEGY: Strategy = Strategy {
    id: "pull",
    summary: "pull earlier final images, build with them as sources, push",
    builders: &[Builder::Classic],
    cache: CacheFrom::Registry,
    needs_stages: false,
    steps,
};

fn steps(job: &Job) -> Vec<Step> {
    vec![
        Step::Pull { references: job.candidate_images(), mode: job.pull },
        Step::Build(BuildStep {
            target: None,
            sources: Sources::Present(job.candidate_images()),
            tag: job.own_image(),
            inline_cache: false,
        }),
        Step::Push { reference: job.own_image() },
    ]
}

//! Pull earlier images, build with each as a source.

use super::{CacheFrom, Job, Recipe, Strategy};
use crate::model::{BuildStep, Builder, Sources, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("pull"),
    summary: Cow::Borrowed("pull earlier final images, build with them as sources, push"),
    builders: Cow::Borrowed(&[Builder::Classic]),
    cache: CacheFrom::Registry,
    needs_stages: false,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

fn steps(job: &Job) -> Vec<Step> {
    vec![
        Step::Pull { references: job.candidate_images(), mode: job.pull },
        Step::Build(BuildStep {
            target: None,
            sources: Sources::Present(job.candidate_images()),
            tag: job.own_image(),
            inline_cache: false,
            export: None,
        }),
        Step::Push { reference: job.own_image() },
    ]
}

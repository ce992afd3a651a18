//! BuildKit's inline cache: the pushed image carries its cache records, nothing is pulled.

use super::{CacheFrom, Job, Recipe, Strategy};
use crate::model::{BuildStep, Builder, Sources, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("inline"),
    summary: Cow::Borrowed("no pull: every candidate as a source, inline cache written, push"),
    builders: Cow::Borrowed(&[Builder::Buildkit]),
    cache: CacheFrom::Registry,
    needs_stages: false,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

fn steps(job: &Job) -> Vec<Step> {
    vec![
        Step::Build(BuildStep {
            target: None,
            sources: Sources::Named(job.candidate_images()),
            tag: job.own_image(),
            inline_cache: true,
            export: None,
        }),
        Step::Push { reference: job.own_image() },
    ]
}

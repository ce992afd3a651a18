//! The widely copied multi-stage recipe with its three slips, kept to show what they cost:
//! the stage image is built without `--target`, the final build names only the final image as a
//! source, and so the builder stage is never carried.

use super::{CacheFrom, Job, Recipe, Strategy};
use crate::model::{BuildStep, Builder, PullMode, Sources, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("article-printed"),
    summary: Cow::Borrowed(
        "the well-known multi-stage script as printed: stages without --target, one source",
    ),
    builders: Cow::Borrowed(&[Builder::Classic]),
    cache: CacheFrom::Registry,
    needs_stages: true,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

fn steps(job: &Job) -> Vec<Step> {
    let pairs: Vec<_> = job
        .stages
        .iter()
        .map(|stage| (job.candidate_stage_images(stage), job.own_stage_image(stage)))
        .chain([(job.candidate_images(), job.own_image())])
        .collect();
    let mut steps = Vec::new();
    for (candidates, _) in &pairs {
        steps.push(Step::Pull { references: candidates.clone(), mode: PullMode::First });
    }
    for (candidates, tag) in &pairs {
        steps.push(Step::Build(BuildStep {
            target: None,
            sources: Sources::Named(candidates.clone()),
            tag: tag.clone(),
            inline_cache: false,
            export: None,
        }));
    }
    steps.extend(pairs.into_iter().map(|(_, tag)| Step::Push { reference: tag }));
    steps
}

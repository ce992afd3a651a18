//! The inline cache for every stage: stage images are built and pushed as well, because the
//! inline cache of the final image holds the final stage only.

use super::{CacheFrom, Job, Recipe, Strategy};
use crate::model::{BuildStep, Builder, ImageRef, Sources, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("inline-stages"),
    summary: Cow::Borrowed(
        "like inline, with the images of all stages built, pushed and named as sources",
    ),
    builders: Cow::Borrowed(&[Builder::Buildkit]),
    cache: CacheFrom::Registry,
    needs_stages: true,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

fn steps(job: &Job) -> Vec<Step> {
    let mut steps = builds(job, Sources::Named);
    steps.extend(
        job.stages.iter().map(|stage| Step::Push { reference: job.own_stage_image(stage) }),
    );
    steps.push(Step::Push { reference: job.own_image() });
    steps
}

/// One BuildKit build a stage and one of the final image; later ones find the stages of earlier
/// ones in the engine's own cache.
pub(super) fn builds(job: &Job, sources: fn(Vec<ImageRef>) -> Sources) -> Vec<Step> {
    let carried: Vec<ImageRef> = job
        .stages
        .iter()
        .flat_map(|stage| job.candidate_stage_images(stage))
        .chain(job.candidate_images())
        .collect();
    job.stages
        .iter()
        .map(|stage| (Some(stage.clone()), job.own_stage_image(stage)))
        .chain([(None, job.own_image())])
        .map(|(target, tag)| {
            Step::Build(BuildStep {
                target,
                sources: sources(carried.clone()),
                tag,
                inline_cache: true,
                export: None,
            })
        })
        .collect()
}

//! Pull the images of every stage, build each stage with all of them as sources, push them all.

use super::{CacheFrom, Job, Recipe, Strategy};
use crate::model::{BuildStep, Builder, ImageRef, Sources, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("pull-stages"),
    summary: Cow::Borrowed(
        "pull stage and final images, build each stage with all as sources, push all",
    ),
    builders: Cow::Borrowed(&[Builder::Classic]),
    cache: CacheFrom::Registry,
    needs_stages: true,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

fn steps(job: &Job) -> Vec<Step> {
    let mut steps: Vec<Step> = job
        .stages
        .iter()
        .map(|stage| job.candidate_stage_images(stage))
        .chain([job.candidate_images()])
        .map(|references| Step::Pull { references, mode: job.pull })
        .collect();
    steps.extend(builds(job));
    steps.extend(
        job.stages.iter().map(|stage| Step::Push { reference: job.own_stage_image(stage) }),
    );
    steps.push(Step::Push { reference: job.own_image() });
    steps
}

/// One classic build a stage and one of the final image.
///
/// The classic builder ignores its local cache once a source is given, and the first source that
/// matches locks a stage. So the images that this job has just built come first: without them
/// every build would repeat the stages of the one before it.
pub(super) fn builds(job: &Job) -> Vec<Step> {
    let carried: Vec<ImageRef> = job
        .stages
        .iter()
        .flat_map(|stage| job.candidate_stage_images(stage))
        .chain(job.candidate_images())
        .collect();
    let targets = job.stages.iter().map(Some).chain([None]);
    let mut built: Vec<ImageRef> = Vec::new();
    let mut steps = Vec::new();
    for target in targets {
        let tag = target.map_or_else(|| job.own_image(), |stage| job.own_stage_image(stage));
        let mut sources = built.clone();
        sources.extend(carried.iter().filter(|image| !built.contains(image)).cloned());
        steps.push(Step::Build(BuildStep {
            target: target.cloned(),
            sources: Sources::Present(sources),
            tag: tag.clone(),
            inline_cache: false,
            export: None,
        }));
        built.push(tag);
    }
    steps
}

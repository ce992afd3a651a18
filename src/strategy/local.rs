//! The upper bound: a runner that is kept between jobs, with its engine's own cache.

use super::{CacheFrom, Job, Recipe, Strategy, cold};
use crate::model::{BuildStep, Builder, CacheExport, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("local"),
    summary: Cow::Borrowed("persistent runner that kept its cache: build, push; the upper bound"),
    builders: Cow::Borrowed(&Builder::ALL),
    cache: CacheFrom::Engine,
    needs_stages: false,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

/// As with no cache; Buildah keeps steps only if it is told to.
fn steps(job: &Job) -> Vec<Step> {
    let keeping = |step| match step {
        Step::Build(build) if job.builder == Builder::Buildah => {
            Step::Build(BuildStep { export: Some(CacheExport::Kept), ..build })
        }
        other => other,
    };
    cold::build_and_push(job).into_iter().map(keeping).collect()
}

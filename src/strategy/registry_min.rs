//! Cache exported to the registry under a name of its own, with the steps of the final stage.

use super::{CacheFrom, Job, Recipe, Strategy, registry_max};
use crate::model::{Builder, CacheMode, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("registry-min"),
    summary: Cow::Borrowed("cache imported from and exported to the registry, mode=min; push"),
    builders: Cow::Borrowed(&[Builder::Buildkit]),
    cache: CacheFrom::Registry,
    needs_stages: false,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

fn steps(job: &Job) -> Vec<Step> {
    registry_max::export(job, CacheMode::Min)
}

//! What builds of pull requests do: they import the cache that others exported, and export none.

use super::{CacheFrom, Job, Recipe, Strategy, registry_max};
use crate::model::{Builder, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("registry-read-only"),
    summary: Cow::Borrowed("cache of registry-max jobs imported, none exported; push"),
    builders: Cow::Borrowed(&[Builder::Buildkit]),
    cache: CacheFrom::Registry,
    needs_stages: false,
    recipe: Recipe::Ours(steps),
    left_by: Some(registry_max::steps),
};

fn steps(job: &Job) -> Vec<Step> {
    registry_max::import(job, None)
}

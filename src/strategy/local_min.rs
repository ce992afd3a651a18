//! Cache exported to a folder, carried as an archive over the shared storage, with the steps of
//! the final stage.

use super::{CacheFrom, Job, Recipe, Strategy, local_max};
use crate::model::{Builder, CacheMode, Step};
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("local-min"),
    summary: Cow::Borrowed("fetch a cache folder, build with it, mode=min; push, store the folder"),
    builders: Cow::Borrowed(&[Builder::Buildkit]),
    cache: CacheFrom::Storage,
    needs_stages: false,
    recipe: Recipe::Ours(steps),
    left_by: None,
};

fn steps(job: &Job) -> Vec<Step> {
    local_max::carry(job, CacheMode::Min)
}

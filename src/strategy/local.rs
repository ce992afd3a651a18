//! The upper bound: a runner that is kept between jobs, with its engine's own cache.

use super::{CacheFrom, Recipe, Strategy, cold};
use crate::model::Builder;
use std::borrow::Cow;

pub(super) static STRATEGY: Strategy = Strategy {
    id: Cow::Borrowed("local"),
    summary: Cow::Borrowed("persistent runner that kept its cache: build, push; the upper bound"),
    builders: Cow::Borrowed(&Builder::ALL),
    cache: CacheFrom::Engine,
    needs_stages: false,
    recipe: Recipe::Ours(cold::build_and_push),
    left_by: None,
};

//! The upper bound: a runner that is kept between jobs, with its engine's own cache.

use super::{CacheFrom, Strategy, cold};
use crate::model::Builder;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "local",
    summary: "persistent runner that kept its cache: build, push; the upper bound",
    builders: &Builder::ALL,
    cache: CacheFrom::Engine,
    needs_stages: false,
    steps: cold::build_and_push,
};

//! What a strategy would have saved over commits that really happened.

use super::joint::Joint;
use crate::stats::{Bootstrap, Estimate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A strategy over the commits of a replay, each built once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Replay {
    /// How many commits.
    pub commits: u32,
    /// Seconds of all their builds under the baseline.
    pub baseline_s: Estimate,
    /// Seconds of all their builds under this strategy.
    pub total_s: Estimate,
    /// Seconds saved over all of them.
    pub saved_s: Estimate,
}

/// The sum over commits that each happened once: their number times the weighted means.
pub(super) fn replay(bootstrap: Bootstrap, commits: u32, joint: &Joint<2>) -> Replay {
    let n = f64::from(commits);
    let [baseline_s, total_s, saved_s] = joint
        .estimate(bootstrap, |[baseline, ours]| [n * baseline, n * ours, n * (baseline - ours)]);
    Replay { commits, baseline_s, total_s, saved_s }
}

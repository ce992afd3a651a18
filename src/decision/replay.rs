//! What a strategy would have saved over commits that really happened.

use crate::stats::Estimate;
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

//! A strategy that left the race: it was not measured any more, since nothing could come of it.

use super::cell::Builder;
use serde::{Deserialize, Serialize};

/// Who left, when and why. What was measured of it until then counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Left {
    /// The last round that it was measured in.
    pub round: u32,
    /// The workload.
    pub workload: String,
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// Id of the strategy.
    pub strategy: String,
    /// Its builder.
    pub builder: Builder,
    /// Its verdict against the baseline, which was settled: `pays off` or `does not pay off`.
    pub verdict: String,
    /// Id of the strategy whose builds take the least time, then.
    pub leader: String,
    /// The leader's builder.
    pub leader_builder: Builder,
    /// Seconds that a build takes longer than the leader's.
    pub slower_s: f64,
    /// Lower end of the interval of that, above 0.
    pub low_s: f64,
    /// Upper end.
    pub high_s: f64,
}

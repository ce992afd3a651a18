//! What a saving becomes when one change happens more or less often.

use super::BreakEven;
use crate::stats::Estimate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A strategy's saving against the share of builds that are one change, the other changes keeping
/// their proportions among themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShareOf {
    /// The change.
    pub change: String,
    /// Whether it is the dearest change of its workload, link and engine: the one under which the
    /// strategies save the least on average.
    pub dearest: bool,
    /// Its share of builds now.
    pub now: f64,
    /// The share at which strategy and baseline take equally long.
    pub break_even: BreakEven,
    /// The saving by share, from 0 to 1; empty for changes that are not the dearest.
    pub points: Vec<SharePoint>,
}

/// A saving at one share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SharePoint {
    /// Share of builds, 0 to 1.
    pub share: f64,
    /// Mean seconds saved a build.
    pub saving_s: Estimate,
}

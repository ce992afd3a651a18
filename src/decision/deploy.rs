//! The other end of an image's life: what a node pays to pull it, and what is traded for that at
//! build time.

use crate::model::Builder;
use crate::stats::Estimate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a node that has the base image pays to pull a workload's final image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deploy {
    /// The workload.
    pub workload: String,
    /// The link.
    pub link: String,
    /// The engine that built it.
    pub engine: String,
    /// The builder that built it.
    pub builder: Builder,
    /// Size of the image in bytes, uncompressed, base image included.
    pub image_bytes: Option<u64>,
    /// Compressed bytes that the node fetches: what a job without a cache uploads.
    pub bytes: Option<u64>,
    /// Layers that the node fetches.
    pub layers: Option<u32>,
    /// Seconds, as measured; absent where no pull was.
    pub measured_s: Option<Estimate>,
    /// Seconds that the transfer alone takes, computed from bytes and layers.
    pub computed_s: Option<f64>,
    /// Why there is no time, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Deploy {
    /// Seconds: measured if they were, else computed.
    pub fn seconds(&self) -> Option<f64> {
        self.measured_s.map(|measured| measured.point).or(self.computed_s)
    }
}

/// One workload under one strategy in the trade between build and deploy, where a run has several
/// workloads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trade {
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// The workload.
    pub workload: String,
    /// Stages of its Dockerfile; 1 is a single-stage one.
    pub stages: usize,
    /// Id of the strategy: the baseline, and the one whose builds take the least time.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// Expected seconds a build, over the change mix.
    pub build_s: Estimate,
    /// Size of the image in bytes, uncompressed.
    pub image_bytes: Option<u64>,
    /// Seconds that a node pays to pull it.
    pub deploy_s: Option<f64>,
}

//! A final image pulled as a node pulls it, outside of every job.

use super::cell::Builder;
use serde::{Deserialize, Serialize};

/// One pull of a final image by a node that does not have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeployPull {
    /// The workload.
    pub workload: String,
    /// The engine that played the node.
    pub engine: String,
    /// The link that it was pulled over.
    pub link: String,
    /// The builder that built the image.
    pub builder: Builder,
    /// The counted round at whose beginning it was pulled.
    pub round: u32,
    /// Seconds from the request to the end of its answer; absent if it failed.
    pub duration_s: Option<f64>,
    /// Bytes that came over the link, where they were counted.
    pub bytes_down: Option<u64>,
    /// Requests that went over the link, where they were counted.
    pub requests: Option<u64>,
    /// Base images of the workload that the node had, so that it did not fetch them.
    #[serde(default)]
    pub present: Vec<String>,
    /// Why it failed, where it did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

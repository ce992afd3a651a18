//! What the machine did while a sample was measured.

use serde::{Deserialize, Serialize};

/// What happened on the machine between two readings of its counters. Shares of the time are from
/// 0 to 1. Everything is absent where the system does not count it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Noise {
    /// Share of processor time that the hypervisor took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal: Option<f64>,
    /// Share of the time in which something waited for a processor. A build that uses every
    /// processor raises it as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Share of the time in which something waited for a disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io: Option<f64>,
    /// Share of the time in which something waited for memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<f64>,
    /// Tasks that ran or waited, averaged over the minute before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// How often a processor was slowed down for its heat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<u64>,
    /// Seconds by which the wall clock was moved against the monotonic one, forward above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_moved_s: Option<f64>,
}

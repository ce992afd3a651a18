//! Where a saving changes its sign along a straight line, or in which words there is no such
//! place.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Along one quantity (a bandwidth, a share of builds): where a strategy takes exactly as long as
/// the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "saves")]
pub enum BreakEven {
    /// It saves time above this value, and costs time below it.
    Above(Crossing),
    /// It saves time below this value, and costs time above it.
    Below(Crossing),
    /// It saves time whatever the value.
    Always,
    /// It saves no time whatever the value.
    Never,
    /// It cannot be said.
    #[serde(rename = "n/a")]
    NotKnown {
        /// Why not, in words.
        reason: String,
    },
}

impl BreakEven {
    /// That it cannot be said, and why.
    pub fn not_known(reason: impl Into<String>) -> Self {
        Self::NotKnown { reason: reason.into() }
    }

    /// The value, if there is one.
    pub const fn crossing(&self) -> Option<Crossing> {
        match self {
            Self::Above(crossing) | Self::Below(crossing) => Some(*crossing),
            Self::Always | Self::Never | Self::NotKnown { .. } => None,
        }
    }
}

/// A value with its 95 % interval, which may be open.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Crossing {
    /// The value: bits a second towards the job, or a share of builds from 0 to 1.
    pub point: f64,
    /// Lower end of the interval; absent where it reaches down to nothing.
    pub low: Option<f64>,
    /// Upper end of the interval; absent where it has no end (a share: reaches 1).
    pub high: Option<f64>,
}

//! What a build costs in money: a price list as a plan has it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A price list. Which prices count, and when and where they were seen, is a matter of the user:
/// see `src/decision/prices.toml` for those that count unless told otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prices {
    /// When the prices were seen, such as `2026-11`.
    pub seen: String,
    /// Code of the currency, such as `USD`.
    pub currency: String,
    /// A minute of a runner.
    pub per_minute: f64,
    /// What a job's time is rounded up to.
    pub rounding: Rounding,
    /// A gigabyte (10⁹ bytes) from registry or storage to a job.
    pub out_per_gb: f64,
    /// A gigabyte from a job to registry or storage.
    pub in_per_gb: f64,
    /// A gigabyte that is kept for a month.
    pub storage_per_gb_month: f64,
    /// Builds whose images and caches are kept.
    pub keep_builds: u32,
    /// Ten thousand requests to registry and storage.
    pub per_10k_requests: f64,
    /// A minute that a developer waits for a job; 0 leaves waiting out.
    pub waiting_per_minute: f64,
    /// Builds a day, every day of the month.
    pub builds_per_day: f64,
    /// Where each price was seen, by its key.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
}

impl Prices {
    /// Days of a month: a year's 365 in twelve.
    pub const DAYS_A_MONTH: f64 = 365.0 / 12.0;

    /// Builds a month.
    pub fn builds_a_month(&self) -> f64 {
        self.builds_per_day * Self::DAYS_A_MONTH
    }

    /// Minutes that are billed for a job of so many seconds.
    pub fn billed_minutes(&self, seconds: f64) -> f64 {
        match self.rounding {
            Rounding::Minute => (seconds / 60.0).ceil(),
            Rounding::Second => seconds.ceil() / 60.0,
        }
    }
}

/// What a job's time is rounded up to before it is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// Whole minutes.
    Minute,
    /// Whole seconds.
    Second,
}

impl Rounding {
    /// The word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }
}

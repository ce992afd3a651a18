//! Pure statistics: numbers in, estimates out. Everything random is seeded.

pub mod bootstrap;
pub mod least_squares;
pub mod paired;
pub mod prediction;
pub mod sequential;
pub mod shift;
pub mod trend;
pub mod values;
pub mod variance;

pub use bootstrap::{Bootstrap, Rounds};
pub use values::Values;

use serde::{Deserialize, Serialize};

/// Why numbers cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum StatsError {
    /// There is nothing to estimate from.
    #[error("no value to estimate from; at least one is needed")]
    Empty,
    /// Not a number, or infinite.
    #[error("value {position} (from 0) is {value}; only finite numbers can be estimated from")]
    NotFinite {
        /// Where in the input.
        position: usize,
        /// What was there.
        value: f64,
    },
}

/// A point with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Estimate {
    /// The point estimate.
    pub point: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
}

impl Estimate {
    /// An estimate without spread. From a single value it says nothing about the spread, so
    /// whoever shows it shows the number of samples too.
    pub const fn exactly(point: f64) -> Self {
        Self { point, low: point, high: point }
    }
}

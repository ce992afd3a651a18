//! Time against bandwidth and round trip: `T(link) = c + 8·down/down_bps + 8·up/up_bps + r·rtt`.

use super::BreakEven;
use crate::model::Builder;
use crate::stats::Estimate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one strategy's time depends on, fitted from the links that it was measured over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LinkModel {
    /// The workload.
    pub workload: String,
    /// The engine.
    pub engine: String,
    /// The change; absent where this is over the whole change mix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The availability; absent where this is over the whole change mix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<String>,
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// What was measured over each link, the slowest first.
    pub points: Vec<LinkPoint>,
    /// The fitted coefficients; absent where there are too few links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<LinkFit>,
    /// Links that were left out one at a time, and what the others' fit says about each.
    pub held_out: Vec<HeldOut>,
    /// Seconds a build by bandwidth, at [`Self::at`]; empty where it is not drawn.
    pub curve: Vec<CurvePoint>,
    /// Why there is no curve, in words: too few links, or a fit that misses by more than 10 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_drawn: Option<String>,
    /// The round trip and the ratio of directions that curve and break-even are for.
    pub at: LinkAt,
    /// The bandwidth towards the job at which strategy and baseline take equally long, in bits a
    /// second.
    pub break_even_bps: BreakEven,
    /// Whether the break-even bandwidth lies outside of what was measured.
    pub extrapolated: bool,
    /// Seconds that 10 ms more of round trip add to a build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_10ms_s: Option<Estimate>,
    /// Seconds that 10 ms more of round trip add to (or, negative, take from) the saving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saving_per_10ms_s: Option<Estimate>,
}

/// One measured link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LinkPoint {
    /// Its name.
    pub link: String,
    /// Bits a second towards the job; absent where it is unlimited.
    pub down_bps: Option<f64>,
    /// Bits a second from the job; absent where it is unlimited.
    pub up_bps: Option<f64>,
    /// Round-trip time in seconds.
    pub rtt_s: f64,
    /// Mean seconds a build.
    pub mean_s: Estimate,
    /// Rounds behind it; over the mix, the fewest of any cell.
    pub n: usize,
}

/// Coefficients of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LinkFit {
    /// Seconds that do not depend on the link (`c`).
    pub c_s: Estimate,
    /// Bytes towards the job (`down`).
    pub bytes_down: Estimate,
    /// Bytes from the job (`up`).
    pub bytes_up: Estimate,
    /// Round trips one after another (`r`); absent where all links have the same round trip, which
    /// then is a part of `c`.
    pub round_trips: Option<Estimate>,
    /// Whether the bytes are those that the links counted, or are fitted as well.
    pub bytes: BytesFrom,
}

/// Where a model's bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BytesFrom {
    /// Counted by the links.
    Counted,
    /// Not counted on every link, and so fitted from the times.
    Fitted,
}

/// A link that was measured and left out of a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldOut {
    /// Its name.
    pub link: String,
    /// Mean seconds a build, as measured.
    pub measured_s: f64,
    /// Seconds a build that the fit from the other links says.
    pub predicted_s: f64,
    /// `(predicted − measured) / measured`.
    pub error: f64,
}

/// The round trip and the ratio of directions that a curve is for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LinkAt {
    /// Round-trip time in seconds: the median of the measured links.
    pub rtt_s: f64,
    /// Bandwidth up as a share of that down: the median of the measured links that limit both; 1
    /// if none does.
    pub up_per_down: f64,
}

/// One point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurvePoint {
    /// Bits a second towards the job.
    pub down_bps: f64,
    /// Seconds a build.
    pub seconds: f64,
}

//! Pure decisions: recorded samples in, verdicts out.
//!
//! A row's time is a median: what a typical job takes, whatever one slow job did. A **saving is a
//! mean of differences** paired by round: what a strategy saves a build on average is what the
//! bill sees, and means add up over changes and availabilities by their weights, which medians do
//! not.

use crate::model::{Builder, Phase, State};
use crate::stats::Estimate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Counted rounds below which there is no verdict.
pub const ROUNDS_FOR_VERDICT: usize = 5;

/// Whether a strategy pays off against the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The whole interval of the saving lies above the smallest saving that matters.
    PaysOff,
    /// The whole interval lies below it.
    DoesNotPayOff,
    /// Neither.
    Undecided,
    /// Fewer than [`ROUNDS_FOR_VERDICT`] paired rounds.
    TooFewRounds,
    /// This is the baseline itself.
    Baseline,
}

impl Verdict {
    /// How reports say it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::PaysOff => "pays off",
            Self::DoesNotPayOff => "does not pay off",
            Self::Undecided => "undecided",
            Self::TooFewRounds => "no verdict: too few rounds",
            Self::Baseline => "baseline",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// A saving against the baseline, paired by round. Positive: faster than the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Saving {
    /// The builder of the baseline that it is against.
    pub against: Builder,
    /// Mean seconds a build.
    pub seconds: Estimate,
    /// The same as a share of the baseline's mean time in the same rounds.
    pub share: Estimate,
    /// Smallest saving that matters, seconds.
    pub relevant_s: f64,
    /// Rounds in which both were measured; over several cells, the fewest of any of them.
    pub pairs: usize,
    /// The verdict.
    pub verdict: Verdict,
    /// For `undecided`: how many more rounds would probably decide, if that can be said. For
    /// `too-few-rounds`: how many are lacking for a verdict.
    pub more_rounds: Option<u32>,
}

/// One strategy under one change and availability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// What the samples had to do with a cache.
    pub state: State,
    /// Samples that count.
    pub n: usize,
    /// Samples that were measured and are not what they claim.
    pub invalid: usize,
    /// Samples that failed.
    pub failed: usize,
    /// Median seconds of the whole job, with its interval.
    pub total_s: Option<Estimate>,
    /// Median seconds of each phase that the job has.
    pub phases: BTreeMap<Phase, f64>,
    /// Median seconds of the parts of the build: `import`, `steps`, `export`.
    pub build_parts: BTreeMap<String, f64>,
    /// Fewest and most step hits, over the samples that count.
    pub hits: Option<(usize, usize)>,
    /// Most steps, over the samples that count.
    pub steps: Option<usize>,
    /// Median bytes from registry and storage, where counted.
    pub bytes_down: Option<u64>,
    /// Median bytes to registry and storage, where counted.
    pub bytes_up: Option<u64>,
    /// Median size of the final image in bytes.
    pub image_bytes: Option<u64>,
    /// Cache sources that served, with the number of samples.
    pub sources: BTreeMap<String, usize>,
    /// Against the baseline; absent where nothing can be paired.
    pub saving: Option<Saving>,
}

/// All strategies under one change and availability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The workload.
    pub workload: String,
    /// The change.
    pub change: String,
    /// The availability.
    pub availability: String,
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// Share of builds that this change and availability have among those measured.
    pub weight: f64,
    /// In the order of the strategies' table, classic before buildkit.
    pub rows: Vec<Row>,
}

/// One strategy over all changes and availabilities, by their weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Weighted {
    /// The workload.
    pub workload: String,
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// Expected seconds a build; absent where a cell has no sample that counts.
    pub total_s: Option<Estimate>,
    /// Against the baseline.
    pub saving: Option<Saving>,
    /// Builds until the slower first one is repaid (`N*`), 0 where the first one is not slower;
    /// absent where it was not measured and where later builds do not certainly save time.
    pub builds_to_repay: Option<Estimate>,
    /// Keys of cells, of this strategy or its baseline, without a sample that counts, and of this
    /// strategy's cells of which no sample is in a round with one of the baseline's.
    pub missing: Vec<String>,
}

/// Everything that is decided from a run's samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// Id of the baseline strategy. A strategy is compared with the baseline under its own
    /// builder, and with the other builder's where its own has none.
    pub baseline: String,
    /// Counted rounds with at least one sample.
    pub rounds: usize,
    /// Per workload, change and availability.
    pub groups: Vec<Group>,
    /// Over all changes and availabilities.
    pub weighted: Vec<Weighted>,
}

//! What a strategy costs in money, beside what it costs in time.

use crate::stats::Estimate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What builds under a strategy cost over the change mix, by the plan's price list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Money {
    /// Minutes a build, as measured.
    pub minutes: Estimate,
    /// Minutes a build that are billed: the mean over jobs, each rounded up by itself.
    pub billed_minutes: Estimate,
    /// What makes up the cost of a build, storage left out.
    pub parts: Vec<MoneyPart>,
    /// Money a build, storage left out: the sum of the parts that are known.
    pub per_build: Estimate,
    /// Bytes that are kept in registry and storage; absent where uploads were not counted.
    pub kept_bytes: Option<Estimate>,
    /// Money a month for the bytes that are kept.
    pub storage_per_month: Option<Estimate>,
    /// Money a month: builds and, where known, storage.
    pub per_month: Estimate,
    /// Against the baseline; absent for the baseline itself and where nothing can be paired.
    pub saving: Option<MoneySaving>,
    /// What is not in the sums since it was not counted, in words.
    pub left_out: Vec<String>,
}

/// One part of a build's cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MoneyPart {
    /// What is paid for.
    pub kind: MoneyKind,
    /// Money a build; absent where it was not counted.
    pub per_build: Option<Estimate>,
}

/// What is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MoneyKind {
    /// The runner's billed minutes.
    Runner,
    /// Bytes from registry and storage.
    Out,
    /// Bytes to registry and storage.
    In,
    /// Requests.
    Requests,
    /// Minutes that a developer waits.
    Waiting,
}

impl MoneyKind {
    /// Every part, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Runner, Self::Out, Self::In, Self::Requests, Self::Waiting];

    /// How reports say it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Runner => "runner",
            Self::Out => "bytes out",
            Self::In => "bytes in",
            Self::Requests => "requests",
            Self::Waiting => "waiting",
        }
    }
}

/// Money saved against the baseline. Positive: cheaper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MoneySaving {
    /// Billed minutes a build.
    pub billed_minutes: Estimate,
    /// Money a build, storage left out. What is not known of both is in neither.
    pub per_build: Estimate,
    /// Money a month, with what is kept where it is known of both.
    pub per_month: Estimate,
    /// What rounding does to the saving.
    pub rounding: RoundingEffect,
    /// The verdict on money alone.
    pub verdict: MoneyVerdict,
}

/// What rounding each job up does to a saving of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoundingEffect {
    /// Time and bill say the same.
    None,
    /// Time is surely saved (or lost), and the bill does not show it.
    Hides,
    /// The bill surely shows what time does not.
    Makes,
}

/// Whether a strategy is cheaper than the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MoneyVerdict {
    /// The whole interval of the saving a month lies above zero.
    Cheaper,
    /// It lies below zero.
    Dearer,
    /// It is exactly zero.
    Same,
    /// None of these.
    Undecided,
    /// Too few paired rounds.
    TooFewRounds,
}

impl MoneyVerdict {
    /// How reports say it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cheaper => "cheaper",
            Self::Dearer => "dearer",
            Self::Same => "costs the same",
            Self::Undecided => "undecided",
            Self::TooFewRounds => "no verdict: too few rounds",
        }
    }
}

impl fmt::Display for MoneyVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

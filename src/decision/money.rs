//! What a strategy costs in money, beside what it costs in time.

use super::ROUNDS_FOR_VERDICT;
use super::joint::{ByRound, Joint};
use super::traffic::Traffic;
use crate::model::{Prices, Sample};
use crate::stats::{Bootstrap, Estimate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What builds under a strategy cost over the change mix, by the plan's price list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Money {
    /// Code of the currency.
    pub currency: String,
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

/// Numbers of a job that money is reckoned from.
const NUMBERS: usize = 6;
const MINUTES: usize = 0;
const BILLED: usize = 1;
const DOWN: usize = 2;
const UP: usize = 3;
/// Those of the bytes up that take the place of an earlier archive.
const STORED: usize = 4;
const REQUESTS: usize = 5;

/// Which of a job's counts are known in every sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    down: bool,
    up: bool,
    requests: bool,
}

impl Known {
    const ALL: Self = Self { down: true, up: true, requests: true };

    const fn and(self, other: Self) -> Self {
        Self {
            down: self.down && other.down,
            up: self.up && other.up,
            requests: self.requests && other.requests,
        }
    }
}

/// One cell of the mix as money sees it.
pub(super) struct Priced {
    weight: f64,
    own: ByRound<NUMBERS>,
    /// The baseline's numbers less the strategy's.
    saved: ByRound<NUMBERS>,
    known: Known,
    known_of_both: Known,
}

impl Priced {
    /// From the samples of a cell and of the baseline's beside it.
    pub(super) fn new(prices: &Prices, weight: f64, own: &[&Sample], beside: &[&Sample]) -> Self {
        let (own, known) = numbers(prices, own);
        let (theirs, known_of_theirs) = numbers(prices, beside);
        let saved = own
            .iter()
            .filter_map(|(round, own)| {
                let theirs = theirs.get(round)?;
                Some((*round, std::array::from_fn(|at| theirs[at] - own[at])))
            })
            .collect();
        Self { weight, own, saved, known, known_of_both: known.and(known_of_theirs) }
    }
}

/// Each job's numbers by round; what was not counted is 0 there and not known.
fn numbers(prices: &Prices, samples: &[&Sample]) -> (ByRound<NUMBERS>, Known) {
    let mut known = Known::ALL;
    let of = |sample: &&Sample| {
        let (seconds, traffic) = (sample.total_s(), Traffic::of(sample));
        known = known.and(Known {
            down: traffic.down.is_some(),
            up: traffic.up.is_some(),
            requests: traffic.requests.is_some(),
        });
        let mut numbers = [0.0; NUMBERS];
        numbers[MINUTES] = seconds / 60.0;
        numbers[BILLED] = prices.billed_minutes(seconds);
        numbers[DOWN] = traffic.down.unwrap_or(0.0);
        numbers[UP] = traffic.up.unwrap_or(0.0);
        numbers[STORED] = traffic.stored;
        numbers[REQUESTS] = traffic.requests.unwrap_or(0.0);
        (sample.round, numbers)
    };
    (samples.iter().map(of).collect(), known)
}

/// Positions in what [`costs`] gives: the parts in the order of [`MoneyKind::ALL`], then these.
const PER_BUILD: usize = MoneyKind::ALL.len();
const KEPT: usize = PER_BUILD + 1;
const STORAGE: usize = PER_BUILD + 2;
const PER_MONTH: usize = PER_BUILD + 3;
const COSTS: usize = PER_BUILD + 4;

/// From a build's mean numbers to money. Every step is a multiplication or a sum, so that the same
/// holds for the difference of two builds. What is not known is left out.
fn costs(prices: &Prices, known: Known, of: &[f64; NUMBERS]) -> [f64; COSTS] {
    const GB: f64 = 1e9;
    let mut costs = [0.0; COSTS];
    for (cost, kind) in costs.iter_mut().zip(MoneyKind::ALL) {
        *cost = match kind {
            MoneyKind::Runner => of[BILLED] * prices.per_minute,
            MoneyKind::Out if known.down => of[DOWN] / GB * prices.out_per_gb,
            MoneyKind::In if known.up => of[UP] / GB * prices.in_per_gb,
            MoneyKind::Requests if known.requests => {
                of[REQUESTS] / 10_000.0 * prices.per_10k_requests
            }
            MoneyKind::Waiting => of[MINUTES] * prices.waiting_per_minute,
            MoneyKind::Out | MoneyKind::In | MoneyKind::Requests => 0.0,
        };
    }
    costs[PER_BUILD] = costs[..PER_BUILD].iter().sum();
    if known.up {
        costs[KEPT] = f64::from(prices.keep_builds) * (of[UP] - of[STORED]) + of[STORED];
        costs[STORAGE] = costs[KEPT] / GB * prices.storage_per_gb_month;
    }
    costs[PER_MONTH] = costs[PER_BUILD] * prices.builds_a_month() + costs[STORAGE];
    costs
}

/// Money over the mix; `None` where a cell has no sample that counts. `saved_s` is the saving of
/// time, to hold that of money against.
pub(super) fn money(
    prices: &Prices,
    bootstrap: Bootstrap,
    cells: &[Priced],
    saved_s: Option<Estimate>,
) -> Option<Money> {
    let joint: Joint<NUMBERS> =
        Joint::new(cells.iter().map(|cell| (cell.weight, cell.own.clone())))?;
    let known = cells.iter().fold(Known::ALL, |all, cell| all.and(cell.known));
    let [minutes, billed_minutes] = joint.estimate(bootstrap, |sums| [sums[MINUTES], sums[BILLED]]);
    let all = joint.estimate(bootstrap, |sums| costs(prices, known, &sums));
    let part = |(kind, cost): (MoneyKind, &Estimate)| MoneyPart {
        kind,
        per_build: match kind {
            MoneyKind::Out => known.down,
            MoneyKind::In => known.up,
            MoneyKind::Requests => known.requests,
            MoneyKind::Runner | MoneyKind::Waiting => true,
        }
        .then_some(*cost),
    };
    Some(Money {
        currency: prices.currency.clone(),
        minutes,
        billed_minutes,
        parts: MoneyKind::ALL.into_iter().zip(&all).map(part).collect(),
        per_build: all[PER_BUILD],
        kept_bytes: known.up.then_some(all[KEPT]),
        storage_per_month: known.up.then_some(all[STORAGE]),
        per_month: all[PER_MONTH],
        saving: saved_s.and_then(|saved_s| saving(prices, bootstrap, cells, saved_s)),
        left_out: left_out(known),
    })
}

/// Money that one job cost, storage left out, in the list's currency; `None` where something that has
/// a price was not counted.
pub fn price(prices: &Prices, sample: &Sample) -> Option<f64> {
    let (numbers, known) = numbers(prices, &[sample]);
    let priced = [
        (known.down, prices.out_per_gb),
        (known.up, prices.in_per_gb),
        (known.requests, prices.per_10k_requests),
    ];
    // Of a price nothing is equal to 0 but 0.
    let all = priced.into_iter().all(|(known, price)| known || price == 0.0);
    let (_, numbers) = numbers.into_iter().next().filter(|_| all)?;
    Some(costs(prices, known, &numbers)[PER_BUILD])
}

fn left_out(known: Known) -> Vec<String> {
    let mut left_out = Vec::new();
    for (known, what) in [
        (known.down, "bytes from registry and storage were not all counted"),
        (known.up, "bytes to registry and storage were not all counted, nor so what is kept"),
        (known.requests, "requests were not all counted"),
    ] {
        if !known {
            left_out.push(what.to_owned());
        }
    }
    left_out
}

fn saving(
    prices: &Prices,
    bootstrap: Bootstrap,
    cells: &[Priced],
    saved_s: Estimate,
) -> Option<MoneySaving> {
    let joint: Joint<NUMBERS> =
        Joint::new(cells.iter().map(|cell| (cell.weight, cell.saved.clone())))?;
    let known = cells.iter().fold(Known::ALL, |all, cell| all.and(cell.known_of_both));
    let [billed_minutes, per_build, per_month] = joint.estimate(bootstrap, |sums| {
        let costs = costs(prices, known, &sums);
        [sums[BILLED], costs[PER_BUILD], costs[PER_MONTH]]
    });
    Some(MoneySaving {
        billed_minutes,
        per_build,
        per_month,
        rounding: rounding(saved_s, billed_minutes),
        verdict: verdict(per_month, joint.fewest()),
    })
}

/// What rounding does: the sure sign of what is saved in time against that in the bill.
fn rounding(saved_s: Estimate, billed_minutes: Estimate) -> RoundingEffect {
    match (sign(saved_s), sign(billed_minutes)) {
        (time, bill) if time == bill => RoundingEffect::None,
        (_, 0) => RoundingEffect::Hides,
        _ => RoundingEffect::Makes,
    }
}

/// 1 or −1 where the whole interval lies above or below zero, else 0.
fn sign(estimate: Estimate) -> i8 {
    i8::from(estimate.low > NOTHING) - i8::from(estimate.high < -NOTHING)
}

/// Below this, a difference is rounding in the last digits.
const NOTHING: f64 = 1e-9;

fn verdict(per_month: Estimate, pairs: usize) -> MoneyVerdict {
    if pairs < ROUNDS_FOR_VERDICT {
        return MoneyVerdict::TooFewRounds;
    }
    match sign(per_month) {
        1 => MoneyVerdict::Cheaper,
        -1 => MoneyVerdict::Dearer,
        _ if per_month.low.abs().max(per_month.high.abs()) <= NOTHING => MoneyVerdict::Same,
        _ => MoneyVerdict::Undecided,
    }
}

#[cfg(test)]
mod tests;

//! What a saving becomes when one change happens more or less often.

use super::BreakEven;
use super::break_even::Along;
use super::joint::Joint;
use super::weighted::Part;
use crate::stats::{Bootstrap, Estimate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A strategy's saving against the share of builds that are one change, the other changes keeping
/// their proportions among themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShareOf {
    /// The change.
    pub change: String,
    /// Whether it is the dearest change of its workload, link and engine: the one under which the
    /// strategies save the least on average.
    pub dearest: bool,
    /// Its share of builds now.
    pub now: f64,
    /// The share at which strategy and baseline take equally long.
    pub break_even: BreakEven,
    /// The saving by share, from 0 to 1; empty for changes that are not the dearest.
    pub points: Vec<SharePoint>,
}

/// A saving at one share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SharePoint {
    /// Share of builds, 0 to 1.
    pub share: f64,
    /// Mean seconds saved a build.
    pub saving_s: Estimate,
}

/// Points of a line from a share of 0 to 1.
const POINTS: usize = 11;

/// `h*`, the share of builds that must find the cache: the saving of builds that find none (no
/// candidate exists) against that of those that find one.
pub(super) fn hit_share<'a>(
    bootstrap: Bootstrap,
    parts: impl Iterator<Item = &'a Part> + Clone,
) -> BreakEven {
    let kinds = parts.map(|part| {
        let finds = part.availability != "none";
        (usize::from(finds), part.weight, &part.pairs)
    });
    for (kind, which) in [(0, "without a candidate"), (1, "with a candidate")] {
        if !kinds.clone().any(|(of, weight, _)| of == kind && weight > 0.0) {
            return BreakEven::not_known(format!("no build {which} was measured"));
        }
    }
    match Joint::savings(kinds) {
        Some(joint) => break_even(bootstrap, &joint),
        None => BreakEven::not_known("some of these builds have no pair with the baseline"),
    }
}

/// The saving against the share of each change; nothing where there is only one.
pub(super) fn shares(bootstrap: Bootstrap, parts: &[Part], dearest: Option<&str>) -> Vec<ShareOf> {
    let changes: BTreeSet<&str> = parts.iter().map(|part| part.change.as_str()).collect();
    if changes.len() < 2 {
        return Vec::new();
    }
    let share = |change: &str| {
        let kinds =
            parts.iter().map(|part| (usize::from(part.change == change), part.weight, &part.pairs));
        let joint = Joint::savings(kinds);
        let is_dearest = dearest == Some(change);
        let of = parts.iter().filter(|part| part.change == change);
        ShareOf {
            change: change.to_owned(),
            dearest: is_dearest,
            now: of.map(|part| part.weight).sum(),
            break_even: match &joint {
                Some(joint) => break_even(bootstrap, joint),
                None => BreakEven::not_known("some builds have no pair with the baseline"),
            },
            points: joint.filter(|_| is_dearest).map_or_else(Vec::new, |j| points(bootstrap, &j)),
        }
    };
    changes.into_iter().map(share).collect()
}

/// The change under which the strategies save the least: of each strategy's parts, the mean saving
/// by change, and over the strategies the mean of these.
pub(super) fn dearest<'a>(strategies: impl Iterator<Item = &'a [Part]>) -> Option<String> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for parts in strategies {
        for part in parts {
            for [baseline, ours] in part.pairs.values() {
                let weight = part.weight / part.pairs.len() as f64;
                let (saved, weights) = sums.entry(&part.change).or_default();
                *saved += weight * (baseline - ours);
                *weights += weight;
            }
        }
    }
    let mean = |(saved, weights): &(f64, f64)| saved / weights;
    let least = sums.iter().filter(|(_, (_, weights))| *weights > 0.0);
    least.min_by(|(_, a), (_, b)| mean(a).total_cmp(&mean(b))).map(|(name, _)| (*name).to_owned())
}

fn break_even(bootstrap: Bootstrap, joint: &Joint<2>) -> BreakEven {
    let along = |means: &[[f64; 2]]| Along::share(joint.sum(means));
    let resampled = joint.distributions(bootstrap, |means| along(means).thresholds());
    along(&joint.means()).answer(&resampled, joint.fewest_units(bootstrap))
}

fn points(bootstrap: Bootstrap, joint: &Joint<2>) -> Vec<SharePoint> {
    let share = |index: usize| index as f64 / (POINTS - 1) as f64;
    let savings = |[others, these]: [f64; 2]| -> [f64; POINTS] {
        std::array::from_fn(|index| others + share(index) * (these - others))
    };
    let estimates = joint.estimate(bootstrap, savings);
    estimates
        .into_iter()
        .enumerate()
        .map(|(index, saving_s)| SharePoint { share: share(index), saving_s })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::joint::ByRound;

    /// The published case of the methodology, as docs/decision.md reckons it.
    #[test]
    fn the_published_case_needs_nine_hits_of_ten() {
        let of =
            |ours: f64| -> ByRound<2> { (1..=5).map(|round| (round, [169.0, ours])).collect() };
        let (miss, hit) = (of(384.0), of(145.0));
        let joint = Joint::savings([(0, 0.1, &miss), (1, 0.9, &hit)].into_iter()).unwrap();
        let answer = break_even(Bootstrap::new(1).with_resamples(100), &joint);
        let BreakEven::Above(at) = answer else { panic!("{answer:?}") };
        assert!((at.point - 215.0 / 239.0).abs() < 1e-12, "{at:?}");
    }
}

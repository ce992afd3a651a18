//! From pairs to a saving, and from its interval to a verdict.

use super::joint::Joint;
use super::{ROUNDS_FOR_VERDICT, Saving, Verdict};
use crate::model::{Builder, Plan};
use crate::stats::{Bootstrap, Estimate};

/// More further rounds than this are not a piece of advice, and the estimate does not reach so
/// far.
const MOST_MORE_ROUNDS: f64 = 1_000.0;

/// The saving of `joint`'s second number (a competitor's seconds) against its first (the
/// baseline's).
pub(super) fn saving(
    plan: &Plan,
    bootstrap: Bootstrap,
    joint: &Joint<2>,
    against: Builder,
) -> Saving {
    let [seconds, share] = joint.estimate(bootstrap, |[baseline, ours]| {
        let saved = baseline - ours;
        [saved, if baseline > 0.0 { saved / baseline } else { 0.0 }]
    });
    let [baseline_s, _] = joint.point();
    let relevant_s = relevant_s(plan, baseline_s);
    let pairs = joint.fewest();
    let verdict = judge(seconds, relevant_s, pairs, ROUNDS_FOR_VERDICT);
    let more_rounds = more_rounds(verdict, seconds, relevant_s, pairs, ROUNDS_FOR_VERDICT);
    Saving { against, seconds, share, relevant_s, pairs, verdict, more_rounds }
}

/// The "saving" of the baseline against itself.
pub(super) fn of_baseline(plan: &Plan, joint: &Joint<1>, builder: Builder) -> Saving {
    let [baseline_s] = joint.point();
    Saving {
        against: builder,
        seconds: Estimate::exactly(0.0),
        share: Estimate::exactly(0.0),
        relevant_s: relevant_s(plan, baseline_s),
        pairs: joint.fewest(),
        verdict: Verdict::Baseline,
        more_rounds: None,
    }
}

/// The smallest saving that matters, in seconds, against a baseline of so many seconds.
pub(super) fn relevant_s(plan: &Plan, baseline_s: f64) -> f64 {
    (plan.relevance.share * baseline_s).max(plan.relevance.seconds)
}

/// `least`: pairs below which there is no verdict.
pub(super) fn judge(seconds: Estimate, relevant_s: f64, pairs: usize, least: usize) -> Verdict {
    if pairs < least {
        Verdict::TooFewRounds
    } else if seconds.low > relevant_s {
        Verdict::PaysOff
    } else if seconds.high < relevant_s {
        Verdict::DoesNotPayOff
    } else {
        Verdict::Undecided
    }
}

/// How many more rounds would probably decide.
///
/// The part of the interval that reaches from the point over the threshold, `h`, shrinks like
/// `1/√n`. It ends short of the threshold, `d` away from the point, once there are more than
/// `n · (h/d)²` rounds, if the point stays where it is. Where it lies on the threshold, or would
/// need more than a thousand further rounds, nothing is said.
pub(super) fn more_rounds(
    verdict: Verdict,
    seconds: Estimate,
    relevant_s: f64,
    pairs: usize,
    least: usize,
) -> Option<u32> {
    match verdict {
        Verdict::TooFewRounds => u32::try_from(least.saturating_sub(pairs)).ok(),
        Verdict::Undecided => {
            let distance = seconds.point - relevant_s;
            let half = if distance > 0.0 {
                seconds.point - seconds.low
            } else {
                seconds.high - seconds.point
            };
            let n = pairs as f64;
            let more = (n * (half / distance).powi(2)).floor() + 1.0 - n;
            // NaN and infinity (the point on the threshold) fail this comparison.
            (more <= MOST_MORE_ROUNDS).then_some(more.max(1.0) as u32)
        }
        Verdict::PaysOff | Verdict::DoesNotPayOff | Verdict::Baseline => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(low: f64, point: f64, high: f64) -> Estimate {
        Estimate { point, low, high }
    }

    #[test]
    fn the_whole_interval_must_lie_on_one_side() {
        for (low, point, high, expected) in [
            (1.1, 2.0, 3.0, Verdict::PaysOff),
            (1.0, 2.0, 3.0, Verdict::Undecided),
            (0.0, 0.5, 1.0, Verdict::Undecided),
            (0.0, 0.5, 0.9, Verdict::DoesNotPayOff),
            (-3.0, -2.0, -1.0, Verdict::DoesNotPayOff),
        ] {
            assert_eq!(judge(estimate(low, point, high), 1.0, 5, 5), expected, "{low} {high}");
        }
        assert_eq!(judge(estimate(5.0, 5.0, 5.0), 1.0, 4, 5), Verdict::TooFewRounds);
    }

    #[test]
    fn more_rounds_follow_the_width() {
        let undecided = |seconds| more_rounds(Verdict::Undecided, seconds, 1.0, 10, 5);
        // Reaches 2 over a distance of 1: four times the rounds, and one to be beyond.
        assert_eq!(undecided(estimate(0.0, 2.0, 4.0)), Some(31));
        assert_eq!(undecided(estimate(-9.0, 0.0, 2.0)), Some(31));
        // Touches the threshold: one more.
        assert_eq!(undecided(estimate(1.0, 2.0, 3.0)), Some(1));
        // Nothing can be said.
        assert_eq!(undecided(estimate(0.0, 1.0, 2.0)), None);
        assert_eq!(undecided(estimate(0.0, 1.01, 2.0)), None);
        assert_eq!(undecided(estimate(1.0, 1.0, 1.0)), None);
        let few = more_rounds(Verdict::TooFewRounds, estimate(0.0, 0.0, 0.0), 1.0, 3, 5);
        assert_eq!(few, Some(2));
        assert_eq!(more_rounds(Verdict::PaysOff, estimate(2.0, 2.0, 2.0), 1.0, 9, 5), None);
    }
}

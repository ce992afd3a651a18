//! Where a saving changes its sign along a straight line, or in which words there is no such
//! place.

use crate::stats::Estimate;
use crate::stats::bootstrap::interval;
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

/// A saving along one quantity: what it is at both ends of what the quantity can be, and where it
/// is zero, if its ends differ in sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Along {
    low: f64,
    high: f64,
    zero_at: f64,
    limits: (f64, f64),
}

/// Bits a second between which a break-even bandwidth is looked for: beyond these ends there is no
/// link.
const BANDWIDTHS: (f64, f64) = (1e3, 1e12);

impl Along {
    /// Along a share of builds: the saving of builds that are not among them, and of those that
    /// are.
    pub(super) fn share([others, these]: [f64; 2]) -> Self {
        Self { low: others, high: these, zero_at: others / (others - these), limits: (0.0, 1.0) }
    }

    /// Along the bandwidth: a saving of `fixed` seconds and `bits` divided by bits a second.
    pub(super) fn bandwidth(fixed: f64, bits: f64) -> Self {
        let (slow, fast) = BANDWIDTHS;
        Self {
            low: fixed + bits / slow,
            high: fixed + bits / fast,
            zero_at: -bits / fixed,
            limits: BANDWIDTHS,
        }
    }

    /// The value above which there is a saving, and the one below which there is: at an end where
    /// there is no such value. In this form resamples in which the answer is of another kind have
    /// their place in an interval.
    pub(super) fn thresholds(self) -> [f64; 2] {
        let (low, high) = self.limits;
        let at = self.zero_at.clamp(low, high);
        match (self.low > 0.0, self.high > 0.0) {
            (true, true) => [low, high],
            (false, false) => [high, low],
            (false, true) => [at, low],
            (true, false) => [high, at],
        }
    }

    /// The answer, given the thresholds of the resamples from so many rounds.
    pub(super) fn answer(self, [above, below]: &[Vec<f64>; 2], rounds: usize) -> BreakEven {
        let (low, high) = self.limits;
        let point = self.thresholds();
        let [above, below] = [interval(point[0], above, rounds), interval(point[1], below, rounds)];
        let crossing = |of: Estimate| {
            let ends = ((of.low > low).then_some(of.low), (of.high < high).then_some(of.high));
            match ends {
                (None, None) => None,
                (low, high) => Some(Crossing { point: of.point, low, high }),
            }
        };
        let unsure = || BreakEven::not_known(UNSURE);
        match (self.low > 0.0, self.high > 0.0) {
            (false, true) => crossing(above).map_or_else(unsure, BreakEven::Above),
            (true, false) => crossing(below).map_or_else(unsure, BreakEven::Below),
            (true, true) if above.high <= low => BreakEven::Always,
            (false, false) if above.low >= high && below.high <= low => BreakEven::Never,
            _ => unsure(),
        }
    }
}

/// What is said where an interval leaves everything open.
const UNSURE: &str = "the rounds differ too much among themselves to say";

#[cfg(test)]
mod tests {
    use super::*;

    fn certain(along: Along) -> BreakEven {
        along.answer(&[Vec::new(), Vec::new()], 5)
    }

    fn exactly(point: f64) -> Crossing {
        Crossing { point, low: Some(point), high: Some(point) }
    }

    #[test]
    fn a_share_is_where_the_two_savings_cancel() {
        // 3 s saved by the others, 1 s lost by these: three quarters.
        assert_eq!(certain(Along::share([3.0, -1.0])), BreakEven::Below(exactly(0.75)));
        assert_eq!(certain(Along::share([-1.0, 3.0])), BreakEven::Above(exactly(0.25)));
        assert_eq!(certain(Along::share([3.0, 1.0])), BreakEven::Always);
        assert_eq!(certain(Along::share([-3.0, -1.0])), BreakEven::Never);
        assert_eq!(certain(Along::share([0.0, 0.0])), BreakEven::Never);
    }

    #[test]
    fn a_bandwidth_is_where_bytes_eat_up_what_is_saved() {
        // 10 s saved, 80 Mbit more to move.
        assert_eq!(certain(Along::bandwidth(10.0, -80e6)), BreakEven::Above(exactly(8e6)));
        assert_eq!(certain(Along::bandwidth(-10.0, 80e6)), BreakEven::Below(exactly(8e6)));
        assert_eq!(certain(Along::bandwidth(10.0, 80e6)), BreakEven::Always);
        assert_eq!(certain(Along::bandwidth(10.0, 0.0)), BreakEven::Always);
        assert_eq!(certain(Along::bandwidth(-10.0, -80e6)), BreakEven::Never);
        assert_eq!(certain(Along::bandwidth(0.0, 0.0)), BreakEven::Never);
    }

    #[test]
    fn resamples_of_another_kind_open_the_interval() {
        let answer = |ends: &[[f64; 2]]| {
            let of = |side: usize| {
                // Each often enough to reach into the ends of an interval.
                let often = ends.iter().flat_map(|&ends| std::iter::repeat_n(ends, 400));
                let mut all: Vec<f64> =
                    often.map(|ends| Along::share(ends).thresholds()[side]).collect();
                all.sort_by(f64::total_cmp);
                all
            };
            Along::share(ends[0]).answer(&[of(0), of(1)], 5)
        };
        // Always in one of the resamples: no upper end.
        let BreakEven::Below(crossing) = answer(&[[3.0, -1.0], [3.0, 0.1], [2.0, -2.0]]) else {
            panic!("saves below")
        };
        assert_eq!((crossing.point, crossing.high), (0.75, None));
        assert!(crossing.low.is_some_and(|low| (0.5..0.6).contains(&low)));
        // Everything from always to never.
        let all = answer(&[[3.0, -1.0], [3.0, 0.1], [-1.0, -2.0]]);
        assert_eq!(all, BreakEven::not_known(UNSURE));
        // In the mean always, but not in every resample.
        let nearly = answer(&[[3.0, 1.0], [3.0, -0.1]]);
        assert_eq!(nearly, BreakEven::not_known(UNSURE));
    }
}

//! `N*`: how many builds it takes until the first one, which only leaves a cache behind, is repaid.
//!
//! `N* = (T_populate − T_baseline) / (T_baseline − T_steady)`. Both differences are paired savings,
//! of the cells in state `populate` and in state `steady`, each weighted over their own share of
//! the mix.

use super::joint::{ByRound, Joint};
use crate::model::State;
use crate::stats::{Bootstrap, Estimate};

/// One cell's state, weight, and pairs of the baseline's and the competitor's seconds.
pub(super) type Paired = (State, f64, ByRound<2>);

/// `N*` with its interval; 0 where the first build is no slower. `None` where one of the states
/// was not measured, and where the interval of what later builds save reaches zero: then the first
/// build may never be repaid, and a quotient says nothing.
pub(super) fn builds_to_repay(bootstrap: Bootstrap, cells: &[Paired]) -> Option<Estimate> {
    let weight_of = |state| -> f64 {
        cells.iter().filter(|(of, ..)| *of == state).map(|(_, weight, _)| weight).sum()
    };
    let (first, later) = (weight_of(State::Populate), weight_of(State::Steady));
    if first <= 0.0 || later <= 0.0 {
        return None;
    }
    // Two numbers a cell, of which one is 0, so that the sums over cells are the two savings.
    let joint: Joint<2> = Joint::new(cells.iter().filter_map(|(state, weight, pairs)| {
        let (sum, slot) = match state {
            State::Populate => (first, 0),
            State::Steady => (later, 1),
            State::Cold | State::ReadOnly => return None,
        };
        let saved = pairs.iter().map(|(&round, [baseline, ours])| {
            let mut numbers = [0.0; 2];
            numbers[slot] = baseline - ours;
            (round, numbers)
        });
        Some((weight / sum, saved.collect()))
    }))?;
    let [later, builds] = joint.estimate(bootstrap, |[first, later]| {
        [later, if later > 0.0 { (-first / later).max(0.0) } else { f64::INFINITY }]
    });
    (later.low > 0.0 && builds.high.is_finite()).then_some(builds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Baseline 10 s in every round, and these seconds of ours.
    fn against_ten(ours: &[f64]) -> ByRound<2> {
        ours.iter().zip(1..).map(|(&ours, round)| (round, [10.0, ours])).collect()
    }

    fn repaid(cells: &[Paired]) -> Option<Estimate> {
        builds_to_repay(Bootstrap::new(1).with_resamples(500), cells)
    }

    #[test]
    fn the_extra_cost_is_divided_by_what_later_builds_save() {
        let first = (State::Populate, 0.1, against_ten(&[16.0; 5]));
        let app = (State::Steady, 0.6, against_ten(&[6.0; 5]));
        let deps = (State::Steady, 0.3, against_ten(&[9.0; 5]));
        let builds = repaid(&[first, app, deps]).unwrap();
        // 6 s more, then (0.6 · 4 + 0.3 · 1) / 0.9 = 3 s less a build.
        assert!((builds.point - 2.0).abs() < 1e-9, "{builds:?}");
        assert!((builds.high - builds.low).abs() < 1e-9);
    }

    #[test]
    fn a_first_build_that_is_no_slower_needs_no_repaying() {
        let first = (State::Populate, 0.5, against_ten(&[9.0; 5]));
        let later = (State::Steady, 0.5, against_ten(&[6.0; 5]));
        assert_eq!(repaid(&[first, later]).unwrap().point, 0.0);
    }

    #[test]
    fn there_is_no_such_number_where_later_builds_may_not_save() {
        let first = (State::Populate, 0.5, against_ten(&[16.0; 5]));
        let slower = (State::Steady, 0.5, against_ten(&[11.0; 5]));
        let unsure = (State::Steady, 0.5, against_ten(&[9.0, 10.5, 9.5, 10.4, 9.9]));
        assert_eq!(repaid(&[first.clone(), slower]), None);
        assert_eq!(repaid(&[first.clone(), unsure]), None);
        assert_eq!(repaid(&[first]), None);
    }
}

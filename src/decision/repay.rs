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

/// `N*` with its interval; 0 where the first build is no slower. In words, why there is none:
/// where one of the states was not measured, and where the interval of what later builds save
/// reaches zero. Then the first build may never be repaid, and a quotient says nothing.
pub(super) fn builds_to_repay(
    bootstrap: Bootstrap,
    cells: &[Paired],
) -> Result<Estimate, &'static str> {
    let kinds = cells.iter().filter_map(|(state, weight, pairs)| match state {
        State::Populate => Some((0, *weight, pairs)),
        State::Steady => Some((1, *weight, pairs)),
        State::Cold | State::ReadOnly => None,
    });
    let has = |kind| kinds.clone().any(|(of, weight, _)| of == kind && weight > 0.0);
    if !has(0) {
        return Err("no build that finds no cache and leaves one was measured");
    }
    if !has(1) {
        return Err("no build that finds a cache and leaves one was measured");
    }
    let joint = Joint::savings(kinds).ok_or("some of these builds have no pair")?;
    let [later, builds] = joint.estimate(bootstrap, |[first, later]| {
        [later, if later > 0.0 { (-first / later).max(0.0) } else { f64::INFINITY }]
    });
    if later.high <= 0.0 {
        Err("never: later builds save nothing")
    } else if later.low > 0.0 && builds.high.is_finite() {
        Ok(builds)
    } else {
        Err("perhaps never: later builds do not surely save time")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Baseline 10 s in every round, and these seconds of ours.
    fn against_ten(ours: &[f64]) -> ByRound<2> {
        ours.iter().zip(1..).map(|(&ours, round)| (round, [10.0, ours])).collect()
    }

    fn repaid(cells: &[Paired]) -> Result<Estimate, &'static str> {
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

    /// The published case of the methodology, as docs/decision.md reckons it.
    #[test]
    fn the_published_case_takes_nine_builds() {
        let of = |ours: f64| (1..=5).map(|round| (round, [169.0, ours])).collect();
        let first = (State::Populate, 0.5, of(384.0));
        let later = (State::Steady, 0.5, of(145.0));
        let builds = repaid(&[first, later]).unwrap().point;
        assert!((builds - 8.96).abs() < 0.005, "{builds}");
        assert_eq!(builds.ceil(), 9.0);
    }

    #[test]
    fn there_is_no_such_number_where_later_builds_may_not_save() {
        let first = (State::Populate, 0.5, against_ten(&[16.0; 5]));
        let slower = (State::Steady, 0.5, against_ten(&[11.0; 5]));
        let unsure = (State::Steady, 0.5, against_ten(&[9.0, 10.5, 9.5, 10.4, 9.9]));
        let why = |cells: &[Paired]| repaid(cells).unwrap_err();
        assert!(why(&[first.clone(), slower.clone()]).starts_with("never"));
        assert!(why(&[first.clone(), unsure]).starts_with("perhaps never"));
        assert!(why(&[first]).contains("finds a cache"));
        assert!(why(&[slower]).contains("finds no cache"));
    }
}

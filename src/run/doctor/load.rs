//! Whether the processors were busy before we did anything.

use super::{Check, Line};
use futures_util::FutureExt;

pub(super) const CHECK: Check =
    Check { id: "load", run: |subject| async move { vec![judge(subject.load, cores())] }.boxed() };

/// Load for each core from which on others' work is felt.
const BUSY: f64 = 0.5;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn judge(load: Option<f64>, cores: usize) -> Line {
    let plural = if cores == 1 { "" } else { "s" };
    let Some(load) = load else { return Line::unknown(format!("{cores} core{plural}")) };
    let found = format!("{load:.1} over the last minute on {cores} core{plural}");
    if load > BUSY * cores as f64 {
        return Line::warn(
            found,
            "Other work takes processor time from the builds; end it, or wait for it to end.",
        );
    }
    if cores == 1 {
        return Line::warn(
            found,
            "With one core engine, registry and Breakeven take time from the build itself; measure \
             on the kind of machine that your CI has.",
        );
    }
    Line::ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_busy_machine_and_a_single_core_are_warned_of() {
        assert_eq!(judge(Some(0.2), 2).state, State::Ok);
        assert_eq!(judge(Some(1.2), 2).state, State::Warn);
        assert_eq!(judge(Some(0.0), 1).state, State::Warn);
        assert_eq!(judge(None, 2).state, State::Unknown);
        assert_eq!(judge(Some(0.24), 8).found, "0.2 over the last minute on 8 cores");
    }
}

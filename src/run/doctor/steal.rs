//! Whether the hypervisor gives processor time to others.

use super::{Check, Line, percent};
use futures_util::FutureExt;

pub(super) const CHECK: Check =
    Check { id: "steal", run: |subject| async move { vec![judge(subject.noise.steal)] }.boxed() };

/// Share of stolen time from which on it is felt.
const FELT: f64 = 0.01;

fn judge(steal: Option<f64>) -> Line {
    let Some(steal) = steal else {
        return Line::unknown("this system does not count stolen processor time");
    };
    let found = format!("{} of the processors' time", percent(steal));
    if steal <= FELT {
        return Line::ok(found);
    }
    Line::warn(
        found,
        "The hypervisor gives this machine's processor time to others, so that times spread: use \
         dedicated processors, or more rounds.",
    )
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn stolen_time_is_warned_of() {
        assert_eq!(judge(Some(0.0)).state, State::Ok);
        assert_eq!(judge(Some(0.05)).state, State::Warn);
        assert_eq!(judge(Some(0.05)).found, "5.0 % of the processors' time");
        assert_eq!(judge(None).state, State::Unknown);
    }
}

//! Whether work on this machine waits for processors, disks or memory.

use super::{Check, Line, percent};
use crate::model::Noise;
use futures_util::FutureExt;

pub(super) const CHECK: Check =
    Check { id: "pressure", run: |subject| async move { vec![judge(&subject.noise)] }.boxed() };

/// Share of the time from which on waiting is felt.
const FELT: f64 = 0.05;

fn judge(noise: &Noise) -> Line {
    let kinds = [("processor", noise.cpu), ("disk", noise.io), ("memory", noise.memory)];
    if kinds.iter().all(|(_, share)| share.is_none()) {
        return Line::unknown("this kernel does not count how long work waits (CONFIG_PSI)");
    }
    let shown: Vec<String> = kinds
        .iter()
        .map(|(kind, share)| format!("{kind} {}", share.map_or("n/a".to_owned(), percent)))
        .collect();
    let found = format!("time in which work waited: {}", shown.join(", "));
    if kinds.iter().all(|(_, share)| share.is_none_or(|share| share <= FELT)) {
        return Line::ok(found);
    }
    Line::warn(
        found,
        "Something else uses this machine; end it, or wait for it to end. Memory pressure asks for \
         more memory.",
    )
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn waiting_is_warned_of_and_what_is_not_counted_is_said() {
        let quiet = Noise { cpu: Some(0.0), io: Some(0.01), ..Noise::default() };
        assert_eq!(judge(&quiet).state, State::Ok);
        assert_eq!(
            judge(&quiet).found,
            "time in which work waited: processor 0.0 %, disk 1.0 %, memory n/a"
        );
        assert_eq!(judge(&Noise { io: Some(0.3), ..quiet }).state, State::Warn);
        assert_eq!(judge(&Noise::default()).state, State::Unknown);
    }
}

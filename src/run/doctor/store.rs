//! Where the engines keep images.

use super::subject::Subject;
use super::{Check, Line};
use futures_util::FutureExt;

pub(super) const CHECK: Check =
    Check { id: "store", run: |subject| async move { lines(subject) }.boxed() };

fn lines(subject: &Subject<'_>) -> Vec<Line> {
    subject.building().map(|(name, facts)| judge(&subject.of(name, &facts.store))).collect()
}

fn judge(store: &str) -> Line {
    match store.ends_with("vfs") {
        true => Line::warn(
            store,
            "It copies whole file systems for every layer, which no CI runner does; use overlay2 \
             or the containerd image store.",
        ),
        false => Line::ok(store),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_store_that_copies_everything_is_warned_of() {
        assert_eq!(judge("vfs").state, State::Warn);
        assert_eq!(judge("modern: vfs").state, State::Warn);
        assert_eq!(judge("overlay2").state, State::Ok);
    }
}

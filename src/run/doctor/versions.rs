//! Whether something is known against an engine's version.

use super::subject::Subject;
use super::{Check, Line};
use crate::engine::known_bad::known_bad;
use futures_util::FutureExt;

pub(super) const CHECK: Check =
    Check { id: "versions", run: |subject| async move { lines(subject) }.boxed() };

fn lines(subject: &Subject<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, facts) in subject.building() {
        let bad = known_bad(&facts.version, &facts.store);
        if bad.is_empty() {
            let found = format!("nothing is known against {}", facts.version);
            lines.push(Line::ok(subject.of(name, found)));
        }
        for bad in bad {
            let found = format!("{} ({})", bad.what, bad.source);
            lines.push(Line::warn(subject.of(name, found), &format!("{}.", bad.advice)));
        }
    }
    lines
}

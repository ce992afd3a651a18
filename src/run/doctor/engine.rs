//! Whether the engines answer, and what they are.

use super::subject::{Answered, Subject};
use super::{Check, Line, State};
use futures_util::FutureExt;

pub(super) const CHECK: Check =
    Check { id: "engine", run: |subject| async move { lines(subject) }.boxed() };

fn lines(subject: &Subject<'_>) -> Vec<Line> {
    let asked = subject.engines.iter().map(|(name, answered)| match answered {
        Ok(Answered { host, facts, .. }) if host.daemon().is_none() => {
            let found = format!("{}, no daemon, program {}", facts.version, facts.address);
            Line::ok(subject.of(name, found))
        }
        Ok(Answered { facts, .. }) => {
            let found = format!("{}, API {}, at {}", facts.version, facts.api, facts.address);
            Line::ok(subject.of(name, found))
        }
        Err(error) => Line::of_error(State::Fail, &subject.of(name, error)),
    });
    let private = subject.building.iter().filter(
        |(name, _)| matches!(subject.engines.get(*name), Some(Ok(one)) if one.host.is_private()),
    );
    let made = private.filter_map(|(name, facts)| match facts {
        // It is on no other one, and has said what it is.
        Ok(facts) if facts.api.is_empty() => None,
        Ok(facts) => {
            let found = format!("{}, private, on it", facts.version);
            Some(Line::ok(subject.of(name, found)))
        }
        Err(error) => Some(Line::of_error(State::Fail, &subject.of(name, error))),
    });
    asked.chain(made).collect()
}

//! Whether others use the engine.

use super::subject::{RECENT_S, Subject};
use super::{Check, Line, State};
use crate::engine::Activity;
use futures_util::FutureExt;
use std::collections::BTreeMap;

pub(super) const CHECK: Check =
    Check { id: "activity", run: |subject| async move { lines(subject) }.boxed() };

/// How many containers are named.
const NAMED: usize = 3;

fn lines(subject: &Subject<'_>) -> Vec<Line> {
    // Several engines of a plan may be made on one of the user's.
    let engines: BTreeMap<&str, _> =
        subject.daemons().map(|(_, one)| (one.facts.address.as_str(), &one.activity)).collect();
    if engines.is_empty() && subject.answered().next().is_some() {
        return vec![Line::ok("there is no daemon that others could use as well")];
    }
    engines
        .into_values()
        .map(|activity| match activity {
            Ok(activity) => judge(activity),
            Err(error) => Line::of_error(State::Warn, error),
        })
        .collect()
}

fn judge(activity: &Activity) -> Line {
    let mut found = Vec::new();
    if !activity.containers.is_empty() {
        let names: Vec<&str> = activity.containers.iter().take(NAMED).map(String::as_str).collect();
        let more = if activity.containers.len() > NAMED { ", …" } else { "" };
        found.push(format!(
            "{} running ({}{more})",
            counted(activity.containers.len(), "container"),
            names.join(", ")
        ));
    }
    if activity.events > 0 {
        let events = counted(activity.events, "event");
        found.push(format!("{events} in the last {RECENT_S} s"));
    }
    if found.is_empty() {
        return Line::ok(format!("no container runs, nothing happened in the last {RECENT_S} s"));
    }
    Line::warn(
        found.join(", "),
        "What others do on the engine slows a measurement and may remove or add cache: stop it, or \
         measure when nobody else builds.",
    )
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_named_and_events_counted() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let busy = Activity { containers: names(&["db"]), events: 2, ..Activity::default() };
        let line = judge(&busy);
        assert_eq!(line.state, State::Warn);
        assert_eq!(line.found, "1 container running (db), 2 events in the last 30 s");
        let many = Activity { containers: names(&["a", "b", "c", "d"]), ..Activity::default() };
        assert_eq!(judge(&many).found, "4 containers running (a, b, c, …)");
        assert_eq!(judge(&Activity::default()).state, State::Ok);
    }
}

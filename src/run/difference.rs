//! What differs between two plans, contents or sets of facts, in lines that people can read.

pub use crate::trend::changed as of_facts;

use crate::model::Plan;
use serde_json::Value;
use std::collections::BTreeSet;

/// What is another thing in every run, or can be set on the command line: the run's own plan
/// counts, whatever the configuration says now.
const NOT_COMPARED: [&str; 10] = [
    "run",
    "breakeven",
    "seed",
    "rounds",
    "adaptive",
    "max_time_s",
    "shard",
    "facts",
    "cells",
    "again",
];

/// How many characters of a value are shown.
const SHOWN: usize = 60;

/// What differs between a run's plan and the plan of all cells that its configuration gives now.
///
/// Weights that come from the repository's history, and commits that are replayed, move with every
/// commit; the run's own stay what they were and are not compared.
pub fn of_plans(was: &Plan, is: &Plan) -> Vec<String> {
    let [mut before, mut after] =
        [was, is].map(|plan| serde_json::to_value(plan).unwrap_or_default());
    for value in [&mut before, &mut after] {
        let Some(plan) = value.as_object_mut() else { continue };
        for key in NOT_COMPARED {
            plan.remove(key);
        }
        if was.replayed.is_some() && is.replayed.is_some() {
            plan.remove("changes");
        }
        if was.mix.is_some() && is.mix.is_some() {
            plan.remove("mix");
            let changes = plan.get_mut("changes").and_then(Value::as_object_mut);
            for change in changes.into_iter().flat_map(|changes| changes.values_mut()) {
                if let Some(change) = change.as_object_mut() {
                    change.remove("weight");
                }
            }
        }
    }
    let mut differences = of_values(&before, &after);
    if was.replayed.is_none() {
        let known: BTreeSet<_> = is.cells.iter().collect();
        let gone = was.cells.iter().filter(|cell| !known.contains(cell));
        differences.extend(gone.map(|cell| format!("cell {} is not planned any more", cell.key())));
    }
    differences
}

/// What differs between two values, however deep, by the path of keys to it.
pub fn of_values(was: &Value, is: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    walk("", was, is, &mut differences);
    differences
}

fn walk(path: &str, was: &Value, is: &Value, differences: &mut Vec<String>) {
    if was == is {
        return;
    }
    if let (Value::Object(one), Value::Object(other)) = (was, is) {
        let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        for key in keys {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned();
            let (was, is) = (of(one).unwrap_or_default(), of(other).unwrap_or_default());
            walk(&path, &was, &is, differences);
        }
        return;
    }
    // A build argument may be a secret.
    let line = match path.contains(".build_args.") {
        true => format!("{path}: its value is another one"),
        false => format!("{path}: was {}, is {}", shown(was), shown(is)),
    };
    differences.push(line);
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not there".to_owned(),
        Value::String(text) => format!("\"{}\"", short(text)),
        other => short(&other.to_string()),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn facts_that_differ_come_or_go_are_named_with_both_values() {
        let was = map(&[("engine version", "20.10"), ("workload a", "1"), ("same", "x")]);
        let is = map(&[("engine version", "24.0"), ("workload b", "2"), ("same", "x")]);
        assert_eq!(
            of_facts(&was, &is),
            [
                "engine version: was 20.10, is 24.0",
                "workload a: was 1, is gone",
                "workload b: was not there, is 2"
            ]
        );
    }

    #[test]
    fn values_are_found_however_deep_and_secrets_are_not_shown() {
        let was = json!({ "limits": { "build_s": 60.0 }, "workloads": { "w": { "target": null,
            "build_args": { "TOKEN": "canary" }, "context": "x".repeat(99) } } });
        let is = json!({ "limits": { "build_s": 90.0 }, "workloads": { "w": { "target": "t",
            "build_args": { "TOKEN": "other" } } } });
        assert_eq!(
            of_values(&was, &is),
            [
                "limits.build_s: was 60.0, is 90.0".to_owned(),
                "workloads.w.build_args.TOKEN: its value is another one".to_owned(),
                format!("workloads.w.context: was \"{}…\", is not there", "x".repeat(60)),
                "workloads.w.target: was not there, is \"t\"".to_owned(),
            ]
        );
    }
}

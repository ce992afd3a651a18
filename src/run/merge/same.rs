//! Whether two parts are parts of the same run.

use crate::model::{Event, Plan};
use crate::run::difference::{of_facts, of_values};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What each machine has of its own.
const OWN: [&str; 4] = ["run", "shard", "facts", "config"];

/// What differs between two parts in what decides what is measured, a line each.
pub(super) fn differences(
    first: &Plan,
    first_events: &[Event],
    other: &Plan,
    other_events: &[Event],
) -> Vec<String> {
    let mut lines = of_values(&decisive(first), &decisive(other));
    let of = |plan: &Plan| plan.shard.map(|shard| shard.of.to_string()).unwrap_or_default();
    if of(first) != of(other) {
        lines.push(format!("number of parts: was {}, is {}", of(first), of(other)));
    }
    let engines = [(first, first_events), (other, other_events)].map(|of| engines(of.0, of.1));
    lines.extend(of_facts(&engines[0], &engines[1]));
    let contents = [first_events, other_events].map(contents);
    lines.extend(of_facts(&contents[0], &contents[1]));
    lines
}

/// The plan without what each machine has of its own: also where its files lie, since their content
/// is compared, and where its daemon is reached.
fn decisive(plan: &Plan) -> Value {
    let mut value = serde_json::to_value(plan).unwrap_or_default();
    if let Some(plan) = value.as_object_mut() {
        for key in OWN {
            plan.remove(key);
        }
    }
    for workload in values(&mut value, "workloads") {
        without_places(workload);
    }
    for engine in values(&mut value, "engines") {
        remove(engine, &["host"]);
    }
    for change in values(&mut value, "changes") {
        for edit in change.get_mut("edits").and_then(Value::as_array_mut).into_iter().flatten() {
            remove(edit, &["from"]);
        }
        for revision in ["built", "before"] {
            if let Some(revision) = change.pointer_mut(&format!("/commit/{revision}")) {
                values(revision, "workloads").for_each(without_places);
            }
        }
    }
    value
}

fn without_places(workload: &mut Value) {
    remove(workload, &["context", "dockerfile"]);
}

fn remove(value: &mut Value, keys: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        for key in keys {
            map.remove(*key);
        }
    }
}

/// Every value of the map under a key.
fn values<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    let map = value.get_mut(key).and_then(Value::as_object_mut);
    map.into_iter().flat_map(|map| map.values_mut())
}

/// What the engines are, and the plugin that builds.
fn engines(plan: &Plan, events: &[Event]) -> BTreeMap<String, String> {
    let is_kind = |name: &str| name.ends_with(" version") || name.ends_with(" store");
    let mut facts: BTreeMap<String, String> = plan
        .facts
        .iter()
        .filter(|(name, _)| (name.starts_with("engine") && is_kind(name)) || *name == "buildx")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for event in events {
        if let Event::EngineFacts { engine, version, store } = event {
            facts.insert(format!("engine {engine} version, as it runs"), version.clone());
            facts.insert(format!("engine {engine} store, as it runs"), store.clone());
        }
    }
    facts
}

/// What was built, files by their names alone.
fn contents(events: &[Event]) -> BTreeMap<String, String> {
    let hashes = events.iter().find_map(|event| match event {
        Event::Contents { hashes } => Some(hashes),
        _ => None,
    });
    let name = |what: &String| match what.strip_prefix("file ") {
        Some(path) => {
            let file = Path::new(path).file_name().unwrap_or_default();
            format!("file {}", file.to_string_lossy())
        }
        None => what.clone(),
    };
    hashes.into_iter().flatten().map(|(what, hash)| (name(what), hash.clone())).collect()
}

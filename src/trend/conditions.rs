//! What a run was measured under, as names with values, so that a shift can be held against what
//! changed at the same time.

use crate::model::{Event, Plan};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many characters of a value are shown.
const SHOWN: usize = 60;

/// Characters of a hash that are kept: enough to tell two from each other.
const HASH: usize = 19;

/// Machine (but for its processor, which is its model), engines, what was built, links, strategies
/// of the user's own, and everything else of the plan that decides how long a job takes. A build
/// argument's value is not in it.
pub fn conditions(plan: &Plan, events: &[Event]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([("breakeven".to_owned(), plan.breakeven.clone())]);
    let told = |key: &str| {
        key == "buildx"
            || key == "builder"
            || (key.starts_with("machine ") && key != super::summary::PROCESSOR)
            || (key.starts_with("engine") && !key.ends_with(" API") && key.contains(' '))
    };
    let facts = plan.facts.iter().filter(|(key, _)| told(key));
    all.extend(facts.map(|(key, value)| (key.clone(), value.clone())));
    for event in events {
        match event {
            Event::EngineFacts { engine, version, store } => {
                all.insert(format!("engine {engine} version"), version.clone());
                all.insert(format!("engine {engine} store"), store.clone());
            }
            Event::Contents { hashes } => {
                let short = |hash: &String| hash.chars().take(HASH).collect();
                all.extend(hashes.iter().map(|(of, hash)| (of.clone(), short(hash))));
            }
            _ => {}
        }
    }
    for (name, link) in &plan.links {
        all.insert(format!("link {name}"), text(link));
    }
    for (name, engine) in &plan.engines {
        let mut engine = serde_json::to_value(engine).unwrap_or_default();
        // Where a daemon is reached is not what it is.
        engine.as_object_mut().map(|engine| engine.remove("host"));
        all.insert(format!("engine {name}"), engine.to_string());
    }
    for (name, strategy) in &plan.strategies {
        all.insert(format!("strategy {name}"), text(strategy));
    }
    for (name, value) in [
        ("candidates", text(&plan.candidates)),
        ("pull", text(&plan.pull)),
        ("archive", text(&plan.archive)),
        ("registry", text(&plan.registry)),
        ("storage", text(&plan.storage)),
        ("image_manifest", text(&plan.image_manifest)),
    ] {
        all.insert(name.to_owned(), value);
    }
    all
}

fn text(value: &impl Serialize) -> String {
    match serde_json::to_value(value).unwrap_or_default() {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// What differs between what was known by name and what is, in lines for people.
pub fn changed(was: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let line = |name: &String| match (was.get(name), is.get(name)) {
        (Some(was), Some(is)) if was == is => None,
        (Some(was), Some(is)) => Some(format!("{name}: was {}, is {}", short(was), short(is))),
        (Some(was), None) => Some(format!("{name}: was {}, is gone", short(was))),
        (None, Some(is)) => Some(format!("{name}: was not there, is {}", short(is))),
        (None, None) => None,
    };
    names.into_iter().filter_map(line).collect()
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

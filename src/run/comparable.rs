//! Whether two runs measured the same thing, so that their times can be paired.

use super::difference::{of_facts, of_values};
use crate::compare::{Across, Side};
use crate::model::event::Ending;
use crate::model::plan::LinkPlan;
use crate::model::{Event, Plan};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Why a run is not compared with another one, or with earlier ones.
#[derive(Debug, thiserror::Error)]
pub enum NotComparable {
    /// They were measured under other conditions.
    #[error(
        "{new} cannot be compared with {base}:\n  {}\nMeasure under what {base} was measured under \
         (`breakeven repeat` does that, with the plan of a run directory), or add --across: then \
         they are compared all the same, and a difference is one of all this together \
         (--across=content: only where nothing but what is built differs)",
        differences.join("\n  ")
    )]
    Conditions {
        /// The run that is compared with, as it was named.
        base: String,
        /// The run that is compared, as it was named.
        new: String,
        /// What differs, a line each.
        differences: Vec<String>,
    },
    /// The history has not enough runs before it, yet.
    #[error(
        "{new} cannot be compared with {base}:\n  {}\nEvery run that is written into the history \
         (`breakeven run`, `breakeven history add`) is one more",
        why.join("\n  ")
    )]
    TooFew {
        /// The runs that are compared with, as they were named.
        base: String,
        /// The run that is compared, as it was named.
        new: String,
        /// How many there are.
        why: Vec<String>,
    },
}

/// A measured rate that is further than this share from the other run's makes another link: each of
/// the two may be 5 % off what was asked (trap 33).
const LINK_TOLERANCE: f64 = 0.1;

/// What two runs differ in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// What decides how long a cell takes: machine model, engines, what is built, links, and how a
    /// job is carried out. Of what only one of the runs has nothing is said: its cells have no pair.
    pub breaking: Vec<String>,
    /// Those of them that are about what is built.
    pub content: Vec<String>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

impl Differences {
    /// Whether runs that differ in this may be compared.
    pub fn allowed(&self, across: Across) -> bool {
        match across {
            Across::Nothing => self.breaking.is_empty(),
            Across::Content => self.breaking.iter().all(|line| self.content.contains(line)),
            Across::Everything => true,
        }
    }
}

/// Compares what two runs were measured under. Pure.
pub fn differences(base: &Side<'_>, new: &Side<'_>) -> Differences {
    between(&Under::of(base), &Under::of(new))
}

/// What a run was measured under.
#[derive(Debug, Clone, Copy)]
pub struct Under<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// Its recorded events.
    pub events: &'a [Event],
}

impl<'a> Under<'a> {
    fn of(side: &Side<'a>) -> Self {
        Self { plan: side.plan, events: side.events }
    }
}

/// The same of runs of which nothing has been decided.
pub fn between(base: &Under<'_>, new: &Under<'_>) -> Differences {
    let mut found = Differences::default();
    let facts = [facts(base, new.plan), facts(new, base.plan)];
    for line in of_facts(&facts[0], &facts[1]) {
        let machine = line.starts_with("machine ") && !line.starts_with("machine processor:");
        if machine { &mut found.notes } else { &mut found.breaking }.push(line);
    }
    let (was, is) = (base.plan, new.plan);
    found.breaking.extend(of_values(&decisive(was, is), &decisive(is, was)));
    found.breaking.extend(links(base, new));
    found.content = of_values(&built(was, is), &built(is, was));
    match (contents(base), contents(new)) {
        (Some(was), Some(is)) => {
            found.content.extend(of_facts(&common(was, is), &common(is, was)));
        }
        (was, is) => {
            let of = [(was, "BASE"), (is, "NEW")];
            found.notes.extend(of.into_iter().filter(|(contents, _)| contents.is_none()).map(
                |(_, which)| {
                    format!("{which} does not record what was built: take care that it is the same")
                },
            ));
        }
    }
    found.breaking.extend(found.content.iter().cloned());
    found.notes.extend(of_values(&aside(was, is), &aside(is, was)));
    for (side, which) in [(base, "BASE"), (new, "NEW")] {
        if !Ending::of(side.events).is_some_and(Ending::is_whole) {
            found.notes.push(format!("{which} is partial: not every planned round was measured"));
        }
    }
    if was.run == is.run {
        found.notes.push(format!("BASE and NEW are the same run, {}", is.run));
    }
    found
}

/// The machine, and of each engine that both runs have what it is: what a run's own engines turned
/// out to be counts, not what they were made on.
fn facts(side: &Under<'_>, other: &Plan) -> BTreeMap<String, String> {
    let plan = side.plan;
    let mut facts: BTreeMap<String, String> = plan
        .facts
        .iter()
        .filter(|(key, _)| key.starts_with("machine ") || *key == "buildx")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    for name in plan.engines.keys().filter(|name| other.engines.contains_key(*name)) {
        let of =
            if plan.engines.len() == 1 { "engine".to_owned() } else { format!("engine {name}") };
        for what in ["version", "store"] {
            let known = plan.facts.get(&format!("{of} {what}"));
            facts.extend(known.map(|value| (format!("engine {name} {what}"), value.clone())));
        }
    }
    for event in side.events {
        if let Event::EngineFacts { engine, version, store } = event
            && other.engines.contains_key(engine)
        {
            facts.insert(format!("engine {engine} version"), version.clone());
            facts.insert(format!("engine {engine} store"), store.clone());
        }
    }
    facts
}

/// What of a plan decides how long a cell takes, as far as the other plan has it as well. Where
/// files lie is left out, and so is a Dockerfile's layout: its content is compared.
fn decisive(plan: &Plan, other: &Plan) -> Value {
    let workloads = of_both(&plan.workloads, &other.workloads, |workload| {
        json!({ "target": workload.target, "build_args": workload.build_args,
            "secret_args": workload.secret_args.keys().collect::<Vec<_>>() })
    });
    let changes = of_both(&plan.changes, &other.changes, |change| json!({ "edits": change.edits }));
    let have: BTreeMap<_, _> =
        plan.availabilities.iter().map(|one| (&one.name, &one.have)).collect();
    let other_have: BTreeMap<_, _> =
        other.availabilities.iter().map(|one| (&one.name, &one.have)).collect();
    let engines = of_both(&plan.engines, &other.engines, |engine| {
        let mut value = as_json(engine);
        // Where a daemon is reached is not what it is.
        value.as_object_mut().map(|engine| engine.remove("host"));
        value
    });
    json!({
        "workloads": workloads,
        "changes": changes,
        "candidates": plan.candidates,
        "availabilities": of_both(&have, &other_have, as_json),
        "engines": engines,
        "links": of_both(&plan.links, &other.links, as_json),
        "strategies": of_both(&plan.strategies, &other.strategies, as_json),
        "pull": plan.pull,
        "image_manifest": plan.image_manifest,
        "archive": plan.archive,
        "registry": plan.registry,
        "storage": plan.storage,
    })
}

/// What of a plan is about what is built, beside the hashes of contents.
fn built(plan: &Plan, other: &Plan) -> Value {
    let workloads = of_both(
        &plan.workloads,
        &other.workloads,
        |workload| json!({ "stages": workload.stages, "bases": workload.bases }),
    );
    let changes = of_both(&plan.changes, &other.changes, |change| {
        let built =
            change.commit.as_ref().map(|commit| (&commit.built.commit, &commit.before.commit));
        json!({ "commit": built })
    });
    json!({ "workloads": workloads, "changes": changes })
}

/// What of a plan decides what is said of its cells, and not how long they take.
fn aside(plan: &Plan, other: &Plan) -> Value {
    let weights: BTreeMap<_, _> =
        plan.availabilities.iter().map(|one| (&one.name, one.weight)).collect();
    let other_weights: BTreeMap<_, _> =
        other.availabilities.iter().map(|one| (&one.name, one.weight)).collect();
    json!({
        "breakeven": plan.breakeven,
        "baseline": plan.baseline,
        "relevance": plan.relevance,
        "limits": plan.limits,
        "weights": {
            "changes": of_both(&plan.changes, &other.changes, |change| as_json(&change.weight)),
            "availabilities": of_both(&weights, &other_weights, as_json),
        },
    })
}

/// Entries of a map whose keys the other one has as well.
fn of_both<K: Ord + ToString, V>(
    map: &BTreeMap<K, V>,
    other: &BTreeMap<K, V>,
    of: impl Fn(&V) -> Value,
) -> BTreeMap<String, Value> {
    let both = map.iter().filter(|(key, _)| other.contains_key(*key));
    both.map(|(key, value)| (key.to_string(), of(value))).collect()
}

fn as_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Limited links that were measured to be others.
fn links(base: &Under<'_>, new: &Under<'_>) -> Vec<String> {
    let (was, is) = (measured(base), measured(new));
    let mut lines = Vec::new();
    for (name, [down, up, rtt_s]) in was {
        let (Some(after), Some(asked)) = (is.get(name), new.plan.links.get(name)) else { continue };
        let LinkPlan { down_bps, up_bps, rtt_s: asked_s } = asked;
        let limited = [
            ("down", down_bps.is_some(), down, after[0], "bit/s"),
            ("up", up_bps.is_some(), up, after[1], "bit/s"),
            ("round trip", *asked_s > 0.0, rtt_s, after[2], "s"),
        ];
        for (what, limited, was, is, unit) in limited {
            if limited && (is - was).abs() > LINK_TOLERANCE * was.abs() {
                lines.push(format!(
                    "link {name}, {what} as measured: was {was:.4} {unit}, is {is:.4} {unit}"
                ));
            }
        }
    }
    lines
}

/// Links as they were measured: down, up and round trip.
fn measured<'a>(side: &Under<'a>) -> BTreeMap<&'a str, [f64; 3]> {
    let of = |event: &'a Event| match event {
        Event::LinkMeasured { link, down_bps, up_bps, rtt_s } => {
            Some((link.as_str(), [*down_bps, *up_bps, *rtt_s]))
        }
        _ => None,
    };
    side.events.iter().filter_map(of).collect()
}

fn contents<'a>(side: &Under<'a>) -> Option<&'a BTreeMap<String, String>> {
    side.events.iter().find_map(|event| match event {
        Event::Contents { hashes } => Some(hashes),
        _ => None,
    })
}

/// What of one the other has as well.
fn common(
    one: &BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let both = one.iter().filter(|(key, _)| other.contains_key(*key));
    both.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests;

//! The journal of the whole, from those of its parts.

use super::Part;
use crate::model::event::{Ending, JOURNAL_VERSION};
use crate::model::finding as kinds;
use crate::model::{CellKey, Event, Finding, Plan, Sample, sample};
use crate::stats::Values;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What the whole run directory holds.
pub(super) struct Whole {
    pub(super) plan: Plan,
    pub(super) events: Vec<Event>,
    /// Logs to copy, with their names in the whole.
    pub(super) logs: Vec<(PathBuf, String)>,
}

/// The whole of at least one part, in the order of the parts' numbers; `lacks` says why it is not
/// one.
pub(super) fn whole(parts: &[Part], run: &str, lacks: &[String]) -> Option<Whole> {
    let first = parts.first()?;
    let plan = Plan {
        run: run.to_owned(),
        shard: None,
        machines: Some(first.shard.of),
        facts: common(parts),
        ..first.plan.clone()
    };
    let (started, ended) = times(parts);
    let mut events =
        vec![Event::RunStarted { version: JOURNAL_VERSION, run: run.to_owned(), at: started }];
    events.extend(parts.iter().map(|part| Event::PartMerged {
        machine: part.shard.index,
        run: part.plan.run.clone(),
        facts: part.plan.facts.clone(),
        duration_s: duration_s(part),
    }));
    events.extend(engines_and_contents(parts));
    events.extend(unsupported(parts));
    events.extend(links(parts));
    events.extend(findings(parts, lacks).into_iter().map(|finding| Event::RunFinding { finding }));
    events.extend(compared(parts));
    let of_parts = |part: &Part| part.events.clone();
    let pulls = parts.iter().flat_map(of_parts);
    events.extend(pulls.filter(|event| matches!(event, Event::DeployPulled { .. })));
    let (samples, logs) = samples(parts);
    events.extend(samples);
    let ending = if lacks.is_empty() { Ending::Complete } else { Ending::NotWhole };
    events.push(Event::RunEnded {
        ending,
        reason: lacks.join("; "),
        at: ended,
        duration_s: parts.iter().map(duration_s).sum(),
    });
    Some(Whole { plan, events, logs })
}

/// Facts that all machines share.
fn common(parts: &[Part]) -> BTreeMap<String, String> {
    let mut facts = parts.first().map(|part| part.plan.facts.clone()).unwrap_or_default();
    facts.retain(|name, value| parts.iter().all(|part| part.plan.facts.get(name) == Some(value)));
    facts
}

/// The first start and the last end. RFC 3339 in UTC sorts as text.
fn times(parts: &[Part]) -> (String, String) {
    let events = || parts.iter().flat_map(|part| &part.events);
    let started = events().filter_map(|event| match event {
        Event::RunStarted { at, .. } => Some(at),
        _ => None,
    });
    let ended = events().filter_map(|event| match event {
        Event::RunEnded { at, .. } => Some(at),
        _ => None,
    });
    (started.min().cloned().unwrap_or_default(), ended.max().cloned().unwrap_or_default())
}

fn duration_s(part: &Part) -> f64 {
    let of = |event: &Event| match event {
        Event::RunEnded { duration_s, .. } => *duration_s,
        _ => 0.0,
    };
    part.events.iter().map(of).sum()
}

/// What is the same in all parts, once.
fn engines_and_contents(parts: &[Part]) -> Vec<Event> {
    let mut once: Vec<Event> = Vec::new();
    let events = parts.iter().flat_map(|part| &part.events);
    let of_all =
        events.filter(|event| matches!(event, Event::EngineFacts { .. } | Event::Contents { .. }));
    for event in of_all {
        // Where files lie may differ; what they hold was compared.
        let known = match event {
            Event::Contents { .. } => once.iter().any(|one| matches!(one, Event::Contents { .. })),
            other => once.contains(other),
        };
        if !known {
            once.push(event.clone());
        }
    }
    once
}

/// What no machine could do. What some could is measured there, and a finding says it.
fn unsupported(parts: &[Part]) -> Vec<Event> {
    let left_out = |part: &Part| -> BTreeSet<CellKey> {
        let cells = part.events.iter().filter_map(|event| match event {
            Event::Unsupported(found) => Some(&found.cells),
            _ => None,
        });
        cells.flatten().cloned().collect()
    };
    let each: Vec<BTreeSet<CellKey>> = parts.iter().map(left_out).collect();
    let Some(first) = parts.first() else { return Vec::new() };
    let of_all = |event: &Event| {
        let Event::Unsupported(found) = event else { return None };
        let mut found = found.clone();
        found.cells.retain(|cell| each.iter().all(|of_part| of_part.contains(cell)));
        (!found.cells.is_empty()).then_some(Event::Unsupported(found))
    };
    first.events.iter().filter_map(of_all).collect()
}

/// Each link as the machines measured it, by the median.
fn links(parts: &[Part]) -> Vec<Event> {
    let mut measured: BTreeMap<&str, Vec<[f64; 3]>> = BTreeMap::new();
    for event in parts.iter().flat_map(|part| &part.events) {
        if let Event::LinkMeasured { link, down_bps, up_bps, rtt_s } = event {
            measured.entry(link).or_default().push([*down_bps, *up_bps, *rtt_s]);
        }
    }
    let of = |(link, values): (&str, Vec<[f64; 3]>)| {
        let median =
            |at: usize| Some(Values::new(values.iter().map(|each| each[at])).ok()?.median());
        Some(Event::LinkMeasured {
            link: link.to_owned(),
            down_bps: median(0)?,
            up_bps: median(1)?,
            rtt_s: median(2)?,
        })
    };
    measured.into_iter().filter_map(of).collect()
}

/// What was noticed: what all machines noticed once, what only some did with their numbers; and
/// what makes the whole less than one.
fn findings(parts: &[Part], lacks: &[String]) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        lacks.iter().map(|lack| Finding::new(&kinds::NOT_WHOLE, lack)).collect();
    findings.extend(models(parts));
    let mut by: Vec<(Finding, BTreeSet<u32>)> = Vec::new();
    for part in parts {
        let of_part = part.events.iter().filter_map(|event| match event {
            Event::RunFinding { finding } => Some(finding.clone()),
            Event::RunResumed { at, .. } => {
                Some(Finding::new(&kinds::RESUMED, format!("resumed at {at}")))
            }
            _ => None,
        });
        for finding in of_part {
            match by.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, machines)) => _ = machines.insert(part.shard.index),
                None => by.push((finding, BTreeSet::from([part.shard.index]))),
            }
        }
    }
    findings.extend(by.into_iter().map(|(finding, machines)| {
        match machines.len() == parts.len() {
            true => finding,
            false => {
                let detail = format!("{}: {}", named(&machines), finding.detail);
                Finding { detail, ..finding }
            }
        }
    }));
    findings
}

/// `machine 2`, `machines 1, 3`
fn named(machines: &BTreeSet<u32>) -> String {
    let numbers: Vec<String> = machines.iter().map(ToString::to_string).collect();
    let word = if numbers.len() == 1 { "machine" } else { "machines" };
    format!("{word} {}", numbers.join(", "))
}

/// In which of their facts the machines differ.
fn models(parts: &[Part]) -> Vec<Finding> {
    let names: BTreeSet<&String> = parts
        .iter()
        .flat_map(|part| part.plan.facts.keys())
        .filter(|name| name.starts_with("machine "))
        .collect();
    let mut findings = Vec::new();
    for name in names {
        let mut values: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for part in parts {
            let value = part.plan.facts.get(name).map_or("n/a", String::as_str);
            values.entry(value).or_default().insert(part.shard.index);
        }
        if values.len() > 1 {
            let each: Vec<String> = values
                .iter()
                .map(|(value, machines)| format!("{value} ({})", named(machines)))
                .collect();
            let detail = format!("{name}: {}", each.join("; "));
            findings.push(Finding::new(&kinds::MACHINES_DIFFER, detail));
        }
    }
    findings
}

/// Images that are not what a build without cache gives, on any machine.
fn compared(parts: &[Part]) -> Option<Event> {
    let mut all: Option<BTreeMap<CellKey, String>> = None;
    for part in parts {
        for event in &part.events {
            if let Event::ImagesCompared { wrong } = event {
                let number = part.shard.index;
                let wrong = wrong
                    .iter()
                    .map(|(cell, what)| (cell.clone(), format!("machine {number}: {what}")));
                all.get_or_insert_default().extend(wrong);
            }
        }
    }
    all.map(|wrong| Event::ImagesCompared { wrong })
}

/// The samples that stand, in the order of rounds, within a round in that of the machines, each
/// with its machine and a number that no other one has; and their logs.
fn samples(parts: &[Part]) -> (Vec<Event>, Vec<(PathBuf, String)>) {
    let mut all: Vec<(&Part, &Sample)> = Vec::new();
    for part in parts {
        let recorded = part.events.iter().filter_map(Event::sample);
        all.extend(sample::standing(recorded).into_iter().map(|sample| (part, sample)));
    }
    all.sort_by_key(|(part, sample)| (sample.round, part.shard.index, sample.sample));
    let (mut events, mut logs) = (Vec::new(), Vec::new());
    for (number, (part, sample)) in (1..).zip(all) {
        let log = |number: u32| format!("{number:04}.log");
        logs.push((part.dir.join("logs").join(log(sample.sample)), log(number)));
        let sample = Sample { sample: number, machine: Some(part.shard.index), ..sample.clone() };
        events.push(Event::SampleFinished { sample: Box::new(sample) });
    }
    (events, logs)
}

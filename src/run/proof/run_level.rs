//! What only all samples together show: traps 12, 14, 27 and 30, drift, and a baseline that differs
//! from itself. Pure, from the journal alone.

use crate::decision;
use crate::model::finding as kinds;
use crate::model::{Cell, CellKey, Event, Finding, Plan, Sample, State, Status, sample};
use crate::report::text::{milliseconds, plain_seconds};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Findings about the whole run.
pub fn run_level(plan: &Plan, events: &[Event]) -> Vec<Finding> {
    let mut findings = super::parts::resumed(events);
    for event in events {
        if let Event::Unsupported(found) = event {
            let reason = found.reason.trim_end_matches('.');
            let detail = format!("{}: {reason}. {}", found.what, found.advice);
            findings.push(Finding { id: found.finding.clone(), detail });
        }
    }
    let groups = sample::by_cell(events.iter().filter_map(Event::sample));
    let cells: BTreeMap<CellKey, Vec<&Sample>> =
        groups.into_iter().map(|(cell, samples)| (cell.key(), samples)).collect();
    let of_cell = |samples: &Vec<&Sample>| {
        let first = samples.first()?;
        let of_baseline =
            Cell { strategy: plan.baseline.clone(), again: false, ..Cell::clone(&first.cell) };
        let baseline = cells.get(&of_baseline.key());
        let outweighs = baseline.and_then(|baseline| export_outweighs_saving(samples, baseline));
        Some([hits_come_and_go(samples), outweighs])
    };
    let of_all = || {
        let (drifted, unlike) = rayon::join(|| drifted(events), || unlike_itself(plan, events));
        drifted.into_iter().chain(unlike).collect::<Vec<_>>()
    };
    let of_cells =
        || cells.par_iter().filter_map(|(_, samples)| of_cell(samples)).collect::<Vec<_>>();
    let (of_all, of_cells) = rayon::join(of_all, of_cells);
    findings.extend(of_all);
    findings.extend(of_cells.into_iter().flatten().flatten());
    findings
}

/// Whether times drift over the rounds, paired or not.
fn drifted(events: &[Event]) -> Option<Finding> {
    let drift = decision::drift(sample::standing(events.iter().filter_map(Event::sample)))?;
    drift.is_shown().then(|| Finding::new(&kinds::DRIFT, drift.in_words()))
}

/// Whether the baseline differs from itself, of each A/A cell.
fn unlike_itself(plan: &Plan, events: &[Event]) -> Vec<Finding> {
    let of_pair = |sample: &&Sample| plan.again.iter().any(|cell| cell.is_as(&sample.cell));
    let samples = events.iter().filter_map(Event::sample).filter(of_pair);
    let shown = decision::resolutions(plan, samples).into_iter().filter_map(|one| one.unlike());
    shown.map(|detail| Finding::new(&kinds::BASELINE_UNLIKE_ITSELF, detail)).collect()
}

/// Most samples that a detail names.
const NUMBERS_LISTED: usize = 100;

/// Trap 14. Samples that are invalid count here: that they are may be the very reason.
fn hits_come_and_go(samples: &[&Sample]) -> Option<Finding> {
    let mut alike: BTreeMap<usize, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        if matches!(sample.status, Status::Ok | Status::Invalid) {
            alike.entry(sample.steps.place()).or_default().push(sample);
        }
    }
    // A job may build several times: what the first build did not find, the next one may.
    let mut seen: BTreeMap<BTreeSet<(u32, &str, u32)>, Vec<u32>> = BTreeMap::new();
    for samples in alike.into_values() {
        let content = samples[0].steps.iter().filter(|step| step.makes_content());
        let hits = content.filter(|step| step.hit);
        let hits = hits.map(|step| (step.build, step.stage, step.step)).collect();
        let numbers = samples.iter().map(|sample| sample.sample);
        seen.entry(hits).or_default().extend(numbers);
    }
    seen.values_mut().for_each(|numbers| numbers.sort_unstable());
    if seen.len() < 2 {
        return None;
    }
    let each: Vec<String> = seen
        .iter()
        .map(|(hits, samples)| {
            let numbers: Vec<String> =
                samples.iter().take(NUMBERS_LISTED).map(ToString::to_string).collect();
            let more = match samples.len().saturating_sub(NUMBERS_LISTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{} steps in {}{more}", hits.len(), numbers.join(" "))
        })
        .collect();
    let detail = format!("{}: hits of {} (samples)", samples[0].cell.key(), each.join(", "));
    Some(Finding::new(&kinds::HITS_COME_AND_GO, detail))
}

/// Share of a job without cache from which on leaving a cache behind takes time to speak of.
const WORTH_NAMING: f64 = 0.01;

/// A time that is said to be more than another one must not be rounded to none.
fn some_time(seconds: f64) -> String {
    if seconds < 0.1 { milliseconds(seconds) } else { format!("{} s", plain_seconds(seconds)) }
}

/// Trap 12. Only where a cache is found: whoever leaves the first one cannot save by it.
fn export_outweighs_saving(samples: &[&Sample], baseline: &[&Sample]) -> Option<Finding> {
    let by_round: BTreeMap<u32, &Sample> =
        baseline.iter().filter(|sample| sample.counts()).map(|s| (s.round, *s)).collect();
    let (mut exports, mut finds, mut colds, mut pairs) = (0.0, 0.0, 0.0, 0.0);
    for sample in samples.iter().filter(|s| s.counts() && s.cell.state == State::Steady) {
        let Some(cold) = by_round.get(&sample.round) else { continue };
        let export = sample.leaving_s().unwrap_or(0.0);
        exports += export;
        colds += cold.total_s();
        finds += cold.total_s() - (sample.total_s() - export);
        pairs += 1.0;
    }
    // Of nothing to speak of it cannot be said that it takes longer.
    if pairs < 1.0 || exports <= WORTH_NAMING * colds || exports <= finds {
        return None;
    }
    let saves = match finds > 0.0 {
        true => some_time(finds / pairs),
        false => "nothing".to_owned(),
    };
    let detail = format!(
        "{}: leaving the cache takes {}, finding it saves {saves} (means of {pairs} pairs)",
        samples[0].cell.key(),
        some_time(exports / pairs)
    );
    Some(Finding::new(&kinds::EXPORT_OUTWEIGHS_SAVING, detail))
}

#[cfg(test)]
mod tests {
    use super::some_time;

    #[test]
    fn a_short_time_is_not_none() {
        assert_eq!(
            [0.0123, 0.04, 0.7, 12.34].map(some_time),
            ["12.3 ms", "40 ms", "0.70 s", "12.3 s"]
        );
    }
}

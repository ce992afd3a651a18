//! Values of a cell, run after run on one machine model, and where their level shifts.
//!
//! Runs on different machine models are never in one series. Whatever else may differ between two
//! runs (engine, content, link) does not split a series, since a nightly build has other content
//! every night: it is said at the shift instead.

use super::{CellSummary, Summary, VerdictSummary, changed};
use crate::model::Builder;
use crate::model::plan::Relevance;
use crate::stats::{Values, shift};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What many runs show together.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Trends {
    /// Runs that are in it.
    pub runs: usize,
    /// Machine models, the one with the most runs first.
    pub machines: Vec<MachineTrends>,
}

/// Runs on one machine model.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MachineTrends {
    /// Processor and number of cores; `n/a` where it was not recorded.
    pub machine: String,
    /// Runs on it.
    pub runs: usize,
    /// Start of the first one, RFC 3339, UTC.
    pub first_at: String,
    /// Start of the last one.
    pub last_at: String,
    /// Cells that any of them measured, by key.
    pub cells: Vec<CellTrend>,
    /// What the last run that gave any said over the change mix.
    pub verdicts: Vec<VerdictSummary>,
    /// Verdicts that differ from those of the run before, the latest first; 50 at most.
    pub verdict_changes: Vec<VerdictChange>,
}

/// A verdict that is another one than before.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct VerdictChange {
    /// The run that gave it.
    pub run: String,
    /// Its start.
    pub at: String,
    /// What the run before said.
    pub was: VerdictSummary,
    /// What it says.
    pub is: VerdictSummary,
}

/// One cell on one machine model.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CellTrend {
    /// Its key.
    pub key: String,
    /// The workload.
    pub workload: String,
    /// The change.
    pub change: String,
    /// The availability.
    pub availability: String,
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// Median seconds of a job in each run.
    pub time: Series,
    /// Saving against the baseline as a share of its time in each run; no points for the baseline.
    pub saving: Series,
}

/// Values in the order of their runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// The values.
    pub points: Vec<Point>,
    /// Levels between shifts, the first one first; their values are medians.
    pub levels: Vec<Level>,
    /// Where the level shifts.
    pub shifts: Vec<Shift>,
    /// Whether there are so few points that no shift could be found.
    pub too_few: bool,
}

/// The value of one run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Point {
    /// The run.
    pub run: String,
    /// Its start, RFC 3339, UTC.
    pub at: String,
    /// The value.
    pub value: f64,
}

/// Points between two shifts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Level {
    /// Position of the first point.
    pub from: usize,
    /// Position after the last point.
    pub to: usize,
    /// Median of the values.
    pub value: f64,
}

/// A change of level.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Shift {
    /// Position of the first point of the new level.
    pub place: usize,
    /// Its run.
    pub run: String,
    /// That run's start.
    pub at: String,
    /// The level before.
    pub before: f64,
    /// The level after.
    pub after: f64,
    /// Whether the difference is larger than the smallest one that matters, as verdicts take it.
    pub matters: bool,
    /// What differs between the last run before and the first run after; empty where nothing is
    /// known to.
    pub changed: Vec<String>,
}

/// What these runs show together, whatever their order.
pub fn trends(summaries: &[&Summary]) -> Trends {
    let mut by_machine: BTreeMap<&str, Vec<&Summary>> = BTreeMap::new();
    for summary in summaries {
        by_machine.entry(&summary.machine).or_default().push(summary);
    }
    let mut machines: Vec<MachineTrends> =
        by_machine.into_iter().map(|(name, runs)| of_machine(name, runs)).collect();
    machines.sort_by_key(|machine| std::cmp::Reverse(machine.runs));
    Trends { runs: summaries.len(), machines }
}

fn of_machine(name: &str, mut runs: Vec<&Summary>) -> MachineTrends {
    runs.sort_by(|a, b| (&a.started_at, &a.run).cmp(&(&b.started_at, &b.run)));
    let mut by_cell: BTreeMap<String, Vec<(&Summary, &CellSummary)>> = BTreeMap::new();
    for run in &runs {
        for cell in &run.cells {
            by_cell.entry(cell.key()).or_default().push((run, cell));
        }
    }
    let cells: Vec<_> = by_cell.into_iter().collect();
    MachineTrends {
        machine: name.to_owned(),
        runs: runs.len(),
        first_at: runs.first().map(|run| run.started_at.clone()).unwrap_or_default(),
        last_at: runs.last().map(|run| run.started_at.clone()).unwrap_or_default(),
        cells: cells.into_par_iter().map(|(key, of)| of_cell(key, &of)).collect(),
        verdicts: runs
            .iter()
            .rev()
            .find(|run| !run.verdicts.is_empty())
            .map(|run| run.verdicts.clone())
            .unwrap_or_default(),
        verdict_changes: verdict_changes(&runs),
    }
}

/// Most changes of verdicts that are told.
const CHANGES: usize = 50;

fn verdict_changes(runs: &[&Summary]) -> Vec<VerdictChange> {
    let mut last: BTreeMap<[&str; 5], &VerdictSummary> = BTreeMap::new();
    let mut changes = Vec::new();
    for run in runs {
        for is in &run.verdicts {
            if let Some(was) = last.insert(is.place(), is)
                && was.verdict != is.verdict
            {
                changes.push((*run, was, is));
            }
        }
    }
    let change = |(run, was, is): (&Summary, &VerdictSummary, &VerdictSummary)| VerdictChange {
        run: run.run.clone(),
        at: run.started_at.clone(),
        was: was.clone(),
        is: is.clone(),
    };
    changes.into_iter().rev().take(CHANGES).map(change).collect()
}

fn of_cell(key: String, of: &[(&Summary, &CellSummary)]) -> CellTrend {
    let cell = of[0].1.clone();
    let relevance = of[of.len() - 1].0.relevance;
    CellTrend {
        key,
        workload: cell.workload,
        change: cell.change,
        availability: cell.availability,
        strategy: cell.strategy,
        builder: cell.builder,
        link: cell.link,
        engine: cell.engine,
        time: series(
            of,
            |cell| cell.total_s.map(|total| total.point),
            |before, after| {
                let Relevance { share, seconds } = relevance;
                (after - before).abs() > (share * before.abs()).max(seconds)
            },
        ),
        saving: series(
            of,
            |cell| cell.saving.map(|saving| saving.point),
            |before, after| (after - before).abs() > relevance.share,
        ),
    }
}

fn series(
    of: &[(&Summary, &CellSummary)],
    value: impl Fn(&CellSummary) -> Option<f64>,
    matters: impl Fn(f64, f64) -> bool,
) -> Series {
    let with: Vec<(&Summary, f64)> = of
        .iter()
        .filter_map(|(run, cell)| Some((*run, value(cell)?)))
        .filter(|(_, value)| value.is_finite())
        .collect();
    let values: Vec<f64> = with.iter().map(|(_, value)| *value).collect();
    let places = shift::shifts(&values);
    let ends = places.iter().copied().chain([values.len()]);
    let levels: Vec<Level> = std::iter::once(0)
        .chain(places.iter().copied())
        .zip(ends)
        .filter_map(|(from, to)| {
            let value = Values::new(values[from..to].iter().copied()).ok()?.median();
            Some(Level { from, to, value })
        })
        .collect();
    let shifts = levels.windows(2).map(|pair| {
        let (before, after) = (pair[0].value, pair[1].value);
        let place = pair[1].from;
        let (earlier, run) = (with[place - 1].0, with[place].0);
        Shift {
            place,
            run: run.run.clone(),
            at: run.started_at.clone(),
            before,
            after,
            matters: matters(before, after),
            changed: changed(&earlier.conditions, &run.conditions),
        }
    });
    let point = |(run, value): &(&Summary, f64)| Point {
        run: run.run.clone(),
        at: run.started_at.clone(),
        value: *value,
    };
    Series {
        shifts: shifts.collect(),
        points: with.iter().map(point).collect(),
        levels,
        too_few: values.len() < shift::FEWEST,
    }
}

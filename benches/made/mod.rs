//! A run that was never measured: ten changes with five competitors, as many rounds as are asked for.

use breakeven::model::event::JOURNAL_VERSION;
use breakeven::model::{
    Builder, Cell, Event, Noise, Phase, PhaseRecord, Plan, Sample, State, Status, StepRecord,
};
use std::sync::Arc;
use std::time::Duration;

const CHANGES: [&str; 5] = ["none", "app", "deps", "dockerfile", "base"];
const AVAILABILITIES: [&str; 2] = ["main", "none"];
const COMPETITORS: [(&str, Builder); 5] = [
    ("cold", Builder::Classic),
    ("cold", Builder::Buildkit),
    ("pull", Builder::Classic),
    ("save-load", Builder::Classic),
    ("inline", Builder::Buildkit),
];

/// Every cell.
pub fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for change in CHANGES {
        for availability in AVAILABILITIES {
            for (strategy, builder) in COMPETITORS {
                cells.push(Cell {
                    workload: "web".to_owned(),
                    change: change.to_owned(),
                    availability: availability.to_owned(),
                    strategy: strategy.to_owned(),
                    builder,
                    link: "loopback".to_owned(),
                    engine: "shared".to_owned(),
                    state: match (strategy, availability) {
                        ("cold", _) => State::Cold,
                        (_, "none") => State::Populate,
                        _ => State::Steady,
                    },
                    again: false,
                });
            }
        }
    }
    cells
}

/// Their plan, with so many rounds.
pub fn plan(cells: &[Cell], rounds: usize) -> serde_json::Result<Plan> {
    let weighted = |name: &str| (name.to_owned(), serde_json::json!({"edits": [], "weight": 1.0}));
    serde_json::from_value(serde_json::json!({
        "version": breakeven::model::plan::PLAN_VERSION,
        "run": "bench",
        "breakeven": env!("CARGO_PKG_VERSION"),
        "config": "/breakeven.toml",
        "seed": 1,
        "rounds": rounds,
        "max_time_s": null,
        "baseline": "cold",
        "pull": "first",
        "relevance": {"share": 0.02, "seconds": 1.0},
        "workloads": {},
        "changes": CHANGES.map(weighted).into_iter().collect::<serde_json::Map<_, _>>(),
        "candidates": [{"name": "main", "lacks": ["app"]}],
        "availabilities": [
            {"name": "main", "have": ["main"], "weight": 9.0},
            {"name": "none", "have": [], "weight": 1.0},
        ],
        "engines": {"shared": {"kind": "shared", "host": null}},
        "links": {"loopback": {"down_bps": null, "up_bps": null, "rtt_s": 0.0}},
        "registry": {"kind": "managed"},
        "storage": null,
        "limits": {"build_s": 60.0, "transfer_s": 60.0, "storage_s": 60.0, "cleanup_s": 60.0},
        "cells": cells,
    }))
}

/// So many seconds, and a part of one that differs from number to number: whole nanoseconds, as a
/// clock gives them.
fn seconds(whole: u64, any: f64) -> f64 {
    Duration::new(whole, (any % 1.0 * 1e9) as u32).as_secs_f64()
}

/// The sample of this number: three requests, six instructions.
pub fn sample(number: u32, cells: &[Arc<Cell>]) -> Sample {
    let position = (number as usize - 1) % cells.len();
    let (round, cell) = ((number as usize - 1) / cells.len() + 1, &cells[position]);
    let phases = [Phase::Pull, Phase::Build, Phase::Push];
    Sample {
        sample: number,
        round: round as u32,
        position: position as u32,
        machine: None,
        cell: cell.clone(),
        status: Status::Ok,
        reason: String::new(),
        phases: (0u32..)
            .zip(phases)
            .map(|(seq, phase)| PhaseRecord {
                seq,
                phase,
                operation: phase.to_string(),
                reference: "127.0.0.1:5000/web:main".to_owned(),
                duration_s: seconds(
                    1,
                    f64::from(number) * f64::from(seq + 7) * 0.618_033_988_749_895,
                ),
                bytes_down: None,
                bytes_up: None,
                requests: None,
                within: false,
            })
            .collect(),
        steps: (1..=6)
            .map(|step| StepRecord {
                build: 0,
                stage: "builder".to_owned(),
                step,
                instruction: "RUN bundle install".to_owned(),
                hit: step < 4 && cell.state == State::Steady,
                duration_s: Some(seconds(
                    0,
                    f64::from(number) * f64::from(step) * 0.754_877_666_246_693,
                )),
            })
            .collect(),
        cache_source: String::new(),
        image_bytes: Some(40_000_000),
        workspace_hash: format!("{number:064x}").as_str().into(),
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        reset_s: 0.1,
        overhead_s: 0.01,
        noise: Some(Box::new(Noise {
            steal: Some(0.0),
            cpu: Some(f64::from(number) * 0.569_840_290_998_053 % 0.1),
            io: Some(0.012_5),
            memory: Some(0.0),
            load: Some(1.25),
            throttled: None,
            clock_moved_s: Some(0.000_004),
        })),
        findings: Vec::new(),
    }
}

/// The event that such a run begins with.
pub fn started() -> Event {
    Event::RunStarted {
        version: JOURNAL_VERSION,
        run: "bench".to_owned(),
        at: "2026-01-01T00:00:00Z".to_owned(),
    }
}

/// The event of a sample's end.
pub fn finished(sample: Sample) -> Event {
    Event::SampleFinished { sample: Box::new(sample) }
}

/// Cells as samples share them.
pub fn shared(cells: &[Cell]) -> Vec<Arc<Cell>> {
    cells.iter().cloned().map(Arc::new).collect()
}

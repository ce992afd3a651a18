//! How long it takes from 10,000 recorded samples to every file of a report.

use breakeven::decision::decide;
use breakeven::model::event::JOURNAL_VERSION;
use breakeven::model::{
    Builder, Cell, Event, Phase, PhaseRecord, Plan, Sample, State, Status, StepRecord,
};
use breakeven::report;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const SAMPLES: u32 = 10_000;
/// What the page of so many samples may weigh.
const MOST_BYTES: usize = 3_000_000;
const CHANGES: [&str; 5] = ["none", "app", "deps", "dockerfile", "base"];
const AVAILABILITIES: [&str; 2] = ["main", "none"];
const COMPETITORS: [(&str, Builder); 5] = [
    ("cold", Builder::Classic),
    ("cold", Builder::Buildkit),
    ("pull", Builder::Classic),
    ("save-load", Builder::Classic),
    ("inline", Builder::Buildkit),
];

fn cells() -> Vec<Cell> {
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

fn plan(cells: &[Cell]) -> serde_json::Result<Plan> {
    let weighted = |name: &str| (name.to_owned(), serde_json::json!({"edits": [], "weight": 1.0}));
    serde_json::from_value(serde_json::json!({
        "version": breakeven::model::plan::PLAN_VERSION,
        "run": "bench",
        "breakeven": env!("CARGO_PKG_VERSION"),
        "config": "/breakeven.toml",
        "seed": 1,
        "rounds": SAMPLES as usize / cells.len(),
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

fn sample(number: u32, round: u32, position: usize, cell: &Cell) -> Sample {
    let phases = [Phase::Pull, Phase::Build, Phase::Push];
    Sample {
        sample: number,
        round,
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
                // Any numbers that differ.
                duration_s: f64::from(number * (seq + 7)) * 0.618_033_988_749_895 % 1.0 + 1.0,
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
                duration_s: Some(0.5),
            })
            .collect(),
        cache_source: String::new(),
        image_bytes: Some(40_000_000),
        workspace_hash: "0".repeat(64),
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        reset_s: 0.1,
        overhead_s: 0.01,
        noise: None,
        findings: Vec::new(),
    }
}

fn render(criterion: &mut Criterion) {
    let cells = cells();
    let plan = match plan(&cells) {
        Ok(plan) => plan,
        Err(error) => panic!("the bench's plan is not one any more: {error}"),
    };
    let samples: Vec<Sample> = (1..=SAMPLES)
        .map(|number| {
            let at = (number as usize - 1) % cells.len();
            sample(number, (number - 1) / cells.len() as u32 + 1, at, &cells[at])
        })
        .collect();
    let started = Event::RunStarted {
        version: JOURNAL_VERSION,
        run: "bench".to_owned(),
        at: "2026-01-01T00:00:00Z".to_owned(),
    };
    let finished = |sample: &Sample| Event::SampleFinished { sample: Box::new(sample.clone()) };
    let events: Vec<Event> = std::iter::once(started).chain(samples.iter().map(finished)).collect();
    let mut group = criterion.benchmark_group("report of 10,000 samples");
    group.sample_size(10);
    group.bench_function("decide", |bencher| bencher.iter(|| decide(black_box(&plan), &samples)));
    let decision = decide(&plan, &samples);
    group.bench_function("render", |bencher| {
        bencher.iter(|| {
            let files = report::render(black_box(&plan), &events, &decision);
            let page = files.as_ref().ok().and_then(|files| {
                files.iter().find(|file| file.path.to_str() == Some("report.html"))
            });
            let bytes = page.map_or(usize::MAX, |page| page.bytes.len());
            assert!(bytes < MOST_BYTES, "the page has {bytes} bytes");
        });
    });
    group.finish();
}

criterion_group!(benches, render);
criterion_main!(benches);

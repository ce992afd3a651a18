//! A history of 5,000 runs like the one of `reports/sample`: the page from the index, and without it from every object.
//! The aim is a page in less than 5 s.

use breakeven::history::{History, Kept};
use breakeven::report::trend::{View, page};
use breakeven::run::recorded;
use breakeven::storage::Access;
use breakeven::trend::{Summary, trends};
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::StreamExt;
use std::hint::black_box;
use std::path::Path;
use tokio::runtime::Runtime;

const RUNS: u32 = 5_000;

/// Writes the runs: each with a whole journal, on one of two machine models, an hour after the one
/// before, with three shifts.
async fn fill(dir: &Path) {
    let run = recorded(Path::new("reports/sample")).expect("the sample run");
    let summary = Summary::of(&run.plan, &run.events, &run.decision);
    let lines: Vec<String> =
        run.events.iter().map(|event| serde_json::to_string(event).expect("JSON")).collect();
    let history = History::open(&dir.display().to_string(), &Access::default()).expect("a folder");
    let (plan, summary, lines, history) = (&run.plan, &summary, &lines, &history);
    let add = async |number: u32| {
        let mut plan = plan.clone();
        plan.run = format!("run-{number:05}");
        let mut summary = summary.clone();
        summary.run.clone_from(&plan.run);
        let at = 1_700_000_000 + i64::from(number) * 3_600;
        summary.started_at = time::OffsetDateTime::from_unix_timestamp(at)
            .ok()
            .and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok())
            .expect("a time");
        summary.machine = format!("processor {}", number % 2);
        for (place, cell) in (0_u32..).zip(&mut summary.cells) {
            let mixed = (number * 31 + place).wrapping_mul(2_654_435_761) >> 12;
            let factor = 1.0 + f64::from(number / 1_300) * 0.15 + f64::from(mixed % 1_000) / 1e4;
            if let Some(total) = &mut cell.total_s {
                total.point *= factor;
            }
        }
        let kept = Kept { summary: &summary, plan: &plan, lines };
        history.add(&kept).await.expect("room for a run");
    };
    futures_util::stream::iter(0..RUNS).map(add).buffer_unordered(4).collect::<Vec<_>>().await;
}

async fn made(dir: &Path) -> String {
    let history = History::open(&dir.display().to_string(), &Access::default()).expect("a folder");
    let loaded = history.load().await.expect("a history");
    assert_eq!(loaded.runs.len(), RUNS as usize);
    let runs: Vec<&Summary> = loaded.runs.iter().map(|(_, summary)| summary).collect();
    let trends = trends(&runs);
    let view = View { address: "history", trends: &trends, damaged: &[] };
    page(&view).expect("a page")
}

fn bench(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("room for a history");
    runtime.block_on(fill(dir.path()));
    let index = dir.path().join("breakeven-history/index-1.json.zst");
    let mut group = criterion.benchmark_group("history of 5,000 runs");
    group.sample_size(10);
    group.bench_function("page, index there", |bencher| {
        bencher.iter(|| black_box(runtime.block_on(made(dir.path()))));
    });
    group.bench_function("page, index lost", |bencher| {
        bencher.iter(|| {
            std::fs::remove_file(&index).expect("the index was written");
            black_box(runtime.block_on(made(dir.path())))
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);

//! How long it takes from 10,000 recorded samples to every file of a report.

mod made;

use breakeven::decision::decide;
use breakeven::model::{Event, Sample};
use breakeven::report;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const SAMPLES: u32 = 10_000;
/// What the page of so many samples may weigh.
const MOST_BYTES: usize = 3_000_000;

fn render(criterion: &mut Criterion) {
    let cells = made::cells();
    let plan = match made::plan(&cells, SAMPLES as usize / cells.len()) {
        Ok(plan) => plan,
        Err(error) => panic!("the bench's plan is not one any more: {error}"),
    };
    let shared = made::shared(&cells);
    let samples: Vec<Sample> = (1..=SAMPLES).map(|number| made::sample(number, &shared)).collect();
    let finished = samples.iter().cloned().map(made::finished);
    let events: Vec<Event> = std::iter::once(made::started()).chain(finished).collect();
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

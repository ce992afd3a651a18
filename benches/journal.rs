//! How long the journal takes: to record a sample on a disk that confirms it, and to read 10,000.

mod made;

use breakeven::model::{Event, Plan};
use breakeven::run::journal::{self, Journal};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;

const SAMPLES: u32 = 10_000;

fn write(dir: &Path, plan: &Plan, events: &[Event]) -> u64 {
    let lines = events.iter().filter_map(|event| serde_json::to_string(event).ok());
    let text: String = lines.map(|line| line + "\n").collect();
    let plan = serde_json::to_string(plan).unwrap_or_default();
    let wrote = std::fs::write(dir.join(journal::PLAN), plan)
        .and_then(|()| std::fs::write(dir.join(journal::JOURNAL), &text));
    assert!(wrote.is_ok(), "{wrote:?}");
    text.len() as u64
}

fn journal(criterion: &mut Criterion) {
    let cells = made::cells();
    let plan = match made::plan(&cells, SAMPLES as usize / cells.len()) {
        Ok(plan) => plan,
        Err(error) => panic!("the bench's plan is not one any more: {error}"),
    };
    let shared = made::shared(&cells);
    let finished = (1..=SAMPLES).map(|number| made::finished(made::sample(number, &shared)));
    let events: Vec<Event> = std::iter::once(made::started()).chain(finished).collect();
    let Ok(folder) = tempfile::tempdir() else { panic!("there is no temporary folder") };
    let bytes = write(folder.path(), &plan, &events);

    let mut group = criterion.benchmark_group("journal");
    group.sample_size(20).throughput(Throughput::Bytes(bytes));
    group.bench_function("read 10,000 samples", |bencher| {
        bencher.iter(|| {
            let read = journal::read(black_box(folder.path()));
            // One that is refused would be read in no time.
            assert!(read.as_ref().is_ok_and(|read| read.events.len() == events.len()));
            read
        });
    });
    let dir = folder.path().join("out");
    let Ok(mut journal) = Journal::create(&dir, &plan) else { panic!("no journal can be made") };
    group.throughput(Throughput::Elements(1));
    group.bench_function("append a sample, confirmed by the disk", |bencher| {
        bencher.iter(|| {
            let appended = journal.append(black_box(&events[1]));
            assert!(appended.is_ok(), "{appended:?}");
        });
    });
    group.finish();
}

criterion_group!(benches, journal);
criterion_main!(benches);

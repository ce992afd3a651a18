//! How long the statistics of a very large run take: 1,000 rounds, 100,000 resamples.

use breakeven::stats::{Bootstrap, Values};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const ROUNDS: u32 = 1_000;
const RESAMPLES: usize = 100_000;

fn bootstrap(criterion: &mut Criterion) {
    // Any numbers that differ: a step of the golden ratio through [0, 1) repeats none of them.
    let values = Values::new((0..ROUNDS).map(|n| f64::from(n) * 0.618_033_988_749_895 % 1.0));
    let Ok(values) = values else { return };
    let bootstrap = Bootstrap::new(1).with_resamples(RESAMPLES);
    let mut group = criterion.benchmark_group("bootstrap 1,000 rounds x 100,000 resamples");
    group.sample_size(10);
    group.bench_function("mean", |bencher| bencher.iter(|| bootstrap.mean(black_box(&values))));
    group.bench_function("median", |bencher| bencher.iter(|| bootstrap.median(black_box(&values))));
    group.finish();
}

criterion_group!(benches, bootstrap);
criterion_main!(benches);

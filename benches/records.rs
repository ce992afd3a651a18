//! How long a 50 MB progress record of BuildKit takes to read, which is far more than any real
//! build writes: the same vertices change again and again, as in a chatty build.

use breakeven::engine::records;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::fmt::Write;
use std::hint::black_box;

const BYTES: usize = 50_000_000;
/// Instructions of the build.
const STEPS: usize = 60;

/// What buildx 0.13 writes, repeated until it is long enough.
fn record() -> String {
    let mut record = String::with_capacity(BYTES + 4_096);
    let mut tick = 0;
    while record.len() < BYTES {
        for step in 0..STEPS {
            tick += 1;
            let digest = format!("sha256:{step:064x}");
            let (second, nano) = (tick / 1_000 % 60, tick % 1_000_000_000);
            // Writing to a string does not fail.
            let _ = write!(
                record,
                r#"{{
  "vertexes": [
    {{
      "digest": "{digest}",
      "name": "[builder {}/{}] RUN ./work {step}",
      "started": "2026-01-01T00:00:{second:02}.{nano:09}Z",
      "completed": "2026-01-01T00:01:{second:02}.{nano:09}Z"
    }}
  ],
  "statuses": [
    {{
      "id": "transferring context:",
      "vertex": "{digest}",
      "name": "transferring",
      "current": {tick},
      "timestamp": "2026-01-01T00:00:{second:02}.{nano:09}Z",
      "started": "2026-01-01T00:00:00.000000000Z"
    }}
  ],
  "logs": [
    {{
      "vertex": "{digest}",
      "stream": 1,
      "data": "aW5zdGFsbGluZyBhIHBhY2thZ2UKaW5zdGFsbGluZyBhbm90aGVyIG9uZQo=",
      "timestamp": "2026-01-01T00:00:{second:02}.{nano:09}Z"
    }}
  ]
}}
"#,
                step + 2,
                STEPS + 1,
            );
        }
    }
    record
}

fn parse(criterion: &mut Criterion) {
    let record = record();
    let mut group = criterion.benchmark_group("records");
    group.sample_size(10).throughput(Throughput::Bytes(record.len() as u64));
    group.bench_function("parse a 50 MB rawjson record", |bencher| {
        bencher.iter(|| {
            let parsed = records::parse(black_box(record.as_bytes()));
            // A record that is refused would be read in no time.
            assert!(parsed.as_ref().is_ok_and(|parsed| parsed.steps.len() == STEPS));
            parsed
        });
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);

//! One cell's samples as a row: medians, counts and ranges.

use super::{Row, pairing::Measured};
use crate::model::{Cell, Phase, Sample, Status};
use crate::stats::{Bootstrap, Values};
use std::collections::BTreeMap;

/// Parts of a build that the builder itself times, as they are called in `phases.csv`.
const BUILD_PARTS: [&str; 3] = ["import", "steps", "export"];

/// The row of a cell, still without its saving.
pub(super) fn row(bootstrap: Bootstrap, measured: &Measured<'_>, cell: &Cell) -> Row {
    let counted = measured.counted(cell);
    let totals: Vec<(u32, f64)> =
        counted.iter().map(|sample| (sample.round, sample.total_s())).collect();
    let phases: Vec<_> = counted.iter().map(|sample| sample.phases_s()).collect();
    let hits = || counted.iter().map(|sample| sample.step_hits());
    Row {
        strategy: cell.strategy.clone(),
        builder: cell.builder,
        state: cell.state,
        n: counted.len(),
        invalid: measured.with_status(cell, Status::Invalid),
        failed: measured.with_status(cell, Status::Failed),
        total_s: bootstrap.median_of(&totals),
        phases: Phase::ALL
            .into_iter()
            .enumerate()
            .filter_map(|(at, phase)| Some((phase, median(phases.iter().filter_map(|of| of[at]))?)))
            .collect(),
        build_parts: build_parts(&counted),
        hits: hits().min().zip(hits().max()),
        steps: counted.iter().map(|sample| sample.step_count()).max(),
        bytes_down: median_bytes(counted.iter().map(|sample| sample.bytes_down())),
        bytes_up: median_bytes(counted.iter().map(|sample| sample.bytes_up())),
        image_bytes: median_bytes(counted.iter().map(|sample| sample.image_bytes)),
        sources: sources(&counted),
        saving: None,
    }
}

fn build_parts(counted: &[&Sample]) -> BTreeMap<String, f64> {
    let seconds = |sample: &Sample, part: &str| {
        let rows = || sample.phases.iter().filter(|row| row.within && row.operation == part);
        rows().next()?;
        Some(rows().map(|row| row.duration_s).sum::<f64>())
    };
    BUILD_PARTS
        .into_iter()
        .filter_map(|part| {
            median(counted.iter().filter_map(|sample| seconds(sample, part)))
                .map(|median| (part.to_owned(), median))
        })
        .collect()
}

fn sources(counted: &[&Sample]) -> BTreeMap<String, usize> {
    let mut sources = BTreeMap::new();
    for sample in counted.iter().filter(|sample| !sample.cache_source.is_empty()) {
        *sources.entry(sample.cache_source.clone()).or_default() += 1;
    }
    sources
}

fn median(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    Values::new(numbers).ok().map(|values| values.median())
}

/// The median of the samples in which these bytes were counted, to the whole byte.
fn median_bytes(counted: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    median(counted.flatten().map(|bytes| bytes as f64)).map(|bytes| bytes.round() as u64)
}

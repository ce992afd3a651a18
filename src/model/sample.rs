//! One measured run of a cell.

use super::cell::{self, Cell, CellNumbers};
use super::content_hash::ContentHash;
use super::finding::Finding;
use super::noise::Noise;
use super::rows::{PhaseRow, Phases, Steps};
use super::step::Phase;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What became of a sample.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Measured, and proved to be what it claims.
    Ok,
    /// Measured, but not what it claims to be; kept out of the figures.
    Invalid,
    /// A step failed.
    Failed,
    /// The user stopped the run in the middle of it.
    Interrupted,
}

impl Status {
    /// The word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One request of a job and how long it took: a row of `phases.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseRecord {
    /// Position within the job, from 0.
    pub seq: u32,
    /// The phase that it counts in.
    pub phase: Phase,
    /// What was done, as a docker subcommand: `pull`, `pull (missing)`, `build --target builder`.
    /// Parts of a build that the builder itself records are `import`, `steps`, `export` (of the
    /// image) and `cache export`; these lie within the build's own row and are not added to the phase.
    pub operation: String,
    /// The image or archive.
    pub reference: String,
    /// Seconds, by the monotonic clock.
    pub duration_s: f64,
    /// Bytes from registry or storage, by the link's counters; absent where nothing counts them.
    pub bytes_down: Option<u64>,
    /// Bytes to registry or storage; absent where nothing counts them.
    pub bytes_up: Option<u64>,
    /// Requests to registry or storage; absent where nothing counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Whether this row lies within another one (the parts of a build).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub within: bool,
}

/// One Dockerfile instruction as the builder reported it: a row of `steps.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Which call of the builder in this job, from 0.
    #[serde(default)]
    pub build: u32,
    /// The stage: its name, or its number where it has none.
    pub stage: String,
    /// Position within the stage, from 1, FROM not counted.
    pub step: u32,
    /// The instruction as the builder shows it.
    pub instruction: String,
    /// Whether it was taken from a cache.
    pub hit: bool,
    /// Seconds, where the builder says.
    pub duration_s: Option<f64>,
}

impl StepRecord {
    /// Whether the instruction makes file system content (`RUN`, `COPY`, `ADD`).
    pub fn makes_content(&self) -> bool {
        makes_content(&self.instruction)
    }
}

pub(super) fn makes_content(instruction: &str) -> bool {
    let word = instruction.split_whitespace().next().unwrap_or_default();
    ["RUN", "COPY", "ADD"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// One measured run of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Number within the run, from 1, in the order of measuring.
    pub sample: u32,
    /// The round; 0 is the warm-up, which is recorded and not counted.
    pub round: u32,
    /// Position within the round, from 0.
    pub position: u32,
    /// Number of the machine that measured it, if the run was put together from several; from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<u32>,
    /// The cell.
    #[serde(serialize_with = "cell::as_it_is", deserialize_with = "cell::shared")]
    pub cell: Arc<Cell>,
    /// What became of it.
    pub status: Status,
    /// Why it is not `ok`; empty if it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Every request in order.
    pub phases: Phases,
    /// Every instruction in order.
    pub steps: Steps,
    /// The candidate or reference that really served as the cache source; empty if none did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cache_source: String,
    /// Size of the final image in bytes, uncompressed, as the engine states it.
    pub image_bytes: Option<u64>,
    /// SHA-256 over the workspace's content as it went into the build.
    #[serde(default, skip_serializing_if = "ContentHash::is_empty")]
    pub workspace_hash: ContentHash,
    /// Wall-clock start, RFC 3339, UTC.
    pub started_at: String,
    /// Seconds spent on the sample that are not in a phase: preparing and resetting engine,
    /// registry and storage.
    #[serde(default)]
    pub reset_s: f64,
    /// Seconds of our own work: everything that is neither a phase nor a reset.
    #[serde(default)]
    pub overhead_s: f64,
    /// What the machine did during the job; absent where nothing was measured or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Box<Noise>>,
    /// What was noticed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Sample {
    /// Seconds of one phase; `None` if the job has no such phase.
    pub fn phase_s(&self, phase: Phase) -> Option<f64> {
        let mut rows =
            self.phases.iter().filter(|row| row.phase == phase && !row.within).peekable();
        rows.peek()?;
        Some(rows.map(|row| row.duration_s).sum())
    }

    /// Seconds of every phase in the order of [`Phase::ALL`], as [`phase_s`](Self::phase_s) has
    /// them.
    pub fn phases_s(&self) -> [Option<f64>; Phase::ALL.len()] {
        let mut sums = [None; Phase::ALL.len()];
        for row in self.phases.iter().filter(|row| !row.within) {
            *sums[row.phase as usize].get_or_insert(0.0) += row.duration_s;
        }
        sums
    }

    /// Seconds of the whole job: the sum of its phases.
    pub fn total_s(&self) -> f64 {
        // Not `sum`, whose sum of nothing is -0.
        let rows = self.phases.iter().filter(|row| !row.within);
        rows.fold(0.0, |sum, row| sum + row.duration_s)
    }

    /// Seconds that the job spent only on leaving its cache behind: `save`, `store`, and the cache
    /// exports that the builder timed. `None` if it has none of them.
    pub fn leaving_s(&self) -> Option<f64> {
        let leaves = |row: &PhaseRow<'_>| {
            matches!(row.phase, Phase::Save | Phase::Store)
                || (row.within && row.operation == "cache export")
        };
        let mut rows = self.phases.iter().filter(leaves).peekable();
        rows.peek()?;
        Some(rows.map(|row| row.duration_s).sum())
    }

    /// Different instructions that the job's builds came across. A job may build several times;
    /// an instruction counts once.
    pub fn step_count(&self) -> usize {
        self.steps.different()
    }

    /// Different instructions that were taken from a cache in every build of the job, so that the
    /// job never carried them out.
    pub fn step_hits(&self) -> usize {
        self.steps.hits()
    }

    /// Bytes from registry and storage, where every request that moves bytes was counted.
    pub fn bytes_down(&self) -> Option<u64> {
        sum_counted(self.phases.iter().filter_map(|row| row.bytes_down))
    }

    /// Bytes to registry and storage, where they were counted.
    pub fn bytes_up(&self) -> Option<u64> {
        sum_counted(self.phases.iter().filter_map(|row| row.bytes_up))
    }

    /// Requests to registry and storage, where they were counted.
    pub fn requests(&self) -> Option<u64> {
        sum_counted(self.phases.iter().filter_map(|row| row.requests))
    }

    /// Whether it counts in the figures: valid, and not of the warm-up round.
    pub fn counts(&self) -> bool {
        self.status == Status::Ok && self.round > 0
    }
}

/// Of several samples of the same cell, round and machine, as a resumed run has them, the one that stands:
/// the last that is ok, else the last that was measured to its end, else the last. By their
/// numbers.
pub fn standing<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Vec<&'a Sample> {
    let rank = |sample: &Sample| match sample.status {
        Status::Ok => 2,
        Status::Invalid | Status::Failed => 1,
        Status::Interrupted => 0,
    };
    let mut cells = CellNumbers::default();
    let place = |sample: &'a Sample| {
        let better = (Reverse(rank(sample)), Reverse(sample.sample));
        ((sample.machine, sample.round, cells.of(&sample.cell)), better, sample)
    };
    let mut placed: Vec<_> = samples.into_iter().map(place).collect();
    // No two are equal, and there may be a million: what sorts them is beside each, and not where
    // the sample is.
    placed.par_sort_unstable_by_key(|(place, better, _)| (*place, *better));
    placed.dedup_by_key(|(place, ..)| *place);
    placed.par_sort_unstable_by_key(|(place, (_, Reverse(number)), _)| (*number, *place));
    placed.into_iter().map(|(.., sample)| sample).collect()
}

/// Samples by their cells and the machines that they were measured on.
pub fn by_place<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Vec<Vec<&'a Sample>> {
    let mut cells = CellNumbers::default();
    let mut groups: BTreeMap<(Option<u32>, usize), Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        groups.entry((sample.machine, cells.of(&sample.cell))).or_default().push(sample);
    }
    groups.into_values().collect()
}

/// Samples by their cells, in the order in which these are first met.
pub fn by_cell<'a>(
    samples: impl IntoIterator<Item = &'a Sample>,
) -> Vec<(&'a Arc<Cell>, Vec<&'a Sample>)> {
    let mut cells = CellNumbers::default();
    let mut groups: Vec<(&Arc<Cell>, Vec<&Sample>)> = Vec::new();
    for sample in samples {
        let number = cells.of(&sample.cell);
        match groups.get_mut(number) {
            Some((_, group)) => group.push(sample),
            None => groups.push((&sample.cell, vec![sample])),
        }
    }
    groups
}

fn sum_counted(counted: impl Iterator<Item = u64>) -> Option<u64> {
    counted.fold(None, |sum, bytes| Some(sum.unwrap_or(0) + bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Builder, State};

    fn sample(number: u32, round: u32, strategy: &str, status: Status) -> Sample {
        let cell = Cell {
            workload: "w".to_owned(),
            change: "app".to_owned(),
            availability: "main".to_owned(),
            strategy: strategy.to_owned(),
            builder: Builder::Classic,
            link: "l".to_owned(),
            engine: "e".to_owned(),
            state: State::Cold,
            again: false,
        };
        Sample {
            sample: number,
            round,
            position: 0,
            machine: None,
            cell: cell.into(),
            status,
            reason: String::new(),
            phases: Phases::default(),
            steps: Steps::default(),
            cache_source: String::new(),
            image_bytes: None,
            workspace_hash: ContentHash::default(),
            started_at: String::new(),
            reset_s: 0.0,
            overhead_s: 0.0,
            noise: None,
            findings: Vec::new(),
        }
    }

    #[test]
    fn the_last_finished_sample_of_a_place_stands() {
        let samples = [
            sample(1, 1, "cold", Status::Failed),
            sample(2, 1, "pull", Status::Interrupted),
            sample(3, 1, "pull", Status::Ok),
            sample(4, 2, "pull", Status::Invalid),
            sample(5, 1, "cold", Status::Ok),
            sample(6, 2, "pull", Status::Interrupted),
            sample(7, 2, "cold", Status::Interrupted),
        ];
        let numbers: Vec<u32> = standing(&samples).iter().map(|sample| sample.sample).collect();
        assert_eq!(numbers, [3, 4, 5, 7]);
    }
}

//! A sample's requests and instructions, as lists that take little memory: what is the same in many
//! samples is there once and shared, and each sample has only its own numbers.
//!
//! They are made from records and give records back; as JSON they are lists of records.

mod read;

use super::sample::{PhaseRecord, StepRecord};
use super::step::Phase;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Stands for a number that was not counted. No link carries so many bytes.
const NOT_COUNTED: u64 = u64::MAX;

/// Every request of a job, in order.
#[derive(Clone, Default)]
pub struct Phases {
    requests: Arc<[Request]>,
    numbers: Box<[Numbers]>,
}

/// What is the same of a request in many samples.
struct Request {
    seq: u32,
    phase: Phase,
    operation: Box<str>,
    reference: Box<str>,
    within: bool,
}

/// What a request took.
#[derive(Clone, Copy)]
struct Numbers {
    duration_s: f64,
    bytes_down: u64,
    bytes_up: u64,
    requests: u64,
}

/// Every instruction of a job, in order.
#[derive(Clone, Default)]
pub struct Steps {
    instructions: Arc<Instructions>,
    /// NaN where the builder does not say.
    seconds: Box<[f64]>,
}

/// The instructions of a job, with what is counted of them.
#[derive(Default)]
struct Instructions {
    all: Box<[Instruction]>,
    different: usize,
    hits: usize,
}

/// What is the same of an instruction in many samples.
struct Instruction {
    build: u32,
    step: u32,
    stage: Box<str>,
    instruction: Box<str>,
    hit: bool,
}

/// One request, see [`PhaseRecord`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PhaseRow<'a> {
    /// Position within the job, from 0.
    pub seq: u32,
    /// The phase that it counts in.
    pub phase: Phase,
    /// What was done.
    pub operation: &'a str,
    /// The image or archive.
    pub reference: &'a str,
    /// Seconds, by the monotonic clock.
    pub duration_s: f64,
    /// Bytes from registry or storage; absent where nothing counts them.
    pub bytes_down: Option<u64>,
    /// Bytes to registry or storage; absent where nothing counts them.
    pub bytes_up: Option<u64>,
    /// Requests to registry or storage; absent where nothing counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Whether this row lies within another one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub within: bool,
}

/// One instruction, see [`StepRecord`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepRow<'a> {
    /// Which call of the builder in this job, from 0.
    pub build: u32,
    /// The stage.
    pub stage: &'a str,
    /// Position within the stage, from 1.
    pub step: u32,
    /// The instruction as the builder shows it.
    pub instruction: &'a str,
    /// Whether it was taken from a cache.
    pub hit: bool,
    /// Seconds, where the builder says.
    pub duration_s: Option<f64>,
}

impl StepRow<'_> {
    /// See [`StepRecord::makes_content`].
    pub fn makes_content(&self) -> bool {
        super::sample::makes_content(self.instruction)
    }
}

const fn counted(number: u64) -> Option<u64> {
    if number == NOT_COUNTED { None } else { Some(number) }
}

impl Phases {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Each in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = PhaseRow<'_>> + Clone {
        self.requests.iter().zip(&self.numbers).map(|(request, numbers)| PhaseRow {
            seq: request.seq,
            phase: request.phase,
            operation: &request.operation,
            reference: &request.reference,
            duration_s: numbers.duration_s,
            bytes_down: counted(numbers.bytes_down),
            bytes_up: counted(numbers.bytes_up),
            requests: counted(numbers.requests),
            within: request.within,
        })
    }

    /// As records.
    pub fn records(&self) -> Vec<PhaseRecord> {
        let record = |row: PhaseRow<'_>| PhaseRecord {
            seq: row.seq,
            phase: row.phase,
            operation: row.operation.to_owned(),
            reference: row.reference.to_owned(),
            duration_s: row.duration_s,
            bytes_down: row.bytes_down,
            bytes_up: row.bytes_up,
            requests: row.requests,
            within: row.within,
        };
        self.iter().map(record).collect()
    }

    /// Changes them as records.
    pub fn edit(&mut self, change: impl FnOnce(&mut Vec<PhaseRecord>)) {
        let mut records = self.records();
        change(&mut records);
        *self = records.into();
    }
}

impl Steps {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.seconds.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    /// How many different ones. A job may build several times; an instruction counts once.
    pub(super) fn different(&self) -> usize {
        self.instructions.different
    }

    /// How many different ones were taken from a cache in every build of the job.
    pub(super) fn hits(&self) -> usize {
        self.instructions.hits
    }

    /// What samples with the same instructions and hits have alike, mostly: where these lie. Two that
    /// have it alike differ in nothing but seconds.
    pub fn place(&self) -> usize {
        Arc::as_ptr(&self.instructions).addr()
    }

    /// Each in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = StepRow<'_>> + Clone {
        self.instructions.all.iter().zip(&self.seconds).map(|(one, seconds)| StepRow {
            build: one.build,
            stage: &one.stage,
            step: one.step,
            instruction: &one.instruction,
            hit: one.hit,
            duration_s: (!seconds.is_nan()).then_some(*seconds),
        })
    }

    /// As records.
    pub fn records(&self) -> Vec<StepRecord> {
        let record = |row: StepRow<'_>| StepRecord {
            build: row.build,
            stage: row.stage.to_owned(),
            step: row.step,
            instruction: row.instruction.to_owned(),
            hit: row.hit,
            duration_s: row.duration_s,
        };
        self.iter().map(record).collect()
    }

    /// Changes them as records.
    pub fn edit(&mut self, change: impl FnOnce(&mut Vec<StepRecord>)) {
        let mut records = self.records();
        change(&mut records);
        *self = records.into();
    }
}

impl FromIterator<Instruction> for Instructions {
    fn from_iter<I: IntoIterator<Item = Instruction>>(all: I) -> Self {
        let all: Box<[Instruction]> = all.into_iter().collect();
        let mut places = BTreeMap::new();
        for one in &all {
            *places.entry((&*one.stage, one.step)).or_insert(true) &= one.hit;
        }
        let (different, hits) = (places.len(), places.values().filter(|hit| **hit).count());
        Self { all, different, hits }
    }
}

impl FromIterator<PhaseRecord> for Phases {
    fn from_iter<I: IntoIterator<Item = PhaseRecord>>(records: I) -> Self {
        records.into_iter().collect::<Vec<_>>().into()
    }
}

impl FromIterator<StepRecord> for Steps {
    fn from_iter<I: IntoIterator<Item = StepRecord>>(records: I) -> Self {
        records.into_iter().collect::<Vec<_>>().into()
    }
}

impl PartialEq for Phases {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl PartialEq for Steps {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Phases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl Serialize for Steps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: &str = r#"[{"seq":0,"phase":"build","operation":"build","reference":"a \"b\"","duration_s":1.5,"bytes_down":null,"bytes_up":7},{"seq":1,"phase":"push","operation":"push","reference":"r","duration_s":0.1,"bytes_down":0,"bytes_up":null,"requests":3,"within":true}]"#;
    const STEPS: &str = r#"[{"build":0,"stage":"1","step":1,"instruction":"CMD [\"a\"]","hit":false,"duration_s":null},{"build":1,"stage":"builder","step":2,"instruction":"RUN x","hit":true,"duration_s":0.25}]"#;

    #[test]
    fn lists_are_read_and_written_as_they_were() {
        let phases: Phases = serde_json::from_str(PHASES).unwrap();
        assert_eq!(serde_json::to_string(&phases).unwrap(), PHASES);
        let records: Vec<PhaseRecord> = serde_json::from_str(PHASES).unwrap();
        assert_eq!(phases.records(), records);
        assert_eq!(Phases::from(records), phases);
        let steps: Steps = serde_json::from_str(STEPS).unwrap();
        assert_eq!(serde_json::to_string(&steps).unwrap(), STEPS);
        let records: Vec<StepRecord> = serde_json::from_str(STEPS).unwrap();
        assert_eq!(steps.records(), records);
        assert_eq!(Steps::from(records), steps);
    }

    #[test]
    fn what_is_the_same_is_shared_and_what_differs_is_not() {
        let one: Steps = serde_json::from_str(STEPS).unwrap();
        let mut other: Steps = serde_json::from_str(&STEPS.replace("0.25", "0.5")).unwrap();
        assert!(Arc::ptr_eq(&one.instructions, &other.instructions) && one != other);
        other.edit(|rows| rows[1].duration_s = Some(0.25));
        assert_eq!(one, other);
        other.edit(|rows| rows[1].hit = false);
        assert!(!Arc::ptr_eq(&one.instructions, &other.instructions) && one != other);
        assert!(one.iter().nth(1).unwrap().hit && one.iter().next().unwrap().duration_s.is_none());
    }

    #[test]
    fn more_lists_than_the_table_keeps_are_all_right() {
        let of = |at: usize| PHASES.replace("\"r\"", &format!("\"r{at}\""));
        let read = |at| serde_json::from_str::<Phases>(&of(at)).unwrap();
        let all: Vec<Phases> = (0..20_000).map(read).collect();
        assert!((0..20_000).all(|at| serde_json::to_string(&all[at]).unwrap() == of(at)));
    }
}

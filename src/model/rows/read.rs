//! How lists of requests and instructions are made from records, and read from JSON without copying a
//! text that is known already.

use super::super::sample::{PhaseRecord, StepRecord};
use super::super::shared::Table;
use super::super::step::Phase;
use super::{Instruction, Instructions, NOT_COUNTED, Numbers, Phases, Request, Steps};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

/// A record as it stands in a line of JSON, its texts where they are.
#[derive(Deserialize)]
struct PhaseIn<'a> {
    seq: u32,
    phase: Phase,
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(borrow)]
    reference: Cow<'a, str>,
    duration_s: f64,
    bytes_down: Option<u64>,
    bytes_up: Option<u64>,
    #[serde(default)]
    requests: Option<u64>,
    #[serde(default)]
    within: bool,
}

/// A record as it stands in a line of JSON, its texts where they are.
#[derive(Deserialize)]
struct StepIn<'a> {
    #[serde(default)]
    build: u32,
    #[serde(borrow)]
    stage: Cow<'a, str>,
    step: u32,
    #[serde(borrow)]
    instruction: Cow<'a, str>,
    hit: bool,
    duration_s: Option<f64>,
}

thread_local! {
    static REQUESTS: RefCell<Table<[Request]>> = RefCell::default();
    static INSTRUCTIONS: RefCell<Table<Instructions>> = RefCell::default();
}

impl PhaseIn<'_> {
    fn hash(&self, hasher: &mut impl Hasher) {
        let Self { seq, phase, operation, reference, within, .. } = self;
        (seq, phase, operation, reference, within).hash(hasher);
    }

    fn is(&self, known: &Request) -> bool {
        self.seq == known.seq
            && self.phase == known.phase
            && self.within == known.within
            && self.operation == *known.operation
            && self.reference == *known.reference
    }

    fn request(&self) -> Request {
        Request {
            seq: self.seq,
            phase: self.phase,
            operation: self.operation.as_ref().into(),
            reference: self.reference.as_ref().into(),
            within: self.within,
        }
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            duration_s: self.duration_s,
            bytes_down: self.bytes_down.unwrap_or(NOT_COUNTED),
            bytes_up: self.bytes_up.unwrap_or(NOT_COUNTED),
            requests: self.requests.unwrap_or(NOT_COUNTED),
        }
    }
}

impl StepIn<'_> {
    fn hash(&self, hasher: &mut impl Hasher) {
        let Self { build, stage, step, instruction, hit, .. } = self;
        (build, stage, step, instruction, hit).hash(hasher);
    }

    fn is(&self, known: &Instruction) -> bool {
        self.build == known.build
            && self.step == known.step
            && self.hit == known.hit
            && self.stage == *known.stage
            && self.instruction == *known.instruction
    }

    fn instruction(&self) -> Instruction {
        Instruction {
            build: self.build,
            step: self.step,
            stage: self.stage.as_ref().into(),
            instruction: self.instruction.as_ref().into(),
            hit: self.hit,
        }
    }
}

impl From<&[PhaseIn<'_>]> for Phases {
    fn from(rows: &[PhaseIn<'_>]) -> Self {
        let requests = REQUESTS.with_borrow_mut(|known| {
            let is = |known: &[Request]| {
                known.len() == rows.len()
                    && known.iter().zip(rows).all(|(known, row)| row.is(known))
            };
            let hash =
                |mut hasher: &mut dyn Hasher| rows.iter().for_each(|row| row.hash(&mut hasher));
            known.get(hash, is, || rows.iter().map(PhaseIn::request).collect())
        });
        Self { requests, numbers: rows.iter().map(PhaseIn::numbers).collect() }
    }
}

impl From<&[StepIn<'_>]> for Steps {
    fn from(rows: &[StepIn<'_>]) -> Self {
        let instructions = INSTRUCTIONS.with_borrow_mut(|known| {
            let is = |known: &Instructions| {
                known.all.len() == rows.len()
                    && known.all.iter().zip(rows).all(|(known, row)| row.is(known))
            };
            let hash =
                |mut hasher: &mut dyn Hasher| rows.iter().for_each(|row| row.hash(&mut hasher));
            known.get(hash, is, || Arc::new(rows.iter().map(StepIn::instruction).collect()))
        });
        let seconds = rows.iter().map(|row| row.duration_s.unwrap_or(f64::NAN)).collect();
        Self { instructions, seconds }
    }
}

impl From<Vec<PhaseRecord>> for Phases {
    fn from(records: Vec<PhaseRecord>) -> Self {
        let row = |record: PhaseRecord| PhaseIn {
            seq: record.seq,
            phase: record.phase,
            operation: record.operation.into(),
            reference: record.reference.into(),
            duration_s: record.duration_s,
            bytes_down: record.bytes_down,
            bytes_up: record.bytes_up,
            requests: record.requests,
            within: record.within,
        };
        records.into_iter().map(row).collect::<Vec<_>>().as_slice().into()
    }
}

impl From<Vec<StepRecord>> for Steps {
    fn from(records: Vec<StepRecord>) -> Self {
        let row = |record: StepRecord| StepIn {
            build: record.build,
            stage: record.stage.into(),
            step: record.step,
            instruction: record.instruction.into(),
            hit: record.hit,
            duration_s: record.duration_s,
        };
        records.into_iter().map(row).collect::<Vec<_>>().as_slice().into()
    }
}

/// Reads a list into room for as many records as most jobs have: JSON does not say how many come,
/// and a list that grows step by step is moved each time.
struct List<T>(PhantomData<T>);

/// Records that there is room for at once.
const ROOM: usize = 16;

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::with_capacity(ROOM);
        while let Some(next) = list.next_element()? {
            all.push(next);
        }
        Ok(all)
    }
}

impl<'de> Deserialize<'de> for Phases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows: Vec<PhaseIn<'de>> = deserializer.deserialize_seq(List::default())?;
        Ok(rows.as_slice().into())
    }
}

impl<'de> Deserialize<'de> for Steps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows: Vec<StepIn<'de>> = deserializer.deserialize_seq(List::default())?;
        Ok(rows.as_slice().into())
    }
}

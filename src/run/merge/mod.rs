//! The parts of a run, measured on several machines, put together as one run directory.
//!
//! What is paired was measured on one machine: a round is never split. So parts may come from
//! machines of different models, which becomes a finding; what decides what was measured (the
//! plan, what was built, the engines' versions) must be the same in all of them.

mod events;
mod same;

use super::journal::{self, Journal, JournalError};
use crate::model::event::Ending;
use crate::model::{Event, Plan, Shard};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Why parts cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// Reading a part or writing the whole.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A run that is no part.
    #[error(
        "{} is no part of a run: {why}. Name directories that `breakeven run --shard K/N` wrote",
        dir.display()
    )]
    NoPart {
        /// The directory.
        dir: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// Parts that did not measure the same.
    #[error(
        "{} and {} are not parts of the same run:\n  {}\nMeasure all parts with the same \
         configuration, context, engine and seed", first.display(), other.display(),
        differences.join("\n  ")
    )]
    Differ {
        /// The part that the others are held against.
        first: PathBuf,
        /// The first one that differs.
        other: PathBuf,
        /// What differs, a line each.
        differences: Vec<String>,
    },
    /// Not every part is there, once and whole.
    #[error(
        "the run is not whole:\n  {}\nMeasure what is missing (`breakeven run --resume DIR` goes on \
         with a part that was stopped), or add --partial: then the report says what it lacks",
        lacks.join("\n  ")
    )]
    NotWhole {
        /// What it lacks, a line each.
        lacks: Vec<String>,
    },
    /// A log could not be copied.
    #[error("copying {}: {source}. Choose another --out with enough room, or take the file away", path.display())]
    Log {
        /// Which.
        path: PathBuf,
        /// The operating system's message.
        source: io::Error,
    },
}

/// A part that was read.
struct Part {
    dir: PathBuf,
    shard: Shard,
    plan: Plan,
    events: Vec<Event>,
}

impl Part {
    fn read(dir: &Path) -> Result<Self, MergeError> {
        let journal::Recorded { plan, events, .. } = journal::read_run(dir)?;
        let no_part = |why: &str| MergeError::NoPart { dir: dir.to_owned(), why: why.to_owned() };
        if plan.machines.is_some() {
            return Err(no_part("it was merged from parts already"));
        }
        let shard = plan.shard.ok_or_else(|| no_part("it measured every round"))?;
        Ok(Self { dir: dir.to_owned(), shard, plan, events })
    }
}

/// Puts parts together into `out`, an absent or empty directory, as a run of id `run`. Unless it is
/// to be `partial`, every part must be there, once and complete.
pub fn merge(dirs: &[PathBuf], out: &Path, run: &str, partial: bool) -> Result<(), MergeError> {
    let mut parts: BTreeMap<u32, Part> = BTreeMap::new();
    let mut twice = Vec::new();
    let mut first: Option<Part> = None;
    for dir in dirs {
        let part = Part::read(dir)?;
        if let Some(first) = &first {
            let differences =
                same::differences(&first.plan, &first.events, &part.plan, &part.events);
            if !differences.is_empty() {
                let (first, other) = (first.dir.clone(), part.dir);
                return Err(MergeError::Differ { first, other, differences });
            }
        } else {
            first = Some(Part {
                dir: part.dir.clone(),
                plan: part.plan.clone(),
                events: part.events.clone(),
                ..part
            });
        }
        match parts.get(&part.shard.index) {
            None => _ = parts.insert(part.shard.index, part),
            Some(known) => twice.push(format!(
                "part {} is there twice: {} and {} (which is left out)",
                part.shard,
                known.dir.display(),
                part.dir.display()
            )),
        }
    }
    let lacks = [missing(&parts), twice, unfinished(&parts)].concat();
    if !lacks.is_empty() && !partial {
        return Err(MergeError::NotWhole { lacks });
    }
    let parts: Vec<Part> = parts.into_values().collect();
    let Some(whole) = events::whole(&parts, run, &lacks) else { return Ok(()) };
    let mut journal = Journal::create(out, &whole.plan)?;
    for (from, to) in &whole.logs {
        let to = out.join("logs").join(to);
        if from.exists() {
            std::fs::copy(from, to)
                .map_err(|source| MergeError::Log { path: from.clone(), source })?;
        }
    }
    for event in &whole.events {
        journal.append(event)?;
    }
    Ok(())
}

/// Parts that are not there.
fn missing(parts: &BTreeMap<u32, Part>) -> Vec<String> {
    let Some(one) = parts.values().next() else { return Vec::new() };
    let of = one.shard.of;
    let absent = (1..=of)
        .filter_map(|index| Shard::new(index, of))
        .filter(|shard| !parts.contains_key(&shard.index));
    let line = |shard: Shard| {
        let rounds: Vec<String> = (1..=one.plan.rounds)
            .filter(|round| shard.has(*round))
            .map(|round| round.to_string())
            .collect();
        format!("part {shard} is missing, with round {}", rounds.join(", "))
    };
    absent.map(line).collect()
}

/// Parts that did not measure all of their rounds.
fn unfinished(parts: &BTreeMap<u32, Part>) -> Vec<String> {
    let line = |part: &Part| {
        let how = match Ending::of(&part.events) {
            Some(Ending::Complete | Ending::Settled) => return None,
            Some(Ending::OutOfTime) => "its time budget was used up",
            Some(Ending::Interrupted) => "it was interrupted",
            Some(Ending::Aborted | Ending::NotWhole) => "it could not go on",
            None => "it was killed or is not over",
        };
        Some(format!("part {} ({}) is not complete: {how}", part.shard, part.dir.display()))
    };
    parts.values().filter_map(line).collect()
}

//! Which runs a history may do without.

use super::{Loaded, ObjectName};
use crate::trend::Summary;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What is kept whatever else is said. At least one of the two is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// The last so many runs.
    pub last: Option<usize>,
    /// Runs that are not older than this.
    pub younger_than: Option<Duration>,
}

/// An object that can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// Its name.
    pub name: ObjectName,
    /// The start of its run, RFC 3339, UTC; empty where it is not known.
    pub started_at: String,
}

/// Objects that are not kept, the oldest first: those of runs that neither reason keeps, and, with
/// them, shorter journals of the same runs and the parts that a run was merged from. A run whose start
/// is not known is not old.
pub fn select(loaded: &Loaded, keep: Keep, now: OffsetDateTime) -> Vec<Pruned> {
    if keep == Keep::default() {
        return Vec::new();
    }
    let first_kept = loaded.runs.len().saturating_sub(keep.last.unwrap_or(0));
    let old = |summary: &Summary| {
        let Some(limit) = keep.younger_than else { return true };
        let started = OffsetDateTime::parse(&summary.started_at, &Rfc3339);
        started.is_ok_and(|started| now - started > limit)
    };
    let mut pruned = Vec::new();
    for (name, summary) in loaded.runs[..first_kept].iter().filter(|(_, summary)| old(summary)) {
        let of = |name: &ObjectName| Pruned {
            name: name.clone(),
            started_at: summary.started_at.clone(),
        };
        let parts = loaded.parts.iter().filter(|(_, part)| summary.parts.contains(&part.run));
        let runs: Vec<&str> = std::iter::once(name)
            .chain(parts.clone().map(|(name, _)| name))
            .map(ObjectName::run)
            .collect();
        let shorter = loaded.superseded.iter().filter(|(other, _)| runs.contains(&other.run()));
        pruned.extend(shorter.chain(parts).map(|(name, _)| of(name)));
        pruned.push(of(name));
    }
    pruned
}

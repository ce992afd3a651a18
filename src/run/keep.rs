//! From a run directory into a history.

use super::publish::decided;
use super::{RunError, journal, secrets};
use crate::history::{History, Kept, ObjectName};
use crate::storage::Access;
use crate::trend::Summary;
use std::path::Path;

/// A run that was written into a history.
#[derive(Debug)]
pub struct KeptRun {
    /// The name of its object.
    pub name: ObjectName,
    /// Where it lies.
    pub address: String,
    /// Whether it was not there before.
    pub new: bool,
    /// Whether it is one of several parts of a run.
    pub part: bool,
}

/// Writes the run of a directory into the history at an address.
pub async fn keep(dir: &Path, address: &str, access: &Access) -> Result<KeptRun, RunError> {
    let history = History::open(address, access)?;
    let recorded = journal::read_run(dir)?;
    let lines: Vec<String> =
        recorded.events.iter().map(secrets::line).collect::<Result<_, _>>().map_err(|error| {
            crate::history::HistoryError::NotKept {
                run: recorded.plan.run.clone(),
                cause: error.to_string(),
            }
        })?;
    let mut published = decided(recorded.plan, recorded.events, recorded.torn);
    // What the journal itself says, without what is told from all of it together.
    published.events.truncate(lines.len());
    let summary = Summary::of(&published.plan, &published.events, &published.decision);
    let kept = Kept { summary: &summary, plan: &published.plan, lines: &lines };
    let (name, new) = history.add(&kept).await?;
    let part = published.plan.shard.is_some();
    Ok(KeptRun { name, address: history.shown().to_owned(), new, part })
}

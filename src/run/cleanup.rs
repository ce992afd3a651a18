//! What a killed run left behind, and its removal: `breakeven clean`.

use super::RunError;
use super::ledger::{self, Leftover};
use crate::engine::{Engine, EngineError};
use crate::{registry, storage, workspace};
use std::path::Path;
use std::sync::Arc;

/// Connects to the engine at an address, or to the default one.
pub type Connect<'a> = &'a dyn Fn(Option<&str>) -> Result<Arc<dyn Engine>, EngineError>;

/// What was removed of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// Id of the run.
    pub run: String,
    /// Tags, images and build cache records that were removed from the engine.
    pub removed: usize,
}

/// Removes what killed runs left, oldest first: their managed registry, what their last session
/// made on the engine, their part of the shared storage and their temporary folder. A living run
/// is left alone. Stops at the first run that cannot be cleaned; its ledger is kept, so that
/// another `clean` can try again.
pub async fn clean(folder: &Path, connect: Connect<'_>) -> Result<Vec<Cleaned>, RunError> {
    let mut cleaned = Vec::new();
    for leftover in ledger::leftovers(folder)? {
        cleaned.push(clean_one(leftover, connect).await?);
    }
    Ok(cleaned)
}

async fn clean_one(leftover: Leftover, connect: Connect<'_>) -> Result<Cleaned, RunError> {
    let header = &leftover.header;
    registry::kill_leftover(&header.scratch.join("registry")).await?;
    let mut removed = 0;
    if let Some(open) = &leftover.open {
        let engine = connect(header.engine.as_deref())?;
        let found = engine.leftovers(&open.owned, &open.before, &open.trace).await?;
        removed = found.tags.len() + found.images.len() + found.records.len();
        engine.reset(&found, &open.before).await?;
    }
    if let Some(address) = &header.storage {
        storage::remove_leftover(address, &header.run).await?;
    }
    workspace::remove(&header.scratch)?;
    let run = header.run.clone();
    leftover.forget()?;
    Ok(Cleaned { run, removed })
}

//! What a killed run left behind, and its removal: `breakeven clean`.

use super::alone;
use super::ledger::{self, Leftover};
use super::{RunError, lifecycle};
use crate::engine::{Engine, EngineError, Owned, SharedEngine, buildah, private};
use crate::{registry, storage, workspace};
use std::path::Path;
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// What was removed of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Id of the run.
    pub run: String,
    /// Containers, volumes and networks of private engines, removed from the user's.
    pub engines: usize,
    /// Commands of Buildah's that still ran, ended.
    pub builds: usize,
    /// Tags removed from the engine.
    pub tags: usize,
    /// Images removed from it.
    pub images: usize,
    /// Build cache records removed from it.
    pub records: usize,
}

/// Removes what killed runs left, oldest first: their managed registry, what their last session
/// made on the engine, their part of the shared storage and their temporary folder. A living run
/// is left alone. Stops at the first run that cannot be cleaned; its ledger is kept, so that
/// another `clean` can try again.
pub async fn clean(folder: &Path) -> Result<Vec<Cleaned>, RunError> {
    let mut cleaned = Vec::new();
    let mut in_use = None;
    alone::forget_dead(folder);
    for leftover in ledger::leftovers(folder)? {
        match clean_one(leftover, false).await {
            Ok(one) => cleaned.push(one),
            // It may be so for as long as the engine runs; other runs need not wait for that.
            Err(error @ RunError::StillInUse { .. }) => _ = in_use.get_or_insert(error),
            Err(error) => return Err(error),
        }
    }
    in_use.map_or(Ok(cleaned), Err)
}

/// Removes what one run left. `goes_on`: because it is going to go on, which build cache records
/// that are still in use do not keep it from; they are forgotten with a warning.
pub async fn clean_run(folder: &Path, run: &str, goes_on: bool) -> Result<(), RunError> {
    for leftover in ledger::leftovers(folder)?.into_iter().filter(|one| one.header.run == run) {
        clean_one(leftover, goes_on).await?;
    }
    Ok(())
}

/// Waits until the builder of a run that was killed a moment ago has had the time to end what it was
/// doing: a copy, for one, is finished although its client is gone.
async fn wait_for_builder(leftover: &Leftover) {
    let window = leftover.open.as_ref().and_then(|open| open.trace.windows.last());
    let left = window.map_or(time::Duration::ZERO, |(_, end)| *end - OffsetDateTime::now_utc());
    // Never longer than a moment, even if the clock was set back meanwhile.
    let left = left.clamp(time::Duration::ZERO, ledger::GRACE).unsigned_abs();
    tokio::time::sleep(left).await;
}

/// Time between two looks at what a session left.
const PAUSE: Duration = Duration::from_millis(250);

/// Removes what a session made, until a look finds nothing more: on a busy machine what its builder
/// made last is listed late, and lies upon what is being removed. Returns all of it.
async fn remove_made(engine: &impl Engine, open: &ledger::Open) -> Result<Owned, EngineError> {
    let mut all = open.owned.clone();
    let until = Instant::now() + ledger::GRACE.unsigned_abs();
    let mut first = true;
    loop {
        let mut found = engine.leftovers(&open.owned, &open.before, &open.trace).await?;
        let more = std::mem::take(&mut first) || !found.images.is_empty();
        all.records.extend(found.records.iter().cloned());
        all.images.extend(found.images.iter().cloned());
        found.tags.extend(open.owned.tags.iter().cloned());
        found.images.extend(open.owned.images.iter().cloned());
        let is_late = Instant::now() > until;
        match engine.reset(&found, &open.before).await {
            Err(error) if !is_late && error.is_built_upon() => {}
            Err(error) => return Err(error),
            Ok(()) if is_late || !more => return Ok(all),
            Ok(()) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Names what a build that was broken off left on Podman and nobody but the user can tell whose it is.
/// Images that it holds cannot be removed, which then says so again.
async fn name_working(engine: &SharedEngine, open: &ledger::Open) {
    let working = match engine.working_containers(&open.trace).await {
        Ok(working) if working.is_empty() => return,
        Ok(working) => working.join(" "),
        Err(error) => return tracing::warn!("{error}"),
    };
    tracing::warn!(
        "while the run was building, working containers of Buildah's were made on {}, and are still \
         there: `docker rm --force {working}` removes them, if no build of yours works in them",
        open.engine
    );
}

async fn clean_one(leftover: Leftover, goes_on: bool) -> Result<Cleaned, RunError> {
    let header = &leftover.header;
    let mut cleaned = Cleaned { run: header.run.clone(), ..Cleaned::default() };
    let mut in_use = false;
    wait_for_builder(&leftover).await;
    registry::kill_leftover(&lifecycle::registry_folder(&header.scratch))?;
    cleaned.builds = buildah::remove_leftovers(&header.scratch)?;
    for address in &header.private {
        cleaned.engines += private::remove_leftovers(Some(address), &header.run).await?;
    }
    if let Some(open) = &leftover.open {
        let engine = SharedEngine::connect(Some(&open.engine)).await?;
        let there = engine.snapshot().await?;
        name_working(&engine, open).await;
        let found = remove_made(&engine, open).await?;
        cleaned.tags = found.tags.iter().filter(|tag| there.tags.contains_key(*tag)).count();
        cleaned.records = found.records.len();
        let left = engine.snapshot().await?;
        cleaned.images = there.images.difference(&left.images).count();
        in_use |= !found.records.is_disjoint(&left.records);
    }
    for (address, build) in &leftover.given_up {
        let engine = SharedEngine::connect(Some(address)).await?;
        let there = engine.snapshot().await?;
        in_use |= !engine.remove_given_up(std::slice::from_ref(build)).await?.is_empty();
        let left = engine.snapshot().await?;
        cleaned.records += there.records.difference(&left.records).count();
    }
    if in_use && !goes_on {
        return Err(RunError::StillInUse { run: header.run.clone() });
    }
    if let Some(address) = &header.storage {
        let own_storage = lifecycle::storage_folder(&header.scratch);
        storage::remove(address, &header.run, &own_storage).await?;
    }
    workspace::remove(&header.scratch)?;
    leftover.forget()?;
    Ok(cleaned)
}

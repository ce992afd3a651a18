//! A run from the first thing that it makes to the last one that it removes.
//!
//! Removal is armed before anything is made, goes in reverse, and never hides the first error.

use super::RunError;
use super::bench::{Sites, World};
use super::cleanup;
use super::clock::SystemClock;
use super::execute::{Outcome, execute};
use super::journal::Journal;
use super::ledger::{self, Header, Ledger};
use super::line::Line;
use super::machine::Reading;
use super::sites;
use crate::engine::EngineHost;
use crate::link::{Limiter, Shape};
use crate::model::{Event, Plan};
use crate::storage::Access;
use crate::{registry, storage, workspace};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The folder of a run's workspaces, archives and managed registry.
pub fn scratch(run: &str) -> PathBuf {
    std::env::temp_dir().join(format!("breakeven-{run}"))
}

/// The folder of the managed registry within a run's folder.
pub fn registry_folder(scratch: &Path) -> PathBuf {
    scratch.join("registry")
}

/// The folder of the run's own storage, and of notes about the user's, within a run's folder.
pub fn storage_folder(scratch: &Path) -> PathBuf {
    scratch.join("storage")
}

/// Where the engines of a plan come from, by their names.
pub type Hosts = BTreeMap<String, Arc<dyn EngineHost>>;

/// What a run's ledger begins with.
pub(super) fn header(plan: &Plan, hosts: &Hosts, scratch: &Path) -> Header {
    Header {
        run: plan.run.clone(),
        private: hosts
            .values()
            .filter(|host| host.is_private())
            .filter_map(|host| host.daemon().map(str::to_owned))
            .collect(),
        scratch: scratch.to_owned(),
        storage: plan.storage.clone(),
    }
}

/// Carries out a plan on its engines into its journal, which lies in `out`. A run that was stopped
/// goes on where its journal ends, once what it left behind is removed.
pub async fn conduct(
    plan: &Plan,
    hosts: Hosts,
    (mut journal, out): (Journal, &Path),
    cancel: &CancellationToken,
    listener: &(dyn Fn(&Event) + Send + Sync),
) -> Result<Outcome, RunError> {
    if journal.is_reopened() {
        cleanup::clean_run(&ledger::folder(), &plan.run, true).await?;
    }
    let scratch = scratch(&plan.run);
    let ledger = Ledger::create(&ledger::folder(), &header(plan, &hosts, &scratch))?;
    let result =
        with_scratch(plan, hosts, &mut journal, &ledger, (&scratch, out), cancel, listener).await;
    let removed = workspace::remove(&scratch).map_err(RunError::from);
    // Where something may be left, the ledger stays, so that `breakeven clean` finds it.
    let closed = !matches!(&result, Ok((_, Err(_))));
    let mut given_up = false;
    if removed.is_ok() && closed && !ledger.is_open() {
        given_up = ledger.has_given_up();
        if given_up {
            drop(ledger);
        } else {
            ledger.close()?;
        }
    }
    let (outcome, closed) = result?;
    closed?;
    removed?;
    if given_up && let Err(error) = cleanup::clean_run(&ledger::folder(), &plan.run, false).await {
        tracing::warn!("{error}");
    }
    Ok(outcome)
}

type Closed = Result<(), RunError>;

async fn with_scratch(
    plan: &Plan,
    hosts: Hosts,
    journal: &mut Journal,
    ledger: &Ledger,
    (scratch, out): (&Path, &Path),
    cancel: &CancellationToken,
    listener: &(dyn Fn(&Event) + Send + Sync),
) -> Result<(Outcome, Closed), RunError> {
    let own_storage = storage_folder(scratch);
    std::fs::create_dir_all(&own_storage).map_err(RunError::scratch(scratch))?;
    let registry: Arc<dyn registry::Registry> =
        registry::open(&plan.registry, &plan.run, &registry_folder(scratch)).await?.into();
    let mut sites = Sites::new();
    let opened = async {
        // Registry and storage are reached over the same line.
        let limiter = Limiter::new(&Shape::default());
        sites::open(plan, hosts, &registry, &limiter, &mut sites).await?;
        let line = Line::open(plan, &limiter).await?;
        let access = line.as_ref().map_or_else(Access::of_process, Line::access);
        let address = plan.storage.as_deref();
        let storage = storage::open(address, &plan.run, &own_storage, &access).await?;
        Ok::<_, RunError>((line, storage))
    };
    let (line, storage): (Option<Line>, Arc<dyn storage::Storage>) = match opened.await {
        Ok((line, storage)) => (line, storage.into()),
        Err(error) => {
            // The first error is the one that counts.
            let _ = sites::close(&sites).await;
            let _ = registry.close().await;
            return Err(error);
        }
    };
    let world = World {
        sites,
        storage,
        line,
        clock: Arc::new(SystemClock::default()),
        machine: || Some(Reading::take()),
    };
    let logs = out.join("logs");
    let outcome = execute(plan, &world, journal, ledger, (scratch, &logs), cancel, listener).await;
    let limit_s = plan.limits.cleanup_s;
    let closing = async {
        let sites = sites::close(&world.sites).await;
        let storage = world.storage.close().await.map_err(RunError::from);
        if let Some(line) = &world.line {
            line.close().await;
        }
        let registry = registry.close().await.map_err(RunError::from);
        sites.and(storage).and(registry)
    };
    let closed = tokio::time::timeout(Duration::from_secs_f64(limit_s), closing)
        .await
        .unwrap_or(Err(RunError::ResetTimedOut { limit_s }));
    Ok((outcome?, closed))
}

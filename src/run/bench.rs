//! What all sessions of a run share: the plan, the world that it runs in, and the ledger.

use super::RunError;
use super::job::Made;
use super::ledger::Ledger;
use crate::engine::{Engine, Owned, Snapshot};
use crate::model::plan::Edit;
use crate::model::{Builder, Event, Plan};
use crate::registry::Registry;
use crate::storage::Storage;
use crate::strategy::{self, Job};
use crate::workspace::{self, Prepared};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;

/// Everything outside of ours that a run works with, behind traits.
pub struct World {
    /// The daemon.
    pub engine: Arc<dyn Engine>,
    /// The registry.
    pub registry: Arc<dyn Registry>,
    /// The shared storage.
    pub storage: Arc<dyn Storage>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
}

/// What all sessions of a run share.
pub struct Bench<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Engine, registry, storage, clocks.
    pub world: &'a World,
    /// What the run made, for `clean`.
    pub ledger: &'a Ledger,
    /// The first error of writing the ledger in the middle of a session.
    pub ledger_error: Mutex<Option<super::ledger::LedgerError>>,
    /// Folder of workspaces and archives.
    pub scratch: &'a Path,
    /// Folder of the samples' logs.
    pub logs: &'a Path,
    /// Cancelled when the user stops the run.
    pub cancel: &'a CancellationToken,
    /// Told of every event.
    pub listener: &'a (dyn Fn(&Event) + Send + Sync),
}

impl Bench<'_> {
    /// A job on the candidate that measured jobs push as.
    pub fn job(&self, workload: &str, builder: Builder) -> Job {
        job(self.plan, self.world.registry.prefix(), workload, builder)
    }

    /// Writes down what a session made.
    pub fn made(&self, what: Made<'_>) {
        let written = match what {
            Made::Tag(tag) => self.ledger.tag(tag),
            Made::Image(id) => self.ledger.image(id),
        };
        if let Err(error) = written {
            let mut first = self.ledger_error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error);
        }
    }

    /// Makes a workspace and writes down what will be built in it.
    pub fn prepare(
        &self,
        workload: &str,
        edits: &[&Edit],
        nonce: &str,
        folder: &Path,
    ) -> Result<Prepared, RunError> {
        let prepared = workspace::prepare(&self.plan.workloads[workload], edits, nonce, folder)?;
        let text =
            std::fs::read(&prepared.dockerfile).map_err(RunError::scratch(&prepared.dockerfile))?;
        self.ledger.dockerfile(&String::from_utf8_lossy(&text))?;
        Ok(prepared)
    }

    /// Puts the engine back, within its time limit.
    pub async fn reset(&self, owned: &Owned, before: &Snapshot) -> Result<(), RunError> {
        let limit_s = self.plan.limits.cleanup_s;
        match tokio::time::timeout(
            Duration::from_secs_f64(limit_s),
            self.world.engine.reset(owned, before),
        )
        .await
        {
            Ok(Ok(())) => {
                self.ledger.put_back();
                Ok(())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(RunError::ResetTimedOut { limit_s }),
        }
    }
}

/// A job of a plan on the candidate that measured jobs push as.
pub fn job(plan: &Plan, prefix: &str, workload: &str, builder: Builder) -> Job {
    let stages = plan.workloads.get(workload).map(|w| w.stages.clone()).unwrap_or_default();
    Job {
        repository: format!("{prefix}/{workload}"),
        candidates: plan.candidates.iter().map(|candidate| candidate.name.clone()).collect(),
        own: plan.own_candidate().to_owned(),
        stages,
        pull: plan.pull,
        builder,
    }
}

/// Ids of the strategies that a plan measures on a workload with a builder, in table order.
pub fn competitors(plan: &Plan, workload: &str, builder: Builder) -> Vec<String> {
    strategy::STRATEGIES
        .iter()
        .map(|strategy| strategy.id)
        .filter(|id| {
            plan.cells.iter().any(|cell| {
                cell.workload == workload && cell.builder == builder && cell.strategy == *id
            })
        })
        .map(str::to_owned)
        .collect()
}

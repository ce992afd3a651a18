//! What all sessions of a run share: the plan, the world that it runs in, and the ledger.

use super::RunError;
use super::job::{JobError, Made};
use super::ledger::Ledger;
use super::machine::Reading;
use crate::engine::{Engine, EngineHost, Snapshot};
use crate::link::{Proxy, Shape};
use crate::model::plan::{Edit, LinkPlan, Revision, Workload};
use crate::model::{Builder, Cell, Event, Plan};
use crate::registry::{Registry, RegistryError, Seed};
use crate::storage::Storage;
use crate::strategy::{self, Job, Strategy};
use crate::workspace::{self, Prepared};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::line::Line;

/// Bytes below which a disk counts as full.
const NO_ROOM: u64 = 1 << 20;

/// Everything outside of ours that a run works with, behind traits.
pub struct World {
    /// Each engine of the plan by name, with what its jobs reach.
    pub sites: Sites,
    /// The shared storage.
    pub storage: Arc<dyn Storage>,
    /// The link between jobs and the storage; none where it is not shaped.
    pub line: Option<Line>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// How busy the machine is; looked at before and after each job.
    pub machine: fn() -> Option<Reading>,
}

/// Each engine of a plan by name.
pub type Sites = BTreeMap<String, Site>;

/// An engine and the registry as that engine reaches it.
pub struct Site {
    /// Where its engines come from.
    pub host: Arc<dyn EngineHost>,
    /// The registry.
    pub registry: Arc<dyn Registry>,
    /// The link in front of the registry; none where jobs go straight to it.
    pub link: Option<Proxy>,
    /// The state of the registry that holds the base images which its engines pull, if they do.
    pub bases: Option<Seed>,
}

impl Site {
    /// Puts the registry into the state that holds the union of these seeds, and base images.
    pub async fn restore(&self, seeds: &[Seed]) -> Result<(), RegistryError> {
        let all: Vec<Seed> = seeds.iter().chain(&self.bases).cloned().collect();
        self.registry.restore(&all).await
    }

    /// Gives the link a shape.
    pub fn shape(&self, link: &LinkPlan) {
        if let Some(proxy) = &self.link {
            proxy.set_shape(&Shape::from(link));
        }
    }
}

/// What all sessions of a run share.
pub struct Bench<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Engines, registry, storage, clocks.
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
    /// How often the run was started before.
    pub part: usize,
}

impl Bench<'_> {
    /// A text that no other sample's edits have. A sample that was lost when the run was killed
    /// may have left something in an external registry, so its number alone is not enough.
    pub fn nonce(&self, number: u32) -> String {
        match self.part {
            0 => format!("{}-{number}", self.plan.run),
            part => format!("{}-{part}-{number}", self.plan.run),
        }
    }

    /// Why a job failed, in words. Where no room is left in the run's own folder this says so: a managed
    /// registry keeps there what is pushed, and tells the engine no more than "500".
    pub fn why(&self, error: &JobError) -> String {
        let room = rustix::fs::statvfs(self.scratch).map(|disk| disk.f_bavail * disk.f_frsize);
        let mut why = error.to_string();
        if matches!(room, Ok(bytes) if bytes < NO_ROOM) && !why.contains(" is full") {
            let scratch = self.scratch.display();
            let _ = write!(
                why,
                ". The disk of {scratch} is full, where the run's registry, workspaces and archives \
                 are: free space there or set TMPDIR"
            );
        }
        why
    }

    /// The site of an engine; every engine that a cell names is in the plan.
    pub fn site(&self, engine: &str) -> &Site {
        &self.world.sites[engine]
    }

    /// Gives the links of a site and of the storage a shape.
    pub fn shape(&self, site: &Site, link: &LinkPlan) {
        site.shape(link);
        if let Some(line) = &self.world.line {
            line.shape(link);
        }
    }

    /// A job on the candidate that measured jobs push as.
    pub fn job(&self, engine: &str, workload: &str, builder: Builder) -> Job {
        job(self.plan, self.site(engine).registry.prefix(), workload, builder)
    }

    /// Takes an engine as a fresh runner has it. What is on it now is not ours.
    pub async fn begin(&self, site: &Site) -> Result<Begun, RunError> {
        let engine = site.host.fresh().await?;
        let before = engine.snapshot().await?;
        // Nothing on an engine of ours alone has to be put back.
        let address = (!site.host.is_private()).then(|| site.host.address());
        self.ledger.begin(address, &before)?;
        Ok(Begun { engine, before })
    }

    /// Writes down what a session made.
    pub fn made(&self, what: Made<'_>) {
        let written = match what {
            Made::Tag(tag) => self.ledger.tag(tag),
            Made::Image(id) => self.ledger.image(id),
            Made::Dockerfile(text) => self.ledger.dockerfile(text),
        };
        if let Err(error) = written {
            let mut first = self.ledger_error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error);
        }
    }

    /// The workspace of a change.
    pub fn prepare_change(
        &self,
        workload: &str,
        change: &str,
        nonce: &str,
        folder: &Path,
    ) -> Result<Prepared, RunError> {
        if let Some(commit) = self.plan.commit(change) {
            return self.lay_out(workload, &commit.built, folder);
        }
        let change = self.plan.changes.get(change);
        let edits: Vec<_> = change.iter().flat_map(|change| &change.edits).collect();
        self.prepare(workload, &edits, nonce, folder)
    }

    /// The workspace that a candidate was built from, as the jobs of a change find it: without the
    /// changes that it lacks or, under a replay, the commit's parent.
    pub fn prepare_candidate(
        &self,
        workload: &str,
        change: Option<&str>,
        candidate: &str,
        folder: &Path,
    ) -> Result<Prepared, RunError> {
        let plan = self.plan;
        if let Some(commit) = change.and_then(|change| plan.commit(change)) {
            return self.lay_out(workload, &commit.before, folder);
        }
        let found = plan.candidates.iter().find(|known| known.name == candidate);
        let edits: Vec<_> = found
            .iter()
            .flat_map(|candidate| &candidate.lacks)
            .filter_map(|name| plan.changes.get(name))
            .flat_map(|change| &change.edits)
            .collect();
        self.prepare(workload, &edits, &format!("{}-{candidate}", plan.run), folder)
    }

    fn lay_out(
        &self,
        workload: &str,
        revision: &Revision,
        folder: &Path,
    ) -> Result<Prepared, RunError> {
        let workload = &self.plan.workloads[workload];
        self.noted(workspace::prepare_commit(workload, &revision.commit, folder)?)
    }

    fn prepare(
        &self,
        workload: &str,
        edits: &[&Edit],
        nonce: &str,
        folder: &Path,
    ) -> Result<Prepared, RunError> {
        let workload = &self.plan.workloads[workload];
        self.noted(workspace::prepare(workload, edits, nonce, folder)?)
    }

    /// Writes down what will be built in a workspace.
    fn noted(&self, prepared: Prepared) -> Result<Prepared, RunError> {
        self.ledger.dockerfile(&read_dockerfile(&prepared)?)?;
        Ok(prepared)
    }

    /// Gives an engine back, within the time limit.
    pub async fn end(&self, site: &Site, begun: Begun) -> Result<(), RunError> {
        let limit_s = self.plan.limits.cleanup_s;
        let owned = self.ledger.owned();
        let engine = Arc::clone(&begun.engine);
        let release = site.host.release(begun.engine, &owned, &begun.before);
        let released = tokio::time::timeout(Duration::from_secs_f64(limit_s), release).await;
        if let Some(link) = &site.link {
            link.answer_again();
        }
        match released {
            Ok(Ok(())) => {
                self.ledger.put_back();
                self.ledger.given_up(site.host.address(), engine.given_up())?;
                Ok(())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(RunError::ResetTimedOut { limit_s }),
        }
    }
}

/// The text of a prepared Dockerfile.
pub fn read_dockerfile(prepared: &Prepared) -> Result<String, RunError> {
    let text =
        std::fs::read(&prepared.dockerfile).map_err(RunError::scratch(&prepared.dockerfile))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// An engine in hand, with what was on it before.
pub struct Begun {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// What was on it.
    pub before: Snapshot,
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
        suffix: plan.archive.compression.suffix(),
        image_manifest: plan.image_manifest,
    }
}

/// The strategies that these cells of a plan measure on a workload with a builder and an engine,
/// in table order.
pub fn competitors(
    plan: &Plan,
    cells: &[&Cell],
    (engine, workload, builder): (&str, &str, Builder),
) -> Vec<Strategy> {
    let is_measured = |strategy: &Strategy| {
        cells.iter().any(|cell| {
            cell.workload == workload
                && cell.builder == builder
                && cell.engine == engine
                && cell.strategy == strategy.id
        })
    };
    strategy::table(&plan.strategies).into_iter().filter(is_measured).collect()
}

/// The folder that a plan's commands are typed in: the configuration file's.
pub fn home(plan: &Plan) -> &Path {
    plan.config.parent().unwrap_or(Path::new("/"))
}

/// A path as it is typed in a folder. Both are absolute. Where they lie in one folder below the root,
/// what is typed holds wherever that one is checked out.
pub fn relative(path: &Path, home: &Path) -> String {
    let name = |path: &Path| path.components().nth(1).map(|name| name.as_os_str().to_owned());
    let typed = match name(path) == name(home) {
        true => pathdiff::diff_paths(path, home).unwrap_or_else(|| path.to_owned()),
        false => path.to_owned(),
    };
    match typed.as_os_str().as_encoded_bytes() {
        [] => ".".to_owned(),
        // Not to be taken for an option.
        [b'-', ..] => format!("./{}", typed.display()),
        _ => typed.display().to_string(),
    }
}

/// A workload's Dockerfile as it is typed in a folder; `None` if it need not be.
pub fn typed_dockerfile(workload: &Workload, home: &Path) -> Option<String> {
    let usual = workload.context.join("Dockerfile") == workload.dockerfile;
    (!usual).then(|| relative(&workload.dockerfile, home))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_typed_so_that_it_holds_in_another_checkout() {
        let typed = |path: &str| relative(Path::new(path), Path::new("/srv/app/packaging"));
        assert_eq!(typed("/srv/app/packaging"), ".");
        assert_eq!(typed("/srv/app/packaging/-odd"), "./-odd");
        assert_eq!(typed("/srv/app/packaging/Dockerfile.test"), "Dockerfile.test");
        assert_eq!(typed("/srv/app"), "..");
        assert_eq!(typed("/srv/app/src"), "../src");
        assert_eq!(typed("/mnt/app"), "/mnt/app");
    }
}

//! Holding the final image of every cell against one that was built without cache from the same
//! workspace, once, after the warm-up round. All warm-up samples of a workload and change have the
//! same nonce for this.

use super::{Tree, archive};
use crate::engine::{Engine, StepLog};
use crate::model::finding as kinds;
use crate::model::plan::ArchivePlan;
use crate::model::{Builder, Cell, CellKey, Finding, ImageRef, State, Step};
use crate::run::RunError;
use crate::run::bench::Bench;
use crate::run::job::{JobContext, JobRecord, carry_out};
use crate::strategy;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Cells whose images have to be the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    engine: String,
    workload: String,
    change: String,
    builder: Builder,
}

impl Group {
    fn of(cell: &Cell) -> Self {
        Self {
            engine: cell.engine.clone(),
            workload: cell.workload.clone(),
            change: cell.change.clone(),
            builder: cell.builder,
        }
    }
}

/// A cell with its image, or why there is none.
type Seen = (Cell, Result<Arc<Tree>, String>);

/// The final images of the warm-up round.
#[derive(Debug, Default)]
pub struct Likeness {
    /// Every cell. Equal images are held once.
    seen: BTreeMap<Group, Vec<Seen>>,
}

/// What came of holding them against each other.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is to be said of the run.
    pub findings: Vec<Finding>,
    /// Cells whose image is another one, with what differs.
    pub wrong: BTreeMap<CellKey, String>,
}

/// The nonce of every warm-up sample.
pub fn nonce(run: &str) -> String {
    format!("{run}-warm-up")
}

/// Exports an image that is on the engine and reads it.
pub async fn export(engine: &dyn Engine, image: &ImageRef, folder: &Path) -> Result<Tree, String> {
    let file = folder.join("final-image.tar");
    let plain = ArchivePlan::default();
    let saved =
        engine.save(std::slice::from_ref(image), &file, &plain, &mut StepLog::default()).await;
    saved.map_err(|error| error.to_string())?;
    let at = file.clone();
    let read = tokio::task::spawn_blocking(move || archive::read(&at)).await;
    if let Err(error) = std::fs::remove_file(&file) {
        tracing::warn!("{}: {error}", file.display());
    }
    let read = read.map_err(|error| error.to_string())?;
    read.map_err(|error| format!("the exported image could not be read: {error}"))
}

impl Likeness {
    /// Notes the image of a warm-up sample.
    pub fn note(&mut self, cell: &Cell, image: Result<Tree, String>) {
        let group = self.seen.entry(Group::of(cell)).or_default();
        let image = image.map(|tree| {
            let mut known = group.iter().filter_map(|(_, known)| known.as_ref().ok());
            known.find(|known| ***known == tree).cloned().unwrap_or_else(|| Arc::new(tree))
        });
        group.push((cell.clone(), image));
    }

    /// Holds all that was noted against builds without cache. Where something differs, one more is
    /// made, so that a step that gives other content each time is not laid at a cache's door.
    pub async fn conclude(self, bench: &Bench<'_>) -> Result<Verdict, RunError> {
        let mut verdict = Verdict::default();
        for (group, cells) in self.seen {
            conclude(bench, &group, &cells, &mut verdict).await?;
        }
        Ok(verdict)
    }
}

async fn conclude(
    bench: &Bench<'_>,
    group: &Group,
    cells: &[Seen],
    verdict: &mut Verdict,
) -> Result<(), RunError> {
    let mut images = Vec::new();
    for (cell, image) in cells {
        match image {
            Ok(tree) => images.push((cell, tree)),
            Err(why) => {
                let detail = format!("{}: {why}", cell.key());
                verdict.findings.push(Finding::new(&kinds::IMAGE_NOT_COMPARED, detail));
            }
        }
    }
    let cold = images.iter().filter(|(cell, _)| cell.state == State::Cold);
    let mut without_cache: Vec<Arc<Tree>> = cold.map(|(_, tree)| Arc::clone(tree)).collect();
    let mut made = |tree: Result<Tree, String>| match tree {
        Ok(tree) => Some(Arc::new(tree)),
        Err(why) => {
            let detail = format!("{}/{} on {}: {why}", group.workload, group.change, group.engine);
            verdict.findings.push(Finding::new(&kinds::IMAGE_NOT_COMPARED, detail));
            None
        }
    };
    if without_cache.is_empty() {
        if images.is_empty() {
            return Ok(());
        }
        without_cache.extend(made(build_cold(bench, group).await?));
    }
    let Some(reference) = without_cache.first().cloned() else { return Ok(()) };
    if images.iter().all(|(_, tree)| **tree == reference) {
        return Ok(());
    }
    if without_cache.len() < 2 {
        without_cache.extend(made(build_cold(bench, group).await?));
    }
    let unsteady: BTreeSet<usize> =
        without_cache.iter().flat_map(|other| reference.layers_unlike(other)).collect();
    let steps: Vec<String> = unsteady.iter().map(|at| step(&reference, *at)).collect();
    if !steps.is_empty() {
        let detail = format!(
            "workload {}, change {}, {} on {}: {}",
            group.workload,
            group.change,
            group.builder,
            group.engine,
            steps.join("; ")
        );
        verdict.findings.push(Finding::new(&kinds::STEP_NOT_REPRODUCIBLE, detail));
    }
    for (cell, tree) in images {
        let difference = reference.difference(tree, &unsteady);
        if !difference.is_none() {
            let key = cell.key();
            let detail = format!("{key}: {difference}");
            verdict.findings.push(Finding::new(&kinds::IMAGE_DIFFERS, detail));
            verdict.wrong.insert(key, difference.to_string());
        }
    }
    Ok(())
}

/// A layer by the instruction that made it.
fn step(tree: &Tree, layer: usize) -> String {
    const LONGEST: usize = 80;
    let Some(instruction) = tree.made_by.get(layer) else { return format!("layer {layer}") };
    let instruction = instruction.trim_start_matches("/bin/sh -c ").trim_start_matches("#(nop) ");
    let short: String = instruction.chars().take(LONGEST).collect();
    format!("layer {layer} `{}`", short.trim())
}

/// Builds the warm-up's workspace without any cache on a fresh engine.
async fn build_cold(bench: &Bench<'_>, group: &Group) -> Result<Result<Tree, String>, RunError> {
    let plan = bench.plan;
    let site = bench.site(&group.engine);
    let folder = tempfile::tempdir_in(bench.scratch).map_err(RunError::scratch(bench.scratch))?;
    let place = folder.path().join("workspace");
    let prepared =
        bench.prepare_change(&group.workload, &group.change, &nonce(&plan.run), &place)?;
    let job = bench.job(&group.engine, &group.workload, group.builder);
    let cold = strategy::ours("cold").map(|cold| cold.steps(&job)).unwrap_or_default();
    let builds: Vec<Step> =
        cold.into_iter().filter(|step| matches!(step, Step::Build(_))).collect();
    site.restore(&[]).await?;
    let begun = bench.begin(site).await?;
    let made = |what: crate::run::job::Made<'_>| bench.made(what);
    let context = JobContext {
        engine: begun.engine.as_ref(),
        storage: bench.world.storage.as_ref(),
        clock: bench.world.clock.as_ref(),
        link: None,
        workload: &plan.workloads[&group.workload],
        builder: group.builder,
        prepared: &prepared,
        scratch: folder.path(),
        archive: plan.archive,
        limits: &plan.limits,
        cancel: bench.cancel,
        made: &made,
        listener: &|_| {},
    };
    let mut record = JobRecord::default();
    let tree = match carry_out(&context, &builds, &mut record).await {
        Ok(()) => export(begun.engine.as_ref(), &job.own_image(), folder.path()).await,
        Err(error) => Err(error.to_string()),
    };
    let ended = bench.end(site, begun).await;
    if let Err(error) = crate::workspace::remove(folder.path()) {
        tracing::warn!("{error}");
    }
    ended?;
    Ok(tree)
}

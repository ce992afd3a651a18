//! A whole run: seed, then round after round, each sample recorded before the next.

use super::bench::{Bench, World};
use super::clock::stamp;
use super::image::Likeness;
use super::journal::Journal;
use super::ledger::Ledger;
use super::proof::Across;
use super::{RunError, links, probe, scheduler, seed, session};
use crate::engine::{EngineError, known_bad};
use crate::model::event::{Ending, JOURNAL_VERSION};
use crate::model::finding as kinds;
use crate::model::{Cell, Event, Finding, Plan, Status};
use crate::workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// How.
    pub ending: Ending,
    /// Samples that failed or are invalid.
    pub not_ok: usize,
    /// What ended it early, if something did.
    pub error: Option<RunError>,
}

/// How often the ledger is touched while a run is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Carries out a plan into a journal.
///
/// Everything that goes wrong after the journal exists ends up in it; what is returned as an
/// error here is only that the journal itself could not be written.
pub async fn execute(
    plan: &Plan,
    world: &World,
    journal: &mut Journal,
    ledger: &Ledger,
    dirs: (&Path, &Path),
    cancel: &CancellationToken,
    listener: &(dyn Fn(&Event) + Send + Sync),
) -> Result<Outcome, RunError> {
    let (scratch, logs) = dirs;
    let bench = Bench {
        plan,
        world,
        ledger,
        ledger_error: Mutex::new(None),
        scratch,
        logs,
        cancel,
        listener,
    };
    let mut recorder = Recorder { journal, listener };
    let began = world.clock.now();
    recorder.record(&Event::RunStarted {
        version: JOURNAL_VERSION,
        run: plan.run.clone(),
        at: stamp(world.clock.wall()),
    })?;
    let mut counts = 0;
    let beat = async {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            ledger.heartbeat();
        }
    };
    let result = tokio::select! {
        result = measure(&bench, &mut recorder, began, &mut counts) => result,
        () = beat => Ok(Ending::Aborted),
    };
    let (ending, error) = match result {
        Ok(ending) => (ending, None),
        Err(_) if cancel.is_cancelled() => (Ending::Interrupted, None),
        Err(error) => (Ending::Aborted, Some(error)),
    };
    recorder.record(&Event::RunEnded {
        ending,
        reason: error.as_ref().map(ToString::to_string).unwrap_or_default(),
        at: stamp(world.clock.wall()),
        duration_s: (world.clock.now() - began).as_secs_f64(),
    })?;
    Ok(Outcome { ending, not_ok: counts, error })
}

struct Recorder<'a> {
    journal: &'a mut Journal,
    listener: &'a (dyn Fn(&Event) + Send + Sync),
}

impl Recorder<'_> {
    fn record(&mut self, event: &Event) -> Result<(), RunError> {
        self.journal.append(event)?;
        (self.listener)(event);
        Ok(())
    }
}

async fn measure(
    bench: &Bench<'_>,
    recorder: &mut Recorder<'_>,
    began: Duration,
    not_ok: &mut usize,
) -> Result<Ending, RunError> {
    let plan = bench.plan;
    let mut across = Across::default();
    for finding in run_findings(bench, &mut across).await? {
        recorder.record(&Event::RunFinding { finding })?;
    }
    let pristine = pristine(bench)?;
    let probed = probe::probe_engines(bench).await?;
    let mut left_out = BTreeSet::new();
    let mut why_not = None;
    for event in &probed {
        recorder.record(event)?;
        if let Event::Unsupported { cells, reason, advice, .. } = event {
            left_out.extend(cells.iter().cloned());
            why_not.get_or_insert((reason.clone(), advice.clone()));
        }
    }
    let cells: Vec<&Cell> =
        plan.cells.iter().filter(|cell| !left_out.contains(&cell.key())).collect();
    if let (true, Some((reason, advice))) = (cells.is_empty(), why_not) {
        return Err(RunError::NothingSupported { reason, advice });
    }
    let seeds = seed::seed(bench, &cells).await?;
    for event in links::measure(bench, &cells).await? {
        recorder.record(&event)?;
    }
    let mut images = Likeness::default();
    let slots = scheduler::order(cells.len(), plan.rounds, plan.seed);
    let of = u32::try_from(slots.len()).unwrap_or(u32::MAX);
    let mut round = 0;
    for (number, slot) in (1u32..).zip(slots) {
        if slot.round != round {
            round = slot.round;
            for site in bench.world.sites.values() {
                site.host.round_over().await?;
            }
        }
        if bench.cancel.is_cancelled() {
            return Ok(Ending::Interrupted);
        }
        let elapsed = bench.world.clock.now() - began;
        if plan.max_time_s.is_some_and(|limit| elapsed.as_secs_f64() >= limit) {
            return Ok(Ending::OutOfTime);
        }
        let cell = cells[slot.cell];
        tracing::debug!("sample {number}: {}", cell.key());
        (bench.listener)(&Event::SampleStarted {
            sample: number,
            of,
            round: slot.round,
            cell: cell.key(),
        });
        if slot.round == 1 && slot.position == 0 {
            let images = std::mem::take(&mut images).conclude(bench).await?;
            for finding in images.findings {
                recorder.record(&Event::RunFinding { finding })?;
            }
            across.wrong(images.wrong);
        }
        let session::Sampled { mut sample, bases, image, failed_reset } =
            session::sample(bench, &seeds, &pristine[&cell.workload], number, (slot, cell)).await;
        across.judge(&mut sample, &bases);
        if let Some(image) = image {
            images.note(cell, image);
        }
        let status = sample.status;
        *not_ok += usize::from(matches!(status, Status::Failed | Status::Invalid));
        recorder.record(&Event::SampleFinished { sample: Box::new(sample) })?;
        if status == Status::Interrupted {
            return Ok(Ending::Interrupted);
        }
        if status == Status::Failed {
            // A failed step is the sample's; an engine that is gone is the run's.
            bench.site(&cell.engine).host.facts().await?;
        }
        let mut first =
            bench.ledger_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(error) = first.take() {
            return Err(error.into());
        }
        drop(first);
        // Later samples would find what this one left.
        failed_reset.map_or(Ok(()), Err)?;
    }
    Ok(Ending::Complete)
}

/// Hash of every file of every workload as the user has it.
fn pristine(bench: &Bench<'_>) -> Result<BTreeMap<String, BTreeMap<String, String>>, RunError> {
    let mut all = BTreeMap::new();
    for (name, workload) in &bench.plan.workloads {
        let folder =
            tempfile::tempdir_in(bench.scratch).map_err(RunError::scratch(bench.scratch))?;
        let prepared = workspace::prepare(workload, &[], "", &folder.path().join("workspace"))?;
        all.insert(name.clone(), prepared.files);
    }
    Ok(all)
}

/// What is known of the whole run before it begins.
async fn run_findings(bench: &Bench<'_>, across: &mut Across) -> Result<Vec<Finding>, EngineError> {
    let mut findings = Vec::new();
    for (name, site) in &bench.world.sites {
        let facts = site.host.facts().await?;
        for bad in known_bad::known_bad(&facts.version, &facts.store) {
            let detail = format!(
                "engine {name}, {} ({}): {}. {} ({})",
                facts.version, facts.store, bad.what, bad.advice, bad.source
            );
            findings.push(Finding::new(&kinds::KNOWN_BAD_ENGINE, detail));
        }
    }
    // On an engine of this run's alone a base image is pulled, as on a fresh runner.
    for (engine, site) in bench.world.sites.iter().filter(|(_, site)| !site.host.is_private()) {
        for (name, workload) in &bench.plan.workloads {
            let mut present = Vec::new();
            for base in &workload.bases {
                if let Some(facts) = site.host.users().inspect(base).await? {
                    across.base(engine, base, &facts.id);
                    present.push(format!("{base} {}", facts.id));
                }
            }
            if !present.is_empty() {
                let detail = format!("workload {name}: {} (kept)", present.join(", "));
                findings.push(Finding::new(&kinds::BASE_PRESENT, detail));
            }
        }
    }
    for site in bench.world.sites.values().filter(|site| !site.registry.restores_fully()) {
        findings.push(Finding::new(&kinds::REGISTRY_NOT_RESTORED, site.registry.prefix()));
    }
    findings.dedup();
    if bench.world.sites.values().any(|site| site.link.is_none()) {
        findings.push(Finding::new(&kinds::BYTES_NOT_COUNTED, "pull, push and cache import"));
    }
    Ok(findings)
}

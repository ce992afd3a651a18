//! A whole run: seed, then round after round, each sample recorded before the next.

use super::bench::{Bench, World};
use super::clock::stamp;
use super::image::Likeness;
use super::journal::Journal;
use super::ledger::Ledger;
use super::proof::Across;
use super::resume::{self, Earlier};
use super::stopping::Stopping;
use super::{RunError, deploy, links, probe, scheduler, seed, session};
use crate::engine::EngineError;
use crate::engine::known_bad::{self, KnownBad};
use crate::model::event::{Ending, JOURNAL_VERSION};
use crate::model::finding as kinds;
use crate::model::{Cell, CellKey, Event, Finding, Plan, Status};
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
    /// Samples that failed or are invalid, in all parts of a resumed run.
    pub not_ok: usize,
    /// What ended it early, if something did.
    pub error: Option<RunError>,
}

/// How often the ledger is touched while a run is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Carries out a plan into a journal. What the journal holds as finished is not measured again.
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
    let earlier = journal.take_earlier();
    let bench = Bench {
        plan,
        world,
        ledger,
        ledger_error: Mutex::new(None),
        scratch,
        logs,
        cancel,
        listener,
        part: earlier.parts(),
    };
    let mut recorder = Recorder { journal, listener };
    let began = world.clock.now();
    let (version, at) = (JOURNAL_VERSION, stamp(world.clock.wall()));
    recorder.record(&match earlier.is_nothing() {
        true => Event::RunStarted { version, run: plan.run.clone(), at },
        false => {
            let (torn, retry_failed) = (earlier.torn(), earlier.retries_failed());
            Event::RunResumed { version, at, torn, retry_failed }
        }
    })?;
    let mut statuses = earlier.statuses().clone();
    let beat = async {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            ledger.heartbeat();
        }
    };
    let result = tokio::select! {
        result = measure(&bench, &mut recorder, &earlier, began, &mut statuses) => result,
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
    let not_ok = statuses.values().filter(|s| matches!(s, Status::Failed | Status::Invalid));
    Ok(Outcome { ending, not_ok: not_ok.count(), error })
}

struct Recorder<'a> {
    journal: &'a mut Journal,
    listener: &'a (dyn Fn(&Event) + Send + Sync),
}

impl Recorder<'_> {
    fn record(&mut self, event: &Event) -> Result<(), RunError> {
        self.journal.append(event)?;
        self.tell(event);
        Ok(())
    }

    /// Tells whoever listens, and records nothing.
    fn tell(&self, event: &Event) {
        (self.listener)(event);
    }
}

async fn measure(
    bench: &Bench<'_>,
    recorder: &mut Recorder<'_>,
    earlier: &Earlier,
    began: Duration,
    statuses: &mut BTreeMap<(u32, CellKey), Status>,
) -> Result<Ending, RunError> {
    let plan = bench.plan;
    if earlier.contents().is_none() {
        let hosts = bench.world.sites.iter().map(|(name, site)| (name, &site.host));
        recorder.record(&Event::Contents { hashes: resume::contents(plan, hosts).await? })?;
    }
    let mut across = Across::default();
    for finding in run_findings(bench, &mut across).await? {
        recorder.record(&Event::RunFinding { finding })?;
    }
    let pristine = pristine(bench)?;
    let probed = probe::probe_engines(bench).await?;
    earlier.same_engines(&probed, bench.logs.parent().unwrap_or(bench.logs))?;
    let mut left_out = BTreeSet::new();
    let mut why_not = None;
    for event in &probed {
        recorder.record(event)?;
        match event {
            Event::EngineFacts { engine, version, store } => {
                for finding in known_bad(engine, version, store) {
                    recorder.record(&Event::RunFinding { finding })?;
                }
            }
            Event::Unsupported(found) => {
                left_out.extend(found.cells.iter().cloned());
                why_not.get_or_insert((found.reason.clone(), found.advice.clone()));
            }
            _ => {}
        }
    }
    let cells: Vec<&Cell> =
        plan.measured().filter(|cell| !left_out.contains(&cell.key())).collect();
    if let (true, Some((reason, advice))) = (cells.is_empty(), why_not) {
        return Err(RunError::NothingSupported { reason, advice });
    }
    let seeds = seed::seed(bench, &cells).await?;
    for event in links::measure(bench, &cells).await? {
        recorder.record(&event)?;
    }
    let mut images = Some(Likeness::default());
    if let Some(wrong) = earlier.compared() {
        across.wrong(wrong);
        images = None;
    }
    let mut slots = scheduler::order(cells.len(), plan.rounds, plan.seed);
    slots.retain(|slot| plan.has_round(slot.round));
    slots.retain(|slot| {
        let finished = earlier.finished(slot.round, &cells[slot.cell].key());
        if let (true, 0, Some(images)) = (finished, slot.round, &mut images) {
            let why = "its warm-up sample was measured before the run was resumed";
            images.note(cells[slot.cell], Err(why.to_owned()));
        }
        !finished
    });
    let mut stopping = Stopping::new(plan, &cells, earlier);
    let mut of = stopping.samples(earlier.last(), &slots, &cells);
    let mut number = earlier.last();
    let mut round = 0;
    for (at, slot) in slots.iter().enumerate() {
        let begins = slot.round != round;
        if begins {
            round = slot.round;
            for site in bench.world.sites.values() {
                site.host.round_over().await?;
            }
        }
        if bench.cancel.is_cancelled() {
            return Ok(Ending::Interrupted);
        }
        if begins && let Some(look) = stopping.look(round - 1) {
            let (settled, verdicts) = (look.settled, look.of);
            recorder.tell(&Event::Looked { round: look.round, settled, of: verdicts });
            if look.is_over() {
                return Ok(Ending::Settled);
            }
            for left in look.leaving {
                recorder.record(&Event::StrategyLeft { left: Box::new(left.clone()) })?;
                stopping.leaves(left);
            }
            of = stopping.samples(number, &slots[at..], &cells);
        }
        let elapsed = bench.world.clock.now() - began;
        if plan.max_time_s.is_some_and(|limit| elapsed.as_secs_f64() >= limit) {
            return Ok(Ending::OutOfTime);
        }
        let ways = begins.then(|| deploy::ways(bench, &seeds, &cells, round));
        for way in ways.into_iter().flatten() {
            if let Some(event) = deploy::pull(bench, &way, round).await? {
                recorder.record(&event)?;
            }
        }
        let cell = cells[slot.cell];
        if stopping.is_left(cell) {
            continue;
        }
        number += 1;
        tracing::debug!("sample {number}: {}", cell.key());
        (bench.listener)(&Event::SampleStarted {
            sample: number,
            of,
            round: slot.round,
            cell: cell.key(),
        });
        if let Some(images) = images.take_if(|_| slot.round > 0) {
            let images = images.conclude(bench).await?;
            for finding in images.findings {
                recorder.record(&Event::RunFinding { finding })?;
            }
            recorder.record(&Event::ImagesCompared { wrong: images.wrong.clone() })?;
            across.wrong(images.wrong);
        }
        let session::Sampled { mut sample, bases, image, failed_reset } =
            session::sample(bench, &seeds, &pristine[&cell.workload], number, (*slot, cell)).await;
        across.judge(&mut sample, &bases);
        if let (Some(image), Some(images)) = (image, &mut images) {
            images.note(cell, image);
        }
        let status = sample.status;
        statuses.insert((slot.round, cell.key()), status);
        stopping.note(&sample);
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

/// Trap 31: what is known to be wrong with an engine.
fn known_bad(engine: &str, version: &str, store: &str) -> Vec<Finding> {
    let finding = |bad: &KnownBad| {
        let KnownBad { what, advice, source, .. } = bad;
        let detail = format!("engine {engine}, {version} ({store}): {what}. {advice} ({source})");
        Finding::new(&kinds::KNOWN_BAD_ENGINE, detail)
    };
    known_bad::known_bad(version, store).into_iter().map(finding).collect()
}

/// What is known of the whole run before it begins.
async fn run_findings(bench: &Bench<'_>, across: &mut Across) -> Result<Vec<Finding>, EngineError> {
    let mut findings = Vec::new();
    // What an engine of this run's alone is shows only once it runs, and a base image is pulled
    // there, as on a fresh runner.
    for (name, site) in bench.world.sites.iter().filter(|(_, site)| !site.host.is_private()) {
        let facts = site.host.facts().await?;
        findings.extend(known_bad(name, &facts.version, &facts.store));
    }
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

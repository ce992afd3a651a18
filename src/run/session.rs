//! One sample's life: prepare, measure, collect; then the engine is put back.

mod evidence;

use super::RunError;
use super::bench::{Begun, Bench, Site};
use super::clock::stamp;
use super::image::{self, Tree};
use super::job::{JobContext, JobError, JobRecord, Made, carry_out};
use super::proof::{self, Around, Left, RemoteFacts};
use super::scheduler::Slot;
use super::seed::{SeedOf, Seeds};
use crate::engine::Engine;
use crate::model::finding as kinds;
use crate::model::plan::{LinkPlan, Workload};
use crate::model::{
    Cell, ContentHash, Event, Finding, ImageRef, Phases, Sample, Status, Step, Steps,
};
use crate::registry::Seed;
use crate::secret::redacted;
use crate::strategy::{self, CacheFrom, Job, Strategy};
use crate::workspace::{self, Prepared};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// How a job ended, with what is known of it.
enum End {
    Ran(Prepared, Result<(), JobError>),
    NotPrepared(RunError),
}

/// A sample, and what only the whole run can judge.
pub struct Sampled {
    /// The sample.
    pub sample: Sample,
    /// The images that the bases' tags name on the engine.
    pub bases: BTreeMap<String, String>,
    /// The final image of a warm-up sample, or why it could not be read.
    pub image: Option<Result<Tree, String>>,
    /// Why the engine could not be put back, if it could not.
    pub failed_reset: Option<RunError>,
}

/// Measures one sample. Whatever goes wrong becomes part of the sample; only a failure to put
/// the engine back is an error of its own, given beside it.
pub async fn sample(
    bench: &Bench<'_>,
    seeds: &Seeds,
    pristine: &BTreeMap<String, String>,
    number: u32,
    (slot, cell): (Slot, &Cell),
) -> Sampled {
    let clock = &bench.world.clock;
    let began = clock.now();
    let mut sample = Sample {
        sample: number,
        round: slot.round,
        position: slot.position,
        machine: None,
        cell: cell.clone().into(),
        status: Status::Failed,
        reason: String::new(),
        phases: Phases::default(),
        steps: Steps::default(),
        cache_source: String::new(),
        image_bytes: None,
        workspace_hash: ContentHash::default(),
        started_at: stamp(clock.wall()),
        reset_s: 0.0,
        overhead_s: 0.0,
        noise: None,
        findings: Vec::new(),
    };
    let mut session = Session {
        bench,
        cell,
        site: bench.site(&cell.engine),
        record: JobRecord::default(),
        remote: BTreeMap::new(),
        left: BTreeMap::new(),
        around: Around::default(),
        bases: BTreeMap::new(),
        job_span: None,
        reset: Duration::ZERO,
    };
    let mut image = None;
    let mut failed_reset = None;
    match tempfile::tempdir_in(bench.scratch).map_err(RunError::scratch(bench.scratch)) {
        Err(error) => sample.reason = error.to_string(),
        Ok(folder) => {
            let warm_up = slot.round == 0;
            let name = match warm_up {
                true => image::nonce(&bench.plan.run),
                false => bench.nonce(number),
            };
            match session.begin().await {
                Err(error) => sample.reason = error.to_string(),
                Ok(begun) => {
                    let engine = begun.engine.as_ref();
                    let end = session.run(engine, seeds, &name, folder.path()).await;
                    session.conclude(engine, end, seeds, pristine, &mut sample).await;
                    if warm_up && matches!(sample.status, Status::Ok | Status::Invalid) {
                        let final_image = session.job().own_image();
                        image = Some(image::export(engine, &final_image, folder.path()).await);
                    } else if warm_up {
                        image = Some(Err(format!("the warm-up sample is {}", sample.status)));
                    }
                    let started = clock.now();
                    let (used, known) = (Arc::clone(&begun.engine), begun.engine.given_up());
                    failed_reset = bench.end(session.site, begun).await.err();
                    session.reset += clock.now() - started;
                    if used.given_up().iter().any(|build| !known.contains(build)) {
                        let what = "build cache records of this sample's build are in use";
                        sample.findings.push(Finding::new(&kinds::BUILD_GOES_ON, what));
                    }
                }
            }
            // A context may hold folders that only this can remove.
            if let Err(error) = workspace::remove(folder.path()) {
                tracing::warn!("{error}");
            }
        }
    }
    let log = bench.logs.join(format!("{number:04}.log"));
    let text = format!("{}\n{}\n{}\n", cell.key(), session.record.log.text(), sample.reason);
    if let Err(error) = std::fs::write(&log, redacted(&text).as_bytes()) {
        tracing::warn!("the log {} could not be written: {error}", log.display());
    }
    sample.phases = session.record.phases.into();
    sample.steps = session.record.steps.into();
    sample.noise = session.around.noise.map(Box::new);
    sample.reset_s = session.reset.as_secs_f64();
    let whole = (clock.now() - began).as_secs_f64();
    sample.overhead_s = (whole - sample.total_s() - sample.reset_s).max(0.0);
    Sampled { sample, bases: session.bases, image, failed_reset }
}

struct Session<'a, 'b> {
    bench: &'a Bench<'b>,
    cell: &'a Cell,
    site: &'a Site,
    record: JobRecord,
    remote: BTreeMap<ImageRef, RemoteFacts>,
    left: BTreeMap<ImageRef, Left>,
    around: Around,
    bases: BTreeMap<String, String>,
    /// When the job began and ended, by the wall clock.
    job_span: Option<(OffsetDateTime, OffsetDateTime)>,
    /// Time spent on putting things into their earlier state.
    reset: Duration,
}

impl Session<'_, '_> {
    fn workload(&self) -> &Workload {
        self.bench.plan.workload(&self.cell.workload, &self.cell.change)
    }

    fn job(&self) -> Job {
        Job {
            stages: self.workload().stages.clone(),
            ..self.bench.job(&self.cell.engine, &self.cell.workload, self.cell.builder)
        }
    }

    /// Candidates that exist in this cell, best first, with what they left.
    fn existing<'s>(&self, seeds: &'s Seeds) -> Vec<&'s SeedOf> {
        let plan = self.bench.plan;
        let availability = plan.availabilities.iter().find(|a| a.name == self.cell.availability);
        let have = availability.map(|a| a.have.as_slice()).unwrap_or_default();
        have.iter().filter_map(|candidate| seeds.get(self.cell, candidate)).collect()
    }

    /// Armed before anything is made: what is on the engine now is not ours.
    async fn begin(&mut self) -> Result<Begun, RunError> {
        (self.bench.listener)(&Event::PhaseStarted { phase: None });
        let clock = &self.bench.world.clock;
        let started = clock.now();
        let begun = self.bench.begin(self.site).await;
        self.reset += clock.now() - started;
        let begun = begun?;
        self.around.private = self.site.host.is_private();
        self.around.before.clone_from(&begun.before);
        Ok(begun)
    }

    async fn run(&mut self, engine: &dyn Engine, seeds: &Seeds, name: &str, folder: &Path) -> End {
        let Some(strategy) = strategy::find(self.bench.plan, &self.cell.strategy) else {
            let id = self.cell.strategy.clone();
            return End::NotPrepared(RunError::UnknownStrategy(id));
        };
        let prepared = match self.prepare(engine, &strategy, seeds, name, folder).await {
            Ok(prepared) => prepared,
            Err(error) => return End::NotPrepared(error),
        };
        let steps = strategy.steps(&self.job());
        let looked_up = match self.remote(&steps).await {
            Ok(remote) => self.left(&steps).await.map(|left| (remote, left)),
            Err(error) => Err(error),
        };
        (self.remote, self.left) = match looked_up {
            Ok(looked_up) => looked_up,
            Err(error) => return End::NotPrepared(error),
        };
        if strategy.cache == CacheFrom::Engine {
            // What a kept runner has is there when its job begins.
            match engine.snapshot().await {
                Ok(kept) => self.around.before = kept,
                Err(error) => return End::NotPrepared(error.into()),
            }
        }
        let mut record = JobRecord::default();
        // What is prepared and looked up goes past the link.
        let bench = self.bench;
        bench.shape(self.site, &bench.plan.links[&self.cell.link]);
        let machine = bench.world.machine;
        let (before, began) = (machine(), bench.world.clock.now());
        let result = self.carry_out(engine, &prepared, folder, &steps, &mut record, true).await;
        // By the clock as it is now, should it have been set meanwhile.
        let ended = bench.world.clock.wall();
        self.job_span = Some((ended - (bench.world.clock.now() - began), ended));
        self.around.noise = machine().zip(before).map(|(after, before)| after.since(&before));
        bench.shape(self.site, &LinkPlan::default());
        self.record = record;
        End::Ran(prepared, result)
    }

    async fn carry_out(
        &self,
        engine: &dyn Engine,
        prepared: &Prepared,
        folder: &Path,
        steps: &[Step],
        record: &mut JobRecord,
        announced: bool,
    ) -> Result<(), JobError> {
        let made = |what: Made<'_>| self.bench.made(what);
        let silent = |_: &Event| {};
        let context = JobContext {
            engine,
            storage: self.bench.world.storage.as_ref(),
            clock: self.bench.world.clock.as_ref(),
            link: self.site.link.as_ref(),
            workload: self.workload(),
            builder: self.cell.builder,
            prepared,
            scratch: folder,
            archive: self.bench.plan.archive,
            limits: &self.bench.plan.limits,
            cancel: self.bench.cancel,
            made: &made,
            listener: if announced { self.bench.listener } else { &silent },
        };
        carry_out(&context, steps, record).await
    }

    /// Puts registry, storage and (for a kept runner) the engine into the state that the cell's
    /// earlier builds left, and makes the workspace.
    async fn prepare(
        &mut self,
        engine: &dyn Engine,
        strategy: &Strategy,
        seeds: &Seeds,
        name: &str,
        folder: &Path,
    ) -> Result<Prepared, RunError> {
        let bench = self.bench;
        let started = bench.world.clock.now();
        let existing = self.existing(seeds);
        let wanted: Vec<Seed> = existing.iter().map(|seed| seed.seed.clone()).collect();
        let names: Vec<String> = wanted.iter().map(|seed| seed.0.clone()).collect();
        // What a pull or load brings has no name yet where the engine dies in the middle of it.
        for (_, image) in existing.iter().flat_map(|seed| &seed.facts.images) {
            bench.made(Made::Image(&image.id));
        }
        self.site.restore(&wanted).await?;
        bench.world.storage.restore(&names).await?;
        if strategy.cache == CacheFrom::Engine {
            self.keep_runner(engine, &existing, folder).await?;
        }
        self.reset += bench.world.clock.now() - started;
        let place = folder.join("workspace");
        bench.prepare_change(&self.cell.workload, &self.cell.change, name, &place)
    }

    /// Builds the existing candidates on the engine, oldest first, as a kept runner did before.
    async fn keep_runner(
        &self,
        engine: &dyn Engine,
        existing: &[&SeedOf],
        folder: &Path,
    ) -> Result<(), RunError> {
        let plan = self.bench.plan;
        for seed in existing.iter().rev() {
            let name = &seed.facts.name;
            let place = folder.join(format!("kept-{name}"));
            let change = Some(self.cell.change.as_str());
            let prepared =
                self.bench.prepare_candidate(&self.cell.workload, change, name, &place)?;
            let job = Job { own: name.clone(), ..self.job() };
            let builds: Vec<Step> = strategy::find(plan, &self.cell.strategy)
                .map(|strategy| strategy.steps(&job))
                .unwrap_or_default()
                .into_iter()
                .filter(|step| matches!(step, Step::Build(_)))
                .collect();
            let mut record = JobRecord::default();
            self.carry_out(engine, &prepared, folder, &builds, &mut record, false).await?;
        }
        Ok(())
    }

    /// Collects what proves the sample, and decides what became of it.
    async fn conclude(
        &mut self,
        engine: &dyn Engine,
        end: End,
        seeds: &Seeds,
        pristine: &BTreeMap<String, String>,
        sample: &mut Sample,
    ) {
        let (prepared, result) = match end {
            End::NotPrepared(error) => {
                let interrupted = self.bench.cancel.is_cancelled();
                sample.status = if interrupted { Status::Interrupted } else { Status::Failed };
                sample.reason = format!("preparing: {error}");
                return;
            }
            End::Ran(prepared, result) => (prepared, result),
        };
        sample.workspace_hash = prepared.hash.as_str().into();
        let retried = self.record.retried.iter();
        sample.findings.extend(retried.map(|what| Finding::new(&kinds::RETRIED, what.as_str())));
        match result {
            Ok(()) => {}
            Err(error @ JobError::Interrupted { .. }) => {
                sample.status = Status::Interrupted;
                sample.reason = error.to_string();
                return;
            }
            Err(error) => {
                sample.status = Status::Failed;
                sample.reason = self.bench.why(&error);
                sample.findings.extend(proof::of_failure(&error));
                return;
            }
        }
        match self.collect(engine, &prepared, seeds, pristine).await {
            Ok(collected) => {
                sample.status = Status::Ok;
                if let Some(reason) = collected.proof.invalid() {
                    sample.status = Status::Invalid;
                    sample.reason = reason;
                }
                sample.findings.extend(collected.proof.findings);
                sample.cache_source = collected.proof.cache_source;
                sample.image_bytes = collected.image_bytes;
            }
            Err(error) => {
                sample.status = Status::Failed;
                sample.reason = format!("collecting: {error}");
            }
        }
    }
}

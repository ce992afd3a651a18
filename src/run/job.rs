//! Carrying out one CI job: a strategy's steps one after another, each timed on its own.

mod timing;

use super::clock::Clock;
use super::secrets;
use crate::engine::{
    BuildOutcome, BuildRequest, Engine, EngineError, ImageFacts, PushOutcome, StepLog,
};
use crate::link::Proxy;
use crate::model::plan::{ArchivePlan, Limits, Workload};
use crate::model::{
    ArchiveName, BuildStep, Builder, CacheExport, Event, ImageRef, Phase, PhaseRecord, PullMode,
    Sources, Step, StepRecord,
};
use crate::storage::{Storage, StorageError, pack};
use crate::workspace::Prepared;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use timing::{Cost, Timed};
use tokio_util::sync::CancellationToken;

/// Why a job did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The shared storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A step outlasted its limit.
    #[error(
        "{step} did not end within {limit_s} s. Raise limits.{key} if it is only slow; otherwise \
         look at the log of the engine or the registry"
    )]
    TimedOut {
        /// The step, as a docker command.
        step: String,
        /// Its limit in seconds.
        limit_s: f64,
        /// The key of `[limits]` that holds the limit.
        key: &'static str,
    },
    /// A folder or archive of ours.
    #[error("{operation} {archive}: {source}. Free space in the temporary folder or set TMPDIR")]
    Pack {
        /// What was tried.
        operation: &'static str,
        /// On which archive.
        archive: String,
        /// The operating system's message.
        source: io::Error,
    },
    /// The user stopped the run.
    #[error("stopped by the user during {step}")]
    Interrupted {
        /// The step in hand.
        step: String,
    },
}

/// What a job is carried out with.
pub struct JobContext<'a> {
    /// The engine.
    pub engine: &'a dyn Engine,
    /// The shared storage.
    pub storage: &'a dyn Storage,
    /// The clocks.
    pub clock: &'a dyn Clock,
    /// The link to the registry, where what goes over it is counted.
    pub link: Option<&'a Proxy>,
    /// The workload.
    pub workload: &'a Workload,
    /// The builder.
    pub builder: Builder,
    /// The prepared workspace.
    pub prepared: &'a Prepared,
    /// Folder for archives on local disk; ours alone.
    pub scratch: &'a Path,
    /// How archives are packed.
    pub archive: ArchivePlan,
    /// Time limits.
    pub limits: &'a Limits,
    /// Cancelled when the user stops the run.
    pub cancel: &'a CancellationToken,
    /// Told of every tag and image id that the job makes, at once.
    pub made: &'a (dyn Fn(Made<'_>) + Send + Sync),
    /// Told of every phase that begins.
    pub listener: &'a (dyn Fn(&Event) + Send + Sync),
}

/// Something that a job made on the engine.
#[derive(Debug, Clone, Copy)]
pub enum Made<'a> {
    /// A tag.
    Tag(&'a str),
    /// An image id, possibly short.
    Image(&'a str),
    /// What its builder makes of this Dockerfile.
    Dockerfile(&'a str),
}

/// What one build of a job was, for the proof.
#[derive(Debug)]
pub struct BuildEvidence {
    /// The step.
    pub step: BuildStep,
    /// The sources that were passed to the builder.
    pub sources: Vec<ImageRef>,
    /// What the engine held under each source's name just before the build.
    pub local: Vec<(ImageRef, Option<ImageFacts>)>,
    /// What the builder said.
    pub outcome: BuildOutcome,
}

/// All that is known of a job after it has ended, however it ended.
#[derive(Debug, Default)]
pub struct JobRecord {
    /// Timed requests.
    pub phases: Vec<PhaseRecord>,
    /// Instructions of all builds.
    pub steps: Vec<StepRecord>,
    /// Builds.
    pub builds: Vec<BuildEvidence>,
    /// References that a pull or load brought.
    pub brought: Vec<ImageRef>,
    /// References and archives that were asked for and do not exist.
    pub missing: Vec<String>,
    /// Caches that builds exported to the registry.
    pub exported: Vec<ImageRef>,
    /// Pushes.
    pub pushes: Vec<(ImageRef, PushOutcome)>,
    /// Attempts that failed and were followed by another one, with the reason.
    pub retried: Vec<String>,
    /// The log of every request.
    pub log: StepLog,
}

/// Carries out `steps`. The record holds whatever was done, also when a step fails.
pub async fn carry_out(
    context: &JobContext<'_>,
    steps: &[Step],
    record: &mut JobRecord,
) -> Result<(), JobError> {
    // Before anything is done: an engine may finish what it was asked for after we were killed.
    // All of these names lie in this run's own repositories.
    for reference in steps.iter().flat_map(names) {
        (context.made)(Made::Tag(&reference.to_string()));
    }
    let mut runner =
        Runner { context, record, fetched: None, unpacked: None, built: BTreeSet::new() };
    for step in steps {
        tracing::debug!("phase {}", step.phase());
        (context.listener)(&Event::PhaseStarted { phase: Some(step.phase()) });
        runner.step(step).await?;
    }
    Ok(())
}

/// Tags that a step may make.
fn names(step: &Step) -> Vec<&ImageRef> {
    match step {
        Step::Pull { references, .. } => references.iter().collect(),
        // An exported cache is no image of the engine; other sources may come out of an archive.
        Step::Build(BuildStep { sources: Sources::Caches(_), tag, .. }) => vec![tag],
        Step::Build(build) => build.sources.references().iter().chain([&build.tag]).collect(),
        _ => Vec::new(),
    }
}

struct Runner<'a, 'c> {
    context: &'a JobContext<'c>,
    record: &'a mut JobRecord,
    /// The archive that a fetch brought to local disk.
    fetched: Option<PathBuf>,
    /// The cache folder that an archive was unpacked into.
    unpacked: Option<PathBuf>,
    /// Tags that builds of this job made.
    built: BTreeSet<ImageRef>,
}

impl Runner<'_, '_> {
    async fn step(&mut self, step: &Step) -> Result<(), JobError> {
        match step {
            Step::Fetch { archives } => self.fetch(archives).await,
            Step::Load => self.load().await,
            Step::Unpack => self.unpack().await,
            Step::Pull { references, mode } => self.pull(references, *mode).await,
            Step::Build(build) => self.build(build).await,
            Step::Save { references, archive } => self.save(references, archive).await,
            Step::Pack { archive } => self.pack(archive).await,
            Step::Store { archive } => self.store(archive).await,
            Step::Push { reference } => self.push(reference).await,
        }
    }

    async fn fetch(&mut self, archives: &[ArchiveName]) -> Result<(), JobError> {
        for archive in archives {
            let to = self.context.scratch.join(format!("fetched-{archive}"));
            let storage = self.context.storage;
            let mut tries = self.context.tries(Phase::Fetch, archive);
            let fetch = async {
                loop {
                    match storage.fetch(archive, &to).await {
                        Err(error) if tries.again(&error) => {}
                        ended => break ended,
                    }
                }
            };
            let Timed { result, cost } = self.context.timed(Phase::Fetch, archive, fetch).await;
            self.record.retried.append(&mut tries.failed);
            let bytes = result?;
            let operation = if bytes.is_some() { "fetch" } else { "fetch (missing)" };
            self.note(Phase::Fetch, operation, archive, cost).bytes_down = Some(bytes.unwrap_or(0));
            if bytes.is_some() {
                self.fetched = Some(to);
                break;
            }
            self.record.missing.push(archive.to_string());
        }
        Ok(())
    }

    async fn load(&mut self) -> Result<(), JobError> {
        let Some(archive) = self.fetched.clone() else { return Ok(()) };
        let mut log = std::mem::take(&mut self.record.log);
        let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Timed { result, cost } = {
            let load = self.context.engine.load(&archive, &mut log);
            self.context.timed(Phase::Load, &name, load).await
        };
        self.record.log = log;
        let tags = result?;
        self.note(Phase::Load, "load", &name, cost);
        for tag in tags {
            (self.context.made)(Made::Tag(&tag));
            if let Some((repository, tag)) = tag.rsplit_once(':') {
                self.record.brought.push(ImageRef::new(repository, tag));
            }
        }
        Ok(())
    }

    async fn unpack(&mut self) -> Result<(), JobError> {
        let Some(archive) = self.fetched.clone() else { return Ok(()) };
        let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = self.context.scratch.join("cache");
        let unpack = async {
            pack::unpack(&archive, &folder).await.map_err(|source| JobError::Pack {
                operation: "unpack",
                archive: name.clone(),
                source,
            })
        };
        let Timed { result, cost } = self.context.timed(Phase::Load, &name, unpack).await;
        result?;
        self.note(Phase::Load, "unpack", &name, cost);
        self.unpacked = Some(folder);
        Ok(())
    }

    async fn pack(&mut self, archive: &ArchiveName) -> Result<(), JobError> {
        let to = self.saved(archive);
        let pack = async {
            let packed = pack::pack(&self.exported(), &to, self.context.archive).await;
            packed.map_err(|source| JobError::Pack {
                operation: "pack",
                archive: archive.to_string(),
                source,
            })
        };
        let Timed { result, cost } = self.context.timed(Phase::Save, archive, pack).await;
        result?;
        self.note(Phase::Save, "pack", archive, cost);
        Ok(())
    }

    async fn pull(&mut self, references: &[ImageRef], mode: PullMode) -> Result<(), JobError> {
        for reference in references {
            let mut log = std::mem::take(&mut self.record.log);
            let mut tries = self.context.tries(Phase::Pull, reference);
            let pull = async {
                loop {
                    match self.context.engine.pull(reference, &mut log).await {
                        // That there is no such image is an answer.
                        Err(error @ EngineError::NotFound { .. }) => break Err(error),
                        Err(error) if tries.again(&error) => {}
                        ended => break ended,
                    }
                }
            };
            let Timed { result, cost } = self.context.timed(Phase::Pull, reference, pull).await;
            self.record.log = log;
            self.record.retried.append(&mut tries.failed);
            match result {
                Ok(()) => {
                    self.note(Phase::Pull, "pull", reference, cost);
                    self.record.brought.push(reference.clone());
                    if mode == PullMode::First {
                        break;
                    }
                }
                // The job goes on without: what probing a missing tag costs is part of the phase.
                Err(JobError::Engine(EngineError::NotFound { .. })) => {
                    self.note(Phase::Pull, "pull (missing)", reference, cost);
                    self.record.missing.push(reference.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn build(&mut self, step: &BuildStep) -> Result<(), JobError> {
        let engine = self.context.engine;
        let sources: Vec<ImageRef> = match &step.sources {
            Sources::Present(list) => {
                let here = |image: &ImageRef| {
                    self.built.contains(image) || self.record.brought.contains(image)
                };
                list.iter().filter(|image| here(image)).cloned().collect()
            }
            named => named.references().to_vec(),
        };
        // Between two timed requests, for the proof: which sources the engine holds itself.
        let mut local = Vec::new();
        let images = if matches!(step.sources, Sources::Caches(_)) { &[][..] } else { &sources };
        for source in images {
            let facts = engine.inspect(&source.to_string()).await?;
            // The build may take this name away from an image that was pulled or loaded; its id is
            // then all that leads to it.
            if let Some(facts) = &facts {
                (self.context.made)(Made::Image(&facts.id));
            }
            local.push((source.clone(), facts));
        }
        let workload = self.context.workload;
        let exported = self.exported();
        let build_args = secrets::build_args(workload);
        let request = BuildRequest {
            builder: self.context.builder,
            context: &self.context.prepared.context,
            dockerfile: &self.context.prepared.dockerfile,
            target: step.target.as_deref().or(workload.target.as_deref()),
            build_args: &build_args,
            sources: &sources,
            layers: match &step.sources {
                Sources::Layers(repository) => Some(repository),
                _ => None,
            },
            tag: &step.tag,
            inline_cache: step.inline_cache,
            cache_folder: self.unpacked.as_deref().filter(|_| step.sources == Sources::Folder),
            export: step.export.as_ref(),
            export_folder: &exported,
        };
        let mut log = std::mem::take(&mut self.record.log);
        let Timed { result, cost } = {
            let made = self.context.made;
            let seen = |id: &str| made(Made::Image(id));
            let build = engine.build(&request, &seen, &mut log);
            self.context.timed(Phase::Build, &step.tag, build).await
        };
        self.record.log = log;
        let outcome = result?;
        let operation = match &step.target {
            Some(target) => format!("build --target {target}"),
            None => "build".to_owned(),
        };
        self.note(Phase::Build, &operation, &step.tag, cost);
        let parts = [
            ("import", outcome.import_s),
            ("steps", outcome.steps_s),
            ("export", outcome.export_s),
            ("cache export", outcome.cache_export_s),
        ];
        for (part, seconds) in parts {
            if let Some(seconds) = seconds {
                let cost = Cost { seconds, moved: None };
                self.note(Phase::Build, part, &step.tag, cost).within = true;
            }
        }
        let number = u32::try_from(self.record.builds.len()).unwrap_or(u32::MAX);
        self.record
            .steps
            .extend(outcome.steps.iter().cloned().map(|step| StepRecord { build: number, ..step }));
        self.built.insert(step.tag.clone());
        if let Some(CacheExport::Registry { reference, .. }) = &step.export {
            self.record.exported.push(reference.clone());
        }
        self.record.exported.extend(outcome.exported.iter().cloned());
        self.record.builds.push(BuildEvidence { step: step.clone(), sources, local, outcome });
        Ok(())
    }

    async fn save(
        &mut self,
        references: &[ImageRef],
        archive: &ArchiveName,
    ) -> Result<(), JobError> {
        let to = self.saved(archive);
        let mut log = std::mem::take(&mut self.record.log);
        let Timed { result, cost } = {
            let save = self.context.engine.save(references, &to, &self.context.archive, &mut log);
            self.context.timed(Phase::Save, archive, save).await
        };
        self.record.log = log;
        result?;
        self.note(Phase::Save, "save", archive, cost);
        Ok(())
    }

    async fn store(&mut self, archive: &ArchiveName) -> Result<(), JobError> {
        let from = self.saved(archive);
        let mut tries = self.context.tries(Phase::Store, archive);
        let store = async {
            loop {
                match self.context.storage.store(&from, archive).await {
                    Err(error) if tries.again(&error) => {}
                    ended => break ended,
                }
            }
        };
        let Timed { result, cost } = self.context.timed(Phase::Store, archive, store).await;
        self.record.retried.append(&mut tries.failed);
        let bytes = result?;
        self.note(Phase::Store, "store", archive, cost).bytes_up = Some(bytes);
        Ok(())
    }

    async fn push(&mut self, reference: &ImageRef) -> Result<(), JobError> {
        let mut log = std::mem::take(&mut self.record.log);
        let mut tries = self.context.tries(Phase::Push, reference);
        let push = async {
            loop {
                match self.context.engine.push(reference, &mut log).await {
                    Err(error) if tries.again(&error) => {}
                    ended => break ended,
                }
            }
        };
        let Timed { result, cost } = self.context.timed(Phase::Push, reference, push).await;
        self.record.log = log;
        self.record.retried.append(&mut tries.failed);
        let outcome = result?;
        self.note(Phase::Push, "push", reference, cost);
        self.record.pushes.push((reference.clone(), outcome));
        Ok(())
    }

    /// The folder that a build exports its cache to.
    fn exported(&self) -> PathBuf {
        self.context.scratch.join("cache-new")
    }

    fn saved(&self, archive: &ArchiveName) -> PathBuf {
        self.context.scratch.join(format!("saved-{archive}"))
    }

    fn note(
        &mut self,
        phase: Phase,
        operation: &str,
        reference: &impl ToString,
        cost: Cost,
    ) -> &mut PhaseRecord {
        // Nothing of the others goes over the link to the registry.
        let moved =
            cost.moved.filter(|_| matches!(phase, Phase::Pull | Phase::Build | Phase::Push));
        let seq = u32::try_from(self.record.phases.len()).unwrap_or(u32::MAX);
        self.record.phases.push(PhaseRecord {
            seq,
            phase,
            operation: operation.to_owned(),
            reference: reference.to_string(),
            duration_s: cost.seconds,
            bytes_down: moved.map(|moved| moved.bytes_down),
            bytes_up: moved.map(|moved| moved.bytes_up),
            requests: moved.map(|moved| moved.requests),
            within: false,
        });
        &mut self.record.phases[seq as usize]
    }
}

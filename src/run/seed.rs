//! Seeding: what earlier CI jobs left behind, made once before anything is measured.
//!
//! Every candidate is built from the workload with an older variant of the changes that it lacks,
//! and left behind the way each strategy leaves it. Strategies that leave the same thing share a
//! seed. Under a replay a candidate is what the commit before left, so that each commit has seeds
//! of its own.

use super::RunError;
use super::bench::{self, Bench, Site, competitors};
use super::job::{JobContext, JobRecord, carry_out};
use super::proof::CandidateFacts;
use crate::config::dockerfile::Dockerfile;
use crate::engine::Engine;
use crate::model::plan::Candidate;
use crate::model::{BuildStep, Builder, Cell, Event, Plan, Sources, Step};
use crate::registry::Seed;
use crate::secret::redacted;
use crate::strategy::{Job, Strategy};
use std::collections::{BTreeMap, BTreeSet};

/// The seeds of a run.
#[derive(Debug, Default)]
pub struct Seeds {
    by_job: BTreeMap<SeedKey, SeedOf>,
}

/// Whose seed it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SeedKey {
    engine: String,
    workload: String,
    strategy: String,
    builder: Builder,
    candidate: String,
    /// The change whose jobs find it, where each change finds something else: under a replay.
    replayed: Option<String>,
}

/// What one candidate left under one strategy.
#[derive(Debug, Clone)]
pub struct SeedOf {
    /// Name under which registry and storage remember it.
    pub seed: Seed,
    /// What is known of it.
    pub facts: CandidateFacts,
}

impl Seeds {
    /// What a candidate left for the jobs of a cell.
    pub fn get(&self, cell: &Cell, candidate: &str) -> Option<&SeedOf> {
        let key = SeedKey {
            engine: cell.engine.clone(),
            workload: cell.workload.clone(),
            strategy: cell.strategy.clone(),
            builder: cell.builder,
            candidate: candidate.to_owned(),
            replayed: Some(cell.change.clone()),
        };
        let replayed = self.by_job.get(&key);
        replayed.or_else(|| self.by_job.get(&SeedKey { replayed: None, ..key }))
    }
}

/// What a job leaves behind: its steps without what it finds. Nothing is asked for, so that the
/// engine's own cache makes all but the first of them quick.
fn leaving(steps: Vec<Step>) -> Vec<Step> {
    steps
        .into_iter()
        .filter(|step| {
            !matches!(step, Step::Fetch { .. } | Step::Load | Step::Unpack | Step::Pull { .. })
        })
        .map(|step| match step {
            Step::Build(build) => Step::Build(BuildStep { sources: Sources::None, ..build }),
            other => other,
        })
        .collect()
}

/// Seeds every candidate that exists in the availability of one of these cells.
pub async fn seed(bench: &Bench<'_>, cells: &[&Cell]) -> Result<Seeds, RunError> {
    let plan = bench.plan;
    let used = |candidate: &&Candidate| {
        plan.availabilities.iter().any(|a| {
            a.have.contains(&candidate.name) && cells.iter().any(|cell| cell.availability == a.name)
        })
    };
    let mut seeds = Seeds::default();
    for engine in plan.engines.keys() {
        for workload in plan.workloads.keys() {
            for builder in Builder::ALL {
                let strategies = competitors(plan, cells, (engine, workload, builder));
                if strategies.is_empty() {
                    continue;
                }
                let site = bench.site(engine);
                let begun = bench.begin(site).await?;
                let seeding = Seeding {
                    bench,
                    engine: begun.engine.as_ref(),
                    name: engine,
                    site,
                    workload,
                    builder,
                    strategies: &strategies,
                };
                let mut result = Ok(());
                for replayed in replayed(plan, cells, (engine, workload, builder)) {
                    // Oldest first, as they came into being.
                    for candidate in plan.candidates.iter().filter(used).rev() {
                        if result.is_ok() {
                            result = seeding.candidate(&mut seeds, candidate, replayed).await;
                        }
                    }
                }
                let ended = bench.end(site, begun).await;
                result?;
                ended?;
            }
        }
    }
    Ok(seeds)
}

/// Changes of these cells that find something of their own; `None` for all others together.
fn replayed<'a>(
    plan: &Plan,
    cells: &[&'a Cell],
    (engine, workload, builder): (&str, &str, Builder),
) -> BTreeSet<Option<&'a str>> {
    let of_jobs = cells.iter().filter(|cell| {
        cell.engine == engine && cell.workload == workload && cell.builder == builder
    });
    of_jobs.map(|cell| plan.commit(&cell.change).map(|_| cell.change.as_str())).collect()
}

/// What to do where the classic builder met what only BuildKit knows. Not a reason to leave it out
/// beforehand: behind Podman's API the same name stands for a builder that knows most of it.
fn advice_for_classic(dockerfile: &str) -> String {
    let parsed = Dockerfile::parse(dockerfile, &BTreeMap::new());
    let beyond = parsed.ok().and_then(|parsed| parsed.buildkit_only);
    beyond.map_or_else(String::new, |what| {
        format!(
            ". Its Dockerfile has {what}, which Docker's classic builder refuses: write `builders = \
             [\"buildkit\"]` under [strategies]"
        )
    })
}

/// Seeding with one engine in hand.
struct Seeding<'a, 'b> {
    bench: &'a Bench<'b>,
    engine: &'a dyn Engine,
    /// The engine's name.
    name: &'a str,
    site: &'a Site,
    workload: &'a str,
    builder: Builder,
    strategies: &'a [Strategy],
}

impl Seeding<'_, '_> {
    async fn candidate(
        &self,
        seeds: &mut Seeds,
        candidate: &Candidate,
        replayed: Option<&str>,
    ) -> Result<(), RunError> {
        let Self { bench, workload: workload_name, builder, .. } = *self;
        let plan = bench.plan;
        let commit = replayed.and_then(|change| plan.commit(change));
        let before = commit.and_then(|commit| commit.before.workloads.get(workload_name));
        let workload = before.unwrap_or(&plan.workloads[workload_name]);
        let of_change = replayed.map(|change| format!("-{change}")).unwrap_or_default();
        let what =
            format!("{workload_name}{of_change}: candidate {} with {builder}", candidate.name);
        (bench.listener)(&Event::Seeding { what: what.clone() });
        let folder =
            tempfile::tempdir_in(bench.scratch).map_err(RunError::scratch(bench.scratch))?;
        let place = folder.path().join("workspace");
        let prepared = bench.prepare_candidate(workload_name, replayed, &candidate.name, &place)?;
        let mut done: BTreeMap<String, SeedOf> = BTreeMap::new();
        for strategy in self.strategies {
            let id = &strategy.id;
            let job = Job {
                own: candidate.name.clone(),
                stages: workload.stages.clone(),
                ..bench.job(self.name, workload_name, builder)
            };
            let steps = leaving(strategy.leaving(&job));
            let signature = serde_json::to_string(&steps).unwrap_or_default();
            let key = SeedKey {
                engine: self.name.to_owned(),
                workload: workload_name.to_owned(),
                strategy: id.to_string(),
                builder,
                candidate: candidate.name.clone(),
                replayed: replayed.map(str::to_owned),
            };
            if let Some(known) = done.get(&signature) {
                seeds.by_job.insert(key, known.clone());
                continue;
            }
            self.site.restore(&[]).await?;
            bench.world.storage.restore(&[]).await?;
            let made = |what: super::job::Made<'_>| bench.made(what);
            let context = JobContext {
                engine: self.engine,
                storage: bench.world.storage.as_ref(),
                clock: bench.world.clock.as_ref(),
                link: None,
                workload,
                builder,
                prepared: &prepared,
                scratch: folder.path(),
                archive: plan.archive,
                limits: &plan.limits,
                cancel: bench.cancel,
                made: &made,
                listener: &|_| {},
            };
            let mut record = JobRecord::default();
            if let Err(source) = carry_out(&context, &steps, &mut record).await {
                let log = bench.logs.join(format!(
                    "seed-{}-{workload_name}{of_change}-{builder}-{}.log",
                    self.name, candidate.name
                ));
                let mut why = bench.why(&source);
                if builder == Builder::Classic {
                    why.push_str(&advice_for_classic(&bench::read_dockerfile(&prepared)?));
                }
                let text = format!("{}\n{why}\n", record.log.text());
                let text = redacted(&text);
                std::fs::write(&log, text.as_bytes()).map_err(RunError::scratch(&log))?;
                return Err(RunError::seeding(what, why, log, source));
            }
            let mut facts = CandidateFacts {
                name: candidate.name.clone(),
                images: Vec::new(),
                caches: record.exported.clone(),
                files: prepared.files.clone(),
                targets: BTreeMap::new(),
                dockerfile: bench::read_dockerfile(&prepared)?,
            };
            for build in &record.builds {
                let tag = &build.step.tag;
                if let Some(target) = &build.step.target {
                    facts.targets.insert(tag.clone(), target.clone());
                }
                if let Some(image) = self.engine.inspect(&tag.to_string()).await? {
                    facts.images.insert(0, (tag.clone(), image));
                }
            }
            let seed = Seed(format!(
                "{}-{workload_name}{of_change}-{id}-{builder}-{}",
                self.name, candidate.name
            ));
            let pushed = record.pushes.iter().map(|(tag, _)| tag).chain(&record.exported);
            let pushed: Vec<_> = pushed.cloned().collect();
            self.site.registry.remember(&seed, &pushed).await?;
            bench.world.storage.remember(&seed.0).await?;
            let made = SeedOf { seed, facts };
            done.insert(signature, made.clone());
            seeds.by_job.insert(key, made);
        }
        Ok(())
    }
}

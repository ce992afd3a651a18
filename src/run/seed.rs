//! Seeding: what earlier CI jobs left behind, made once before anything is measured.
//!
//! Every candidate is built from the workload with an older variant of the changes that it lacks,
//! and left behind the way each strategy leaves it. Strategies that leave the same thing share a
//! seed.

use super::RunError;
use super::bench::{Bench, competitors};
use super::job::{JobContext, JobRecord, carry_out};
use super::proof::CandidateFacts;
use crate::engine::Owned;
use crate::model::plan::Candidate;
use crate::model::{BuildStep, Builder, Event, Sources, Step};
use crate::registry::Seed;
use crate::strategy::{self, Job};
use std::collections::BTreeMap;

/// The seeds of a run.
#[derive(Debug, Default)]
pub struct Seeds {
    /// By workload, strategy, builder and candidate.
    by_job: BTreeMap<(String, String, Builder, String), SeedOf>,
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
    /// What a candidate left under a strategy.
    pub fn get(
        &self,
        workload: &str,
        strategy: &str,
        builder: Builder,
        candidate: &str,
    ) -> Option<&SeedOf> {
        let key = (workload.to_owned(), strategy.to_owned(), builder, candidate.to_owned());
        self.by_job.get(&key)
    }
}

/// What a job leaves behind: its steps without what it finds. Nothing is asked for, so that the
/// engine's own cache makes all but the first of them quick.
fn leaving(steps: Vec<Step>) -> Vec<Step> {
    steps
        .into_iter()
        .filter(|step| !matches!(step, Step::Fetch { .. } | Step::Load | Step::Pull { .. }))
        .map(|step| match step {
            Step::Build(build) => Step::Build(BuildStep { sources: Sources::None, ..build }),
            other => other,
        })
        .collect()
}

/// Seeds every candidate that exists in some availability of the plan.
pub async fn seed(bench: &Bench<'_>) -> Result<Seeds, RunError> {
    let plan = bench.plan;
    let used = |candidate: &&Candidate| {
        plan.availabilities.iter().any(|a| {
            a.have.contains(&candidate.name)
                && plan.cells.iter().any(|cell| cell.availability == a.name)
        })
    };
    let mut seeds = Seeds::default();
    for workload in plan.workloads.keys() {
        for builder in Builder::ALL {
            let strategies: Vec<String> = competitors(plan, workload, builder);
            if strategies.is_empty() {
                continue;
            }
            let before = bench.world.engine.snapshot().await?;
            bench.ledger.begin(&before)?;
            // Oldest first, as they came into being.
            let mut result = Ok(());
            for candidate in plan.candidates.iter().filter(used).rev() {
                result =
                    seed_candidate(bench, &mut seeds, workload, builder, candidate, &strategies)
                        .await;
                if result.is_err() {
                    break;
                }
            }
            let owned: Owned = bench.ledger.owned();
            let reset = bench.reset(&owned, &before).await;
            result?;
            reset?;
        }
    }
    Ok(seeds)
}

async fn seed_candidate(
    bench: &Bench<'_>,
    seeds: &mut Seeds,
    workload_name: &str,
    builder: Builder,
    candidate: &Candidate,
    strategies: &[String],
) -> Result<(), RunError> {
    let plan = bench.plan;
    let workload = &plan.workloads[workload_name];
    let what = format!("{workload_name}: candidate {} with {builder}", candidate.name);
    (bench.listener)(&Event::Seeding { what: what.clone() });
    let edits: Vec<_> = candidate
        .lacks
        .iter()
        .filter_map(|name| plan.changes.get(name))
        .flat_map(|change| &change.edits)
        .collect();
    let folder = tempfile::tempdir_in(bench.scratch).map_err(RunError::scratch(bench.scratch))?;
    let nonce = format!("{}-{}", plan.run, candidate.name);
    let prepared =
        bench.prepare(workload_name, &edits, &nonce, &folder.path().join("workspace"))?;
    let mut done: BTreeMap<String, SeedOf> = BTreeMap::new();
    for id in strategies {
        let Some(strategy) = strategy::find(id) else { continue };
        let job = Job { own: candidate.name.clone(), ..bench.job(workload_name, builder) };
        let steps = leaving((strategy.steps)(&job));
        let signature = serde_json::to_string(&steps).unwrap_or_default();
        let key = (workload_name.to_owned(), id.clone(), builder, candidate.name.clone());
        if let Some(known) = done.get(&signature) {
            seeds.by_job.insert(key, known.clone());
            continue;
        }
        bench.world.registry.restore(&[]).await?;
        bench.world.storage.restore(&[]).await?;
        let made = |what: super::job::Made<'_>| bench.made(what);
        let context = JobContext {
            world: bench.world,
            workload,
            builder,
            prepared: &prepared,
            scratch: folder.path(),
            limits: &plan.limits,
            cancel: bench.cancel,
            made: &made,
            listener: &|_| {},
        };
        let mut record = JobRecord::default();
        if let Err(source) = carry_out(&context, &steps, &mut record).await {
            let log =
                bench.logs.join(format!("seed-{workload_name}-{builder}-{}.log", candidate.name));
            let text = format!("{}\n{source}\n", record.log.text());
            std::fs::write(&log, text).map_err(RunError::scratch(&log))?;
            return Err(RunError::seeding(what, log, source));
        }
        let mut facts = CandidateFacts {
            name: candidate.name.clone(),
            images: Vec::new(),
            files: prepared.files.clone(),
            dockerfile_hash: prepared.dockerfile_hash.clone(),
        };
        for build in &record.builds {
            let tag = &build.step.tag;
            if let Some(image) = bench.world.engine.inspect(&tag.to_string()).await? {
                facts.images.insert(0, (tag.clone(), image));
            }
        }
        let seed = Seed(format!("{workload_name}-{id}-{builder}-{}", candidate.name));
        let pushed: Vec<_> = record.pushes.iter().map(|(tag, _)| tag.clone()).collect();
        bench.world.registry.remember(&seed, &pushed).await?;
        bench.world.storage.remember(&seed.0).await?;
        let made = SeedOf { seed, facts };
        done.insert(signature, made.clone());
        seeds.by_job.insert(key, made);
    }
    Ok(())
}

//! What proves a sample: looked up before its job and after it.

use super::super::RunError;
use super::super::bench;
use super::super::proof::{CandidateFacts, Evidence, Left, Proof, RemoteFacts, differing, examine};
use super::super::seed::Seeds;
use super::Session;
use crate::engine::{Engine, ImageFacts};
use crate::model::plan::Change;
use crate::model::{BuildStep, Builder, CacheExport, ImageRef, Sources, Step};
use crate::strategy::{self, CacheFrom};
use crate::workspace::{self, Prepared};
use std::collections::{BTreeMap, BTreeSet};

/// What was collected of a job that ran to its end.
pub(super) struct Collected {
    pub proof: Proof,
    pub image_bytes: Option<u64>,
}

impl Session<'_, '_> {
    pub(super) async fn collect(
        &mut self,
        engine: &dyn Engine,
        prepared: &Prepared,
        seeds: &Seeds,
        pristine: &BTreeMap<String, String>,
    ) -> Result<Collected, RunError> {
        let job = self.job();
        let mut own: BTreeMap<ImageRef, ImageFacts> = BTreeMap::new();
        for build in &self.record.builds {
            if let Some(facts) = engine.inspect(&build.step.tag.to_string()).await? {
                own.insert(build.step.tag.clone(), facts);
            }
        }
        if self.cell.builder == Builder::Buildkit {
            let after = engine.snapshot().await?;
            self.around.gone = &self.around.before.records - &after.records;
        }
        for layer in self.record.builds.iter().flat_map(|build| &build.outcome.exported) {
            self.left.entry(layer.clone()).or_default();
        }
        for (reference, left) in &mut self.left {
            left.after = self.site.registry.digest(reference).await?;
        }
        let mut attested = Vec::new();
        for (reference, _) in &self.record.pushes {
            if self.site.registry.attests(reference).await? {
                attested.push(reference.clone());
            }
        }
        for base in self.workload().bases.clone() {
            if let Some(facts) = engine.inspect(&base).await? {
                self.bases.insert(base, facts.id);
            }
        }
        self.around.others = self.others(engine).await?;
        let existing = self.existing(seeds);
        let candidates: Vec<&CandidateFacts> = existing.iter().map(|seed| &seed.facts).collect();
        let names: BTreeSet<String> = candidates
            .iter()
            .flat_map(|candidate| {
                candidate.images.iter().map(|(image, _)| image).chain(&candidate.caches)
            })
            .map(ToString::to_string)
            .collect();
        let strategy = strategy::find(self.bench.plan, &self.cell.strategy);
        let steps = strategy.as_ref().map(|strategy| strategy.steps(&job)).unwrap_or_default();
        let leaving = strategy.as_ref().map(|strategy| strategy.leaving(&job)).unwrap_or_default();
        if steps.contains(&Step::Load) {
            self.around.containerd = engine.facts().await?.containerd_store;
        }
        let proof = examine(&Evidence {
            cell: self.cell,
            steps: &steps,
            leaving: &leaving,
            workload: self.workload(),
            kept_runner: strategy.is_some_and(|strategy| strategy.cache == CacheFrom::Engine),
            record: &self.record,
            candidates: &candidates,
            existing: &names,
            remote: &self.remote,
            left: &self.left,
            attested: &attested,
            own: &own,
            files: &prepared.files,
            dockerfile: &bench::read_dockerfile(prepared)?,
            unexplained: &self.unexplained(prepared, pristine)?,
            around: &self.around,
        });
        let image_bytes = own.get(&job.own_image()).map(|facts| facts.size);
        Ok(Collected { proof, image_bytes })
    }

    /// What others did on the user's engine during the job.
    async fn others(&self, engine: &dyn Engine) -> Result<Vec<String>, RunError> {
        let Some((from, to)) = self.job_span else { return Ok(Vec::new()) };
        let events = match self.site.host.is_private() {
            true => self.site.host.users().events(from, to).await?,
            false => engine.events(from, to).await?,
        };
        let owned = self.bench.ledger.owned();
        let bases: Vec<String> = self.bases.iter().flat_map(|(b, i)| [b, i]).cloned().collect();
        let foreign = events.into_iter().filter(|event| event.is_foreign(&owned, &bases));
        Ok(foreign.map(|event| format!("{} {}", event.what, event.image)).collect())
    }

    /// What the registry holds under the names that the job gives as sources without pulling
    /// them first. Asked before the job, because the job pushes under one of these names.
    pub(super) async fn remote(
        &self,
        steps: &[Step],
    ) -> Result<BTreeMap<ImageRef, RemoteFacts>, RunError> {
        let registry = &self.site.registry;
        let mut remote = BTreeMap::new();
        for step in steps {
            let Step::Build(BuildStep { sources: Sources::Named(named), .. }) = step else {
                continue;
            };
            for reference in named {
                if !remote.contains_key(reference) {
                    let facts = RemoteFacts {
                        digest: registry.digest(reference).await?,
                        config: registry.image_config(reference).await?,
                        attested: registry.attests(reference).await?,
                    };
                    remote.insert(reference.clone(), facts);
                }
            }
        }
        Ok(remote)
    }

    /// What the registry holds under the names of the caches that the job will export.
    pub(super) async fn left(&self, steps: &[Step]) -> Result<BTreeMap<ImageRef, Left>, RunError> {
        let mut left = BTreeMap::new();
        for step in steps {
            let Step::Build(build) = step else { continue };
            if let Some(CacheExport::Registry { reference, .. }) = &build.export {
                let before = self.site.registry.digest(reference).await?;
                left.insert(reference.clone(), Left { before, after: None });
            }
        }
        Ok(left)
    }

    /// Paths that differ from the pristine context although no edit of the change touches them.
    fn unexplained(
        &self,
        prepared: &Prepared,
        pristine: &BTreeMap<String, String>,
    ) -> Result<BTreeSet<String>, RunError> {
        // A commit differs from the checkout as it does.
        if self.bench.plan.commit(&self.cell.change).is_some() {
            return Ok(BTreeSet::new());
        }
        let mut paths = differing(&prepared.files, pristine);
        let none = Change::default();
        let change = self.bench.plan.changes.get(&self.cell.change).unwrap_or(&none);
        for edit in &change.edits {
            for path in workspace::matches(self.workload(), edit)? {
                paths.remove(path.to_string_lossy().as_ref());
            }
        }
        Ok(paths)
    }
}

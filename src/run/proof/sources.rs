//! What the sources of the builds are: traps 2, 3, 4, 6, 9 and 30.

use super::arguments;
use super::inputs::{differing, untouched};
use super::{CandidateFacts, Examination, RemoteFacts};
use crate::engine::ImageFacts;
use crate::model::finding as kinds;
use crate::model::{Builder, ImageRef, Step};
use crate::run::job::BuildEvidence;
use std::collections::BTreeMap;

impl Examination<'_> {
    /// Traps 2, 3, 4 and 9: what the sources are.
    pub(super) fn sources(&mut self) {
        let evidence = self.evidence;
        let builds = &evidence.record.builds;
        for (index, build) in builds.iter().enumerate() {
            self.missing_sources(build);
            self.first_source_locks(build);
            for (reference, local) in &build.local {
                let own = builds[..index].iter().any(|earlier| earlier.step.tag == *reference);
                let remote = evidence.remote.get(reference);
                if let Some(facts) = local
                    && !own
                {
                    self.stale(reference, facts, remote);
                    self.other_builder(reference, facts.by_buildkit, facts.by_classic);
                    if evidence.cell.builder == Builder::Buildkit && !facts.inline_cache {
                        self.note(
                            &kinds::NO_INLINE_METADATA,
                            format!("source {reference} (local)"),
                        );
                    }
                } else if let Some(config) = remote.and_then(|remote| remote.config.as_ref()) {
                    let (buildkit, classic) = made_by(config);
                    self.other_builder(reference, buildkit, classic);
                    if evidence.cell.builder == Builder::Buildkit
                        && config.get("moby.buildkit.cache.v0").is_none()
                    {
                        self.note(
                            &kinds::NO_INLINE_METADATA,
                            format!("source {reference} (in the registry)"),
                        );
                    }
                }
            }
        }
    }

    /// Trap 30. What the builder then imports under the name of a loaded image is the registry's,
    /// if it is there at all.
    pub(super) fn loaded(&mut self) {
        let evidence = self.evidence;
        let asks_registry =
            evidence.around.containerd && evidence.cell.builder == Builder::Buildkit;
        if !asks_registry || !evidence.steps.contains(&Step::Load) {
            return;
        }
        let brought: Vec<String> =
            evidence.record.brought.iter().map(ToString::to_string).collect();
        let imports = evidence.record.builds.iter().flat_map(|build| &build.outcome.imports);
        let asked: BTreeMap<&str, &str> = imports
            .filter(|(reference, _)| brought.contains(reference))
            .map(|(name, error)| (name.as_str(), error.as_deref().unwrap_or("found there")))
            .collect();
        if !asked.is_empty() {
            let asked: Vec<String> =
                asked.iter().map(|(name, answer)| format!("{name} ({answer})")).collect();
            let detail = format!("the builder asked the registry for {}", asked.join(", "));
            self.note(&kinds::LOADED_NOT_CONSULTED, detail);
        }
    }

    fn missing_sources(&mut self, build: &BuildEvidence) {
        let exists = |reference: &ImageRef| self.evidence.existing.contains(&reference.to_string());
        if self.evidence.cell.builder == Builder::Buildkit {
            let errors: Vec<String> = build
                .outcome
                .imports
                .iter()
                .filter(|(reference, _)| self.evidence.existing.contains(reference))
                .filter_map(|(reference, error)| Some(format!("{reference}: {}", error.as_ref()?)))
                .collect();
            for error in errors {
                self.note(&kinds::SOURCE_MISSING, error);
            }
            return;
        }
        let wanted: Vec<&ImageRef> =
            build.step.sources.references().iter().filter(|r| exists(r)).collect();
        let here = |reference: &ImageRef| {
            build.local.iter().any(|(known, facts)| known == reference && facts.is_some())
        };
        if !wanted.is_empty() && !wanted.iter().any(|reference| here(reference)) {
            let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            self.note(
                &kinds::SOURCE_MISSING,
                format!(
                    "build of {}: none of {} is on the engine",
                    build.step.tag,
                    names.join(", ")
                ),
            );
        }
    }

    /// Trap 6. The first source that matches is the only one that the classic builder looks at
    /// from then on.
    fn first_source_locks(&mut self, build: &BuildEvidence) {
        let evidence = self.evidence;
        if evidence.cell.builder != Builder::Classic || build.sources.len() < 2 {
            return;
        }
        let layout = &evidence.workload.layout;
        for (index, stage) in layout.iter().enumerate() {
            let of_stage: Vec<_> = build
                .outcome
                .steps
                .iter()
                .filter(|step| step.stage == stage.name && step.makes_content())
                .collect();
            if of_stage.is_empty() {
                continue;
            }
            let hit = of_stage.iter().take_while(|step| step.hit).count();
            // What each source that holds this stage would give by itself, in the order given.
            let alone: Vec<(&ImageRef, usize)> = build
                .sources
                .iter()
                .filter_map(|source| {
                    let (candidate, held) = self.holder(source)?;
                    let last = index + 1 == layout.len();
                    let holds = held.map_or(last, |held| *held == stage.name);
                    holds.then(|| Some((source, self.same_steps(candidate)?[index])))?
                })
                .collect();
            let Some(at) = alone.iter().position(|(_, steps)| *steps > 0 && *steps == hit) else {
                continue;
            };
            let nearer = alone[at + 1..].iter().max_by_key(|(_, steps)| *steps);
            if let Some((nearer, steps)) = nearer
                && *steps > hit
            {
                let detail = format!(
                    "stage {}: {} came first and gave {hit} steps; {} alone would give {steps}",
                    stage.name, alone[at].0.tag, nearer.tag
                );
                self.note(&kinds::FIRST_SOURCE_LOCKS, detail);
            }
        }
    }

    /// The candidate that left a source, and the stage that it holds if not the final one.
    fn holder(&self, source: &ImageRef) -> Option<(&CandidateFacts, Option<&String>)> {
        self.evidence.candidates.iter().find_map(|candidate| {
            let known = candidate.images.iter().any(|(image, _)| image == source);
            known.then(|| (*candidate, candidate.targets.get(source)))
        })
    }

    /// First steps of every stage that are those of a candidate; `None` if that cannot be said.
    fn same_steps(&self, candidate: &CandidateFacts) -> Option<Vec<usize>> {
        let evidence = self.evidence;
        let arguments = arguments::differing(evidence.dockerfile, &candidate.dockerfile)?;
        let touched = differing(evidence.files, &candidate.files);
        Some(untouched(&evidence.workload.layout, &touched, &arguments))
    }

    fn stale(&mut self, reference: &ImageRef, local: &ImageFacts, remote: Option<&RemoteFacts>) {
        let loaded = self.evidence.steps.iter().any(|step| matches!(step, Step::Load));
        if let Some(digest) = remote.and_then(|remote| remote.digest.as_ref())
            && !loaded
            && !local.repo_digests.iter().any(|known| known.ends_with(digest.as_str()))
        {
            self.note(
                &kinds::STALE_LOCAL_TAG,
                format!("{reference}: on the engine {}, in the registry {digest}", local.id),
            );
        }
    }

    fn other_builder(&mut self, reference: &ImageRef, buildkit: bool, classic: bool) {
        let other = match self.evidence.cell.builder {
            Builder::Classic => buildkit,
            Builder::Buildkit => classic && !buildkit,
            // It takes no image as a source.
            Builder::Buildah => false,
        };
        if other {
            self.note(
                &kinds::OTHER_BUILDER,
                format!("source {reference}, used by {}", self.evidence.cell.builder),
            );
        }
    }
}

/// Whether an image configuration's history says (BuildKit, classic builder).
fn made_by(config: &serde_json::Value) -> (bool, bool) {
    let history = config.get("history").and_then(serde_json::Value::as_array);
    let entries = history.map(Vec::as_slice).unwrap_or_default();
    let text = |entry: &serde_json::Value, key: &str| {
        entry.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    let buildkit = entries.iter().any(|entry| {
        text(entry, "comment").contains("buildkit")
            || text(entry, "created_by").contains("# buildkit")
    });
    let classic = entries.iter().any(|entry| {
        let by = text(entry, "created_by");
        by.starts_with("/bin/sh -c")
            && !text(entry, "comment").contains("buildkit")
            && !by.contains("# buildkit")
    });
    (buildkit, classic)
}

//! The proof of a sample: from what was recorded of a job to what it really was. Pure.

mod inputs;

pub use inputs::differing;

use super::job::{BuildEvidence, JobRecord};
use crate::engine::ImageFacts;
use crate::model::finding as kinds;
use crate::model::plan::{StageLayout, Workload};
use crate::model::{
    Builder, Cell, Finding, FindingKind, ImageRef, Severity, Sources, State, Step, StepRecord,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a candidate's seeding left, and what it was built from.
#[derive(Debug, Clone, Default)]
pub struct CandidateFacts {
    /// Its name.
    pub name: String,
    /// Its images: the final one first, then stages.
    pub images: Vec<(ImageRef, ImageFacts)>,
    /// Caches that it exported to the registry.
    pub caches: Vec<ImageRef>,
    /// Hash of every file of its workspace.
    pub files: BTreeMap<String, String>,
    /// Hash of its Dockerfile.
    pub dockerfile_hash: String,
}

/// What the registry holds under a name that the job gave as a source.
#[derive(Debug, Clone, Default)]
pub struct RemoteFacts {
    /// Digest of its manifest.
    pub digest: Option<String>,
    /// Its image configuration, where it was looked up.
    pub config: Option<serde_json::Value>,
}

/// Everything that is known of one sample.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// The strategy's steps.
    pub steps: &'a [Step],
    /// The workload.
    pub workload: &'a Workload,
    /// Whether the runner was kept, so that the cache of every stage is there.
    pub kept_runner: bool,
    /// What happened.
    pub record: &'a JobRecord,
    /// Candidates that existed, best first.
    pub candidates: &'a [&'a CandidateFacts],
    /// Names of all images of existing candidates.
    pub existing: &'a BTreeSet<String>,
    /// What the registry holds under the names of sources.
    pub remote: &'a BTreeMap<ImageRef, RemoteFacts>,
    /// What the job's own images are, by tag.
    pub own: &'a BTreeMap<ImageRef, ImageFacts>,
    /// Hash of every file of the sample's workspace.
    pub files: &'a BTreeMap<String, String>,
    /// Hash of its Dockerfile.
    pub dockerfile_hash: &'a str,
    /// Paths that differ from the pristine context and that no edit explains.
    pub unexplained: &'a BTreeSet<String>,
}

/// What a sample turned out to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Proof {
    /// What was noticed, without repetitions.
    pub findings: Vec<Finding>,
    /// The candidate that really served as the source; empty if none did.
    pub cache_source: String,
}

impl Proof {
    /// Why the sample does not count, if it does not.
    pub fn invalid(&self) -> Option<String> {
        let invalid = |finding: &&Finding| {
            finding.kind().is_some_and(|kind| kind.severity == Severity::Invalid)
        };
        let first = self.findings.iter().find(invalid)?;
        Some(format!("{}: {}", first.id, first.detail))
    }
}

/// Examines a sample whose job came to its end.
///
/// Causes come before their effects, because the first invalid finding is the sample's reason.
pub fn examine(evidence: &Evidence<'_>) -> Proof {
    let carried = carried_hits(evidence.record);
    let served = served(evidence, &carried);
    let mut examination = Examination { evidence, carried, served, findings: Vec::new() };
    examination.sources();
    examination.builds_of_one_job();
    examination.hits();
    examination.pushes();
    examination.context();
    let cache_source = examination.served.map(|c| c.name.clone()).unwrap_or_default();
    examination.findings.dedup();
    Proof { findings: examination.findings, cache_source }
}

struct Examination<'a> {
    evidence: &'a Evidence<'a>,
    /// Steps that were taken from something that this job did not make.
    carried: Vec<&'a StepRecord>,
    served: Option<&'a CandidateFacts>,
    findings: Vec<Finding>,
}

impl Examination<'_> {
    fn note(&mut self, kind: &FindingKind, detail: impl Into<String>) {
        self.findings.push(Finding::new(kind, detail));
    }

    fn steady(&self) -> bool {
        matches!(self.evidence.cell.state, State::Steady | State::ReadOnly)
    }

    /// Traps 2, 3, 4 and 9: what the sources are.
    fn sources(&mut self) {
        let evidence = self.evidence;
        let builds = &evidence.record.builds;
        for (index, build) in builds.iter().enumerate() {
            self.missing_sources(build);
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
        };
        if other {
            self.note(
                &kinds::OTHER_BUILDER,
                format!("source {reference}, used by {}", self.evidence.cell.builder),
            );
        }
    }

    /// Traps 5 and 8: what the builds of one job are to each other.
    fn builds_of_one_job(&mut self) {
        let evidence = self.evidence;
        let builds = &evidence.record.builds;
        for (index, build) in builds.iter().enumerate() {
            let known = |step: &StepRecord| {
                builds[..index].iter().any(|earlier| {
                    let same = |s: &StepRecord| s.stage == step.stage && s.step == step.step;
                    earlier.outcome.steps.iter().any(same)
                })
            };
            let repeated: Vec<String> = build
                .outcome
                .steps
                .iter()
                .filter(|step| !step.hit && step.makes_content() && known(step))
                .map(|step| format!("{} {}", step.stage, step.step))
                .collect();
            if evidence.cell.builder == Builder::Classic
                && !matches!(build.step.sources, Sources::None)
                && !repeated.is_empty()
            {
                self.note(
                    &kinds::SOURCE_HIDES_LOCAL_CACHE,
                    format!(
                        "the build of tag {} carried out again what the job had just built: {}",
                        build.step.tag.tag,
                        repeated.join(", ")
                    ),
                );
            }
        }
        let Some((last, earlier)) = builds.split_last() else { return };
        let layers = |tag: &ImageRef| evidence.own.get(tag).map(|facts| &facts.layers);
        for build in earlier {
            let same_steps = build.step.target == last.step.target;
            let same_layers = layers(&build.step.tag).is_some()
                && layers(&build.step.tag) == layers(&last.step.tag);
            if build.step.tag != last.step.tag && (same_steps || same_layers) {
                self.note(
                    &kinds::STAGE_IS_FINAL,
                    format!(
                        "tag {} holds every stage, like {}",
                        build.step.tag.tag, last.step.tag.tag
                    ),
                );
            }
        }
    }

    /// Traps 1 and 7, and cache that is not ours: which steps hit, and which must.
    fn hits(&mut self) {
        let evidence = self.evidence;
        let content: Vec<&StepRecord> =
            self.carried.iter().copied().filter(|step| step.makes_content()).collect();
        if !self.steady() {
            if let Some(first) = content.first() {
                let detail = format!(
                    "{} of the steps, first: {} {} {}",
                    content.len(),
                    first.stage,
                    first.step,
                    first.instruction
                );
                self.note(&kinds::FOREIGN_CACHE, detail);
            }
            return;
        }
        // Which steps must hit can only be said against what the nearest candidate was built from.
        let Some(nearest) = self.served.or(evidence.candidates.first().copied()) else { return };
        if nearest.dockerfile_hash != evidence.dockerfile_hash {
            return;
        }
        let touched = differing(evidence.files, &nearest.files);
        let untouched = inputs::untouched(&evidence.workload.layout, &touched);
        let last = evidence.workload.layout.len().saturating_sub(1);
        let mut must_hit = 0;
        for (index, (stage, count)) in evidence.workload.layout.iter().zip(untouched).enumerate() {
            if self.carries(stage, index == last) {
                must_hit += count;
            }
            let hit = content.iter().any(|step| step.stage == stage.name);
            let reported = evidence.record.steps.iter().any(|step| step.stage == stage.name);
            if count == stage.steps.len() && count > 0 && reported && !hit {
                self.note(
                    &kinds::STAGE_WITHOUT_SOURCE,
                    format!("stage {}: {count} unchanged steps carried out again", stage.name),
                );
            }
        }
        if must_hit > 0 && content.is_empty() {
            self.note(
                &kinds::SOURCE_WITHOUT_HIT,
                format!("{must_hit} unchanged steps of carried stages should have hit, none did"),
            );
        }
    }

    /// Whether an earlier job left the steps of this stage for this one.
    fn carries(&self, stage: &StageLayout, last: bool) -> bool {
        let targets = |step: &Step| match step {
            Step::Build(build) => build.target.as_ref() == Some(&stage.name),
            _ => false,
        };
        last || self.evidence.kept_runner || self.evidence.steps.iter().any(targets)
    }

    /// Trap 18.
    fn pushes(&mut self) {
        let pushes = &self.evidence.record.pushes;
        let existed: u32 = pushes.iter().map(|(_, push)| push.existed).sum();
        let mounted: u32 = pushes.iter().map(|(_, push)| push.mounted).sum();
        if !self.steady() && existed + mounted > 0 {
            let pushed: u32 = pushes.iter().map(|(_, push)| push.pushed).sum();
            self.note(
                &kinds::LAYERS_IN_REGISTRY,
                format!("layers pushed {pushed}, there before {existed}, mounted {mounted}"),
            );
        }
    }

    /// Trap 21.
    fn context(&mut self) {
        if !self.evidence.unexplained.is_empty() {
            let paths: Vec<&str> =
                self.evidence.unexplained.iter().map(String::as_str).take(5).collect();
            let more = self.evidence.unexplained.len().saturating_sub(paths.len());
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.note(&kinds::CONTEXT_DIFFERS, format!("{}{rest}", paths.join(", ")));
        }
    }
}

/// Hits on steps that no earlier build of the same job had come across: they were taken from
/// something that was there before the job.
pub fn carried_hits(record: &JobRecord) -> Vec<&StepRecord> {
    let mut known = BTreeSet::new();
    record
        .steps
        .iter()
        .filter(|step| known.insert((step.stage.as_str(), step.step)) && step.hit)
        .collect()
}

/// The candidate whose images share the most layers with what the job built; of equals the best
/// one. None if no cache was asked for or nothing was taken from one.
fn served<'a>(evidence: &Evidence<'a>, carried: &[&StepRecord]) -> Option<&'a CandidateFacts> {
    // A step that makes no content (ARG, CMD) can be known to the engine from anyone's build.
    let found = matches!(evidence.cell.state, State::Steady | State::ReadOnly);
    if !found || !carried.iter().any(|step| step.makes_content()) {
        return None;
    }
    let shared = |candidate: &CandidateFacts| {
        let of = |(reference, own): (&ImageRef, &ImageFacts)| {
            let stage = reference.tag.clone();
            candidate
                .images
                .iter()
                .map(|(_, image)| common_prefix(&own.layers, &image.layers))
                .max()
                .map(|layers| (stage, layers))
        };
        evidence.own.iter().filter_map(of).map(|(_, layers)| layers).sum::<usize>()
    };
    let best = evidence.candidates.iter().map(|candidate| shared(candidate)).max()?;
    evidence.candidates.iter().copied().find(|candidate| shared(candidate) == best)
}

fn common_prefix(one: &[String], other: &[String]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
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

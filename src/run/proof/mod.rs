//! The proof of a sample: from what was recorded of a job to what it really was. Pure.

mod across;
pub(crate) mod arguments;
mod around;
mod builds;
mod failure;
mod hits;
mod inputs;
mod parts;
mod run_level;
mod sources;

pub use across::Across;
pub use failure::of_failure;
pub use inputs::differing;
pub use run_level::run_level;

use super::job::JobRecord;
use crate::engine::{ImageFacts, Snapshot};
use crate::model::plan::Workload;
use crate::model::{
    Cell, Finding, FindingKind, ImageRef, Noise, Severity, State, Step, StepRecord,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a candidate's seeding left, and what it was built from.
#[derive(Debug, Clone, Default)]
pub struct CandidateFacts {
    /// Its name.
    pub name: String,
    /// Its images: the final one first, then stages.
    pub images: Vec<(ImageRef, ImageFacts)>,
    /// The stage that an image holds, for those that were built with `--target`.
    pub targets: BTreeMap<ImageRef, String>,
    /// Caches that it exported to the registry.
    pub caches: Vec<ImageRef>,
    /// Hash of every file of its workspace.
    pub files: BTreeMap<String, String>,
    /// Its Dockerfile.
    pub dockerfile: String,
}

/// What the registry holds under a name that the job gave as a source.
#[derive(Debug, Clone, Default)]
pub struct RemoteFacts {
    /// Digest of its manifest.
    pub digest: Option<String>,
    /// Its image configuration, where it was looked up.
    pub config: Option<serde_json::Value>,
    /// Whether it comes with attestations.
    pub attested: bool,
}

/// What was seen of engine and machine beside the job itself.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Whether the engine is this run's alone.
    pub private: bool,
    /// Whether the engine keeps images in the containerd image store.
    pub containerd: bool,
    /// What was on the engine before the job.
    pub before: Snapshot,
    /// Build cache records that were on the engine just before the job's first step and were gone
    /// after its last one.
    pub gone: BTreeSet<String>,
    /// How busy the machine was during the job; absent where it was not looked at.
    pub noise: Option<Noise>,
    /// What others did on the engine during the job.
    pub others: Vec<String>,
}

/// What the registry holds under the name of a cache that the job exported.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// Digest before the job.
    pub before: Option<String>,
    /// Digest after it.
    pub after: Option<String>,
}

/// Everything that is known of one sample.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// The strategy's steps.
    pub steps: &'a [Step],
    /// The steps of the jobs that left what this one finds.
    pub leaving: &'a [Step],
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
    /// What the registry holds under the names of caches that the job exported.
    pub left: &'a BTreeMap<ImageRef, Left>,
    /// Images of the job's in the registry that come with attestations.
    pub attested: &'a [ImageRef],
    /// What the job's own images are, by tag.
    pub own: &'a BTreeMap<ImageRef, ImageFacts>,
    /// Hash of every file of the sample's workspace.
    pub files: &'a BTreeMap<String, String>,
    /// Its Dockerfile.
    pub dockerfile: &'a str,
    /// Paths that differ from the pristine context and that no edit explains.
    pub unexplained: &'a BTreeSet<String>,
    /// What was seen beside the job.
    pub around: &'a Around,
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
    examination.loaded();
    examination.sources();
    examination.builds_of_one_job();
    examination.hits();
    examination.exports();
    examination.pushes();
    examination.context();
    examination.engine();
    examination.machine();
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

#[cfg(test)]
mod tests;

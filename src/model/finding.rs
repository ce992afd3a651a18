//! What a run noticed: traps of the methodology and other conditions that a reader must know.

use serde::{Deserialize, Serialize};

/// How much a finding matters.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; the sample counts.
    Note,
    /// The sample counts, but its reading needs care.
    Warning,
    /// The sample is not what it claims to be and does not count.
    Invalid,
}

/// A kind of finding: one row of [`FINDINGS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindingKind {
    /// Stable id, as in `report.json`.
    pub id: &'static str,
    /// Number in the methodology's table of traps, if it is one of them.
    pub trap: Option<u8>,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence: what it is.
    pub meaning: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

/// One thing noticed, on one sample or on the whole run.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Finding {
    /// Id of its kind.
    pub id: String,
    /// What exactly was seen, on what.
    pub detail: String,
}

impl Finding {
    /// Whether something beside the job disturbed the sample that this was noticed on.
    pub fn is_disturbance(&self) -> bool {
        [&OTHER_WORK, &CLOCK_MOVED, &THROTTLED].iter().any(|kind| kind.id == self.id)
    }

    /// A finding of a kind with what was seen.
    pub fn new(kind: &FindingKind, detail: impl Into<String>) -> Self {
        Self { id: kind.id.to_owned(), detail: detail.into() }
    }

    /// The kind that this finding is of; `None` if a newer version wrote it.
    pub fn kind(&self) -> Option<&'static FindingKind> {
        FINDINGS.iter().copied().find(|kind| kind.id == self.id)
    }
}

macro_rules! findings {
    ($($(#[$doc:meta])* $name:ident { id: $id:literal, trap: $trap:expr, severity: $severity:ident, meaning: $meaning:literal, advice: $advice:literal $(,)? })*) => {
        $($(#[$doc])* pub static $name: FindingKind = FindingKind {
            id: $id, trap: $trap, severity: Severity::$severity, meaning: $meaning, advice: $advice,
        };)*
        /// Every kind of finding. The documentation's table is made from this.
        pub static FINDINGS: &[&FindingKind] = &[$(&$name),*];
    };
}

findings! {
    /// Trap 1.
    SOURCE_WITHOUT_HIT {
        id: "source-without-hit", trap: Some(1), severity: Invalid,
        meaning: "A cache source was there, but not one RUN, COPY or ADD step was taken from it.",
        advice: "Look at the first step of the log: the base image, a build argument or the other builder usually differs. The sample says nothing about a working cache."
    }
    /// Trap 2.
    SOURCE_MISSING {
        id: "source-missing", trap: Some(2), severity: Invalid,
        meaning: "A cache source that an earlier job left is not there.",
        advice: "Check the tag's spelling and that the earlier job pushed it; a builder ignores a missing source without a word."
    }
    /// Trap 3.
    NO_INLINE_METADATA {
        id: "no-inline-metadata", trap: Some(3), severity: Invalid,
        meaning: "A cache source has no inline cache metadata (moby.buildkit.cache.v0), so BuildKit cannot use it.",
        advice: "Build the source with --build-arg BUILDKIT_INLINE_CACHE=1 or --cache-to type=inline."
    }
    /// Trap 4.
    STALE_LOCAL_TAG {
        id: "stale-local-tag", trap: Some(4), severity: Invalid,
        meaning: "A local image of the same name hides the registry's newer one as a cache source.",
        advice: "Remove the local tag or pull before the build; the sample used the stale image."
    }
    /// Trap 5.
    SOURCE_HIDES_LOCAL_CACHE {
        id: "source-hides-local-cache", trap: Some(5), severity: Note,
        meaning: "The classic builder ignores its own local cache as soon as one --cache-from is given: this build re-ran steps that an earlier build of the same job had just made.",
        advice: "Name the image that the earlier build of the job made as a source as well, as pull-stages does."
    }
    /// Trap 6.
    FIRST_SOURCE_LOCKS {
        id: "first-source-locks", trap: Some(6), severity: Warning,
        meaning: "The classic builder kept to the first source that matched a step; a source named after it holds more of this stage.",
        advice: "Name the source that is nearest to this build first; the classic builder never combines sources."
    }
    /// Trap 7.
    STAGE_WITHOUT_SOURCE {
        id: "stage-without-source", trap: Some(7), severity: Note,
        meaning: "A stage whose inputs did not change was built anew, because no source holds its steps.",
        advice: "Carry the image of that stage too: pull-stages, save-load-stages or inline-stages."
    }
    /// Trap 8.
    STAGE_IS_FINAL {
        id: "stage-is-final", trap: Some(8), severity: Note,
        meaning: "The image pushed as a stage's cache is the final image: it was built without --target.",
        advice: "Add --target STAGE to the build of the stage image."
    }
    /// Trap 9.
    OTHER_BUILDER {
        id: "other-builder", trap: Some(9), severity: Invalid,
        meaning: "A cache source was made by the other builder, whose steps this one cannot match.",
        advice: "Build and consume the cache with the same builder (DOCKER_BUILDKIT=0 or 1 in both jobs)."
    }
    /// Trap 10.
    FINAL_STAGE_ONLY {
        id: "final-stage-only", trap: Some(10), severity: Note,
        meaning: "The cache holds the final stage only: one changed input of an earlier stage re-ran all of that stage, unchanged first steps included.",
        advice: "Carry every stage: registry-max, local-max, inline-stages or pull-stages."
    }
    /// Trap 11.
    HIT_NOT_FETCHED {
        id: "hit-not-fetched", trap: Some(11), severity: Note,
        meaning: "Steps were reported as cached although none of their layers came to the engine during the build.",
        advice: "Do not read a hit as a layer that was brought: BuildKit fetches it later (at the push, or when it is run) or never. Compare bytes as well."
    }
    /// Trap 12.
    EXPORT_OUTWEIGHS_SAVING {
        id: "export-outweighs-saving", trap: Some(12), severity: Warning,
        meaning: "Leaving the cache behind takes longer than finding it saves.",
        advice: "Leave a cache behind on the main branch only (elsewhere a strategy that only reads, as registry-read-only), or carry less: mode=min, or the stages that are slow."
    }
    /// Trap 14.
    HITS_COME_AND_GO {
        id: "hits-come-and-go", trap: Some(14), severity: Warning,
        meaning: "Identical samples of one cell hit different steps.",
        advice: "Read the cell's times as a mixture of two cases; compare the logs of the named samples for what was found and what was not."
    }
    /// Trap 15.
    IMPORT_OUTLASTS_STEPS {
        id: "import-outlasts-steps", trap: Some(15), severity: Note,
        meaning: "Importing the cache ended after the last step had ended: the build was done before its cache was there.",
        advice: "Import fewer or smaller caches, or none for this build."
    }
    /// Trap 17.
    BASE_PRESENT {
        id: "base-present", trap: Some(17), severity: Note,
        meaning: "The base image was on the engine before the job, so FROM fetched 0 bytes.",
        advice: "A fresh runner pulls it first; add that time, the same for every strategy, when you read absolute times."
    }
    /// Trap 18.
    LAYERS_IN_REGISTRY {
        id: "layers-in-registry", trap: Some(18), severity: Note,
        meaning: "Some layers that the job pushed were in the registry before, or were mounted from another repository.",
        advice: "That is right for a cache that is found (its own layers are there); for a cold job it makes the push look cheap."
    }
    /// Trap 20.
    ATTESTATIONS {
        id: "attestations", trap: Some(20), severity: Note,
        meaning: "An image in the registry comes with attestations, so that its digest is another one after every build.",
        advice: "Compare layers and configuration, as Breakeven does, and not digests; or build with --provenance=false."
    }
    /// Trap 21.
    CONTEXT_DIFFERS {
        id: "context-differs", trap: Some(21), severity: Warning,
        meaning: "The build context differs from what its change explains (mode, order, or files that appear by themselves).",
        advice: "Ignore generated files in .dockerignore; compare the hashes in the journal."
    }
    /// Trap 22.
    STEP_MISSED {
        id: "step-missed", trap: Some(22), severity: Warning,
        meaning: "A step whose files did not change was carried out again although the cache holds its stage.",
        advice: "If an argument is named, move that ARG, ENV or LABEL (a commit, a date) below the steps that do not need it; otherwise compare the step's line in the logs of two samples."
    }
    /// Trap 23.
    BASE_MOVED {
        id: "base-moved", trap: Some(23), severity: Invalid,
        meaning: "A base image's tag names another image than in the run's first sample, so that this sample built something else.",
        advice: "Name the base by its digest, or let nobody pull or tag it while a run lasts."
    }
    /// Trap 24.
    STEP_NOT_REPRODUCIBLE {
        id: "step-not-reproducible", trap: Some(24), severity: Warning,
        meaning: "Two cold builds of the same files gave different content, so that what a later step takes from it may miss.",
        advice: "Keep dates, random names and logs out of the step's result."
    }
    /// Trap 25.
    CACHE_MOUNTS_WARM {
        id: "cache-mounts-warm", trap: Some(25), severity: Warning,
        meaning: "Cache mounts (RUN --mount=type=cache) were on the engine before the job; no fresh runner has them.",
        advice: "Measure on a private engine, or free them yourself (docker builder prune --filter type=exec.cachemount)."
    }
    /// Trap 26.
    RECORDS_COLLECTED {
        id: "records-collected", trap: Some(26), severity: Warning,
        meaning: "Build cache records that were on the engine before the job were gone after it: its garbage collector, or somebody, removed them.",
        advice: "Give the engine room (builder.gc in daemon.json, free disk) and prune nothing while a run lasts."
    }
    /// Trap 27.
    UNSUPPORTED {
        id: "unsupported", trap: Some(27), severity: Note,
        meaning: "An engine cannot do what a strategy needs; its cells were left out before anything was measured.",
        advice: "See what would make it possible beside each of them; an engine of another kind can be measured in the same run."
    }
    /// Trap 28.
    CACHE_MANIFEST_REFUSED {
        id: "cache-manifest-refused", trap: Some(28), severity: Invalid,
        meaning: "The registry refused the manifest of the exported cache.",
        advice: "Set image_manifest = true (--cache-to …,image-manifest=true), which registries without OCI indexes of caches take, or use inline."
    }
    /// Trap 29.
    CACHE_NOT_LEFT {
        id: "cache-not-left", trap: Some(29), severity: Invalid,
        meaning: "The build succeeded, but the cache that it was to leave is not in the registry.",
        advice: "Look for the export's error in the sample's log; leave out ignore-error=true, and check the registry's quota and rights."
    }
    /// Trap 30.
    LOADED_NOT_CONSULTED {
        id: "loaded-not-consulted", trap: Some(30), severity: Invalid,
        meaning: "The images were loaded from an archive and named as sources, but the builder did not look at them: on the containerd image store BuildKit takes sources from a registry only.",
        advice: "Carry the cache as a folder instead (local-min, local-max), or push it (inline, registry-max)."
    }
    /// Trap 31.
    KNOWN_BAD_ENGINE {
        id: "known-bad-engine", trap: Some(31), severity: Warning,
        meaning: "This version of the engine is known to get build caches wrong.",
        advice: "Do what stands beside the version, or do not trust the cells that it names."
    }
    /// Trap 32.
    TIMED_OUT {
        id: "timed-out", trap: Some(32), severity: Invalid,
        meaning: "A step did not end within its time limit; this is a failure, not a measurement.",
        advice: "Raise [limits] in breakeven.toml if the step is only slow; see the sample's log."
    }
    /// Trap 33.
    LINK_NOT_AS_ASKED {
        id: "link-not-as-asked", trap: Some(33), severity: Warning,
        meaning: "A link, measured before its first use, is more than 5 % off what was asked.",
        advice: "Read the times as those of the measured link, or ask for a slower one: other work on the machine, or a rate beyond what it can carry, is the usual cause."
    }
    /// Trap 34.
    OTHER_WORK {
        id: "other-work", trap: Some(34), severity: Warning,
        meaning: "Somebody else worked on the engine or the machine during the sample.",
        advice: "Measure on a machine of its own; paired rounds and the interval cover what comes and goes, not what hits one strategy alone."
    }
    /// A clock was moved.
    CLOCK_MOVED {
        id: "clock-moved", trap: None, severity: Warning,
        meaning: "The wall clock was moved against the monotonic one during the sample: it was set, or the machine was suspended.",
        advice: "Durations are read from the monotonic clock and stand; time stamps and what is told apart by them (others' work on the engine) may not. A machine that was suspended measures nothing worth having: compare the verdict without disturbed samples."
    }
    /// A processor was too hot.
    THROTTLED {
        id: "throttled", trap: None, severity: Warning,
        meaning: "Processors were slowed down for their heat during the sample.",
        advice: "Measure on a machine that can keep its speed, or leave it time between rounds; compare the verdict without disturbed samples."
    }
    /// Times drift over the rounds.
    DRIFT {
        id: "drift", trap: None, severity: Warning,
        meaning: "Jobs became slower or faster over the rounds, by more than chance makes them.",
        advice: "Savings are paired within rounds and stand; absolute times are those of a machine that changed: say which end of the run you mean, or measure when it is steady."
    }
    /// The A/A cell differs from the cell that it repeats.
    BASELINE_UNLIKE_ITSELF {
        id: "baseline-unlike-itself", trap: None, severity: Warning,
        meaning: "The baseline, measured twice in every round, differs from itself by more than chance makes it: what comes before a sample, or the machine, favours one of two equal cells.",
        advice: "Believe no saving that is as small as this difference. Look in samples.csv for what the slower ones have in common (the sample before them, the position in the round), and measure on a quieter machine or a private engine; 1 run in 100 shows this by chance, so repeat it first."
    }
    /// A cold sample had something to start from.
    NOT_COLD {
        id: "not-cold", trap: None, severity: Invalid,
        meaning: "A sample that is to start from nothing consulted a source, brought an image, or found one on an engine of its own.",
        advice: "Use a baseline that asks for no cache, and an engine image that brings no images."
    }
    /// A strategy's image is not the baseline's.
    IMAGE_DIFFERS {
        id: "image-differs", trap: None, severity: Invalid,
        meaning: "For the same workspace the strategy gave another image than a build without cache: it is not faster, it is wrong.",
        advice: "Look at the named paths: a step that should have run again was taken from the cache (a RUN that fetches what is newest, a bind mount), or the engine's cache is at fault."
    }
    /// The final image could not be held against the baseline's.
    IMAGE_NOT_COMPARED {
        id: "image-not-compared", trap: None, severity: Note,
        meaning: "The final image of a cell was not held against that of a build without cache.",
        advice: "The warm-up sample did not count, or its image could not be exported; see the detail and the sample's log."
    }
    /// A merged run that lacks something.
    NOT_WHOLE {
        id: "parts-missing", trap: None, severity: Warning,
        meaning: "The run was put together from parts of which one is missing, there twice, or not complete.",
        advice: "Measure what is missing with the same configuration and seed (`breakeven run --shard K/N`, or --resume), then merge again."
    }
    /// Parts of different machines.
    MACHINES_DIFFER {
        id: "machines-differ", trap: None, severity: Note,
        meaning: "The parts of the run were measured on machines that are not alike.",
        advice: "Savings are paired within rounds, and a round lies on one machine, so they stand; whole times are those of a mixture. Use runners of one model if times matter."
    }
    /// The machines' savings differ.
    SAVING_DEPENDS_ON_MACHINE {
        id: "saving-depends-on-machine", trap: None, severity: Warning,
        meaning: "What a strategy saves differs between the machines by more than chance makes it, and by more than matters.",
        advice: "Read the machines' own results: the verdict is one over this mixture of machines. Measure on the runners that your jobs get, in the share in which they get them."
    }
    /// A run in several parts.
    RESUMED {
        id: "run-resumed", trap: None, severity: Note,
        meaning: "The run was stopped and went on later, so that it was measured in several parts.",
        advice: "Pairs of the round in which it stopped lie apart in time: look at how much times moved, and measure anew if that is as large as the saving."
    }
    /// A transfer was tried again.
    RETRIED {
        id: "retried", trap: None, severity: Note,
        meaning: "A pull, push, fetch or store failed and was tried again, as limits.retries asks for; the failed attempts count in the phase's time.",
        advice: "That is what a job with retries costs. Look for the cause if it is not how your registry or storage usually behaves."
    }
    /// The engine goes on with a build that was given up.
    BUILD_GOES_ON {
        id: "build-goes-on", trap: None, severity: Warning,
        meaning: "A build was given up while it imported a cache, and the engine goes on with that until the registry answers or hangs up: what it uses meanwhile cannot be removed.",
        advice: "Run `breakeven clean` once the registry answers, or after the engine was restarted. A link in front of the registry ([link.NAME]) hangs up by itself."
    }
    /// A cold or populate sample had hits.
    FOREIGN_CACHE {
        id: "foreign-cache", trap: None, severity: Invalid,
        meaning: "Steps were taken from build cache that this run did not make: it was on the engine before.",
        advice: "Measure on an engine without cache for this workload, or free it yourself (docker builder prune; docker image prune): Breakeven never removes cache of yours."
    }
    /// The registry cannot be put back.
    REGISTRY_NOT_RESTORED {
        id: "registry-not-restored", trap: None, severity: Warning,
        meaning: "An external registry cannot be put back to its earlier state: tags are, pushed layers stay.",
        advice: "Read push times as an upper bound on speed-up, or use the managed registry."
    }
    /// Bytes are not counted.
    BYTES_NOT_COUNTED {
        id: "bytes-not-counted", trap: None, severity: Note,
        meaning: "Nothing stands between engine and registry that counts bytes, so bytes of pull, push and import are n/a.",
        advice: "The engine's own progress counts uncompressed bytes and is not shown instead."
    }
}

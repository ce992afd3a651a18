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
    /// Trap 21.
    CONTEXT_DIFFERS {
        id: "context-differs", trap: Some(21), severity: Warning,
        meaning: "The build context differs from what its change explains (mode, order, or files that appear by themselves).",
        advice: "Ignore generated files in .dockerignore; compare the hashes in the journal."
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

//! All that happens in a run. Recorded events, and nothing else, are what reports are made from.

use super::cell::CellKey;
use super::deploy::DeployPull;
use super::finding::Finding;
use super::left::Left;
use super::sample::Sample;
use super::step::Phase;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the journal's format.
pub const JOURNAL_VERSION: u32 = 1;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Every round was measured.
    Complete,
    /// Every verdict was settled before the last round.
    Settled,
    /// The time budget was used up.
    OutOfTime,
    /// The user stopped it.
    Interrupted,
    /// Engine or registry could not go on.
    Aborted,
    /// Parts of it are missing or not complete.
    NotWhole,
}

impl Ending {
    /// How the run of this journal ended. None if it was killed, or goes on after it was stopped.
    pub fn of(events: &[Event]) -> Option<Self> {
        let last = |event: &Event| match event {
            Event::RunEnded { ending, .. } => Some(Some(*ending)),
            Event::RunResumed { .. } => Some(None),
            _ => None,
        };
        events.iter().rev().find_map(last)?
    }

    /// Whether all was measured that was to be.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Complete | Self::Settled)
    }
}

/// One event. Those for which [`Event::is_recorded`] holds are lines of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// First line of every journal.
    RunStarted {
        /// [`JOURNAL_VERSION`].
        version: u32,
        /// Id of the run.
        run: String,
        /// Wall clock, RFC 3339, UTC.
        at: String,
    },
    /// A run that was stopped goes on. What was finished before is not measured again.
    RunResumed {
        /// [`JOURNAL_VERSION`].
        version: u32,
        /// Wall clock, RFC 3339, UTC.
        at: String,
        /// Whether the journal's last line was torn by a kill and has been cut off.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        torn: bool,
        /// Whether samples that failed before are measured again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        retry_failed: bool,
    },
    /// What is built, as it was when the run started: resuming asks whether it still is.
    Contents {
        /// Hash or image id, by what it is of in words: `workload web`.
        hashes: BTreeMap<String, String>,
    },
    /// The final images of the warm-up round were held against builds without cache.
    ImagesCompared {
        /// Cells whose image is another one, with what differs.
        wrong: BTreeMap<CellKey, String>,
    },
    /// A part of the run that a machine measured was put to the others.
    PartMerged {
        /// Number of the machine, from 1: that of the part.
        machine: u32,
        /// Id that the part had as a run.
        run: String,
        /// Facts about machine and engine.
        facts: BTreeMap<String, String>,
        /// Seconds that it was measured.
        duration_s: f64,
    },
    /// Candidates of one strategy are being built before anything is measured. Not recorded.
    Seeding {
        /// What is being built, for people.
        what: String,
    },
    /// A sample begins. Not recorded.
    SampleStarted {
        /// Number of the sample, from 1.
        sample: u32,
        /// How many samples the run will have; of an adaptive run, at most.
        of: u32,
        /// The round; 0 is the warm-up.
        round: u32,
        /// The cell.
        cell: CellKey,
    },
    /// A phase begins. Not recorded.
    PhaseStarted {
        /// The phase; `None` while preparing.
        phase: Option<Phase>,
    },
    /// A sample is complete, whatever became of it.
    SampleFinished {
        /// The sample.
        sample: Box<Sample>,
    },
    /// Something noticed about the whole run.
    RunFinding {
        /// What.
        finding: Finding,
    },
    /// What an engine of this run's alone is, which is known only once it runs.
    EngineFacts {
        /// Its name in the plan.
        engine: String,
        /// Version of the daemon.
        version: String,
        /// Where it keeps images, such as `overlay2` or `overlayfs (containerd)`.
        store: String,
    },
    /// Cells that the engine cannot do, found before anything is measured.
    Unsupported(Box<Unsupported>),
    /// A link as it was measured before its first use.
    LinkMeasured {
        /// Its name.
        link: String,
        /// Bits a second towards the job.
        down_bps: f64,
        /// Bits a second away from the job.
        up_bps: f64,
        /// Round-trip time in seconds.
        rtt_s: f64,
    },
    /// Every verdict was looked at between two rounds of an adaptive run. Not recorded: it follows
    /// from the samples.
    Looked {
        /// The last round that was looked at.
        round: u32,
        /// Verdicts that are settled.
        settled: usize,
        /// Verdicts that there are.
        of: usize,
    },
    /// A strategy is not measured any more.
    StrategyLeft {
        /// Which, and why.
        left: Box<Left>,
    },
    /// A final image was pulled as a node pulls it, outside of every job.
    DeployPulled {
        /// The pull.
        pull: Box<DeployPull>,
    },
    /// Last line of a journal whose run was not killed; of every part of it, if it was resumed.
    RunEnded {
        /// How.
        ending: Ending,
        /// Why, where it is not complete.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        /// Wall clock, RFC 3339, UTC.
        at: String,
        /// Seconds from the start, or from where it was resumed, to the end.
        duration_s: f64,
    },
}

/// Cells that an engine cannot do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unsupported {
    /// Which: `strategy (builder)` and the engine.
    pub what: String,
    /// The cells that are left out.
    pub cells: Vec<CellKey>,
    /// Why not.
    pub reason: String,
    /// What would make it possible.
    pub advice: String,
    /// Id of the kind of finding that this is.
    #[serde(default = "unsupported")]
    pub finding: String,
}

// A journal is read into one event a sample, and there may be a million: what is large and rare is in
// a box of its own.
const _: () = assert!(size_of::<Event>() <= 72);

impl Event {
    /// The sample that it says is finished.
    pub fn sample(&self) -> Option<&Sample> {
        match self {
            Self::SampleFinished { sample } => Some(sample),
            _ => None,
        }
    }

    /// Whether it belongs into the journal.
    pub const fn is_recorded(&self) -> bool {
        !matches!(
            self,
            Self::Seeding { .. }
                | Self::SampleStarted { .. }
                | Self::PhaseStarted { .. }
                | Self::Looked { .. }
        )
    }
}

/// What a journal means that does not say it.
fn unsupported() -> String {
    crate::model::finding::UNSUPPORTED.id.to_owned()
}

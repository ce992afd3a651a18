//! Going on with a run that was stopped: what it has finished, and whether it would still measure
//! the same.

use super::RunError;
use super::difference;
use crate::engine::EngineHost;
use crate::model::event::Ending;
use crate::model::plan::Edit;
use crate::model::{CellKey, Event, Left, Plan, Sample, Status, sample};
use crate::workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How many files are named that may be why a workload's content is another.
const NAMED: usize = 5;

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
#[error(
    "the run cannot go on, because it would not measure the same any more:\n  {}\nPut back what \
     changed, or measure the same plan anew with `breakeven repeat {}`",
    differences.join("\n  "), dir.display()
)]
pub struct Changed {
    /// The run directory.
    pub dir: PathBuf,
    /// What changed, one line each.
    pub differences: Vec<String>,
}

impl Changed {
    /// Refuses to go on if anything differs.
    pub fn unless_none(differences: Vec<String>, dir: &Path) -> Result<(), Self> {
        if differences.is_empty() { Ok(()) } else { Err(Self { dir: dir.to_owned(), differences }) }
    }
}

/// What a run recorded before it was stopped; nothing of a run that begins.
#[derive(Debug, Default)]
pub struct Earlier {
    events: Vec<Event>,
    torn: bool,
    retry_failed: bool,
    finished: BTreeMap<(u32, CellKey), Status>,
    last: u32,
}

impl Earlier {
    /// Sorts what was recorded. `retry_failed`: samples that failed do not count as finished.
    pub fn new(events: Vec<Event>, torn: bool, retry_failed: bool) -> Self {
        let samples = || events.iter().filter_map(Event::sample);
        let last = samples().map(|sample| sample.sample).max().unwrap_or(0);
        let finished = sample::standing(samples())
            .into_iter()
            .filter(|sample| sample.status != Status::Interrupted)
            .map(|sample| ((sample.round, sample.cell.key()), sample.status))
            .collect();
        Self { events, torn, retry_failed, finished, last }
    }

    /// Whether nothing was recorded, so that the run begins.
    pub const fn is_nothing(&self) -> bool {
        self.events.is_empty()
    }

    /// How often the run was started.
    pub fn parts(&self) -> usize {
        let starts =
            |event: &&Event| matches!(event, Event::RunStarted { .. } | Event::RunResumed { .. });
        self.events.iter().filter(starts).count()
    }

    /// Whether the journal's last line was torn and has been cut off.
    pub const fn torn(&self) -> bool {
        self.torn
    }

    /// Whether samples that failed are measured again.
    pub const fn retries_failed(&self) -> bool {
        self.retry_failed
    }

    /// Whether a cell need not be measured in a round: it was, whatever became of the sample.
    pub fn finished(&self, round: u32, cell: &CellKey) -> bool {
        let status = self.finished.get(&(round, cell.clone()));
        status.is_some_and(|status| !(self.retry_failed && *status == Status::Failed))
    }

    /// What became of every sample that was finished, by round and cell.
    pub const fn statuses(&self) -> &BTreeMap<(u32, CellKey), Status> {
        &self.finished
    }

    /// Every recorded sample, those included that a later one stands for.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.events.iter().filter_map(Event::sample)
    }

    /// Strategies that were not measured any more, in the order in which they left.
    pub fn left(&self) -> Vec<Left> {
        let of = |event: &Event| match event {
            Event::StrategyLeft { left } => Some(Left::clone(left)),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    /// The last round of which a sample was recorded.
    pub fn last_round(&self) -> Option<u32> {
        self.samples().map(|sample| sample.round).max()
    }

    /// Number of the last recorded sample; 0 if there is none.
    pub const fn last(&self) -> u32 {
        self.last
    }

    /// Whether there is nothing left to measure.
    pub fn is_complete(&self, plan: &Plan) -> bool {
        let again = self.retry_failed && self.finished.values().any(|s| *s == Status::Failed);
        (self.whole().is_some() || self.has_every_sample(plan)) && !again
    }

    /// How it came to its end, if it once did; it may have gone on for samples that failed.
    pub fn whole(&self) -> Option<Ending> {
        self.events.iter().rev().find_map(|event| match event {
            Event::RunEnded { ending, .. } if ending.is_whole() => Some(*ending),
            _ => None,
        })
    }

    /// Whether its last part wrote that it ended.
    pub fn has_ended(&self) -> bool {
        Ending::of(&self.events).is_some()
    }

    fn has_every_sample(&self, plan: &Plan) -> bool {
        let left_out = self.left_out();
        let cells = plan.measured().map(|cell| cell.key()).filter(|key| !left_out.contains(key));
        let cells: Vec<CellKey> = cells.collect();
        (0..=plan.rounds)
            .filter(|round| plan.has_round(*round))
            .all(|round| cells.iter().all(|key| self.finished.contains_key(&(round, key.clone()))))
    }

    /// Cells whose image is another one than a build without cache gives, with what differs;
    /// `None` if the warm-up's images were not compared yet.
    pub fn compared(&self) -> Option<BTreeMap<CellKey, String>> {
        let wrong = self.events.iter().find_map(|event| match event {
            Event::ImagesCompared { wrong } => Some(wrong.clone()),
            _ => None,
        });
        // A journal of a version that did not record this.
        let counted = self.finished.keys().any(|(round, _)| *round > 0);
        wrong.or_else(|| counted.then(BTreeMap::new))
    }

    /// What was built, as [`contents`] gives it.
    pub fn contents(&self) -> Option<&BTreeMap<String, String>> {
        self.events.iter().find_map(|event| match event {
            Event::Contents { hashes } => Some(hashes),
            _ => None,
        })
    }

    /// Refuses engines that, as they were probed now, are others than before.
    pub fn same_engines(&self, probed: &[Event], dir: &Path) -> Result<(), Changed> {
        // Before the first sample nothing depends on what they were.
        if self.last == 0 {
            return Ok(());
        }
        let mut differences = difference::of_facts(&engines(&self.events), &engines(probed));
        let (was, is) = (self.left_out(), left_out(probed));
        differences.extend(was.difference(&is).map(|cell| format!("{cell}: was not possible, is")));
        differences.extend(is.difference(&was).map(|cell| format!("{cell}: was possible, is not")));
        Changed::unless_none(differences, dir)
    }

    fn left_out(&self) -> BTreeSet<CellKey> {
        left_out(&self.events)
    }
}

fn left_out(events: &[Event]) -> BTreeSet<CellKey> {
    let cells = events.iter().filter_map(|event| match event {
        Event::Unsupported(found) => Some(&found.cells),
        _ => None,
    });
    cells.flatten().cloned().collect()
}

/// What private engines were found to be.
fn engines(events: &[Event]) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for event in events {
        if let Event::EngineFacts { engine, version, store } = event {
            facts.insert(format!("engine {engine} version"), version.clone());
            facts.insert(format!("engine {engine} store"), store.clone());
        }
    }
    facts
}

/// Of each workload whose content is another than before: which of its files were written since the
/// run started, by their times. A journal has one hash of all of them, which names none.
pub fn written_since(
    plan: &Plan,
    earlier: &Earlier,
    contents: &BTreeMap<String, String>,
) -> Result<Vec<String>, RunError> {
    let started = earlier.events.iter().find_map(|event| match event {
        Event::RunStarted { at, .. } => OffsetDateTime::parse(at, &Rfc3339).ok(),
        _ => None,
    });
    let (Some(started), Some(was)) = (started.map(SystemTime::from), earlier.contents()) else {
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    for (name, workload) in &plan.workloads {
        let key = format!("workload {name}");
        if was.get(&key) == contents.get(&key) {
            continue;
        }
        let written: Vec<String> = workspace::sent(workload)?
            .into_iter()
            .filter(|path| {
                let times = workload.context.join(path).symlink_metadata();
                times.and_then(|times| times.modified()).is_ok_and(|written| written > started)
            })
            .map(|path| path.to_string_lossy().escape_debug().to_string())
            .collect();
        if !written.is_empty() {
            let more = written.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let named = written.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
            lines.push(format!("{key}: written since the run started: {named}{more}"));
        }
    }
    Ok(lines)
}

/// What a plan builds, as hashes and image ids by what they are of: the content of each context
/// and its Dockerfile, files that edits copy, and base images on the engines.
pub async fn contents(
    plan: &Plan,
    hosts: impl IntoIterator<Item = (&String, &Arc<dyn EngineHost>)>,
) -> Result<BTreeMap<String, String>, RunError> {
    let mut contents = BTreeMap::new();
    // Commits are named in the plan; what lies beside them in the checkout is not built.
    let edited = |name: &str| {
        plan.cells.iter().any(|cell| cell.workload == name && plan.commit(&cell.change).is_none())
    };
    for (name, workload) in plan.workloads.iter().filter(|(name, _)| edited(name)) {
        contents.insert(format!("workload {name}"), workspace::content(workload)?);
    }
    let used =
        plan.changes.iter().filter(|(name, _)| plan.cells.iter().any(|c| c.change == **name));
    for edit in used.flat_map(|(_, change)| &change.edits) {
        if let Edit::Copy { from, .. } = edit {
            contents.insert(format!("file {}", from.display()), workspace::file_content(from)?);
        }
    }
    let bases: BTreeSet<&String> =
        plan.workloads.values().flat_map(|workload| &workload.bases).collect();
    for (engine, host) in hosts {
        for base in &bases {
            if let Some(facts) = host.users().inspect(base).await? {
                contents.insert(format!("base image {base} (engine {engine})"), facts.id);
            }
        }
    }
    Ok(contents)
}

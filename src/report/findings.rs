//! What was noticed and what was lost, grouped so that a reader sees each thing once.

use super::text::plural;
use crate::model::{Event, Finding, Sample, Severity, Status};
use std::collections::{BTreeMap, BTreeSet};

/// All findings of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingGroup {
    /// Id of the kind.
    pub id: String,
    /// Number in the methodology's table of traps.
    pub trap: Option<u8>,
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub meaning: String,
    /// What to do.
    pub advice: String,
    /// How many samples have it; 0 if it is about the whole run.
    pub samples: usize,
    /// Keys of the cells that have it.
    pub cells: BTreeSet<String>,
    /// What exactly was seen, each different text once.
    pub details: BTreeSet<String>,
}

/// Samples that became the same in the same cell for the same reason.
#[derive(Debug, Clone, PartialEq)]
pub struct LostGroup {
    /// What became of them.
    pub status: Status,
    /// Key of the cell.
    pub cell: String,
    /// Why.
    pub reason: String,
    /// Their numbers.
    pub samples: Vec<u32>,
}

/// What was noticed, by kind, the gravest first.
pub(super) fn grouped(events: &[Event], samples: &[&Sample]) -> Vec<FindingGroup> {
    let mut groups: BTreeMap<&str, FindingGroup> = BTreeMap::new();
    for event in events {
        if let Event::RunFinding { finding } = event {
            group_of(&mut groups, finding);
        }
    }
    for sample in samples {
        let mut counted = BTreeSet::new();
        for finding in &sample.findings {
            let group = group_of(&mut groups, finding);
            group.cells.insert(sample.cell.key().0);
            group.samples += usize::from(counted.insert(&finding.id));
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
    groups
}

fn group_of<'a, 'b>(
    groups: &'b mut BTreeMap<&'a str, FindingGroup>,
    finding: &'a Finding,
) -> &'b mut FindingGroup {
    let group = groups.entry(&finding.id).or_insert_with(|| {
        let known = finding.kind();
        FindingGroup {
            id: finding.id.clone(),
            trap: known.and_then(|kind| kind.trap),
            severity: known.map_or(Severity::Warning, |kind| kind.severity),
            meaning: known
                .map_or("A kind of finding that this version of Breakeven does not know.", |kind| {
                    kind.meaning
                })
                .to_owned(),
            advice: known
                .map_or("Report with the version of Breakeven that measured.", |kind| kind.advice)
                .to_owned(),
            samples: 0,
            cells: BTreeSet::new(),
            details: BTreeSet::new(),
        }
    });
    if !finding.detail.is_empty() {
        group.details.insert(finding.detail.clone());
    }
    group
}

/// Samples that do not count, by what became of them and where.
pub(super) fn lost(samples: &[&Sample]) -> Vec<LostGroup> {
    let mut groups: BTreeMap<(Status, String, &str), Vec<u32>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.status != Status::Ok) {
        let key = (sample.status, sample.cell.key().0, sample.reason.as_str());
        groups.entry(key).or_default().push(sample.sample);
    }
    groups
        .into_iter()
        .map(|((status, cell, reason), samples)| LostGroup {
            status,
            cell,
            reason: reason.to_owned(),
            samples,
        })
        .collect()
}

/// How many cells or details are shown before the rest is only counted.
const SHOWN: usize = 3;

impl FindingGroup {
    /// Id, trap and where: `source-without-hit (trap 1) · 2 samples in 1 cell`.
    pub fn heading(&self) -> String {
        let trap = self.trap.map(|trap| format!(" (trap {trap})")).unwrap_or_default();
        let place = match (self.samples, self.cells.len()) {
            (0, _) => "the whole run".to_owned(),
            (samples, cells) => {
                format!("{} in {}", plural(samples, "sample"), plural(cells, "cell"))
            }
        };
        format!("{}{trap} · {place}", self.id)
    }

    /// What exactly was seen, as far as one line is enough for it.
    pub fn seen(&self) -> Option<String> {
        (!self.details.is_empty()).then(|| first_of(self.details.iter(), "; "))
    }

    /// The cells that have it, as far as one line is enough for them.
    pub fn places(&self) -> Option<String> {
        (!self.cells.is_empty()).then(|| first_of(self.cells.iter(), ", "))
    }
}

impl LostGroup {
    /// Why, how many, and where the log is.
    pub fn line(&self) -> String {
        let logs =
            first_of(self.samples.iter().map(|number| format!("logs/{number:04}.log")), ", ");
        let reason = if self.reason.is_empty() { "no reason recorded" } else { &self.reason };
        format!("{}: {reason} ({logs})", plural(self.samples.len(), "sample"))
    }
}

fn first_of(items: impl ExactSizeIterator<Item = impl AsRef<str>>, between: &str) -> String {
    let more = items.len().saturating_sub(SHOWN);
    let shown: Vec<String> = items.take(SHOWN).map(|item| item.as_ref().to_owned()).collect();
    let shown = shown.join(between);
    if more == 0 { shown } else { format!("{shown}{between}and {more} more") }
}

//! What a sample is against the earlier ones of its run: trap 23, and cells that were found to
//! give a wrong image.

use crate::model::finding as kinds;
use crate::model::{CellKey, Finding, Sample, Severity, Status};
use std::collections::BTreeMap;

/// What earlier samples showed.
#[derive(Debug, Default)]
pub struct Across {
    /// The image that each base's tag named when it was first looked at, by engine and base.
    bases: BTreeMap<(String, String), String>,
    /// Cells whose image is not that of a build without cache, with what differs.
    wrong: BTreeMap<CellKey, String>,
}

impl Across {
    /// Notes cells whose image is another one.
    pub fn wrong(&mut self, cells: BTreeMap<CellKey, String>) {
        self.wrong.extend(cells);
    }

    /// Pins what a base's tag names; a finding if it is something else than before.
    pub fn base(&mut self, engine: &str, base: &str, image: &str) -> Option<Finding> {
        let key = (engine.to_owned(), base.to_owned());
        let pinned = self.bases.entry(key).or_insert_with(|| image.to_owned());
        (pinned != image).then(|| {
            Finding::new(&kinds::BASE_MOVED, format!("{base} was {pinned} and is {image}"))
        })
    }

    /// Adds what is wrong with a sample in the light of earlier ones. `bases` are the images that
    /// the bases' tags named at its end.
    pub fn judge(&mut self, sample: &mut Sample, bases: &BTreeMap<String, String>) {
        let engine = sample.cell.engine.clone();
        let moved = bases.iter().filter_map(|(base, image)| self.base(&engine, base, image));
        let mut found: Vec<Finding> = moved.collect();
        if let Some(difference) = self.wrong.get(&sample.cell.key()) {
            found.push(Finding::new(&kinds::IMAGE_DIFFERS, difference.clone()));
        }
        for finding in found {
            let invalid = finding.kind().is_some_and(|kind| kind.severity == Severity::Invalid);
            if invalid && sample.status == Status::Ok {
                sample.status = Status::Invalid;
                sample.reason = format!("{}: {}", finding.id, finding.detail);
            }
            sample.findings.push(finding);
        }
    }
}

//! From a run directory's journal to its reports: what `report` does, and what `run` ends with.

use super::{RunError, journal, proof};
use crate::decision::{self, Decision};
use crate::model::{DeployPull, Event, Finding, Plan, Sample, Status, finding, sample};
use crate::report::{self, Model, ReportError};
use std::path::Path;

/// What is known of a run.
#[derive(Debug)]
pub struct Published {
    /// The plan.
    pub plan: Plan,
    /// The recorded events, and what they show together.
    pub events: Vec<Event>,
    /// What was decided.
    pub decision: Decision,
    /// Whether the journal's last line was torn and dropped.
    pub torn: bool,
}

impl Published {
    /// How many samples failed or are invalid.
    pub fn samples_not_ok(&self) -> usize {
        let samples = self.events.iter().filter_map(Event::sample);
        let standing = sample::standing(samples);
        let lost = |sample: &&&Sample| matches!(sample.status, Status::Failed | Status::Invalid);
        standing.iter().filter(lost).count()
    }

    /// What reports show of it.
    pub fn model(&self) -> Result<Model<'_>, ReportError> {
        Model::new(&self.plan, &self.events, &self.decision)
    }
}

/// Reads a run directory's journal, decides, and writes every report into the directory.
pub fn publish(dir: &Path) -> Result<Published, RunError> {
    let published = recorded(dir)?;
    report::write_model(&published.model()?, dir)?;
    Ok(published)
}

/// Reads a run directory's journal and decides.
pub fn recorded(dir: &Path) -> Result<Published, RunError> {
    let journal::Recorded { plan, events, torn, .. } = journal::read_run(dir)?;
    Ok(decided(plan, events, torn))
}

/// Decides from a run's plan and recorded events.
pub fn decided(plan: Plan, mut events: Vec<Event>, torn: bool) -> Published {
    let mut measured = plan.clone();
    for event in &events {
        match event {
            // What an engine cannot do is no competitor.
            Event::Unsupported(found) => {
                measured.cells.retain(|cell| !found.cells.contains(&cell.key()));
                measured.again.retain(|cell| !found.cells.contains(&cell.key()));
            }
            // A link is what it was measured to be, not what was asked.
            Event::LinkMeasured { link, down_bps, up_bps, rtt_s } => {
                if let Some(link) = measured.links.get_mut(link) {
                    link.down_bps = link.down_bps.and(Some(*down_bps));
                    link.up_bps = link.up_bps.and(Some(*up_bps));
                    link.rtt_s = *rtt_s;
                }
            }
            _ => {}
        }
    }
    let pulls: Vec<DeployPull> = events
        .iter()
        .filter_map(|event| match event {
            Event::DeployPulled { pull } => Some(DeployPull::clone(pull)),
            _ => None,
        })
        .collect();
    let samples = events.iter().filter_map(Event::sample);
    let (decision, findings) = rayon::join(
        || decision::decide(&measured, samples).with_pulls(&measured, &pulls),
        || proof::run_level(&plan, &events),
    );
    events.extend(findings.into_iter().map(|finding| Event::RunFinding { finding }));
    events.extend(decision.machines.differing().into_iter().map(|detail| Event::RunFinding {
        finding: Finding::new(&finding::SAVING_DEPENDS_ON_MACHINE, detail),
    }));
    Published { plan, events, decision, torn }
}

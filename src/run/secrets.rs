//! Secret build arguments, whose values come from the environment and go to the builder only, and
//! the journal's lines without any secret.

use super::RunError;
use crate::model::plan::{Edit, Workload};
use crate::model::{Event, Plan};
use crate::secret::{self, redacted};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Looks for the value of every secret build argument of a plan, and keeps it out of all that is
/// written from now on.
///
/// # Errors
/// If one has no value, or if the plan itself, which is a file of the run and has to stay what it
/// is, holds a value that the environment says is secret.
pub fn keep(plan: &Plan) -> Result<(), RunError> {
    for (argument, variable) in plan.workloads.values().flat_map(|one| &one.secret_args) {
        let value = std::env::var(variable).unwrap_or_default();
        if value.trim().len() < secret::SHORTEST {
            return Err(RunError::Secret {
                argument: argument.clone(),
                variable: variable.clone(),
            });
        }
        secret::keep(&value);
    }
    match spelled_out(plan) {
        Some(place) => Err(RunError::SecretInPlan { place }),
        None => Ok(()),
    }
}

/// The first of the plan's own texts that holds a secret. Names are none: they are no secrets,
/// whatever a variable's value happens to be.
fn spelled_out(plan: &Plan) -> Option<String> {
    let holds = |text: &str| matches!(redacted(text), Cow::Owned(_));
    let arguments = plan.workloads.iter().flat_map(|(name, workload)| {
        workload.build_args.iter().map(move |(key, value)| {
            (format!("build argument `{key}` of workload `{name}`"), value.as_str())
        })
    });
    let edits = plan.changes.iter().flat_map(|(name, change)| {
        let texts = change.edits.iter().flat_map(|edit| match edit {
            Edit::Append { text, .. } | Edit::Create { text, .. } => vec![text.as_str()],
            Edit::Replace { find, with, .. } => vec![find.as_str(), with.as_str()],
            Edit::Delete { .. } | Edit::Copy { .. } => Vec::new(),
        });
        texts.map(move |text| (format!("an edit of change `{name}`"), text))
    });
    arguments.chain(edits).find(|(_, text)| holds(text)).map(|(place, _)| place)
}

/// Every `--build-arg` of a workload with its value, the secret ones included.
pub fn build_args(workload: &Workload) -> BTreeMap<String, String> {
    let secret = |(argument, variable): (&String, &String)| {
        Some((argument.clone(), std::env::var(variable).ok()?))
    };
    let plain = workload.build_args.iter().map(|(name, value)| (name.clone(), value.clone()));
    plain.chain(workload.secret_args.iter().filter_map(secret)).collect()
}

/// An event as a line of the journal, its free texts without any secret. Names, words and numbers
/// stay, whatever they are, so that the line can be read.
pub(super) fn line(event: &Event) -> serde_json::Result<String> {
    let line = serde_json::to_string(event)?;
    if matches!(redacted(&line), Cow::Borrowed(_)) {
        return Ok(line);
    }
    let mut event = event.clone();
    let redact = |text: &mut String| {
        if let Cow::Owned(without) = redacted(text) {
            *text = without;
        }
    };
    if let Event::SampleFinished { sample } = &mut event {
        sample.steps.edit(|steps| steps.iter_mut().for_each(|step| redact(&mut step.instruction)));
    }
    free_texts(&mut event).into_iter().for_each(redact);
    serde_json::to_string(&event)
}

/// What came from outside, beside instructions as the builder shows them: messages.
fn free_texts(event: &mut Event) -> Vec<&mut String> {
    match event {
        Event::SampleFinished { sample } => {
            let mut texts = vec![&mut sample.reason];
            texts.extend(sample.findings.iter_mut().map(|finding| &mut finding.detail));
            texts
        }
        Event::ImagesCompared { wrong } => wrong.values_mut().collect(),
        Event::RunFinding { finding } => vec![&mut finding.detail],
        Event::Unsupported(found) => vec![&mut found.reason, &mut found.advice],
        Event::DeployPulled { pull } => vec![&mut pull.reason],
        Event::RunEnded { reason, .. } => vec![reason],
        Event::Seeding { what } => vec![what],
        Event::RunStarted { .. }
        | Event::RunResumed { .. }
        | Event::Contents { .. }
        | Event::PartMerged { .. }
        | Event::SampleStarted { .. }
        | Event::PhaseStarted { .. }
        | Event::EngineFacts { .. }
        | Event::Looked { .. }
        | Event::StrategyLeft { .. }
        | Event::LinkMeasured { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Finding;
    use crate::model::event::Ending;

    #[test]
    fn a_line_is_without_secrets_and_can_be_read_whatever_they_are() {
        // Values that are words and numbers of the journal, too.
        for value in ["run-ended", "out-of-time", "12345.678", "duration_s"] {
            secret::keep(value);
        }
        let ended = |reason: &str| Event::RunEnded {
            ending: Ending::OutOfTime,
            reason: reason.to_owned(),
            at: "2026-01-01T00:00:00Z".to_owned(),
            duration_s: 12345.678,
        };
        let line = line(&ended("run-ended \"out-of-time\" after 12345.678")).unwrap();
        let read: Event = serde_json::from_str(&line).unwrap();
        assert_eq!(read, ended("[secret] \"[secret]\" after [secret]"));
    }

    #[test]
    fn details_of_findings_and_pulls_are_free_texts() {
        secret::keep("detail-canary");
        let finding = Finding { id: "x".to_owned(), detail: "saw detail-canary".to_owned() };
        let line = line(&Event::RunFinding { finding }).unwrap();
        assert!(line.contains("saw [secret]") && !line.contains("canary"), "{line}");
    }
}

//! What the builds of one job are to each other, and what they leave: traps 5, 8, 15, 18, 20, 28
//! and 29.

use super::Examination;
use crate::model::finding as kinds;
use crate::model::{Builder, CacheExport, ImageRef, Sources, StepRecord};
use std::collections::BTreeSet;

impl Examination<'_> {
    /// Traps 5 and 8: what the builds of one job are to each other.
    pub(super) fn builds_of_one_job(&mut self) {
        let evidence = self.evidence;
        let builds = &evidence.record.builds;
        for (index, build) in builds.iter().enumerate() {
            let known = |step: &StepRecord| {
                builds[..index].iter().any(|earlier| {
                    let same = |s: &StepRecord| s.stage == step.stage && s.step == step.step;
                    earlier.outcome.steps.iter().any(same)
                })
            };
            let again: Vec<&StepRecord> = build
                .outcome
                .steps
                .iter()
                .filter(|step| !step.hit && step.makes_content() && known(step))
                .collect();
            let repeated: Vec<String> =
                again.iter().map(|step| format!("{} {}", step.stage, step.step)).collect();
            let unlisted: BTreeSet<&str> = again
                .iter()
                .map(|step| step.stage.as_str())
                .filter(|stage| self.unlisted(stage))
                .collect();
            let unlisted: Vec<&str> = unlisted.into_iter().collect();
            let beside = match unlisted.as_slice() {
                [] => String::new(),
                names => format!("; not among the workload's `stages`: {}", names.join(", ")),
            };
            if evidence.cell.builder == Builder::Classic
                && !matches!(build.step.sources, Sources::None)
                && !repeated.is_empty()
            {
                self.note(
                    &kinds::SOURCE_HIDES_LOCAL_CACHE,
                    format!(
                        "the build of tag {} carried out again what the job had just built: {}{beside}",
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

    /// Traps 15 and 29: what the builder said of import and export, and what became of it.
    pub(super) fn exports(&mut self) {
        let evidence = self.evidence;
        for build in &evidence.record.builds {
            let outcome = &build.outcome;
            if outcome.import_outlasts_steps {
                let seconds = |seconds: Option<f64>| seconds.unwrap_or_default();
                let detail = format!(
                    "build of tag {}: import {:.1} s, steps {:.1} s",
                    build.step.tag.tag,
                    seconds(outcome.import_s),
                    seconds(outcome.steps_s)
                );
                self.note(&kinds::IMPORT_OUTLASTS_STEPS, detail);
            }
            for (name, error) in &outcome.export_errors {
                self.note(&kinds::CACHE_NOT_LEFT, format!("{name}: {error}"));
            }
            let anew = outcome.steps.iter().any(|step| !step.hit && step.makes_content());
            if let Some(CacheExport::Layers { repository }) = &build.step.export {
                self.layers_left(repository, &outcome.exported, anew);
            }
            let Some(CacheExport::Registry { reference, .. }) = &build.step.export else {
                continue;
            };
            let Some(left) = evidence.left.get(reference) else { continue };
            if left.after.is_none() {
                self.note(
                    &kinds::CACHE_NOT_LEFT,
                    format!("there is no {} in the registry after the job", reference.tag),
                );
            } else if anew && left.after == left.before {
                self.note(
                    &kinds::CACHE_NOT_LEFT,
                    format!("{} in the registry is still that of the job before", reference.tag),
                );
            }
        }
    }

    /// Trap 29, for layers that each have a name of their own.
    fn layers_left(&mut self, repository: &str, exported: &[ImageRef], anew: bool) {
        let left = &self.evidence.left;
        let is_gone = |layer: &&ImageRef| left.get(layer).is_none_or(|left| left.after.is_none());
        let gone = exported.iter().filter(is_gone).count();
        if gone > 0 {
            let detail = format!("{gone} of {} layers are not in the registry", exported.len());
            self.note(&kinds::CACHE_NOT_LEFT, detail);
        } else if anew && exported.is_empty() {
            let detail = format!("steps were carried out and none was pushed to {repository}");
            self.note(&kinds::CACHE_NOT_LEFT, detail);
        }
    }

    /// Traps 18 and 20.
    pub(super) fn pushes(&mut self) {
        let pushes = &self.evidence.record.pushes;
        let sources = self.evidence.remote.iter().filter(|(_, facts)| facts.attested);
        let sources = sources.map(|(reference, _)| reference);
        for reference in sources.chain(self.evidence.attested) {
            self.note(&kinds::ATTESTATIONS, format!("tag {}", reference.tag));
        }
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
}

//! Which steps hit, which must, and why some did not: traps 1, 7, 10, 11 and 22, and samples
//! that are to be cold.

use super::arguments::{self, Argument};
use super::inputs::{differing, untouched};
use super::{CandidateFacts, Examination};
use crate::model::finding as kinds;
use crate::model::plan::StageLayout;
use crate::model::{Builder, CacheExport, CacheMode, Phase, Sources, State, Step, StepRecord};

/// What a stage should have hit, against what it did.
struct Expected<'a> {
    index: usize,
    stage: &'a StageLayout,
    /// First steps whose files and arguments are those of the nearest candidate.
    same: usize,
    /// First steps whose files are.
    same_files: usize,
    /// Whether an earlier job left its steps.
    carried: bool,
    /// Its RUN, COPY and ADD instructions as the builder reported them, and whether each was taken
    /// from what was there before the job.
    reported: Vec<(&'a StepRecord, bool)>,
}

impl<'a> Examination<'a> {
    pub(super) fn hits(&mut self) {
        if !self.steady() {
            self.without_cache();
            return;
        }
        self.not_fetched();
        // Which steps must hit can only be said against what the nearest candidate was built from.
        let nearest = self.served.or(self.evidence.candidates.first().copied());
        let Some(nearest) = nearest else { return };
        let now = self.evidence.dockerfile;
        let Some(arguments) = arguments::differing(now, &nearest.dockerfile) else { return };
        let expected = self.expected(nearest, &arguments);
        let none = expected.iter().all(|stage| stage.reported.iter().all(|(_, hit)| !hit));
        let carried = expected.iter().filter(|stage| stage.carried);
        let must_hit: usize = carried.map(|stage| stage.same).sum();
        for stage in expected.iter().filter(|stage| !stage.carried) {
            self.not_carried(stage);
        }
        if none && must_hit > 0 {
            let stages = expected.iter().filter(|stage| stage.carried);
            let why = stages
                .filter_map(|stage| {
                    self.stopped_by_argument(&stage.stage.name, stage.reported.first()?.0.step)
                })
                .next()
                .map(|why| format!(": {why}"));
            let why = why.unwrap_or_default();
            self.note(
                &kinds::SOURCE_WITHOUT_HIT,
                format!(
                    "{must_hit} unchanged steps of carried stages should have hit, none did{why}"
                ),
            );
        } else {
            self.first_missed(&expected, nearest, &arguments);
        }
    }

    /// A sample that is to find nothing.
    fn without_cache(&mut self) {
        let record = self.evidence.record;
        let content: Vec<&StepRecord> =
            self.carried.iter().copied().filter(|step| step.makes_content()).collect();
        if let Some(first) = content.first() {
            let detail = format!(
                "{} of the steps, first: {} {} {}",
                content.len(),
                first.stage,
                first.step,
                first.instruction
            );
            self.note(&kinds::FOREIGN_CACHE, detail);
        }
        let around = self.evidence.around;
        if around.private && !around.before.images.is_empty() {
            let count = around.before.images.len();
            self.note(
                &kinds::NOT_COLD,
                format!("{count} images were on the engine of its own before the job"),
            );
        }
        if self.evidence.cell.state != State::Cold {
            return;
        }
        let imports = record.builds.iter().flat_map(|build| &build.outcome.imports);
        let consulted: Vec<&str> = imports.map(|(reference, _)| reference.as_str()).collect();
        if !consulted.is_empty() {
            self.note(&kinds::NOT_COLD, format!("sources consulted: {}", consulted.join(", ")));
        }
        let asked = record
            .phases
            .iter()
            .find(|row| matches!(row.phase, Phase::Fetch | Phase::Load | Phase::Pull));
        if let Some(row) = asked {
            self.note(&kinds::NOT_COLD, format!("{} {}", row.operation, row.reference));
        }
    }

    fn expected(&self, nearest: &CandidateFacts, arguments: &[Argument]) -> Vec<Expected<'a>> {
        let layout = &self.evidence.workload.layout;
        let touched = differing(self.evidence.files, &nearest.files);
        let same = untouched(layout, &touched, arguments);
        let same_files = untouched(layout, &touched, &[]);
        let last = layout.len().saturating_sub(1);
        let stages = layout.iter().enumerate().zip(same.into_iter().zip(same_files));
        stages
            .map(|((index, stage), (same, same_files))| Expected {
                index,
                stage,
                same,
                same_files,
                carried: self.carries(stage, index == last),
                reported: self.reported(&stage.name),
            })
            .collect()
    }

    /// A stage's instructions that make content, in order, each as the job first came across it.
    fn reported(&self, stage: &str) -> Vec<(&'a StepRecord, bool)> {
        let mut found: Vec<(&StepRecord, bool)> = Vec::new();
        let steps = self.evidence.record.steps.iter();
        for step in steps.filter(|step| step.stage == stage && step.makes_content()) {
            if !found.iter().any(|(known, _)| known.step == step.step) {
                found.push((step, step.hit));
            }
        }
        found.sort_by_key(|(step, _)| step.step);
        found
    }

    /// Whether an earlier job left the steps of this stage for this one.
    fn carries(&self, stage: &StageLayout, last: bool) -> bool {
        let holds = |step: &Step| {
            let Step::Build(build) = step else { return false };
            let all = matches!(
                build.export,
                Some(
                    CacheExport::Registry { mode: CacheMode::Max, .. }
                        | CacheExport::Local { mode: CacheMode::Max }
                        | CacheExport::Layers { .. }
                )
            );
            all || build.target.as_ref() == Some(&stage.name)
        };
        let mut steps = self.evidence.steps.iter().chain(self.evidence.leaving);
        last || self.evidence.kept_runner || steps.any(holds)
    }

    /// Whether no strategy carries a stage because the workload does not list it: as a rule one that
    /// the final stage is not made from, which the classic builder builds all the same.
    pub(super) fn unlisted(&self, stage: &str) -> bool {
        let workload = self.evidence.workload;
        let is_last = workload.layout.last().is_some_and(|last| last.name == stage);
        !is_last && !workload.stages.iter().any(|listed| listed == stage)
    }

    /// Traps 7 and 10.
    fn not_carried(&mut self, expected: &Expected<'_>) {
        let Expected { stage, same: count, reported, .. } = expected;
        let hit = reported.iter().any(|(_, hit)| *hit);
        if *count == 0 || hit || reported.is_empty() {
            return;
        }
        if *count == stage.steps.len() {
            let beside = match self.unlisted(&stage.name) {
                true => ", which is not among the workload's `stages`",
                false => "",
            };
            self.note(
                &kinds::STAGE_WITHOUT_SOURCE,
                format!("stage {}{beside}: {count} unchanged steps carried out again", stage.name),
            );
        } else {
            let detail = format!(
                "stage {}: {count} unchanged of {} steps carried out again",
                stage.name,
                stage.steps.len()
            );
            self.note(&kinds::FINAL_STAGE_ONLY, detail);
        }
    }

    /// Trap 22: the first step of each carried stage that should have hit and did not.
    fn first_missed(
        &mut self,
        expected: &[Expected<'_>],
        nearest: &CandidateFacts,
        arguments: &[Argument],
    ) {
        let details: Vec<String> = expected
            .iter()
            .filter(|stage| stage.carried && stage.reported.len() == stage.stage.steps.len())
            .filter_map(|stage| {
                let mut steps = stage.reported.iter().take(stage.same_files).enumerate();
                let (at, (step, _)) = steps.find(|(_, (_, hit))| !hit)?;
                let why = self
                    .stopped_by_argument(&stage.stage.name, step.step)
                    .unwrap_or_else(|| why_missed(stage, at, expected, arguments));
                Some(format!(
                    "stage {} step {} `{}`, with the files of candidate {}: {why}",
                    stage.stage.name, step.step, step.instruction, nearest.name
                ))
            })
            .collect();
        for detail in details {
            self.note(&kinds::STEP_MISSED, detail);
        }
    }

    /// Buildah (1.28) looks for no ARG in a cache repository. It commits a new image for it each time,
    /// and the keys of all later steps of the stage hang on that image's id.
    fn stopped_by_argument(&self, stage: &str, before: u32) -> Option<String> {
        let evidence = self.evidence;
        if evidence.cell.builder != Builder::Buildah || evidence.kept_runner {
            return None;
        }
        let is_argument = |step: &&StepRecord| {
            let word = step.instruction.split_whitespace().next().unwrap_or_default();
            step.stage == stage && step.step < before && word.eq_ignore_ascii_case("ARG")
        };
        let argument = evidence.record.steps.iter().find(is_argument)?;
        Some(format!(
            "before it stands `{}`, and Buildah finds no step after an ARG in a cache repository; \
             move it to the end of its stage, or make it an ENV",
            argument.instruction
        ))
    }

    /// Trap 11.
    fn not_fetched(&mut self) {
        if self.evidence.cell.builder != Builder::Buildkit {
            return;
        }
        let mut details = Vec::new();
        for (number, build) in (0..).zip(&self.evidence.record.builds) {
            if !matches!(build.step.sources, Sources::Named(_) | Sources::Caches(_)) {
                continue;
            }
            let fetched = |step: &StepRecord| {
                build
                    .outcome
                    .fetched
                    .iter()
                    .any(|(stage, at)| *stage == step.stage && *at == step.step)
            };
            let lazy: Vec<&StepRecord> = self
                .carried
                .iter()
                .copied()
                .filter(|step| step.build == number && step.makes_content() && !fetched(step))
                .collect();
            if lazy.is_empty() {
                continue;
            }
            let reference = build.step.tag.to_string();
            let row =
                self.evidence.record.phases.iter().find(|row| {
                    row.phase == Phase::Build && !row.within && row.reference == reference
                });
            let bytes = match row.and_then(|row| row.bytes_down) {
                Some(bytes) => format!("{bytes} bytes came during the build"),
                None => "bytes were not counted".to_owned(),
            };
            details.push(format!("{}; {bytes}", by_stage(&lazy)));
        }
        if !details.is_empty() {
            self.note(&kinds::HIT_NOT_FETCHED, details.join("; then "));
        }
    }
}

/// `steps 1, 2 of stage builder, step 1 of stage 1`.
fn by_stage(steps: &[&StepRecord]) -> String {
    let runs = steps.chunk_by(|one, next| one.stage == next.stage).map(|run| {
        let numbers: Vec<String> = run.iter().map(|step| step.step.to_string()).collect();
        let word = if run.len() == 1 { "step" } else { "steps" };
        format!("{word} {} of stage {}", numbers.join(", "), run[0].stage)
    });
    runs.collect::<Vec<_>>().join(", ")
}

/// As far as can be known.
fn why_missed(
    missed: &Expected<'_>,
    at: usize,
    all: &[Expected<'_>],
    arguments: &[Argument],
) -> String {
    let argument = arguments.iter().find(|argument| argument.is_before(missed.index, at));
    if let Some(argument) = argument {
        return format!("before it stands `{}`, which was `{}`", argument.now, argument.then);
    }
    let from = missed.stage.steps[at].from_stage.or(missed.stage.base_stage);
    let anew = from.and_then(|from| all.get(from));
    if let Some(from) = anew
        && from.reported.iter().any(|(_, hit)| !hit)
    {
        return format!(
            "stage {}, which it builds upon, was built anew and may have given other content",
            from.stage.name
        );
    }
    "nothing differs that is compared (files, arguments); the source may not hold it".to_owned()
}

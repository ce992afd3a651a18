//! Builds by the Engine API's own builder (version 1), and what its lines say.

use super::connection::failure;
use super::context::{self, ModeForm};
use super::upkeep::listed::SHORT_ID;
use super::{BuildOutcome, BuildRequest, EngineError, NO_ROOM, StepLog, says_full};
use crate::model::StepRecord;
use crate::workspace::WorkspaceError;
use bollard::Docker;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use futures_util::{StreamExt, stream};
use std::borrow::Cow;
use std::time::Instant;

/// Builds; dropping the future closes the connection, whereupon the engine stops and removes the
/// container in hand.
pub(super) async fn build(
    docker: &Docker,
    address: &str,
    (form, podman): (ModeForm, bool),
    request: &BuildRequest<'_>,
    seen: &(dyn Fn(&str) + Send + Sync),
    log: &mut StepLog,
) -> Result<BuildOutcome, EngineError> {
    let tag = request.tag.to_string();
    let context::Sending { dockerfile, pieces } =
        context::send(request.context, request.dockerfile, form)
            .await
            .map_err(|error| unsent(&tag, error))?;
    let sources: Vec<String> = request.sources.iter().map(ToString::to_string).collect();
    let options = BuildImageOptions {
        dockerfile,
        t: Some(tag.clone()),
        rm: true,
        forcerm: true,
        cachefrom: (!sources.is_empty()).then_some(sources),
        buildargs: Some(request.build_args.clone().into_iter().collect()),
        target: request.target.unwrap_or_default().to_owned(),
        version: BuilderVersion::BuilderV1,
        ..BuildImageOptions::default()
    };
    let pieces = stream::unfold(pieces, |mut pieces| async {
        pieces.recv().await.map(|piece| (piece, pieces))
    });
    let mut answer =
        Box::pin(docker.build_image(options, None, Some(bollard::body_try_stream(pieces))));
    let mut lines = Lines { podman, ..Lines::default() };
    let mut text = String::new();
    while let Some(part) = answer.next().await {
        let part = part.map_err(|error| {
            let error = failure("build", &tag, address, error);
            lines.at_fault(error)
        })?;
        if let Some(id) = part.aux.and_then(|aux| aux.id) {
            seen(&id);
            lines.outcome.images_seen.push(id.clone());
            lines.outcome.image = id;
        }
        let Some(stream) = part.stream else { continue };
        lines.full |= says_full(&stream);
        // Output of a RUN may come in any pieces; the builder's own lines are whole.
        text.push_str(&stream);
        while let Some(end) = text.find('\n') {
            let line: String = text.drain(..=end).collect();
            log.line(&line);
            if let Some(id) = lines.line(line.trim_end(), Instant::now()) {
                seen(&id);
                lines.outcome.images_seen.push(id);
            }
        }
    }
    lines.end(Instant::now());
    if lines.outcome.image.is_empty() {
        return Err(EngineError::Failed {
            operation: "build".to_owned(),
            reference: tag,
            cause: "the engine's answer ended without naming an image".to_owned(),
        });
    }
    Ok(lines.outcome)
}

fn unsent(tag: &str, error: WorkspaceError) -> EngineError {
    EngineError::Failed {
        operation: "build".to_owned(),
        reference: tag.to_owned(),
        cause: format!("the context could not be sent: {error}"),
    }
}

/// Reads the builder's lines, with the moment at which each came.
#[derive(Debug, Default)]
struct Lines {
    outcome: BuildOutcome,
    stages: u32,
    stage: String,
    step_in_stage: u32,
    /// `Step 3/8 : RUN …` of the step in hand, FROM included.
    current: Option<String>,
    /// When the step in hand began; its record is the last one.
    started: Option<Instant>,
    first: Option<Instant>,
    in_from: bool,
    /// Whether the builder is Podman's, which is Buildah behind the API and has lines of its own.
    podman: bool,
    /// Whether a step printed that a disk is full; the builder only says that the step failed.
    full: bool,
}

impl Lines {
    /// Takes a line; returns the id of the image that it names, if it is one that this build made
    /// or found. Bases are not: they are not this build's.
    fn line(&mut self, line: &str, now: Instant) -> Option<String> {
        let line = &*if self.podman { as_dockers(line) } else { Cow::Borrowed(line) };
        if let Some((_, instruction)) = step(line) {
            self.close(now);
            self.current = Some(line.to_owned());
            self.begin(instruction, now);
            return None;
        }
        let answer = line.strip_prefix(" ---> ")?;
        if answer == "Using cache" {
            if let (Some(_), Some(step)) = (self.started, self.outcome.steps.last_mut()) {
                step.hit = true;
            }
            return None;
        }
        let is_id = answer.len() >= SHORT_ID && answer.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_id && !self.in_from).then(|| answer.to_owned())
    }

    fn begin(&mut self, instruction: &str, now: Instant) {
        let mut words = instruction.split_whitespace();
        let word = words.next().unwrap_or_default();
        self.in_from = word.eq_ignore_ascii_case("FROM");
        if self.in_from {
            let mut words = words.skip_while(|word| !word.eq_ignore_ascii_case("AS")).skip(1);
            self.stage = words.next().map_or_else(|| self.stages.to_string(), str::to_lowercase);
            self.stages += 1;
            self.step_in_stage = 0;
            return;
        }
        if self.stages == 0 {
            // ARG before the first FROM belongs to no stage.
            return;
        }
        self.step_in_stage += 1;
        self.started = Some(now);
        self.first.get_or_insert(now);
        self.outcome.steps.push(StepRecord {
            build: 0,
            stage: self.stage.clone(),
            step: self.step_in_stage,
            instruction: instruction.to_owned(),
            hit: false,
            duration_s: None,
        });
    }

    fn close(&mut self, now: Instant) {
        if let (Some(started), Some(step)) = (self.started.take(), self.outcome.steps.last_mut()) {
            step.duration_s = Some((now - started).as_secs_f64());
            self.outcome.steps_s = self.first.map(|first| (now - first).as_secs_f64());
        }
    }

    fn end(&mut self, now: Instant) {
        self.close(now);
    }

    /// The error with the step at which it happened.
    fn at_fault(&self, error: EngineError) -> EngineError {
        match (error, &self.current) {
            (EngineError::Failed { operation, reference, cause }, Some(step)) => {
                let full = if self.full { format!(": {NO_ROOM}") } else { String::new() };
                let cause = format!("{step}: {cause}{full}");
                EngineError::Failed { operation, reference, cause }
            }
            (error, _) => error,
        }
    }
}

/// A line of Podman's as Docker writes it: `[1/2] STEP 2/6: RUN …`, `--> Using cache ID`.
fn as_dockers(line: &str) -> Cow<'_, str> {
    let place = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let rest = place.map_or(line, |(_, rest)| rest);
    if let Some((number, instruction)) =
        rest.strip_prefix("STEP ").and_then(|rest| rest.split_once(": "))
    {
        return format!("Step {number} : {instruction}").into();
    }
    match line.strip_prefix("--> ") {
        Some(answer) if answer.starts_with("Using cache ") => " ---> Using cache".into(),
        Some(answer) => format!(" ---> {answer}").into(),
        None => line.into(),
    }
}

/// `Step 3/8 : RUN …` as `(3, "RUN …")`.
fn step(line: &str) -> Option<(u32, &str)> {
    let (number, instruction) = line.strip_prefix("Step ")?.split_once(" : ")?;
    let (number, total) = number.split_once('/')?;
    total.parse::<u32>().ok()?;
    Some((number.parse().ok()?, instruction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn podmans_lines_are_read_as_dockers() {
        let mut lines = Lines { podman: true, ..Lines::default() };
        let now = Instant::now();
        let mut seen = Vec::new();
        for line in [
            "[1/2] STEP 1/2: FROM base:1 AS builder",
            "[1/2] STEP 2/2: RUN make",
            "--> Using cache 37afd5d8f57c33c5890379e8c0ff52162647ce54f488284f128f4899b059add2",
            "[2/2] STEP 1/2: FROM base:1",
            "[2/2] STEP 2/2: COPY app ./",
            "--> 76422214d4b",
            "[2/2] COMMIT x:branch",
        ] {
            seen.extend(lines.line(line, now));
        }
        let steps = lines.outcome.steps.iter();
        let steps: Vec<_> = steps.map(|s| (s.stage.as_str(), s.step, s.hit)).collect();
        assert_eq!(steps, [("builder", 1, true), ("1", 1, false)]);
        // Without these, what a build made could not be removed again.
        assert_eq!(seen, ["76422214d4b"]);
    }

    const BUILD: &str = "\
Step 1/8 : ARG VERSION=1
Step 2/8 : FROM base:${VERSION} AS Builder
 ---> cccc4a109156
Step 3/8 : RUN make
 ---> Using cache
 ---> 0123456789ab
Step 4/8 : COPY a b
 ---> 1123456789ab
Step 5/8 : FROM --platform=linux/amd64 base:1
 ---> cccc4a109156
Step 6/8 : RUN echo
 ---> Running in 5ac6f0d8a7bf
 ---> Using cache is what this RUN prints
Step by step : no step
Removing intermediate container 5ac6f0d8a7bf
 ---> 2123456789ab
Step 7/8 : FROM builder
 ---> 1123456789ab
Step 8/8 : CMD [\"sh\"]
 ---> Running in 6ac6f0d8a7bf
Removing intermediate container 6ac6f0d8a7bf
 ---> 3123456789ab
Successfully built 3123456789ab
Successfully tagged x:1";

    fn read(text: &str) -> (Lines, Vec<String>) {
        let mut lines = Lines::default();
        let start = Instant::now();
        let seen = text
            .lines()
            .enumerate()
            .filter_map(|(at, line)| {
                lines.line(line, start + Duration::from_millis(100 * at as u64))
            })
            .collect();
        lines.end(start + Duration::from_millis(100 * text.lines().count() as u64));
        (lines, seen)
    }

    #[test]
    fn stages_steps_and_hits_are_told_apart() {
        let (lines, seen) = read(BUILD);
        let steps: Vec<_> = lines
            .outcome
            .steps
            .iter()
            .map(|step| (step.stage.as_str(), step.step, step.instruction.as_str(), step.hit))
            .collect();
        let expected = [
            ("builder", 1, "RUN make", true),
            ("builder", 2, "COPY a b", false),
            ("1", 1, "RUN echo", false),
            ("2", 1, "CMD [\"sh\"]", false),
        ];
        assert_eq!(steps, expected);
        assert_eq!(seen, ["0123456789ab", "1123456789ab", "2123456789ab", "3123456789ab"]);
    }

    #[test]
    fn a_step_lasts_until_the_next_line_of_a_step() {
        let (lines, _) = read(BUILD);
        let tenths: Vec<_> = lines
            .outcome
            .steps
            .iter()
            .map(|step| (step.duration_s.unwrap() * 10.0).round())
            .collect();
        assert_eq!(tenths, [3.0, 2.0, 6.0, 6.0]);
        assert_eq!((lines.outcome.steps_s.unwrap() * 10.0).round(), 21.0);
    }

    #[test]
    fn a_failure_names_its_step() {
        let (lines, _) = read("Step 1/2 : FROM a\n ---> cccc4a109156\nStep 2/2 : RUN false");
        let error = lines.at_fault(EngineError::Failed {
            operation: "build".into(),
            reference: "x:1".into(),
            cause: "returned a non-zero code: 1".into(),
        });
        assert_eq!(
            error.to_string(),
            "build x:1 failed: Step 2/2 : RUN false: returned a non-zero code: 1"
        );
    }
}

//! What `buildah build` writes, line by line, turned into steps and phases. Pure.
//!
//! Buildah has no record for machines. Its own lines are `[1/2] STEP 2/6: RUN …`, `--> Using cache
//! ID`, `--> Cache pulled from remote REPOSITORY:KEY`, `--> Pushing cache REPOSITORY:KEY`, and
//! `[2/2] COMMIT NAME`; what a RUN prints stands between them. It works on one step after another, so
//! that the moments at which lines come bound its steps.

use crate::engine::{BuildOutcome, says_full};
use crate::model::{ImageRef, StepRecord};
use std::time::{Duration, Instant};

/// What the builder is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Doing {
    /// A FROM, or nothing that is timed.
    Other,
    /// An instruction.
    Step,
    /// Pushing the layer of an instruction that has been carried out.
    Pushing,
    /// Writing the image.
    Commit,
}

/// A build's output as it comes.
#[derive(Debug)]
pub(super) struct Output {
    outcome: BuildOutcome,
    stage: String,
    doing: Doing,
    since: Instant,
    import: Option<Duration>,
    steps: Option<Duration>,
    export: Option<Duration>,
    cache_export: Option<Duration>,
    /// Whether something said that a disk is full.
    full: bool,
}

impl Output {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            outcome: BuildOutcome::default(),
            stage: String::new(),
            doing: Doing::Other,
            since: now,
            import: None,
            steps: None,
            export: None,
            cache_export: None,
            full: false,
        }
    }

    /// Takes a line, with the moment at which it came.
    pub(super) fn line(&mut self, line: &str, now: Instant) {
        self.full |= says_full(line);
        let (stage, rest) = of_stage(line);
        if let Some((number, instruction)) = step(rest) {
            self.turn(Doing::Other, now);
            self.begin(stage, number, instruction);
        } else if rest
            .strip_prefix("COMMIT")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        {
            self.turn(Doing::Commit, now);
        } else if let Some(reference) = line.strip_prefix("--> Pushing cache ").and_then(layer) {
            if self.doing != Doing::Other {
                self.turn(Doing::Pushing, now);
                self.outcome.exported.push(reference);
            }
        } else if let Some(reference) =
            line.strip_prefix("--> Cache pulled from remote ").and_then(layer)
        {
            if self.doing == Doing::Step {
                add(&mut self.import, now - self.since);
                self.outcome.imports.push((reference.to_string(), None));
                if let Some(step) = self.outcome.steps.last() {
                    self.outcome.fetched.push((step.stage.clone(), step.step));
                }
            }
        } else if let Some(id) = line.strip_prefix("--> Using cache ")
            && is_id(id)
            && self.doing == Doing::Step
            && let Some(step) = self.outcome.steps.last_mut()
        {
            step.hit = true;
            step.duration_s = Some((now - self.since).as_secs_f64());
            self.doing = Doing::Other;
        } else if line.starts_with("Successfully tagged ") && self.doing == Doing::Pushing {
            self.turn(Doing::Commit, now);
        }
    }

    /// The output has ended.
    pub(super) fn end(mut self, now: Instant) -> (BuildOutcome, bool) {
        self.turn(Doing::Other, now);
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let outcome = BuildOutcome {
            import_s: seconds(self.import),
            steps_s: seconds(self.steps),
            export_s: seconds(self.export),
            cache_export_s: seconds(self.cache_export),
            ..self.outcome
        };
        (outcome, self.full)
    }

    /// The step in hand, for an error.
    pub(super) fn step(&self) -> Option<&StepRecord> {
        self.outcome.steps.last()
    }

    /// Whether something said that a disk is full.
    pub(super) const fn full(&self) -> bool {
        self.full
    }

    /// What it did until now is over.
    fn turn(&mut self, doing: Doing, now: Instant) {
        let took = now - self.since;
        match self.doing {
            Doing::Step => {
                add(&mut self.steps, took);
                if let Some(step) = self.outcome.steps.last_mut() {
                    step.duration_s = Some(took.as_secs_f64());
                }
            }
            Doing::Pushing => add(&mut self.cache_export, took),
            Doing::Commit => add(&mut self.export, took),
            Doing::Other => {}
        }
        (self.doing, self.since) = (doing, now);
    }

    fn begin(&mut self, stage: u32, number: u32, instruction: &str) {
        let mut words = instruction.split_whitespace();
        if words.next().is_some_and(|word| word.eq_ignore_ascii_case("FROM")) {
            let mut words = words.skip_while(|word| !word.eq_ignore_ascii_case("AS")).skip(1);
            let nameless = || (stage - 1).to_string();
            self.stage = words.next().map_or_else(nameless, str::to_lowercase);
            return;
        }
        self.doing = Doing::Step;
        self.outcome.steps.push(StepRecord {
            build: 0,
            stage: self.stage.clone(),
            // Buildah counts FROM.
            step: number.saturating_sub(1),
            instruction: instruction.to_owned(),
            hit: false,
            duration_s: None,
        });
    }
}

fn add(sum: &mut Option<Duration>, time: Duration) {
    *sum = Some(sum.unwrap_or_default() + time);
}

/// `[2/3] rest`: the stage (from 1) and the rest. A file of one stage has no brackets.
fn of_stage(line: &str) -> (u32, &str) {
    let bracketed = || {
        let (place, rest) = line.strip_prefix('[')?.split_once("] ")?;
        let (number, total) = place.split_once('/')?;
        total.parse::<u32>().ok()?;
        let number = number.parse::<u32>().ok().filter(|number| *number > 0)?;
        Some((number, rest))
    };
    bracketed().unwrap_or((1, line))
}

/// `STEP 2/6: RUN …`: the number and the instruction.
fn step(text: &str) -> Option<(u32, &str)> {
    let (place, instruction) = text.strip_prefix("STEP ")?.split_once(": ")?;
    let (number, total) = place.split_once('/')?;
    total.parse::<u32>().ok()?;
    Some((number.parse().ok()?, instruction))
}

/// `REPOSITORY:KEY`.
fn layer(text: &str) -> Option<ImageRef> {
    let (repository, key) = text.rsplit_once(':')?;
    (is_id(key) && !repository.contains(' ')).then(|| ImageRef::new(repository, key))
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads lines that come a second apart.
    fn read(text: &str) -> BuildOutcome {
        let start = Instant::now();
        let mut output = Output::new(start);
        let mut now = start;
        for line in text.lines() {
            now += Duration::from_secs(1);
            output.line(line, now);
        }
        output.end(now + Duration::from_secs(1)).0
    }

    const KEY: &str = "34a0d6d4621c76fc0aa20a1f9441d119990fd7ef716134bf240796e80d6547c2";

    /// As Buildah 1.28.2 wrote it, with other numbers.
    fn steady() -> String {
        format!(
            "[1/2] STEP 1/3: FROM base:1 AS Builder\n\
             Trying to pull docker.io/library/base:1...\n\
             [1/2] STEP 2/3: RUN fixture-work package\n\
             --> Cache pulled from remote 127.0.0.1:5999/x-layers:{KEY}\n\
             --> Using cache {KEY}\n\
             [1/2] STEP 3/3: COPY Gemfile ./\n\
             --> Pushing cache 127.0.0.1:5999/x-layers:{KEY}\n\
             [2/2] STEP 1/2: FROM base:1\n\
             [2/2] STEP 2/2: CMD [\"sh\"]\n\
             [2/2] COMMIT 127.0.0.1:5999/x:main\n\
             --> Pushing cache 127.0.0.1:5999/x-layers:{KEY}\n\
             Successfully tagged 127.0.0.1:5999/x:main\n"
        )
    }

    #[test]
    fn steps_hits_and_phases_come_out_of_the_lines() {
        let outcome = read(&steady());
        let steps: Vec<_> = outcome
            .steps
            .iter()
            .map(|step| (step.stage.as_str(), step.step, step.hit, step.duration_s))
            .collect();
        assert_eq!(
            steps,
            [
                ("builder", 1, true, Some(2.0)),
                ("builder", 2, false, Some(1.0)),
                ("1", 1, false, Some(1.0))
            ]
        );
        let layer = format!("127.0.0.1:5999/x-layers:{KEY}");
        assert_eq!(outcome.imports, [(layer.clone(), None)]);
        assert_eq!(outcome.fetched, [("builder".to_owned(), 1)]);
        let exported: Vec<String> = outcome.exported.iter().map(ToString::to_string).collect();
        assert_eq!(exported, [layer.clone(), layer]);
        assert_eq!(outcome.import_s, Some(1.0));
        assert_eq!(outcome.steps_s, Some(2.0));
        assert_eq!(outcome.cache_export_s, Some(2.0));
        assert_eq!(outcome.export_s, Some(2.0));
    }

    #[test]
    fn one_stage_has_no_brackets_and_what_a_step_prints_is_no_line_of_the_builders() {
        let outcome = read(
            "STEP 1/3: FROM base:1\n\
             STEP 2/3: RUN make\n\
             STEP one: of many\n\
             [x/y] STEP 9/9: nothing\n\
             --> Using cache abc\n\
             --> Cache pulled from remote nothing\n\
             COMMITTED\n\
             STEP 3/3: COPY . .\n\
             COMMIT\n",
        );
        let steps: Vec<_> =
            outcome.steps.iter().map(|s| (s.stage.as_str(), s.step, s.hit)).collect();
        assert_eq!(steps, [("0", 1, false), ("0", 2, false)]);
        assert!(outcome.imports.is_empty());
        assert_eq!(outcome.import_s, None);
    }
}

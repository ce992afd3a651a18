//! Parts of a hand-made run as directories, and the command as a user calls it.

use crate::report_support::Run;
use breakeven::model::{Event, Plan, Shard};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program, without what the CI that runs these tests sets.
pub fn breakeven(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakeven"));
    without_variables(&mut command);
    command.current_dir(dir).args(args).output().unwrap()
}

/// Takes out what says which part a job is.
pub fn without_variables(command: &mut Command) {
    for name in [
        "CI_NODE_INDEX",
        "CI_NODE_TOTAL",
        "CI_PIPELINE_ID",
        "BUILDKITE_PARALLEL_JOB",
        "BUILDKITE_PARALLEL_JOB_COUNT",
        "BUILDKITE_BUILD_ID",
        "CIRCLE_NODE_INDEX",
        "CIRCLE_NODE_TOTAL",
        "CIRCLE_WORKFLOW_ID",
        "JOB_COMPLETION_INDEX",
        "JOB_COMPLETIONS",
        "JOB_UID",
        "TASK_SLOT",
        "TASK_SLOTS",
        "SERVICE_ID",
        "GITHUB_RUN_ID",
        "GITHUB_STEP_SUMMARY",
    ] {
        command.env_remove(name);
    }
}

/// Writes a run as `of` machines would have left it, and returns their directories. `change` is told
/// the machine.
pub fn split(run: &Run, of: u32, dir: &Path, change: impl Fn(&mut Event, u32)) -> Vec<PathBuf> {
    (1..=of)
        .map(|index| {
            let shard = Shard::new(index, of).unwrap();
            let mut plan =
                Plan { run: format!("part{index}"), shard: Some(shard), ..run.plan.clone() };
            plan.facts.insert("machine processor".to_owned(), format!("model {}", index % 2));
            let mut lines = String::new();
            for event in &run.events {
                let mut event = event.clone();
                match &mut event {
                    Event::RunStarted { run, .. } => run.clone_from(&plan.run),
                    Event::SampleFinished { sample } if !shard.has(sample.round) => continue,
                    Event::DeployPulled { pull } if !shard.has(pull.round) => continue,
                    _ => {}
                }
                change(&mut event, index);
                lines += &(serde_json::to_string(&event).unwrap() + "\n");
            }
            let part = dir.join(index.to_string());
            fs::create_dir_all(&part).unwrap();
            fs::write(part.join("plan.json"), serde_json::to_string(&plan).unwrap()).unwrap();
            fs::write(part.join("events.jsonl"), lines).unwrap();
            part
        })
        .collect()
}

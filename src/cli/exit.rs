//! Exit codes: what a script can rely on.

use crate::engine::EngineError;
use crate::history::HistoryError;
use crate::run::job::JobError;
use crate::run::journal::JournalError;
use crate::run::{AloneError, RunError};
use std::process::ExitCode;

/// How the command ended. The numbers are a promise; README and `--help` list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// A fault of ours, or of the machine.
    Fault = 1,
    /// The command line or the configuration is not right; nothing was started.
    Usage = 2,
    /// Engine or registry is unavailable or not capable.
    Unavailable = 3,
    /// Done, but some samples failed, or a run that is read did not finish.
    SamplesFailed = 4,
    /// A gate failed.
    GateFailed = 5,
    /// The user stopped it; a partial report was written.
    Interrupted = 130,
}

impl Exit {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Fault,
        Self::Usage,
        Self::Unavailable,
        Self::SamplesFailed,
        Self::GateFailed,
        Self::Interrupted,
    ];

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What it says, as `--help` shows it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Fault => "a fault of Breakeven or of this machine",
            Self::Usage => "command line or configuration not right; nothing was started",
            Self::Unavailable => "engine or registry unavailable or not capable",
            Self::SamplesFailed => {
                "done, but some samples failed or are invalid, or a run that is checked did not finish"
            }
            Self::GateFailed => "a gate failed",
            Self::Interrupted => "interrupted; a partial report was written",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The exit code of what ended a run. A new kind of error needs a code to compile.
pub fn of_run(error: &RunError) -> Exit {
    match error {
        RunError::Engine(error) => of_engine(error),
        RunError::Registry(_)
        | RunError::Link(_)
        | RunError::Storage(_)
        | RunError::NothingSupported { .. }
        | RunError::ResetTimedOut { .. }
        | RunError::Alone(AloneError::Busy { .. })
        | RunError::StillInUse { .. } => Exit::Unavailable,
        RunError::History(error) => of_history(error),
        RunError::Journal(JournalError::NotWritten { .. }) => Exit::Fault,
        RunError::Job(error) => of_job(error),
        RunError::Seeding { source, .. } => of_job(source),
        RunError::Workspace(_)
        | RunError::Journal(_)
        | RunError::Changed(_)
        | RunError::Secret { .. }
        | RunError::SecretInPlan { .. }
        | RunError::UnknownStrategy(_) => Exit::Usage,
        RunError::Ledger(_)
        | RunError::Alone(AloneError::File(_))
        | RunError::Report(_)
        | RunError::Scratch { .. } => Exit::Fault,
    }
}

/// A build that fails before anything is measured is a matter of the workload.
fn of_job(error: &JobError) -> Exit {
    match error {
        JobError::Engine(EngineError::Failed { operation, .. }) if operation == "build" => {
            Exit::Usage
        }
        JobError::Engine(error) => of_engine(error),
        JobError::Storage(_) | JobError::TimedOut { .. } => Exit::Unavailable,
        JobError::Pack { .. } => Exit::Fault,
        JobError::Interrupted { .. } => Exit::Interrupted,
    }
}

fn of_history(error: &HistoryError) -> Exit {
    match error {
        HistoryError::Storage(_) | HistoryError::Unreadable { .. } => Exit::Unavailable,
        HistoryError::Address(_)
        | HistoryError::Place { .. }
        | HistoryError::NotKept { .. }
        | HistoryError::Several { .. }
        | HistoryError::NoRun { .. } => Exit::Usage,
    }
}

fn of_engine(error: &EngineError) -> Exit {
    match error {
        EngineError::Unavailable { .. }
        | EngineError::NotCapable { .. }
        | EngineError::NotFound { .. }
        | EngineError::Full { .. }
        | EngineError::LoginRefused { .. }
        | EngineError::Failed { .. } => Exit::Unavailable,
        EngineError::Io { .. } => Exit::Fault,
    }
}

/// The table of exit codes under `--help`.
pub fn help() -> String {
    let lines = Exit::ALL.map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning()));
    format!("Exit codes:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_a_promise() {
        insta::assert_snapshot!(help(), @r"
        Exit codes:
            0  done
            1  a fault of Breakeven or of this machine
            2  command line or configuration not right; nothing was started
            3  engine or registry unavailable or not capable
            4  done, but some samples failed or are invalid, or a run that is checked did not finish
            5  a gate failed
          130  interrupted; a partial report was written
        ");
    }
}

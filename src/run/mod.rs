//! Carrying out a plan: rounds of samples, each recorded before the next begins.

mod alone;
pub mod bench;
pub mod cleanup;
pub mod clock;
pub mod comparable;
mod deploy;
pub mod difference;
pub mod doctor;
mod execute;
mod host;
pub mod image;
pub mod interrupt;
pub mod job;
pub mod journal;
mod keep;
pub mod ledger;
mod lifecycle;
mod line;
mod links;
pub mod machine;
pub mod merge;
mod probe;
pub mod proof;
mod publish;
pub mod resume;
pub mod scheduler;
pub mod secrets;
mod seed;
mod session;
mod sites;
mod source;
mod stopping;

pub use alone::{Alone, AloneError};
pub use bench::{Site, Sites, World};
pub use execute::{Outcome, execute};
pub use host::host_facts;
pub use keep::{KeptRun, keep};
pub use lifecycle::{Hosts, conduct, scratch};
pub use line::Line;
pub use publish::{Published, decided, publish, recorded};
pub use source::{Earlier, RunSource, TooFew, Which, earlier, history_address};

use std::io;
use std::path::{Path, PathBuf};

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] crate::engine::EngineError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] crate::registry::RegistryError),
    /// A link.
    #[error(transparent)]
    Link(#[from] crate::link::LinkError),
    /// The shared storage.
    #[error(transparent)]
    Storage(#[from] crate::storage::StorageError),
    /// A workspace could not be made.
    #[error(transparent)]
    Workspace(#[from] crate::workspace::WorkspaceError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] ledger::LedgerError),
    /// Another run measures on the same engine.
    #[error(transparent)]
    Alone(#[from] AloneError),
    /// A step of preparing a kept runner.
    #[error(transparent)]
    Job(#[from] job::JobError),
    /// The reports.
    #[error(transparent)]
    Report(#[from] crate::report::ReportError),
    /// The history.
    #[error(transparent)]
    History(#[from] crate::history::HistoryError),
    /// Our own temporary folder.
    #[error("the folder {} cannot be used: {source}. Free space there or set TMPDIR", path.display())]
    Scratch {
        /// The folder or file.
        path: PathBuf,
        /// The operating system's message.
        source: io::Error,
    },
    /// An earlier build could not be imitated, so that nothing can be measured.
    #[error(
        "building {what} failed before anything was measured: {}. The whole log: {}",
        why.trim_end_matches('.'), log.display()
    )]
    Seeding {
        /// Which one.
        what: String,
        /// Why, and what to do where that is known.
        why: String,
        /// Its log.
        log: PathBuf,
        /// The failure itself.
        source: Box<job::JobError>,
    },
    /// Putting the engine back took too long.
    #[error(
        "removing what a sample made did not end within {limit_s} s. Run `breakeven clean`, or raise limits.cleanup"
    )]
    ResetTimedOut {
        /// The limit in seconds.
        limit_s: f64,
    },
    /// The engine goes on with a build that was given up.
    #[error(
        "build cache records of run {run} are still in use on the engine: a build of it was given up, \
         and the engine goes on with its import until the registry answers or hangs up. Run \
         `breakeven clean` then, or after the engine was restarted"
    )]
    StillInUse {
        /// Id of the run.
        run: String,
    },
    /// Nothing that was planned can be done on these engines.
    #[error("the engines can do nothing of what was planned: {reason}. {advice}")]
    NothingSupported {
        /// Why not, of the first strategy that was tried.
        reason: String,
        /// What would make it possible.
        advice: String,
    },
    /// A run that was stopped cannot go on.
    #[error(transparent)]
    Changed(#[from] resume::Changed),
    /// A secret build argument has no value.
    #[error(
        "the secret build argument `{argument}` needs a value of at least {} characters in the \
         environment variable `{variable}`. Set it, then run again",
        crate::secret::SHORTEST
    )]
    Secret {
        /// The argument.
        argument: String,
        /// Where its value is looked for.
        variable: String,
    },
    /// The configuration spells out what the environment says is secret.
    #[error(
        "{place} holds the value of a secret environment variable, and a run's files hold its plan. \
         Give a build argument as `{{ env = \"VARIABLE\" }}`, or leave the value out"
    )]
    SecretInPlan {
        /// Where.
        place: String,
    },
    /// A plan of another version names a strategy that this one does not have.
    #[error("there is no strategy `{0}` in this version of Breakeven")]
    UnknownStrategy(String),
}

impl RunError {
    fn scratch(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Scratch { path, source }
    }

    fn seeding(what: String, why: String, log: PathBuf, source: job::JobError) -> Self {
        Self::Seeding { what, why, log, source: Box::new(source) }
    }
}

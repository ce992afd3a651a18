//! The command line: one file per subcommand. Data goes to stdout, everything else to stderr.

mod check;
mod clean;
mod compare;
mod completions;
pub mod doctor;
pub mod exit;
mod export;
mod history;
pub mod init;
mod man;
mod merge;
pub mod output;
pub mod plan;
mod progress;
mod repeat;
mod report;
mod run;
mod shard;

use crate::config::ConfigError;
use crate::run::RunError;
use crate::run::comparable::NotComparable;
use crate::run::journal::JournalError;
use crate::run::merge::MergeError;
use crate::secret::{self, Redacting};
use clap::{Parser, Subcommand};
use exit::Exit;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Measures whether carrying an image build cache from one CI job to the next pays off.
#[derive(Debug, Parser)]
#[command(name = "breakeven", version, after_help = exit::help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Plan(plan::Args),
    Run(run::Args),
    Repeat(repeat::Args),
    Merge(merge::Args),
    Report(report::Args),
    Compare(compare::Args),
    Check(check::Args),
    Doctor(doctor::Args),
    Export(export::Args),
    History(history::Args),
    Clean(clean::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration is not right.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A run could not be carried out, reported or cleaned up.
    #[error(transparent)]
    Run(Box<RunError>),
    /// A run ended early; what it had measured is reported.
    #[error("the run ended early, what it had measured is reported: {0}")]
    Early(Box<RunError>),
    /// Two runs that were not measured under the same conditions.
    #[error(transparent)]
    NotComparable(#[from] NotComparable),
    /// Parts that cannot be put together.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// What was asked for on the command line cannot be done.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read or written.
    #[error("cannot {operation}: {source}")]
    Io {
        /// What was tried, on what.
        operation: String,
        /// The operating system's message.
        source: std::io::Error,
    },
    /// A receiver of spans did not take them.
    #[cfg(feature = "otlp")]
    #[error(transparent)]
    Otlp(#[from] crate::otlp::OtlpError),
    /// A fault of ours.
    #[error("{0}")]
    Fault(String),
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl CliError {
    /// The exit code that it means.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Merge(MergeError::Journal(JournalError::NotWritten { .. }))
            | Self::Merge(MergeError::Log { .. }) => Exit::Fault,
            Self::Config(_) | Self::Usage(_) | Self::NotComparable(_) | Self::Merge(_) => {
                Exit::Usage
            }
            Self::Run(error) | Self::Early(error) => exit::of_run(error),
            #[cfg(feature = "otlp")]
            Self::Otlp(crate::otlp::OtlpError::Headers(_)) => Exit::Usage,
            #[cfg(feature = "otlp")]
            Self::Otlp(_) => Exit::Unavailable,
            Self::Io { .. } | Self::Fault(_) => Exit::Fault,
        }
    }
}

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    secret::keep_environment();
    let filter =
        EnvFilter::try_from_env("BREAKEVEN_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let stderr = || Redacting(std::io::stderr());
    tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_ansi(output::colored(&std::io::stderr()))
        .with_env_filter(filter)
        .init();
    let result = match command {
        Command::Init(args) => init::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Repeat(args) => repeat::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Export(args) => export::run(&args),
        Command::History(args) => history::run(&args),
        Command::Clean(args) => clean::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::message(&format!("error: {error}"));
            error.exit().into()
        }
    }
}

/// What a build says that was made without a feature which it is asked for.
#[cfg(not(all(feature = "openmetrics", feature = "otlp", feature = "parquet")))]
fn absent(feature: &str, asked: &str) -> CliError {
    CliError::Usage(format!(
        "{asked} is not in this build of Breakeven, which was made without the feature `{feature}`. \
         `cargo install --locked --path . --features {feature}` in its sources makes one that has it"
    ))
}

/// The runtime that a command's asynchronous work runs on.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Runtime::new()
        .map_err(|error| CliError::Fault(format!("starting the runtime: {error}")))
}

//! The command line: one file per subcommand. Data goes to stdout, everything else to stderr.

pub mod exit;
pub mod init;
pub mod output;
pub mod plan;

use crate::config::ConfigError;
use clap::{Parser, Subcommand};
use exit::Exit;
use std::process::ExitCode;

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
}

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration is not right.
    #[error(transparent)]
    Config(#[from] ConfigError),
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
    /// A fault of ours.
    #[error("{0}")]
    Fault(String),
}

impl CliError {
    /// The exit code that it means.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Usage(_) => Exit::Usage,
            Self::Io { .. } | Self::Fault(_) => Exit::Fault,
        }
    }
}

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Init(args) => init::run(&args),
        Command::Plan(args) => plan::run(&args),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::message(&format!("error: {error}"));
            error.exit().into()
        }
    }
}

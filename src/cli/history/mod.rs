//! `breakeven history`: trends over many runs, and what keeps a history in order.

mod add;
#[cfg(feature = "parquet")]
mod export;
mod prune;
mod rebuild;
mod show;

use super::exit::Exit;
use super::{CliError, output};
use crate::history::{History, Loaded};
use crate::report::text;
use crate::run::{RunError, history_address};
use crate::storage::Access;
use clap::Subcommand;

/// Shows how the cells of many runs develop, and where their level shifts.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    show: show::Shown,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(add::Args),
    #[cfg(feature = "parquet")]
    Export(export::Args),
    /// Says that this build has none.
    #[cfg(not(feature = "parquet"))]
    #[command(hide = true, disable_help_flag = true)]
    Export {
        /// Whatever it is given.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        _given: Vec<std::ffi::OsString>,
    },
    Prune(prune::Args),
    Rebuild(rebuild::Args),
}

/// Carries it out.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    match &args.command {
        None => show::run(&args.show),
        Some(Command::Add(args)) => add::run(args),
        #[cfg(feature = "parquet")]
        Some(Command::Export(args)) => export::run(args),
        #[cfg(not(feature = "parquet"))]
        Some(Command::Export { .. }) => Err(super::absent("parquet", "`history export`")),
        Some(Command::Prune(args)) => prune::run(args),
        Some(Command::Rebuild(args)) => rebuild::run(args),
    }
}

/// What a command that takes `ADDR|CONFIG` says of it.
const PLACE: &str = "breakeven.toml";

/// The history at an address, or at that which a configuration file names.
fn open(place: &str) -> Result<History, CliError> {
    let address = history_address(place)?;
    let history = History::open(&address, &Access::of_process()).map_err(RunError::from)?;
    Ok(history)
}

/// Says what could not be used. The exit code is then that of samples that failed.
fn tell(loaded: &Loaded) -> Exit {
    for stranger in &loaded.strangers {
        let name = text::harmless(stranger);
        output::message(&format!("note: {name} is none of ours and left alone"));
    }
    if !loaded.parts.is_empty() {
        output::message(&format!(
            "note: {} of merged runs are left out: their samples count in the whole",
            text::plural(loaded.parts.len(), "part")
        ));
    }
    for damaged in &loaded.damaged {
        let why = text::harmless(&damaged.why);
        output::message(&format!("warning: skipped: {why}"));
    }
    if loaded.damaged.is_empty() { Exit::Done } else { Exit::SamplesFailed }
}

//! `breakeven history add`: a run directory into a history, after the fact.

use super::super::exit::Exit;
use super::super::{CliError, output, runtime};
use crate::run::{self, RunError, history_address, journal};
use crate::storage::Access;
use std::path::PathBuf;

/// Writes runs into a history, as `run` does at its end. A run that is there already stays as it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directories that `breakeven run` wrote.
    #[arg(required = true)]
    run_dirs: Vec<PathBuf>,
    /// The history: an address, a folder, or a configuration file that names one [default: what the
    /// run's own configuration named].
    #[arg(long, value_name = "ADDR|CONFIG")]
    to: Option<String>,
}

/// Carries it out.
pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let named = args.to.as_deref().map(history_address).transpose()?;
    let runtime = runtime()?;
    for dir in &args.run_dirs {
        let address = match &named {
            Some(address) => address.clone(),
            None => journal::read_plan(dir).map_err(RunError::from)?.history.ok_or_else(|| {
                CliError::Usage(format!(
                    "the run in {} names no history: add --to with an address, a folder or a \
                     configuration file",
                    dir.display()
                ))
            })?,
        };
        let kept = runtime.block_on(run::keep(dir, &address, &Access::of_process()))?;
        let what = if kept.new { "added" } else { "there already" };
        output::data(&format!("{what}: {} in {}\n", kept.name, kept.address))?;
        if kept.part {
            output::message(
                "note: this is a part of a run; `breakeven merge` makes the whole, and once that is \
                 there too it counts in place of its parts",
            );
        }
    }
    Ok(Exit::Done)
}

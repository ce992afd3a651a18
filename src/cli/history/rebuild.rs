//! `breakeven history rebuild`: the index anew, from every object.

use super::super::exit::Exit;
use super::super::{CliError, output, runtime};
use super::{PLACE, open, tell};
use crate::run::RunError;

/// Makes the index anew from every object. Nothing but speed depends on it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The history: an address, a folder, or a configuration file that names one.
    #[arg(value_name = "ADDR|CONFIG", default_value = PLACE)]
    place: String,
}

/// Carries it out.
pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let history = open(&args.place)?;
    let loaded = runtime()?.block_on(history.rebuild()).map_err(RunError::from)?;
    output::data(&format!("{} runs in the index of {}\n", loaded.runs.len(), history.shown()))?;
    Ok(tell(&loaded))
}

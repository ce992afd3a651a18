//! `breakeven report`: renders again from the journal.

use super::exit::Exit;
use super::{CliError, output};
use crate::run;
use std::path::PathBuf;

/// Makes every report of a run again from its journal, and shows the one for the terminal.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory that `breakeven run` wrote.
    run_dir: PathBuf,
}

/// Carries it out.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let published = run::publish(&args.run_dir)?;
    if published.torn {
        output::message("warning: the journal's last line was torn by a kill and is left out");
    }
    output::show(&published, &args.run_dir)?;
    Ok(Exit::Done)
}

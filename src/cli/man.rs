//! `breakeven man`: manual pages, one for the command and one for each subcommand.

use super::exit::Exit;
use super::{Cli, CliError};
use clap::CommandFactory;
use std::path::PathBuf;

/// Writes manual pages (roff, section 1), made from this command line.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder that they go to; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let failed = |source| CliError::Io {
        operation: format!("write manual pages to {}", args.out.display()),
        source,
    };
    std::fs::create_dir_all(&args.out).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.out).map_err(failed)?;
    Ok(Exit::Done)
}

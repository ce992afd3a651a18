//! `breakeven completions`: what a shell needs to complete this command line.

use super::exit::Exit;
use super::{Cli, CliError, output};
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints the completion script of a shell, made from this command line.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output::data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

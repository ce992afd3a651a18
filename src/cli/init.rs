//! stub
use super::CliError;
use super::exit::Exit;
/// stub
#[derive(Debug, clap::Args)]
pub struct Args {}
/// stub
pub fn run(_: &Args) -> Result<Exit, CliError> {
    Ok(Exit::Done)
}

//! `breakeven clean`: removes what killed runs left behind, and only that.

use super::exit::Exit;
use super::{CliError, output, runtime};
use crate::run::{cleanup, ledger};

/// Removes what killed runs left on engine, registry, storage and disk, and only that.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Carries it out. Run directories (journals and reports) are never touched.
pub fn run(_: &Args) -> Result<Exit, CliError> {
    let cleaned = runtime()?.block_on(cleanup::clean(&ledger::folder()))?;
    if cleaned.is_empty() {
        output::message("nothing to clean: no killed run has left anything");
    }
    for one in cleaned {
        output::data(&format!(
            "run {}: removed its registry and temporary files, and from the engine {} tags, {} \
             images, {} build cache records and {} parts of private engines; ended {} of its \
             commands\n",
            one.run, one.tags, one.images, one.records, one.engines, one.builds
        ))?;
    }
    Ok(Exit::Done)
}

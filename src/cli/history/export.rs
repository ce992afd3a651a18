//! `breakeven history export`: every sample as a file for a data warehouse.

use super::super::exit::Exit;
use super::super::{CliError, output, runtime};
use super::{PLACE, open, tell};
use crate::history::{Damaged, HistoryError};
use crate::report::{Exported, write_parquet};
use crate::run::RunError;
use futures_util::StreamExt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Writes every sample of every run into one Parquet file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The history: an address, a folder, or a configuration file that names one.
    #[arg(value_name = "ADDR|CONFIG", default_value = PLACE)]
    place: String,
    /// The file.
    #[arg(long, value_name = "FILE")]
    parquet: PathBuf,
    /// Only the last so many runs.
    #[arg(long, value_name = "N")]
    last: Option<NonZeroUsize>,
}

/// Carries it out.
pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let history = open(&args.place)?;
    let runtime = runtime()?;
    let mut loaded = runtime.block_on(history.load()).map_err(RunError::from)?;
    let skipped = loaded.runs.len().saturating_sub(args.last.map_or(usize::MAX, NonZeroUsize::get));
    let damaged = &mut loaded.damaged;
    let mut objects = std::pin::pin!(history.runs(loaded.runs[skipped..].iter().map(|one| &one.0)));
    let mut next = || loop {
        return Some(match runtime.block_on(objects.next())? {
            (_, Ok(run)) => Ok(Exported { plan: run.plan, events: run.events }),
            // What the index knows may be damaged since.
            (name, Err(error @ HistoryError::Unreadable { .. })) => {
                damaged.push(Damaged { name: name.to_string(), why: error.to_string() });
                continue;
            }
            (_, Err(error)) => Err(RunError::from(error)),
        });
    };
    let written = write_parquet(&args.parquet, std::iter::from_fn(&mut next))?;
    output::data(&format!(
        "{} samples of {} runs of {} in {}\n",
        written.samples,
        written.runs,
        history.shown(),
        args.parquet.display()
    ))?;
    Ok(tell(&loaded))
}

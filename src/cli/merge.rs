//! `breakeven merge`: the parts of a run, measured on several machines, as one run.

use super::exit::Exit;
use super::{CliError, output};
use crate::config;
use crate::run::{self, merge};
use std::path::{Path, PathBuf};

/// Puts the parts that `run --shard` measured together, as one run directory, and reports on it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directories of the parts, in any order; only read.
    #[arg(required = true, value_name = "RUN_DIR")]
    parts: Vec<PathBuf>,
    /// Directory for the files of the whole run, absent or empty [default: reports/RUN].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also where parts are missing, there twice or not complete; the report says so.
    #[arg(long)]
    partial: bool,
}

/// Carries it out.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let run = config::new_run();
    let out = args.out.clone().unwrap_or_else(|| Path::new("reports").join(&run));
    merge::merge(&args.parts, &out, &run, args.partial)?;
    let published = run::publish(&out)?;
    output::show(&published, &out)?;
    let not_ok = published.samples_not_ok();
    Ok(if not_ok > 0 { Exit::SamplesFailed } else { Exit::Done })
}

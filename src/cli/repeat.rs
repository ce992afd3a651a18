//! `breakeven repeat`: the same plan again on this machine, as a run of its own.

use super::exit::Exit;
use super::run::{self, Was};
use super::{CliError, output, runtime};
use crate::config;
use crate::model::Plan;
use crate::run::{RunError, journal, resume};
use std::path::{Path, PathBuf};

/// Measures the plan of an earlier run once more, with the same seed, and says what differs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory of the earlier run; only read.
    run_dir: PathBuf,
    /// Directory for the files of the new run, absent or empty [default: reports/RUN].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Carries it out.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let journal::Recorded { plan, events, torn, .. } =
        journal::read(&args.run_dir).map_err(RunError::from)?;
    let earlier = resume::Earlier::new(events, torn, false);
    let contents = earlier.contents().cloned().unwrap_or_default();
    let was = Was { facts: plan.facts.clone(), contents };
    run::note(run::of_version(&plan).as_slice());
    match run::of_config(&plan) {
        Ok(differences) => run::note(&differences),
        // The plan is what counts; the file may have moved on.
        Err(error) => {
            output::message(&format!("note: the configuration is not right now: {error}"))
        }
    }
    let plan = Plan {
        run: config::new_run(),
        breakeven: env!("CARGO_PKG_VERSION").to_owned(),
        facts: Default::default(),
        ..plan
    };
    let out = args.out.clone().unwrap_or_else(|| Path::new("reports").join(&plan.run));
    let outcome = runtime()?.block_on(run::begin(plan, &out, &was))?;
    run::report(outcome, &out)
}

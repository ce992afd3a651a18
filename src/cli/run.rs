//! `breakeven run`: measures, then reports.

use super::exit::Exit;
use super::plan::OverrideArgs;
use super::progress::Progress;
use super::{CliError, output, runtime};
use crate::config;
use crate::engine;
use crate::model::event::Ending;
use crate::model::{Event, Plan};
use crate::run::{self, RunError, interrupt};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// Measures what the configuration says, and reports on it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(default_value = "breakeven.toml")]
    config: PathBuf,
    /// Directory for the files of this run, absent or empty [default: reports/RUN].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overrides: OverrideArgs,
}

/// Carries it out.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let config = config::load(&args.config)?;
    let plan = config.resolve(&(&args.overrides).into())?;
    for note in config.notes(&plan) {
        output::message(&format!("note: {note}"));
    }
    let out = args.out.clone().unwrap_or_else(|| Path::new("reports").join(&plan.run));
    let outcome = runtime()?.block_on(measure(plan, &out))?;
    let published = run::publish(&out)?;
    output::show(&published, &out)?;
    if let Some(error) = outcome.error {
        return Err(CliError::Early(Box::new(error)));
    }
    Ok(match outcome.ending {
        Ending::Interrupted => Exit::Interrupted,
        _ if outcome.not_ok > 0 => Exit::SamplesFailed,
        _ => Exit::Done,
    })
}

/// What is said at the first Ctrl-C.
const STOPPING: &str = "stopping: the step in hand is ended, then everything is put back; press \
                        Ctrl-C again to leave at once (`breakeven clean` then puts it back)";

async fn measure(mut plan: Plan, out: &Path) -> Result<run::Outcome, CliError> {
    let cancel = CancellationToken::new();
    interrupt::listen(cancel.clone(), || output::message(STOPPING))
        .map_err(|error| CliError::Fault(format!("listening for signals: {error}")))?;
    let mut hosts = BTreeMap::new();
    for (name, engine) in &plan.engines {
        let scratch = run::scratch(&plan.run);
        let host = engine::open(name, engine, &plan.run, &scratch).await.map_err(RunError::from)?;
        let facts = host.facts().await.map_err(RunError::from)?;
        // One engine needs no name.
        let of =
            if plan.engines.len() == 1 { "engine".to_owned() } else { format!("engine {name}") };
        plan.facts.extend([
            (of.clone(), facts.address),
            (format!("{of} version"), facts.version),
            (format!("{of} API"), facts.api),
            (format!("{of} store"), facts.store),
            ("buildx".to_owned(), facts.buildx.unwrap_or_else(|| "n/a".to_owned())),
        ]);
        hosts.insert(name.clone(), host);
    }
    plan.facts.extend(run::host_facts());
    let progress = Progress::new();
    let listener = |event: &Event| progress.show(event);
    Ok(run::conduct(&plan, hosts, out, &cancel, &listener).await?)
}

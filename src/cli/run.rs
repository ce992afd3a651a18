//! `breakeven run`: measures, then reports.

use super::exit::Exit;
use super::plan::OverrideArgs;
use super::progress::Progress;
use super::{CliError, output, runtime};
use crate::config;
use crate::engine::{Engine, SharedEngine};
use crate::model::event::Ending;
use crate::model::{Builder, Event, Plan};
use crate::run::{self, RunError, interrupt};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    let engine: Arc<dyn Engine> =
        Arc::new(SharedEngine::connect(plan.engine_host.as_deref()).await.map_err(RunError::from)?);
    let facts = engine.facts().await.map_err(RunError::from)?;
    let builders: BTreeSet<Builder> = plan.cells.iter().map(|cell| cell.builder).collect();
    for builder in builders {
        engine.supports(builder).await.map_err(RunError::from)?;
    }
    plan.engine_host.get_or_insert_with(|| facts.address.clone());
    plan.facts.extend([
        ("engine".to_owned(), facts.address),
        ("engine version".to_owned(), facts.version),
        ("engine API".to_owned(), facts.api),
        ("engine store".to_owned(), facts.store),
        ("buildx".to_owned(), facts.buildx.unwrap_or_else(|| "n/a".to_owned())),
    ]);
    plan.facts.extend(run::host_facts());
    let progress = Progress::new();
    let listener = |event: &Event| progress.show(event);
    Ok(run::conduct(&plan, engine, out, &cancel, &listener).await?)
}

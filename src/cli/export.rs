//! `breakeven export`: a strategy as a snippet for a CI system.

use super::exit::Exit;
use super::{CliError, output};
use crate::config::{self, Overrides};
use crate::decision::{self, Decision};
use crate::model::plan::{RegistryPlan, Workload};
use crate::model::{Builder, Plan};
use crate::run::{self, bench};
use crate::strategy;
use crate::strategy::export::{self, Snippet};
use crate::workspace::history::History;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::path::{Path, PathBuf};

/// What stands for a registry that the configuration does not name.
const UNKNOWN_REGISTRY: &str = "registry.invalid";

/// The strategy that a run found best.
const WINNER: &str = "winner";

/// Prints a strategy as a snippet for a CI system: login, sources, exports, stages.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the strategy, or `winner` with --run.
    strategy: String,
    /// What to write.
    #[arg(long = "as", value_name = "FORMAT", value_parser = formats())]
    format: &'static export::Format,
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "breakeven.toml", conflicts_with = "run")]
    config: PathBuf,
    /// Take plan and winner from a run directory in place of a configuration file.
    #[arg(long, value_name = "RUN_DIR")]
    run: Option<PathBuf>,
    /// The workload, if there are several.
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// The builder, if the strategy was measured with both.
    #[arg(long, value_name = "BUILDER", value_parser = builders())]
    builder: Option<Builder>,
}

fn formats() -> impl TypedValueParser<Value = &'static export::Format> {
    let values = export::FORMATS.iter().map(|one| PossibleValue::new(one.id).help(one.summary));
    PossibleValuesParser::new(values)
        .try_map(|id| export::find(&id).ok_or_else(|| format!("there is no format {id}")))
}

fn builders() -> impl TypedValueParser<Value = Builder> {
    PossibleValuesParser::new(Builder::ALL.map(Builder::as_str)).try_map(|word| {
        let found = Builder::ALL.into_iter().find(|builder| builder.as_str() == word);
        found.ok_or_else(|| format!("there is no builder {word}"))
    })
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let (plan, decision) = match &args.run {
        Some(dir) => {
            let run::Published { plan, decision, .. } = run::recorded(dir)?;
            (plan, Some(decision))
        }
        None => (config::load(&args.config)?.resolve(&Overrides::default())?, None),
    };
    let (name, workload) = workload(&plan, args.workload.as_deref())?;
    let (id, builder) = match (args.strategy.as_str(), &decision) {
        (WINNER, None) => {
            return Err(CliError::Usage(
                "`winner` is a run's: name its directory with --run RUN_DIR".to_owned(),
            ));
        }
        (WINNER, Some(decision)) => winner(decision, name)?,
        (id, _) => (id.to_owned(), None),
    };
    let strategy = strategy::find(&plan, &id).ok_or_else(|| {
        let table = strategy::table(&plan.strategies);
        let known: Vec<&str> = table.iter().map(|one| one.id.as_ref()).collect();
        CliError::Usage(format!("there is no strategy `{id}`; there are: {}", known.join(", ")))
    })?;
    let builder = args.builder.or(builder).map_or_else(
        || only_builder(&plan, name, &strategy),
        |builder| match strategy.builders.contains(&builder) {
            true => Ok(builder),
            false => Err(CliError::Usage(format!("`{id}` does not work with {builder}"))),
        },
    )?;
    if strategy.needs_stages && workload.stages.is_empty() {
        return Err(CliError::Usage(format!(
            "`{id}` carries named stages, and the Dockerfile of `{name}` has none before the \
             final one"
        )));
    }
    let home = bench::home(&plan);
    let registry = match &plan.registry {
        RegistryPlan::Managed => None,
        RegistryPlan::External { address, prefix } => Some(format!("{address}/{prefix}")),
    };
    let prefix = registry.as_deref().unwrap_or(UNKNOWN_REGISTRY);
    let snippet = Snippet {
        name,
        workload,
        strategy: &strategy,
        job: bench::job(&plan, prefix, name, builder),
        registry: registry.clone(),
        // An address of object storage is no folder; where it is mounted is the user's to say.
        storage: plan.storage.clone().filter(|place| !place.contains("://")),
        folder: folder(home),
        context: bench::relative(&workload.context, home),
        dockerfile: bench::typed_dockerfile(workload, home),
    };
    let text = args.format.write(&snippet).map_err(|error| CliError::Usage(error.to_string()))?;
    output::data(&text)?;
    Ok(Exit::Done)
}

fn workload<'a>(
    plan: &'a Plan,
    asked: Option<&'a str>,
) -> Result<(&'a str, &'a Workload), CliError> {
    let names = || plan.workloads.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    match (asked, plan.workloads.first_key_value()) {
        (None, Some((name, only))) if plan.workloads.len() == 1 => Ok((name, only)),
        (None, _) => Err(CliError::Usage(format!(
            "there are several workloads: choose one with --workload: {}",
            names()
        ))),
        (Some(asked), _) => match plan.workloads.get_key_value(asked) {
            Some((name, workload)) => Ok((name, workload)),
            None => Err(CliError::Usage(format!(
                "there is no workload `{asked}`; there are: {}",
                names()
            ))),
        },
    }
}

/// The strategy that pays off and takes the least time, and its builder.
fn winner(decision: &Decision, workload: &str) -> Result<(String, Option<Builder>), CliError> {
    let best = decision::winners(decision);
    let mut best: Vec<(String, Builder)> = best
        .into_iter()
        .filter(|weighted| weighted.workload == workload)
        .map(|weighted| (weighted.strategy.clone(), weighted.builder))
        .collect();
    best.sort();
    best.dedup();
    match best.as_slice() {
        [(strategy, builder)] => Ok((strategy.clone(), Some(*builder))),
        [] => Err(CliError::Usage(format!(
            "no strategy pays off for `{workload}` in this run; name the one to export"
        ))),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|(strategy, builder)| format!("{strategy} ({builder})"))
                .collect();
            Err(CliError::Usage(format!(
                "which strategy is best depends on link or engine: {}; name the one to export",
                names.join(", ")
            )))
        }
    }
}

/// The builder under which the plan measures a strategy on a workload, if it is only one.
fn only_builder(
    plan: &Plan,
    workload: &str,
    strategy: &strategy::Strategy,
) -> Result<Builder, CliError> {
    let measured = |builder: &Builder| {
        plan.cells.iter().any(|cell| {
            cell.workload == workload && cell.strategy == strategy.id && cell.builder == *builder
        })
    };
    let of_plan: Vec<Builder> = Builder::ALL.into_iter().filter(measured).collect();
    let all = if of_plan.is_empty() { strategy.builders.to_vec() } else { of_plan };
    match all[..] {
        [only] => Ok(only),
        _ => Err(CliError::Usage(format!(
            "`{}` works with several builders: choose one with --builder",
            strategy.id
        ))),
    }
}

/// The configuration's folder from the top of the repository that holds it; without one, the
/// folder is taken for the top.
fn folder(home: &Path) -> String {
    let within = History::open(home).and_then(|history| history.within(home));
    within.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

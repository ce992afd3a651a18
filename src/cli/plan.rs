//! `breakeven plan`: what a run would measure, and how, before anything runs.

use super::exit::Exit;
use super::shard::ShardArgs;
use super::{CliError, output};
use crate::config::{self, Filter, Overrides};
use crate::model::plan::{RegistryPlan, Workload};
use crate::model::{Builder, Plan, PullMode};
use crate::run::bench;
use crate::strategy::shell::{self, HELPER, comment, quote};
use crate::strategy::{self, Strategy};
use clap::ValueEnum;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

/// The port that stands for the free one on which a run starts its registry.
const MANAGED_REGISTRY: &str = "127.0.0.1:5000/breakeven";

/// Prints the cells of a run and, for each strategy, its steps as docker commands.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(default_value = "breakeven.toml")]
    config: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    overrides: OverrideArgs,
}

/// What it is printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// The plan as a run would write it to plan.json.
    Json,
    /// A bash script with one job per strategy and builder.
    Shell,
}

/// What the command line sets in place of the configuration file.
#[derive(Debug, Clone, clap::Args)]
pub struct OverrideArgs {
    /// So many counted rounds, whatever they show.
    #[arg(
        long,
        visible_alias = "rounds",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with = "max_rounds"
    )]
    fixed: Option<u32>,
    /// Stop once every verdict is settled, or after so many counted rounds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=1000))]
    max_rounds: Option<u32>,
    /// Longest time for the run, such as 30m.
    #[arg(long, value_name = "DUR", value_parser = config::duration)]
    max_time: Option<Duration>,
    /// Measure only these cells: globs, separated by commas. One without `/` is held against each
    /// part of a cell, one with `/` against
    /// workload/change/availability/strategy/builder/link/engine.
    #[arg(long, value_name = "FILTER", value_parser = parse_filters)]
    only: Option<Filters>,
    /// Seed of everything random.
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// Measure no cell of the baseline twice: what difference this machine resolves is then not
    /// known.
    #[arg(long)]
    no_aa: bool,
}

/// A list that clap takes for one value.
#[derive(Debug, Clone)]
struct Filters(Vec<Filter>);

fn parse_filters(text: &str) -> Result<Filters, String> {
    Filter::parse_list(text).map(Filters)
}

impl From<&OverrideArgs> for Overrides {
    fn from(args: &OverrideArgs) -> Self {
        Self {
            fixed: args.fixed,
            max_rounds: args.max_rounds,
            max_time: args.max_time,
            only: args.only.as_ref().map(|filters| filters.0.clone()),
            seed: args.seed,
            no_aa: args.no_aa,
            ..Self::default()
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let config = config::load(&args.config)?;
    let plan = config.resolve(&args.shard.overrides(&args.overrides, &args.config)?)?;
    for note in config.notes(&plan) {
        output::message(&format!("note: {note}"));
    }
    let text = match args.format {
        Format::Text => text(&plan),
        Format::Shell => script(&plan),
        Format::Json => serde_json::to_string_pretty(&plan)
            .map(|json| json + "\n")
            .map_err(|error| CliError::Fault(format!("cannot write the plan as JSON: {error}")))?,
    };
    output::data(&text)?;
    Ok(Exit::Done)
}

/// The commands of one strategy under one builder on one workload.
struct Listing {
    workload: String,
    strategy: Strategy,
    builder: Builder,
    commands: Vec<String>,
}

fn listings(plan: &Plan) -> Vec<Listing> {
    let wanted: BTreeSet<(&str, &str, Builder)> = plan
        .cells
        .iter()
        .map(|cell| (cell.workload.as_str(), cell.strategy.as_str(), cell.builder))
        .collect();
    let mut listings = Vec::new();
    for (name, workload) in &plan.workloads {
        for strategy in strategy::table(&plan.strategies) {
            for &builder in strategy.builders.iter() {
                if wanted.contains(&(name, &strategy.id, builder)) {
                    let commands = commands(plan, name, workload, &strategy, builder);
                    let (workload, strategy) = (name.clone(), strategy.clone());
                    listings.push(Listing { workload, strategy, builder, commands });
                }
            }
        }
    }
    listings
}

fn commands(
    plan: &Plan,
    name: &str,
    workload: &Workload,
    strategy: &Strategy,
    builder: Builder,
) -> Vec<String> {
    let prefix = match &plan.registry {
        RegistryPlan::Managed => MANAGED_REGISTRY.to_owned(),
        RegistryPlan::External { address, prefix } => format!("{address}/{prefix}"),
    };
    let job = bench::job(plan, &prefix, name, builder);
    let home = bench::home(plan);
    let context = bench::relative(&workload.context, home);
    let dockerfile = bench::typed_dockerfile(workload, home);
    let build = shell::Build {
        builder,
        context: &context,
        dockerfile: dockerfile.as_deref(),
        target: workload.target.as_deref(),
        build_args: &workload.build_args,
        secret_args: &workload.secret_args,
        variables: None,
    };
    shell::commands(&strategy.steps(&job), &build)
}

/// Rounds of a part that are named; more are left to the reader.
const NAMED: usize = 10;

/// `rounds 2, 6, 10`.
fn own_rounds(plan: &Plan) -> String {
    let own: Vec<String> = (1..=plan.rounds)
        .filter(|round| plan.has_round(*round))
        .map(|round| round.to_string())
        .collect();
    match own.as_slice() {
        [one] => format!("round {one}"),
        [first @ .., last] if own.len() > NAMED => {
            format!("rounds {}, … {last}", first[..NAMED - 1].join(", "))
        }
        all => format!("rounds {}", all.join(", ")),
    }
}

fn text(plan: &Plan) -> String {
    let measured = plan.measured().count();
    let again = match plan.again.len() {
        0 => String::new(),
        1 => " and an A/A cell".to_owned(),
        several => format!(" and {several} A/A cells"),
    };
    let (cells, rounds) = (plan.cells.len(), plan.rounds);
    let samples = measured * plan.own_rounds() as usize;
    let counted = match plan.shard {
        None => format!("{rounds} counted rounds"),
        Some(_) => format!("{} of {rounds} counted rounds", plan.own_rounds()),
    };
    let mut out = match plan.adaptive {
        true => format!(
            "{cells} cells{again}, at most {rounds} counted rounds: at most {samples} samples, and \
             {measured} in the warm-up round; it stops once every verdict is settled\n\n"
        ),
        false => format!(
            "{cells} cells{again}, {counted}: {samples} samples, and {measured} in the warm-up \
             round\n\n"
        ),
    };
    if let Some(shard) = plan.shard {
        let _ = writeln!(out, "{:<14}{shard}: {}", "part", own_rounds(plan));
    }
    for (axis, values) in config::axes(&plan.cells) {
        let shown: Vec<String> = match axis {
            "change" => weighted(plan.changes.keys(), &values, |name| plan.change_weight(name)),
            "availability" => {
                let names = plan.availabilities.iter().map(|a| &a.name);
                weighted(names, &values, |name| plan.availability_weight(name))
            }
            "strategy" => strategies(plan, &values),
            _ => values,
        };
        let _ = writeln!(out, "{axis:<14}{}", shown.join(", "));
    }
    if let Some(mix) = &plan.mix {
        let _ = writeln!(out, "{:<14}{mix}", "mix");
    }
    let candidates: Vec<String> = plan
        .candidates
        .iter()
        .map(|candidate| match candidate.lacks.as_slice() {
            [] => candidate.name.clone(),
            lacks => format!("{} (lacks {})", candidate.name, lacks.join(", ")),
        })
        .collect();
    let pull = match plan.pull {
        PullMode::First => "the first candidate that exists",
        PullMode::All => "every candidate that exists",
    };
    let registry = match &plan.registry {
        RegistryPlan::Managed => {
            format!("managed, on a free port; {MANAGED_REGISTRY} stands for it below")
        }
        RegistryPlan::External { address, prefix } => format!("{address}/{prefix}"),
    };
    let storage = plan.storage.as_deref().unwrap_or("a temporary folder");
    let pulled = (1..=plan.deploy_rounds.min(plan.rounds)).filter(|round| plan.has_round(*round));
    let deploy = match pulled.count() {
        0 => "final images are not pulled as a node pulls them".to_owned(),
        rounds => format!("each final image is also pulled as a node pulls it, in {rounds} rounds"),
    };
    let limit = plan.max_time_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
    let limit = limit.map_or("none".to_owned(), |d| humantime::format_duration(d).to_string());
    let again: Vec<String> = plan.again.iter().map(|cell| cell.key().0).collect();
    let again = match again.is_empty() {
        true => "none, so what difference the machine resolves stays unknown".to_owned(),
        false => again.join(", "),
    };
    for (name, value) in [
        ("candidates", candidates.join(", ")),
        ("pull", pull.to_owned()),
        ("baseline", plan.baseline.clone()),
        ("A/A cell", again),
        ("registry", registry),
        ("storage", storage.to_owned()),
        ("deploy", deploy),
        ("time limit", limit),
        ("seed", plan.seed.to_string()),
    ] {
        let _ = writeln!(out, "{name:<14}{value}");
    }
    let listings = listings(plan);
    let _ = writeln!(
        out,
        "\nThe steps of a job, as they would be typed in {}. $storage is the folder that jobs \
         share, $work one of the job's own.",
        bench::home(plan).display()
    );
    if listings.iter().any(|listing| shell::needs_helper(&listing.commands)) {
        let _ = writeln!(out, "\n{}", indented(HELPER, "    "));
    }
    for Listing { workload, strategy, builder, commands } in &listings {
        let _ = writeln!(out, "\n{workload}, {} ({builder}): {}", strategy.id, strategy.summary);
        let _ = writeln!(out, "{}", typed(commands, "    "));
    }
    out
}

/// Values that are measured, in the order of the plan, with their share of all builds.
fn weighted<'a>(
    names: impl Iterator<Item = &'a String>,
    measured: &[String],
    weight: impl Fn(&str) -> f64,
) -> Vec<String> {
    names
        .filter(|name| measured.contains(name))
        .map(|name| format!("{name} {:.0} %", weight(name) * 100.0))
        .collect()
}

fn strategies(plan: &Plan, measured: &[String]) -> Vec<String> {
    let in_order = strategy::table(&plan.strategies).into_iter().map(|one| one.id.into_owned());
    in_order.filter(|id| measured.contains(id)).collect()
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}")).collect::<Vec<_>>().join("\n")
}

/// Commands, indented. A line break within a word is part of it, and so would be what stood behind.
fn typed(commands: &[String], by: &str) -> String {
    let is_whole = |command: &str| {
        let words = shlex::split(command).unwrap_or_default();
        words.iter().any(|word| word.contains('\n'))
    };
    let typed = commands.iter().map(|command| match is_whole(command) {
        true => format!("{by}{command}"),
        false => indented(command, by),
    });
    typed.collect::<Vec<_>>().join("\n")
}

fn script(plan: &Plan) -> String {
    let listings = listings(plan);
    let names: Vec<String> = listings
        .iter()
        .map(|l| format!("{}/{}/{}", l.workload, l.strategy.id, l.builder))
        .collect();
    let mut out = String::from(
        "#!/usr/bin/env bash\n\
         # Jobs as `breakeven run` measures them, one per strategy and builder.\n\
         # The context is built as it is, without the edits of a change.\n",
    );
    if plan.registry == RegistryPlan::Managed {
        let _ = writeln!(
            out,
            "# A run starts its own registry; here one is expected at {MANAGED_REGISTRY}."
        );
    }
    let storage = match plan.storage.as_deref() {
        None => "storage=/tmp/breakeven-storage".to_owned(),
        Some(address) if address.contains("://") => format!(
            "{}\n: \"${{storage:?the folder that the storage is mounted in}}\"",
            comment(&format!("{address} is expected to be mounted: name the folder in `storage`."))
        ),
        Some(folder) => format!("storage={}", quote(folder)),
    };
    let _ = write!(
        out,
        "set -euo pipefail\n\
         cd -- {}\n\
         {storage}\n\
         mkdir -p \"$storage\"\n\
         work=$(mktemp -d)\n\
         trap 'rm -rf \"$work\"' EXIT\n\n",
        quote(&bench::home(plan).display().to_string()),
    );
    if listings.iter().any(|listing| shell::needs_helper(&listing.commands)) {
        let _ = writeln!(out, "{HELPER}\n");
    }
    out.push_str("case \"${1-}\" in\n");
    for (name, Listing { strategy, commands, .. }) in names.iter().zip(&listings) {
        let _ = writeln!(out, "{name})\n  {}", comment(&strategy.summary));
        let _ = writeln!(out, "{}\n  ;;", typed(commands, "  "));
    }
    let _ = write!(
        out,
        "*)\n  echo \"usage: $0 JOB, where JOB is one of:\" >&2\n  printf '  %s\\n' \\\n    {} >&2\n  \
         exit 2\n  ;;\nesac\n",
        names.join(" \\\n    "),
    );
    out
}

//! `breakeven check`: a run held against rules.

use super::exit::Exit;
use super::{CliError, compare, output, runtime};
use crate::compare::Across;
use crate::gate::{self, Baseline, Evidence, Gate, Rules, State};
use crate::report;
use crate::report::gate::{OUTPUTS, Output, Target};
use crate::run::comparable::NotComparable;
use crate::run::{Published, RunError, RunSource};
use crate::secret::redacted;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Holds a run against rules: exit code 5 if one of them fails, 2 if one cannot be asked, 4 if none
/// does but the run did not finish.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: a directory that `breakeven run` wrote, or `PLACE#RUN` or `PLACE#last` of a history.
    run_dir: RunSource,
    /// The file of rules; docs/compare.md lists what they can demand.
    #[arg(long, value_name = "FILE", default_value = "rules.toml")]
    rules: PathBuf,
    /// What `regression` compares with, in place of what the file names: a run directory, or
    /// `PLACE#RUN`, `PLACE#last` (before this run) or `PLACE#last:N` (so many before it together) of
    /// a history.
    #[arg(long, value_name = "RUN")]
    baseline: Option<PathBuf>,
    #[command(flatten)]
    outputs: Outputs,
}

/// The outputs that are asked for, by the table's options.
#[derive(Debug)]
struct Outputs(Vec<(&'static Output, PathBuf)>);

impl clap::Args for Outputs {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(OUTPUTS.iter().map(|output| {
            let arg = Arg::new(output.option).long(output.option).help(output.summary);
            match output.target {
                Target::Stdout => arg.action(ArgAction::SetTrue),
                Target::File | Target::Append => {
                    arg.value_name("FILE").value_parser(value_parser!(PathBuf))
                }
            }
        }))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Outputs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let asked = OUTPUTS.iter().filter_map(|output| match output.target {
            Target::Stdout => matches.get_flag(output.option).then(|| (output, PathBuf::new())),
            Target::File | Target::Append => {
                let path = matches.get_one::<PathBuf>(output.option);
                path.map(|path| (output, path.clone()))
            }
        });
        Ok(Self(asked.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Carries it out.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let rules = Rules::read(&args.rules, args.baseline.as_deref())?;
    let published = runtime()?.block_on(args.run_dir.read())?;
    let Published { plan, events, decision, .. } = &published;
    let baselines = baselines(&rules, &args.run_dir, &published)?;
    let gate = gate::check(&rules, &Evidence { plan, events, decision, baselines });
    output::data(&report::gate::text(&gate, output::style()))?;
    for (output, path) in &args.outputs.0 {
        let text = (output.render)(&gate).map_err(RunError::from)?;
        let text = redacted(&text);
        write(output.target, path, &text)?;
    }
    Ok(exit(&gate))
}

/// A rule that fails counts more than one that cannot be asked, and that more than a run that is cut
/// short: there is no evidence against it, but it is no pass either.
fn exit(gate: &Gate) -> Exit {
    match (gate.count(State::Fail), gate.count(State::Misconfigured)) {
        (0, 0) if gate.is_cut_short() => Exit::SamplesFailed,
        (0, 0) => Exit::Done,
        (0, _) => Exit::Usage,
        _ => Exit::GateFailed,
    }
}

/// The runs that rules compare with, each read once.
fn baselines(
    rules: &Rules,
    run: &RunSource,
    published: &Published,
) -> Result<BTreeMap<(PathBuf, Across), Baseline>, CliError> {
    let mut baselines = BTreeMap::new();
    for which in rules.rules.iter().filter_map(gate::Rule::compares_with) {
        if baselines.contains_key(&which) {
            continue;
        }
        let Ok(base) = which.0.to_string_lossy().parse::<RunSource>();
        let baseline = match compare::between(&base, (run, published), which.1) {
            // It would pass, always.
            Ok(comparison) if comparison.base.run == comparison.new.run => {
                Baseline::Unreadable(format!("{base} is the run itself; name an earlier one"))
            }
            Ok(comparison) => Baseline::Compared(Box::new(comparison)),
            Err(CliError::NotComparable(NotComparable::Conditions { differences, .. })) => {
                Baseline::NotComparable(differences)
            }
            Err(CliError::NotComparable(NotComparable::TooFew { why, .. })) => {
                Baseline::TooFew(why)
            }
            Err(error @ (CliError::Run(_) | CliError::Usage(_))) => {
                Baseline::Unreadable(error.to_string())
            }
            Err(error) => return Err(error),
        };
        baselines.insert(which, baseline);
    }
    Ok(baselines)
}

fn write(target: Target, path: &Path, text: &str) -> Result<(), CliError> {
    match target {
        Target::Stdout => output::data(text),
        Target::Append => {
            let file = OpenOptions::new().append(true).create(true).open(path);
            file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|source| {
                CliError::Io { operation: format!("append to {}", path.display()), source }
            })
        }
        Target::File => output::replace(path, text),
    }
}

//! `breakeven history prune`: removes old runs from a history.

use super::super::exit::Exit;
use super::super::{CliError, output, runtime};
use super::{PLACE, open, tell};
use crate::config;
use crate::history::{Keep, select};
use crate::report::text;
use crate::run::RunError;
use clap::ArgGroup;
use std::time::Duration;
use time::OffsetDateTime;

/// Says which runs could go from a history, and removes them with --yes. A run that --keep or
/// --older-than keeps stays; what is damaged or not ours stays too.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("kept").args(["keep", "older_than"]).required(true).multiple(true))]
pub struct Args {
    /// The history: an address, a folder, or a configuration file that names one.
    #[arg(value_name = "ADDR|CONFIG", default_value = PLACE)]
    place: String,
    /// Keep the last so many runs.
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Keep runs that are not older than this, such as "90d".
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    older_than: Option<Duration>,
    /// Remove them; without this it is only said what would be removed.
    #[arg(long)]
    yes: bool,
}

/// Carries it out.
pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let history = open(&args.place)?;
    let runtime = runtime()?;
    let loaded = runtime.block_on(history.load()).map_err(RunError::from)?;
    let keep = Keep { last: args.keep, younger_than: args.older_than };
    let pruned = select(&loaded, keep, OffsetDateTime::now_utc());
    let verb = if args.yes { "removed" } else { "would remove" };
    let mut exit = tell(&loaded);
    let mut left = Vec::new();
    if args.yes {
        let names: Vec<_> = pruned.iter().map(|one| one.name.clone()).collect();
        left = runtime.block_on(history.remove(&names)).map_err(RunError::from)?;
    }
    for one in pruned.iter().filter(|one| !left.iter().any(|l| l.name == one.name.to_string())) {
        let at = text::harmless(&one.started_at);
        output::data(&format!("{verb} {} (started {at})\n", one.name))?;
    }
    for one in &left {
        output::message(&format!("warning: {}: {}", one.name, text::harmless(&one.why)));
        exit = Exit::SamplesFailed;
    }
    let gone = pruned.len() - left.len();
    output::data(&format!(
        "{verb} {} of {}; {} in {}\n",
        text::plural(gone, "object"),
        history.shown(),
        text::plural(loaded.runs.len(), "run"),
        if args.yes { "it before" } else { "it now; --yes removes them" },
    ))?;
    Ok(exit)
}

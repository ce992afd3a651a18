//! `breakeven run`: measures, then reports. `--resume` goes on with a run that was stopped.

use super::exit::Exit;
use super::plan::OverrideArgs;
use super::progress::Progress;
use super::shard::ShardArgs;
use super::{CliError, output, runtime};
use crate::config::{self, Filter, Overrides};
use crate::engine;
use crate::model::event::Ending;
use crate::model::{Event, Plan, Status};
use crate::run::journal::{self, Journal};
use crate::run::resume::{self, Changed};
use crate::run::{self, Alone, Hosts, RunError, difference, interrupt, ledger, secrets};
use crate::storage::Access;
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
    /// Go on with the run in this directory where it stopped: the same plan, and nothing that was
    /// finished is measured again.
    #[arg(long, value_name = "RUN_DIR", conflicts_with_all = ["config", "out", "OverrideArgs", "ShardArgs"])]
    resume: Option<PathBuf>,
    /// With --resume: measure samples that failed again.
    #[arg(long, requires = "resume")]
    retry_failed: bool,
    /// The history that the run is written into when it has ended, in place of the one that the
    /// configuration names: an address or a folder.
    #[arg(long, value_name = "ADDR", conflicts_with = "resume")]
    history: Option<String>,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    overrides: OverrideArgs,
}

/// Carries it out.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    if let Some(dir) = &args.resume {
        return go_on(dir, args.retry_failed);
    }
    let config = config::load(&args.config)?;
    let mut plan = config.resolve(&args.shard.overrides(&args.overrides, &args.config)?)?;
    if let Some(place) = &args.history {
        plan.history = Some(run::history_address(place)?);
    }
    for note in config.notes(&plan) {
        output::message(&format!("note: {note}"));
    }
    let out = args.out.clone().unwrap_or_else(|| Path::new("reports").join(&plan.run));
    let outcome = runtime()?.block_on(begin(plan, &out, &Was::default()))?;
    report(outcome, &out)
}

/// What an earlier run of the same plan found, to say what differs.
#[derive(Debug, Default)]
pub(super) struct Was {
    /// Facts about machine and engine.
    pub(super) facts: BTreeMap<String, String>,
    /// What was built.
    pub(super) contents: BTreeMap<String, String>,
}

/// Measures a plan into a directory of its own.
pub(super) async fn begin(mut plan: Plan, out: &Path, was: &Was) -> Result<run::Outcome, CliError> {
    secrets::keep(&plan)?;
    let cancel = listen()?;
    let (hosts, facts) = open(&plan).await?;
    let _alone = alone(&plan, &hosts)?;
    plan.facts = facts;
    if !was.facts.is_empty() {
        note(&difference::of_facts(&was.facts, &plan.facts));
    }
    if !was.contents.is_empty() {
        let contents = resume::contents(&plan, &hosts).await?;
        note(&difference::of_facts(&was.contents, &contents));
    }
    let journal = Journal::create(out, &plan).map_err(RunError::from)?;
    conduct(&plan, hosts, (journal, out), &cancel).await
}

/// Keeps other runs off the engines that this one shares with the user.
fn alone(plan: &Plan, hosts: &Hosts) -> Result<Alone, CliError> {
    Ok(Alone::on(&ledger::folder(), &plan.run, hosts).map_err(RunError::from)?)
}

/// Says what differs.
pub(super) fn note(differences: &[String]) {
    for difference in differences {
        output::message(&format!("note: {difference}"));
    }
}

/// Goes on with a run that was stopped, unless it would not measure the same any more.
fn go_on(dir: &Path, retry_failed: bool) -> Result<Exit, CliError> {
    let (journal, plan) = Journal::reopen(dir, retry_failed).map_err(RunError::from)?;
    if plan.machines.is_some() {
        return Err(CliError::Usage(format!(
            "{} was merged from parts that several machines measured, so nothing can go on there. \
             Resume the part that is not complete, then merge again",
            dir.display()
        )));
    }
    if journal.earlier().torn() {
        output::message("note: the journal's last line was torn by a kill and is cut off");
    }
    if journal.earlier().is_complete(&plan) {
        return nothing_left(journal, dir);
    }
    secrets::keep(&plan)?;
    let mut differences: Vec<String> = of_version(&plan).into_iter().collect();
    differences.extend(of_config(&plan)?);
    let outcome = runtime()?.block_on(async {
        let cancel = listen()?;
        let (hosts, facts) = open(&plan).await?;
        let _alone = alone(&plan, &hosts)?;
        let (machine, engine): (Vec<_>, Vec<_>) = difference::of_facts(&plan.facts, &facts)
            .into_iter()
            .partition(|line| line.starts_with("machine"));
        differences.extend(engine);
        if let Some(was) = journal.earlier().contents() {
            let contents = resume::contents(&plan, &hosts).await?;
            differences.extend(difference::of_facts(was, &contents));
            differences.extend(resume::written_since(&plan, journal.earlier(), &contents)?);
        }
        Changed::unless_none(differences, dir).map_err(RunError::from)?;
        note(&machine);
        conduct(&plan, hosts, (journal, dir), &cancel).await
    })?;
    report(outcome, dir)
}

/// Shows a run of which every sample is measured. One that was killed before it could write that it
/// ended is ended here, and goes into its history as it would have.
fn nothing_left(mut journal: Journal, dir: &Path) -> Result<Exit, CliError> {
    output::message("note: every sample of this run is measured, nothing is left to do");
    let earlier = journal.take_earlier();
    let with = |status| earlier.statuses().values().filter(|found| **found == status).count();
    let failed = with(Status::Failed);
    if failed > 0 {
        output::message(&format!(
            "note: {failed} of them failed; --retry-failed measures them again"
        ));
    }
    let not_ok = failed + with(Status::Invalid);
    if !earlier.has_ended() {
        let ending = earlier.whole().unwrap_or(Ending::Complete);
        journal.end(ending, earlier.torn()).map_err(RunError::from)?;
        return report(run::Outcome { ending, not_ok, error: None }, dir);
    }
    let published = run::publish(dir)?;
    output::show(&published, dir)?;
    Ok(if not_ok > 0 { Exit::SamplesFailed } else { Exit::Done })
}

/// Whether another version of Breakeven made the plan.
pub(super) fn of_version(plan: &Plan) -> Option<String> {
    let now = env!("CARGO_PKG_VERSION");
    let same = plan.breakeven == now;
    (!same).then(|| format!("breakeven: was {}, is {now}", plan.breakeven))
}

/// What the plan's configuration file says differently now; nothing if it is gone.
pub(super) fn of_config(plan: &Plan) -> Result<Vec<String>, CliError> {
    if !plan.config.exists() {
        return Ok(Vec::new());
    }
    let everything = Filter::parse_list("*").map_err(CliError::Fault)?;
    let overrides = Overrides { only: Some(everything), ..Overrides::default() };
    let now = config::load(&plan.config)?.resolve(&overrides)?;
    Ok(difference::of_plans(plan, &now))
}

/// What is said at the first Ctrl-C.
const STOPPING: &str = "stopping: the step in hand is ended, then everything is put back; press \
                        Ctrl-C again to leave at once (`breakeven clean` then puts it back)";

fn listen() -> Result<CancellationToken, CliError> {
    let cancel = CancellationToken::new();
    interrupt::listen(cancel.clone(), || output::message(STOPPING))
        .map_err(|error| CliError::Fault(format!("listening for signals: {error}")))?;
    Ok(cancel)
}

/// The engines of a plan, and what is known of them and of the machine.
async fn open(plan: &Plan) -> Result<(Hosts, BTreeMap<String, String>), CliError> {
    let mut hosts = BTreeMap::new();
    let mut known = BTreeMap::new();
    for (name, engine) in &plan.engines {
        let scratch = run::scratch(&plan.run);
        let host = engine::open(name, engine, &plan.run, &scratch).await.map_err(RunError::from)?;
        let facts = host.facts().await.map_err(RunError::from)?;
        // One engine needs no name.
        let of =
            if plan.engines.len() == 1 { "engine".to_owned() } else { format!("engine {name}") };
        let said = [
            (of.clone(), facts.address),
            (format!("{of} version"), facts.version),
            (format!("{of} API"), facts.api),
            (format!("{of} store"), facts.store),
            ("buildx".to_owned(), facts.buildx.unwrap_or_else(|| "n/a".to_owned())),
        ];
        // Without a daemon there is no API.
        known.extend(said.into_iter().filter(|(_, value)| !value.is_empty()));
        hosts.insert(name.clone(), host);
    }
    known.extend(run::host_facts());
    Ok((hosts, known))
}

async fn conduct(
    plan: &Plan,
    hosts: Hosts,
    place: (Journal, &Path),
    cancel: &CancellationToken,
) -> Result<run::Outcome, CliError> {
    let progress = Progress::new();
    let listener = |event: &Event| progress.show(event);
    Ok(run::conduct(plan, hosts, place, cancel, &listener).await?)
}

/// Writes and shows the reports of a run that has ended. What ended it early counts more than a
/// report that cannot be written.
pub(super) fn report(outcome: run::Outcome, out: &Path) -> Result<Exit, CliError> {
    let shown = run::publish(out)
        .map_err(CliError::from)
        .and_then(|published| output::show(&published, out));
    if let Some(error) = outcome.error {
        return Err(match shown {
            Ok(()) => CliError::Early(Box::new(error)),
            Err(unwritten) => {
                output::message(&format!("error: {unwritten}"));
                CliError::from(error)
            }
        });
    }
    shown?;
    let exit = match outcome.ending {
        Ending::Interrupted => Exit::Interrupted,
        _ if outcome.not_ok > 0 => Exit::SamplesFailed,
        _ => Exit::Done,
    };
    // A pipeline that puts up with failed samples has to hear of a history that it does not get.
    Ok(keep(out, outcome.ending)?.unwrap_or(exit))
}

/// Writes a run that has ended into the history that its plan names. What goes wrong there takes
/// nothing of the run: its directory stands, and the history can have it later.
fn keep(out: &Path, ending: Ending) -> Result<Option<Exit>, CliError> {
    let plan = journal::read_plan(out).map_err(RunError::from)?;
    let Some(address) = plan.history else { return Ok(None) };
    if plan.shard.is_some() {
        output::message(
            "note: a part of a run is not written into the history; put the parts together with \
             `breakeven merge`, then `breakeven history add` writes the whole",
        );
        return Ok(None);
    }
    if !ending.is_whole() && ending != Ending::OutOfTime {
        output::message(
            "note: a run that was stopped is not written into the history; `breakeven run \
             --resume` goes on, and `breakeven history add` writes it as it is",
        );
        return Ok(None);
    }
    match runtime()?.block_on(run::keep(out, &address, &Access::of_process())) {
        Ok(kept) => {
            output::message(&format!("history: {} in {}", kept.name, kept.address));
            Ok(None)
        }
        Err(error) => {
            output::message(&format!(
                "error: the run is measured and reported, but not in the history: {error}\n\
                 `breakeven history add {}` writes it once that is put right",
                out.display()
            ));
            Ok(Some(super::exit::of_run(&error)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_ended_by_itself_is_kept_and_one_that_was_stopped_is_not() {
        let dir = tempfile::tempdir().unwrap();
        for (ending, runs) in [
            (Ending::Interrupted, 0),
            (Ending::Aborted, 0),
            (Ending::Complete, 1),
            (Ending::Settled, 1),
            (Ending::OutOfTime, 1),
        ] {
            let (out, history) = (dir.path().join("out"), dir.path().join("history"));
            for path in [&out, &history] {
                std::fs::remove_dir_all(path).ok();
                std::fs::create_dir(path).unwrap();
            }
            let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample");
            std::fs::copy(sample.join("events.jsonl"), out.join("events.jsonl")).unwrap();
            let mut plan = journal::read_plan(&sample).unwrap();
            plan.history = Some(history.to_string_lossy().into_owned());
            std::fs::write(out.join("plan.json"), serde_json::to_vec(&plan).unwrap()).unwrap();
            assert_eq!(keep(&out, ending).unwrap(), None, "{ending:?}");
            let kept = std::fs::read_dir(history.join("breakeven-history/runs"));
            assert_eq!(kept.map_or(0, Iterator::count), runs, "{ending:?}");
        }
    }
}

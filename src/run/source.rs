//! Where a run is that a command is to read.

use super::comparable::{Under, between};
use super::{Published, RunError, decided, recorded};
use crate::compare::{self, Across};
use crate::config::{self, Overrides};
use crate::history::{History, HistoryError, Loaded};
use crate::model::Event;
use crate::report::text::plural;
use crate::storage::Access;
use crate::storage::address::Address;
use crate::trend::{self, Summary};
use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A run as the command line names it. What else a run can be kept in becomes another variant, and
/// every command that reads runs can name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunSource {
    /// A directory that `breakeven run` wrote.
    Directory(PathBuf),
    /// A run of a history: `PLACE#RUN`, `PLACE#last`, or several: `PLACE#last:N`. The place is an
    /// address, a folder, or a configuration file that names one.
    History {
        /// Where the history is.
        place: String,
        /// Which of its runs.
        which: Which,
    },
}

/// Which runs of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one of this id.
    Run(String),
    /// The last one.
    Last,
    /// The last so many, together.
    LastOf(usize),
}

impl RunSource {
    /// Reads its journal and decides. Nothing is written but, where it has to be brought up to
    /// date, the index of a history. Several runs are refused: they are no run.
    pub async fn read(&self) -> Result<Published, RunError> {
        let (place, id) = match self {
            Self::Directory(dir) => return recorded(dir),
            Self::History { which: Which::LastOf(_), .. } => {
                return Err(HistoryError::Several { named: self.to_string() }.into());
            }
            Self::History { place, which: Which::Run(id) } => (place, Some(id)),
            Self::History { place, which: Which::Last } => (place, None),
        };
        let (history, loaded) = load(place).await?;
        let found = match id {
            Some(id) => loaded.runs.iter().find(|(name, _)| name.run() == id),
            None => loaded.runs.last(),
        };
        let Some((name, _)) = found else {
            let run = id.cloned().unwrap_or_else(|| "at all".to_owned());
            let address = history.shown().to_owned();
            return Err(HistoryError::NoRun { run, address }.into());
        };
        let unpacked = history.get(name).await?;
        Ok(decided(unpacked.plan, unpacked.events, false))
    }

    /// The same, as what another run is compared with: `PLACE#last` is then the last one that
    /// started before it, since that run may be in the history itself. None if there is none.
    pub async fn read_before(&self, new: &Published) -> Result<Option<Published>, RunError> {
        let Self::History { place, which: Which::Last } = self else {
            return self.read().await.map(Some);
        };
        let (history, loaded) = load(place).await?;
        let before = Before::new(new);
        let Some((name, _)) = loaded.runs.iter().rev().find(|(_, run)| before.holds(run)) else {
            return Ok(None);
        };
        let unpacked = history.get(name).await?;
        Ok(Some(decided(unpacked.plan, unpacked.events, false)))
    }
}

/// Tells runs that started before another one.
struct Before<'a> {
    run: &'a str,
    started: Option<&'a str>,
}

impl<'a> Before<'a> {
    fn new(new: &'a Published) -> Self {
        let started = new.events.iter().find_map(|event| match event {
            Event::RunStarted { at, .. } => Some(at.as_str()),
            _ => None,
        });
        Self { run: &new.plan.run, started }
    }

    fn holds(&self, summary: &Summary) -> bool {
        summary.run != self.run
            && self.started.is_none_or(|started| summary.started_at.as_str() < started)
    }
}

/// Runs of a history that another one is compared with, together.
#[derive(Debug)]
pub struct Earlier {
    /// What is known of each, the oldest first.
    pub runs: Vec<Summary>,
    /// What makes them others than that run, where they count all the same.
    pub across: Vec<String>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

/// How many runs are looked at for each one that is wanted.
const LOOKED_AT: usize = 5;

/// Why a history has no runs that another one can be compared with.
#[derive(Debug)]
pub struct TooFew {
    /// How many there are, and what the first of the others differs in.
    pub why: Vec<String>,
    /// Whether there would be enough across what differs.
    pub enough_across: bool,
}

/// The last so many runs of a history before another one that are comparable with it (or all of
/// them, across what differs). The inner error: fewer than [`compare::RUNS`] are.
pub async fn earlier(
    place: &str,
    count: usize,
    new: &Published,
    across: Across,
) -> Result<Result<Earlier, TooFew>, RunError> {
    let (history, loaded) = load(place).await?;
    let is = Under { plan: &new.plan, events: &new.events };
    let before = Before::new(new);
    let model = trend::machine(&new.plan);
    let mut runs = Vec::new();
    let (mut looked_at, mut others) = (0, 0);
    let (mut why, mut notes): (Vec<String>, Vec<String>) = Default::default();
    let mut crossed: Vec<String> = Vec::new();
    for (name, summary) in loaded.runs.iter().rev().filter(|(_, summary)| before.holds(summary)) {
        if runs.len() >= count || looked_at >= count.saturating_mul(LOOKED_AT) {
            break;
        }
        looked_at += 1;
        // What is told by the machine alone need not be read.
        let other_machine = summary.machine != model;
        if other_machine && across != Across::Everything {
            others += 1;
            continue;
        }
        let was = history.get(name).await?;
        let found = between(&Under { plan: &was.plan, events: &was.events }, &is);
        if found.allowed(across) {
            if runs.is_empty() {
                notes = found.notes;
            }
            for line in found.breaking {
                if !crossed.contains(&line) {
                    crossed.push(line);
                }
            }
            runs.push(summary.clone());
        } else {
            others += 1;
            if why.is_empty() {
                why = found.breaking;
            }
        }
    }
    runs.reverse();
    if runs.len() < compare::RUNS {
        let few = format!(
            "of the last {} of {place} before it, {} are comparable on this machine model, {} at \
             least are needed",
            plural(looked_at, "run"),
            runs.len(),
            compare::RUNS
        );
        let why = std::iter::once(few).chain(why).collect();
        let enough_across = across != Across::Everything && looked_at >= compare::RUNS;
        return Ok(Err(TooFew { why, enough_across }));
    }
    if others > 0 {
        notes.push(format!("{others} runs between them are left out as not comparable"));
    }
    notes.push(
        "a difference is held against how these runs differ from each other: n of base counts runs"
            .to_owned(),
    );
    Ok(Ok(Earlier { runs, across: crossed, notes }))
}

/// A history with what it holds.
pub(super) async fn load(place: &str) -> Result<(History, Loaded), RunError> {
    let history = History::open(&history_address(place)?, &Access::of_process())?;
    let loaded = history.load().await?;
    Ok((history, loaded))
}

/// The address of a history: the place itself, or what the configuration file names that it is.
pub fn history_address(place: &str) -> Result<String, RunError> {
    Ok(address(place)?)
}

fn address(place: &str) -> Result<String, HistoryError> {
    let path = Path::new(place);
    if place.contains("://") || path.is_dir() {
        return match Address::parse(place).map_err(HistoryError::Address)? {
            // Wherever a command is started that reads it later.
            Address::Directory(folder) => {
                Ok(folder.canonicalize().unwrap_or(folder).to_string_lossy().into_owned())
            }
            address => Ok(address.to_string()),
        };
    }
    let failed = |cause: String| HistoryError::Place { place: place.to_owned(), cause };
    if !path.exists() {
        let cause = "there is no folder and no configuration file of that name. Name an address \
                     (s3://…, gs://…, az://…), a folder that is there, or a configuration file with \
                     a `history`";
        return Err(failed(cause.to_owned()));
    }
    let config = config::load(path).map_err(|error| failed(error.to_string()))?;
    let plan = config.resolve(&Overrides::default()).map_err(|error| failed(error.to_string()))?;
    let none = || {
        failed("it has no `history`; add one, or name an address or a folder instead".to_owned())
    };
    plan.history.ok_or_else(none)
}

impl FromStr for RunSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (place, which) = match text.rsplit_once('#') {
            // A directory may have such a name.
            Some(parts) if !Path::new(text).is_dir() => parts,
            _ => return Ok(Self::Directory(text.into())),
        };
        let of_last = which.strip_prefix("last:").and_then(|count| count.parse().ok());
        let which = match (which, of_last) {
            ("last", _) => Which::Last,
            (_, Some(count)) => Which::LastOf(count),
            (run, None) => Which::Run(run.to_owned()),
        };
        Ok(Self::History { place: place.to_owned(), which })
    }
}

impl fmt::Display for RunSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(dir) => dir.display().fmt(f),
            Self::History { place, which } => match which {
                Which::Run(run) => write!(f, "{place}#{run}"),
                Which::Last => write!(f, "{place}#last"),
                Which::LastOf(count) => write!(f, "{place}#last:{count}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_by_directories_and_by_places_in_a_history() {
        let history = |place: &str, which| RunSource::History { place: place.to_owned(), which };
        for (text, source) in [
            ("reports/x", RunSource::Directory("reports/x".into())),
            ("s3://b/p#last", history("s3://b/p", Which::Last)),
            ("b.toml#last:20", history("b.toml", Which::LastOf(20))),
            ("/mnt/h#20260302-0900-k7", history("/mnt/h", Which::Run("20260302-0900-k7".into()))),
            ("/mnt/h#last:x", history("/mnt/h", Which::Run("last:x".into()))),
        ] {
            assert_eq!(text.parse::<RunSource>(), Ok(source.clone()));
            assert_eq!(source.to_string(), text);
        }
    }
}

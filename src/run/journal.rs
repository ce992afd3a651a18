//! The journal: one flushed line of JSON for every recorded event, and the plan beside it.

use crate::model::event::JOURNAL_VERSION;
use crate::model::plan::PLAN_VERSION;
use crate::model::{Event, Plan};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// File name of the journal in a run directory.
pub const JOURNAL: &str = "events.jsonl";
/// File name of the plan in a run directory.
pub const PLAN: &str = "plan.json";

/// Why a journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("{operation} {}: {source}. {advice}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its message.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The directory holds something already.
    #[error("{} is not empty. Choose another --out, or remove it if you no longer need it", .0.display())]
    NotEmpty(PathBuf),
    /// A line that is neither the last one nor readable.
    #[error(
        "{}, line {line}: {cause}. The lines before it are intact: cut the file there to report \
         on them", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        cause: String,
    },
    /// Another version wrote it.
    #[error(
        "{} has format version {found}, this Breakeven reads version {known}. Use the version of \
         Breakeven that wrote it", path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program knows.
        known: u32,
    },
}

fn io_error(
    operation: &'static str,
    path: &Path,
    advice: &'static str,
) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { operation, path, source, advice }
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Makes a run directory with its plan and an empty journal. An existing directory must be
    /// empty: nothing is ever overwritten.
    pub fn create(dir: &Path, plan: &Plan) -> Result<Self, JournalError> {
        const ADVICE: &str = "Choose another --out with enough room that you may write to";
        fs::create_dir_all(dir).map_err(io_error("making", dir, ADVICE))?;
        let mut entries = fs::read_dir(dir).map_err(io_error("reading", dir, ADVICE))?;
        if entries.next().is_some() {
            return Err(JournalError::NotEmpty(dir.to_owned()));
        }
        let logs = dir.join("logs");
        fs::create_dir(&logs).map_err(io_error("making", &logs, ADVICE))?;
        let plan_path = dir.join(PLAN);
        let text = serde_json::to_string_pretty(plan).map_err(io::Error::other);
        text.and_then(|text| fs::write(&plan_path, text + "\n"))
            .map_err(io_error("writing", &plan_path, ADVICE))?;
        let path = dir.join(JOURNAL);
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(io_error("making", &path, ADVICE))?;
        Ok(Self { path, file })
    }

    /// Writes one line and has the disk confirm it.
    pub fn append(&mut self, event: &Event) -> Result<(), JournalError> {
        const ADVICE: &str =
            "Samples up to here are safe: free disk space, then `breakeven report` shows them";
        let line = serde_json::to_string(event).map_err(io::Error::other);
        line.and_then(|line| self.file.write_all((line + "\n").as_bytes()))
            .and_then(|()| self.file.sync_data())
            .map_err(io_error("writing", &self.path, ADVICE))
    }
}

/// A journal that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The plan.
    pub plan: Plan,
    /// Every recorded event in order.
    pub events: Vec<Event>,
    /// Whether the last line was torn (the run was killed while writing it) and dropped.
    pub torn: bool,
}

/// Reads the plan and the journal of a run directory.
pub fn read(dir: &Path) -> Result<Recorded, JournalError> {
    const ADVICE: &str = "Name a directory that `breakeven run` wrote";
    let plan_path = dir.join(PLAN);
    let text = fs::read_to_string(&plan_path).map_err(io_error("reading", &plan_path, ADVICE))?;
    let damaged = |path: &Path, line, cause: serde_json::Error| JournalError::Damaged {
        path: path.to_owned(),
        line,
        cause: cause.to_string(),
    };
    // The version decides whether the rest can be understood, so it is read on its own first.
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|cause| damaged(&plan_path, cause.line(), cause))?;
    check_version(&plan_path, value.get("version"), PLAN_VERSION)?;
    let plan = serde_json::from_value(value).map_err(|cause| damaged(&plan_path, 1, cause))?;

    let path = dir.join(JOURNAL);
    let text = fs::read(&path).map_err(io_error("reading", &path, ADVICE))?;
    let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let torn = complete < text.len();
    let mut events = Vec::new();
    for (index, line) in text[..complete].split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let event: Event =
            serde_json::from_slice(line).map_err(|cause| damaged(&path, index + 1, cause))?;
        if let Event::RunStarted { version, .. } = event
            && version != JOURNAL_VERSION
        {
            return Err(JournalError::Version { path, found: version, known: JOURNAL_VERSION });
        }
        events.push(event);
    }
    Ok(Recorded { plan, events, torn })
}

fn check_version(
    path: &Path,
    found: Option<&serde_json::Value>,
    known: u32,
) -> Result<(), JournalError> {
    let found = found.and_then(serde_json::Value::as_u64).unwrap_or(0);
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found == known {
        Ok(())
    } else {
        Err(JournalError::Version { path: path.to_owned(), found, known })
    }
}

//! The journal: one flushed line of JSON for every recorded event, and the plan beside it.

use super::clock::stamp;
use super::resume::Earlier;
use super::secrets;
use crate::model::event::{Ending, JOURNAL_VERSION};
use crate::model::plan::PLAN_VERSION;
use crate::model::{Event, Plan, Sample};
use rayon::prelude::*;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use time::OffsetDateTime;

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
    /// A line could not be written: the disk is full, as a rule.
    #[error(
        "writing {}: {source}. Samples up to here are safe: free disk space, then `breakeven \
         report` shows them and `breakeven run --resume` goes on", path.display()
    )]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The operating system's message.
        source: io::Error,
    },
    /// The directory holds something already.
    #[error("{} is not empty. Choose another --out, or remove it if you no longer need it", .0.display())]
    NotEmpty(PathBuf),
    /// Another process writes it.
    #[error("{} is being written by another process. Wait until that run has ended", .0.display())]
    InUse(PathBuf),
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
    /// It does not begin.
    #[error(
        "{} has no line that starts a run: nothing was measured. `breakeven run --resume` begins \
         it, `breakeven run` makes another one", .0.display()
    )]
    NoStart(PathBuf),
    /// Plan and journal do not belong together.
    #[error(
        "plan.json in {} is of run {plan}, events.jsonl of run {journal}. Put the two files of one \
         run into one directory", dir.display()
    )]
    OtherRun {
        /// The directory.
        dir: PathBuf,
        /// The run that the plan names.
        plan: String,
        /// The run that the journal names.
        journal: String,
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

/// A journal that is being written. It is locked until it is dropped, so that no two processes
/// write the same one.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of its complete lines.
    length: u64,
    earlier: Earlier,
    reopened: bool,
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
        let path = dir.join(JOURNAL);
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(io_error("making", &path, ADVICE))?;
        // A file system without locks is no obstacle here: nobody else can have made this file.
        let _ = file.try_lock();
        let logs = dir.join("logs");
        fs::create_dir(&logs).map_err(io_error("making", &logs, ADVICE))?;
        let plan_path = dir.join(PLAN);
        write_plan(dir, plan).map_err(io_error("writing", &plan_path, ADVICE))?;
        Ok(Self { path, file, length: 0, earlier: Earlier::default(), reopened: false })
    }

    /// Opens the journal of a run that was stopped, so that it can go on: with its plan, and with
    /// what it recorded. A last line that was torn by a kill is cut off. `retry_failed`: samples
    /// that failed do not count as finished.
    pub fn reopen(dir: &Path, retry_failed: bool) -> Result<(Self, Plan), JournalError> {
        const ADVICE: &str =
            "Name a directory that `breakeven run` wrote and that you may write to";
        let path = dir.join(JOURNAL);
        let file = OpenOptions::new()
            .append(true)
            .read(true)
            .open(&path)
            .map_err(io_error("opening", &path, ADVICE))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse(path)),
            Err(TryLockError::Error(source)) => {
                return Err(io_error("locking", &path, ADVICE)(source));
            }
        }
        let Recorded { plan, events, torn, length } = read(dir)?;
        if torn {
            file.set_len(length).map_err(io_error("cutting", &path, ADVICE))?;
        }
        let logs = dir.join("logs");
        fs::create_dir_all(&logs).map_err(io_error("making", &logs, ADVICE))?;
        let earlier = Earlier::new(events, torn, retry_failed);
        Ok((Self { path, file, length, earlier, reopened: true }, plan))
    }

    /// Ends a run of which every sample was measured before it was killed. What it took until then is
    /// known from its samples, so that nothing is added here.
    pub fn end(&mut self, ending: Ending, torn: bool) -> Result<(), JournalError> {
        let at = stamp(OffsetDateTime::now_utc());
        let version = JOURNAL_VERSION;
        self.append(&Event::RunResumed { version, at: at.clone(), torn, retry_failed: false })?;
        let reason = String::new();
        self.append(&Event::RunEnded { ending, reason, at, duration_s: 0.0 })
    }

    /// Whether the run was started before, even if nothing was recorded then.
    pub const fn is_reopened(&self) -> bool {
        self.reopened
    }

    /// What the run recorded before it was stopped; nothing of a run that begins.
    pub const fn earlier(&self) -> &Earlier {
        &self.earlier
    }

    /// Takes out what the run recorded before it was stopped.
    pub fn take_earlier(&mut self) -> Earlier {
        std::mem::take(&mut self.earlier)
    }

    /// Writes one line, without any secret, and has the disk confirm it. What was written of a line
    /// that does not fit is taken back, so that the next one does not follow half a line.
    pub fn append(&mut self, event: &Event) -> Result<(), JournalError> {
        let failed = |source| JournalError::NotWritten { path: self.path.clone(), source };
        let line = secrets::line(event).map_err(io::Error::other).map_err(failed)? + "\n";
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // The first error is the one that counts; half a line at the end is cut off later.
            let _ = self.file.set_len(self.length);
            return Err(failed(source));
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

/// Writes the plan under a temporary name first: a plan that is there is whole.
fn write_plan(dir: &Path, plan: &Plan) -> io::Result<()> {
    let text = serde_json::to_string_pretty(plan).map_err(io::Error::other)?;
    let temporary = dir.join(format!("{PLAN}.new"));
    fs::write(&temporary, text + "\n")?;
    fs::rename(&temporary, dir.join(PLAN))
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
    /// Bytes of the complete lines.
    pub length: u64,
}

const READ_ADVICE: &str = "Name a directory that `breakeven run` wrote";

fn damaged(path: &Path, line: usize, cause: &serde_json::Error) -> JournalError {
    JournalError::Damaged { path: path.to_owned(), line, cause: cause.to_string() }
}

/// Reads the plan of a run directory.
pub fn read_plan(dir: &Path) -> Result<Plan, JournalError> {
    let plan_path = dir.join(PLAN);
    let text =
        fs::read_to_string(&plan_path).map_err(io_error("reading", &plan_path, READ_ADVICE))?;
    // The version decides whether the rest can be understood, so it is read on its own first.
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|cause| damaged(&plan_path, cause.line(), &cause))?;
    check_version(&plan_path, value.get("version"), PLAN_VERSION)?;
    serde_json::from_value(value).map_err(|cause| damaged(&plan_path, 1, &cause))
}

/// Reads the plan and the journal of a run directory.
pub fn read(dir: &Path) -> Result<Recorded, JournalError> {
    let plan = read_plan(dir)?;
    let path = dir.join(JOURNAL);
    let file = File::open(&path).map_err(io_error("reading", &path, READ_ADVICE))?;
    let mut pieces = Pieces { file, carried: Vec::new() };
    // Two buffers take turns: fresh ones for every piece are fresh pages, and holes among what stays.
    let mut spent = Vec::new();
    let mut piece = pieces.next(Vec::new()).map_err(io_error("reading", &path, READ_ADVICE))?;
    let (mut events, mut lines, mut length) = (Vec::new(), 0, 0);
    while !piece.is_empty() {
        // The next piece is read from the disk while this one is made sense of.
        let (parsed, next) =
            rayon::join(|| parse(&piece), || pieces.next(std::mem::take(&mut spent)));
        for part in parsed {
            let part = part.map_err(|(line, fault)| fault.at(&path, lines + line))?;
            lines += part.lines;
            events.extend(part.events);
        }
        length += piece.len() as u64;
        let next = next.map_err(io_error("reading", &path, READ_ADVICE))?;
        spent = std::mem::replace(&mut piece, next);
    }
    Ok(Recorded { plan, events, torn: !pieces.carried.is_empty(), length })
}

/// Reads them as [`read`] does, and refuses what is no run: a journal that does not begin, or that is
/// another run's. What reads a run without asking would take it for one in which nothing was wrong.
pub fn read_run(dir: &Path) -> Result<Recorded, JournalError> {
    let recorded = read(dir)?;
    let started = recorded.events.iter().find_map(|event| match event {
        Event::RunStarted { run, .. } => Some(run),
        _ => None,
    });
    match started {
        None => Err(JournalError::NoStart(dir.join(JOURNAL))),
        Some(run) if *run != recorded.plan.run => Err(JournalError::OtherRun {
            dir: dir.to_owned(),
            plan: recorded.plan.run.clone(),
            journal: run.clone(),
        }),
        Some(_) => Ok(recorded),
    }
}

/// Bytes of the journal that are in memory at once, besides what was read of a line before them.
const PIECE: u64 = 16 << 20;
/// Bytes that one thread parses at once.
const PART: usize = 512 << 10;

/// A journal in pieces of whole lines.
struct Pieces {
    file: File,
    /// The beginning of a line whose end was not read yet. At the end of the file: the torn one.
    carried: Vec<u8>,
}

impl Pieces {
    /// The next lines, in a buffer that is not needed any more; nothing at the end of the file.
    fn next(&mut self, mut piece: Vec<u8>) -> io::Result<Vec<u8>> {
        piece.clear();
        piece.append(&mut self.carried);
        loop {
            let before = piece.len();
            let read = (&self.file).take(PIECE).read_to_end(&mut piece)?;
            if let Some(end) = piece[before..].iter().rposition(|byte| *byte == b'\n') {
                let whole = before + end + 1;
                self.carried.extend_from_slice(&piece[whole..]);
                piece.truncate(whole);
                return Ok(piece);
            }
            if read == 0 {
                self.carried = piece;
                return Ok(Vec::new());
            }
        }
    }
}

/// Some lines that follow each other.
struct Part {
    events: Vec<Event>,
    lines: usize,
}

/// What is wrong with a line.
enum Fault {
    Unreadable(serde_json::Error),
    Version(u32),
}

impl Fault {
    fn at(self, path: &Path, line: usize) -> JournalError {
        match self {
            Self::Unreadable(cause) => damaged(path, line, &cause),
            Self::Version(found) => {
                JournalError::Version { path: path.to_owned(), found, known: JOURNAL_VERSION }
            }
        }
    }
}

/// Parses whole lines on all cores, in order; where one is faulty, its number within its part.
fn parse(mut piece: &[u8]) -> Vec<Result<Part, (usize, Fault)>> {
    let mut parts = Vec::new();
    while !piece.is_empty() {
        let from = PART.min(piece.len()) - 1;
        let end = piece[from..].iter().position(|byte| *byte == b'\n');
        let (part, rest) = piece.split_at(end.map_or(piece.len(), |end| from + end + 1));
        parts.push(part);
        piece = rest;
    }
    parts.into_par_iter().map(parse_part).collect()
}

fn parse_part(text: &[u8]) -> Result<Part, (usize, Fault)> {
    let mut part = Part { events: Vec::new(), lines: 0 };
    let mut begin = 0;
    for end in memchr::memchr_iter(b'\n', text) {
        let line = &text[begin..end];
        begin = end + 1;
        part.lines += 1;
        if line.is_empty() {
            continue;
        }
        let event = event(line).map_err(|cause| (part.lines, Fault::Unreadable(cause)))?;
        if let Event::RunStarted { version, .. } | Event::RunResumed { version, .. } = event
            && version != JOURNAL_VERSION
        {
            return Err((part.lines, Fault::Version(version)));
        }
        part.events.push(event);
    }
    Ok(part)
}

/// The kind of event that a large journal is full of, without the look ahead for its kind.
#[derive(serde::Deserialize)]
struct Finished {
    #[serde(rename = "event")]
    _event: serde::de::IgnoredAny,
    sample: Box<Sample>,
}

fn event(line: &[u8]) -> serde_json::Result<Event> {
    // One look at the whole line takes less time than one at every text in it.
    let Ok(line) = str::from_utf8(line) else { return serde_json::from_slice(line) };
    if line.starts_with(r#"{"event":"sample-finished","#)
        && let Ok(Finished { sample, .. }) = serde_json::from_str(line)
    {
        return Ok(Event::SampleFinished { sample });
    }
    serde_json::from_str(line)
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

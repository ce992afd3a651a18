//! The object of a run: a file that `zstd` unpacks, with a head that can be read without unpacking.
//!
//! ```text
//! skippable frame of zstd   {"format":"breakeven-history","version":1,"run":…,"breakeven":…}
//! frame of zstd             line 1  the summary
//!                           line 2  the plan
//!                           then    the journal, line by line
//! ```
//!
//! The name holds the run's id and the first half of the SHA-256 of what is in the frame: a name
//! stands for one content, for ever, and damage shows.

use super::HistoryError;
use crate::model::event::JOURNAL_VERSION;
use crate::model::plan::PLAN_VERSION;
use crate::model::{Event, Plan};
use crate::trend::Summary;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{Read, Write};

/// Version of the format that is written.
const VERSION: u32 = 1;

/// What the version of an object must be for it to be read, for messages.
pub const READS: &str = "version 1";

/// What the head says that it is.
const FORMAT: &str = "breakeven-history";

/// What names of objects end with.
pub const NAME_END: &str = ".run.zst";

/// Hexadecimal digits of the hash in a name.
const HASH: usize = 32;

/// Most bytes that an object may unpack to.
const LARGEST: u64 = 512 << 20;

/// Level of zstd: a run is written once and read often.
const LEVEL: i32 = 9;

/// What a frame begins with that decoders of zstd skip.
const SKIPPED: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

/// The name of an object: `RUN.HASH.run.zst`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectName(String);

impl ObjectName {
    /// Reads a name; `None` for one that is not of this form.
    pub fn parse(text: &str) -> Option<Self> {
        let (run, hash) = text.strip_suffix(NAME_END)?.rsplit_once('.')?;
        let hex = |c: char| c.is_ascii_digit() || matches!(c, 'a'..='f');
        let valid = is_id(run) && hash.len() == HASH && hash.chars().all(hex);
        valid.then(|| Self(text.to_owned()))
    }

    fn of(run: &str, content: Sha256) -> Option<Self> {
        let hash = hex::encode(&content.finalize()[..HASH / 2]);
        is_id(run).then(|| Self(format!("{run}.{hash}{NAME_END}")))
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether this is a run's id: letters, digits and `-`.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// A run that is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// What is known of it.
    pub summary: &'a Summary,
    /// Its plan.
    pub plan: &'a Plan,
    /// The lines of its journal, without secrets.
    pub lines: &'a [String],
}

/// A run that was kept.
#[derive(Debug)]
pub struct Unpacked {
    /// What was known of it when it was kept.
    pub summary: Summary,
    /// Its plan.
    pub plan: Plan,
    /// Its recorded events.
    pub events: Vec<Event>,
}

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// In words.
    pub cause: String,
    /// What to do.
    pub advice: &'static str,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    format: String,
    version: u32,
    run: String,
    breakeven: String,
}

/// The object of a run.
pub fn pack(kept: &Kept<'_>) -> Result<(ObjectName, Vec<u8>), HistoryError> {
    let run = &kept.plan.run;
    let failed = |cause: String| HistoryError::NotKept { run: run.clone(), cause };
    let io = |error: std::io::Error| failed(error.to_string());
    let json = |error: serde_json::Error| failed(error.to_string());
    let mut content = serde_json::to_vec(kept.summary).map_err(json)?;
    content.push(b'\n');
    serde_json::to_writer(&mut content, kept.plan).map_err(json)?;
    content.push(b'\n');
    for line in kept.lines {
        content.extend_from_slice(line.as_bytes());
        content.push(b'\n');
    }
    let name = ObjectName::of(run, Sha256::new_with_prefix(&content))
        .ok_or_else(|| failed("its id is not made of letters, digits and `-` alone".to_owned()))?;
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        run: run.clone(),
        breakeven: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let header = serde_json::to_vec(&header).map_err(json)?;
    let length = u32::try_from(header.len()).map_err(|error| failed(error.to_string()))?;
    let mut bytes = SKIPPED.to_vec();
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&header);
    let mut encoder = zstd::Encoder::new(bytes, LEVEL).map_err(io)?;
    encoder.include_checksum(true).map_err(io)?;
    encoder.write_all(&content).map_err(io)?;
    Ok((name, encoder.finish().map_err(io)?))
}

const REMOVE: &str = "It was damaged, or written by something else: remove it, and \
                      `breakeven history add` the run directory again if there is one";
const NEWER: &str = "Read it with the version of Breakeven that wrote it, or a newer one";

fn damaged(cause: impl fmt::Display) -> Damage {
    Damage { cause: format!("it cannot be read: {cause}"), advice: REMOVE }
}

/// The head of an object, if it is one of the run that its name says.
pub(super) fn header(name: &ObjectName, bytes: &[u8]) -> Result<Header, Damage> {
    let none = || damaged("it does not begin with the head of a run's object");
    let rest = bytes.strip_prefix(&SKIPPED).ok_or_else(none)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(none)?;
    let header = rest.get(..u32::from_le_bytes(*length) as usize).ok_or_else(none)?;
    let header: Header = serde_json::from_slice(header).map_err(damaged)?;
    if header.format != FORMAT {
        return Err(none());
    }
    if header.run != name.run() {
        return Err(damaged("it is of another run than its name says"));
    }
    Ok(header)
}

/// Reads an object as a whole, and holds it against its name.
pub fn unpack(name: &ObjectName, bytes: &[u8]) -> Result<Unpacked, Damage> {
    let content = content(name, bytes, usize::MAX)?;
    let mut lines = lines(&content);
    let (summary, plan) = begin(name, &mut lines)?;
    let plan: Plan = serde_json::from_slice(plan).map_err(damaged)?;
    let events = lines.map(event).collect::<Result<_, _>>()?;
    Ok(Unpacked { summary, plan, events })
}

/// Reads what an object says of its run in short, and holds the object as a whole against its name.
/// The journal, which is most of it, is not taken apart: that takes several times as long.
pub fn summary(name: &ObjectName, bytes: &[u8]) -> Result<Summary, Damage> {
    // Summary, plan, and the event that says which version of a journal it is.
    let content = content(name, bytes, 3)?;
    let mut lines = lines(&content);
    let (summary, _) = begin(name, &mut lines)?;
    lines.next().map(event).transpose()?;
    Ok(summary)
}

/// Bytes that are unpacked at once: they stay in a core's cache until they are hashed.
const PIECE: usize = 64 << 10;

/// The first so many lines of what an object holds; all of it is held against the name.
fn content(name: &ObjectName, bytes: &[u8], mut lines: usize) -> Result<Vec<u8>, Damage> {
    let header = header(name, bytes)?;
    if header.version != VERSION {
        let cause = format!(
            "it has format version {}, written by Breakeven {}; this one reads {READS}",
            header.version, header.breakeven
        );
        return Err(Damage { cause, advice: NEWER });
    }
    let mut decoder = zstd::Decoder::with_buffer(bytes).map_err(damaged)?;
    let mut piece = vec![0; PIECE];
    let (mut content, mut hash, mut length) = (Vec::new(), Sha256::new(), 0);
    loop {
        let read = decoder.read(&mut piece).map_err(damaged)?;
        if read == 0 {
            break;
        }
        length += read as u64;
        if length > LARGEST {
            return Err(damaged(format!("it unpacks to more than {} MiB", LARGEST >> 20)));
        }
        hash.update(&piece[..read]);
        let wanted = match lines {
            usize::MAX => read,
            _ => until(&piece[..read], &mut lines),
        };
        content.extend_from_slice(&piece[..wanted]);
    }
    match ObjectName::of(name.run(), hash).as_ref() == Some(name) {
        true => Ok(content),
        false => Err(damaged("its content is not what its name says")),
    }
}

/// Where the last of so many lines ends; takes those that end before it from their number.
fn until(piece: &[u8], lines: &mut usize) -> usize {
    let mut end = 0;
    while *lines > 0 {
        match piece[end..].iter().position(|byte| *byte == b'\n') {
            Some(at) => (end, *lines) = (end + at + 1, *lines - 1),
            None => return piece.len(),
        }
    }
    end
}

fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// What a plan says of itself, whatever version it has.
#[derive(Deserialize)]
struct PlanHead {
    #[serde(default)]
    version: serde_json::Value,
    #[serde(default)]
    run: String,
}

/// Summary and plan, the latter as a line of a version that is known.
fn begin<'a>(
    name: &ObjectName,
    mut lines: impl Iterator<Item = &'a [u8]>,
) -> Result<(Summary, &'a [u8]), Damage> {
    let mut next = |what: &str| lines.next().ok_or_else(|| damaged(format!("it has no {what}")));
    let summary: Summary = serde_json::from_slice(next("summary")?).map_err(damaged)?;
    let plan = next("plan")?;
    let head: PlanHead = serde_json::from_slice(plan).map_err(damaged)?;
    let version = head.version.as_u64().unwrap_or(0);
    if version != u64::from(PLAN_VERSION) {
        return Err(newer("plan", version, PLAN_VERSION));
    }
    if head.run != name.run() || summary.run != name.run() {
        return Err(damaged("its parts are of several runs"));
    }
    Ok((summary, plan))
}

fn event(line: &[u8]) -> Result<Event, Damage> {
    let event: Event = serde_json::from_slice(line).map_err(damaged)?;
    match event {
        Event::RunStarted { version, .. } | Event::RunResumed { version, .. }
            if version != JOURNAL_VERSION =>
        {
            Err(newer("journal", u64::from(version), JOURNAL_VERSION))
        }
        event => Ok(event),
    }
}

fn newer(what: &str, found: u64, known: u32) -> Damage {
    Damage {
        cause: format!("its {what} has format version {found}, this Breakeven reads {known}"),
        advice: NEWER,
    }
}

//! BuildKit's own progress records, as `buildx build --progress=rawjson` writes them, turned into
//! steps and phases. Pure: bytes in, a [`BuildRecord`] out.
//!
//! The records are JSON objects, one after another, each over several lines; the same vertex comes
//! again whenever it changes. Lines of plain text (`ERROR: …`) may stand between them. Nothing but
//! the latest state of each vertex is kept, so memory grows with the Dockerfile, not with the
//! record.

use super::vertex::{Role, Span, Vertex};
use crate::model::StepRecord;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Longest single object that is accepted, in bytes; real ones are a few kilobytes.
const LONGEST_OBJECT: usize = 16 << 20;
/// Most bytes of plain text that are kept; the newest win.
const MOST_TEXT: usize = 16 << 10;

/// Why a progress record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// An object is not what BuildKit writes.
    #[error("the builder's record has an object that cannot be read, at byte {offset}: {source}")]
    Malformed {
        /// Where the object starts.
        offset: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The record ends within an object.
    #[error("the builder's record ends within an object that starts at byte {offset}")]
    Truncated {
        /// Where the object starts.
        offset: u64,
    },
    /// An object has no end within reason.
    #[error("the builder's record has an object of more than 16 MiB, at byte {offset}")]
    TooLong {
        /// Where the object starts.
        offset: u64,
    },
    /// The record could not be read.
    #[error("reading the builder's record: {0}")]
    Io(#[from] std::io::Error),
}

/// What a build's progress records say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BuildRecord {
    /// Instructions, stage by stage in the order in which the builder named the stages. FROM and
    /// internal vertices are not among them.
    pub steps: Vec<StepRecord>,
    /// Each import of a cache that was tried, with its error if it failed.
    pub imports: Vec<(String, Option<String>)>,
    /// Seconds from the start of the first import to the end of the last one.
    pub import_s: Option<f64>,
    /// Seconds from the start of the first step that ran (or was found) to the end of the last.
    pub steps_s: Option<f64>,
    /// Seconds from the start of the first export of an image to the end of the last.
    pub export_s: Option<f64>,
    /// The same for exports of cache.
    pub cache_export_s: Option<f64>,
    /// Exports that failed: name and message. The builder may have gone on all the same (trap 29).
    pub export_errors: Vec<(String, String)>,
    /// Steps (stage, step) that were found in an imported cache and whose layers were fetched
    /// during the build. They count as hits.
    pub fetched: Vec<(String, u32)>,
    /// Whether the last import ended after the last step (trap 15).
    pub import_outlasts_steps: bool,
    /// Ids of images that the exporter wrote, in order.
    pub images: Vec<String>,
    /// The vertex (not an import) that failed first by itself: its name and the message.
    pub error: Option<(String, String)>,
    /// Lines of plain text between the records, newest last.
    pub text: Vec<String>,
}

/// Reads a whole record.
pub fn parse(mut reader: impl Read) -> Result<BuildRecord, RecordError> {
    let mut parser = Parser::default();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return parser.finish(),
            Ok(read) => parser.feed(&buffer[..read])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A record that is read piece by piece, as it comes from the builder.
#[derive(Debug, Default)]
pub struct Parser {
    /// The object that is being read, or a line of text.
    pending: Vec<u8>,
    /// Open braces; 0 outside of an object.
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Bytes that were consumed before `pending`.
    offset: u64,
    vertexes: Vec<Vertex>,
    by_digest: HashMap<String, usize>,
    images: Vec<String>,
    text: Vec<String>,
    text_bytes: usize,
    logs: Vec<u8>,
}

impl Parser {
    /// Takes the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), RecordError> {
        while !bytes.is_empty() {
            let taken = if self.depth > 0 || self.starts_object(bytes) {
                self.feed_object(bytes)?
            } else {
                self.feed_text(bytes)
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Images that the exporter has written so far, in order.
    pub fn images(&self) -> &[String] {
        &self.images
    }

    /// Output of the steps (and of the builder) that came since the last call, at most
    /// 64 KiB of it.
    pub fn take_logs(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.logs)
    }

    /// An object starts only where no text is pending: `ERROR: {` is text.
    fn starts_object(&self, bytes: &[u8]) -> bool {
        self.pending.is_empty() && bytes[0] == b'{'
    }

    fn feed_object(&mut self, bytes: &[u8]) -> Result<usize, RecordError> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' => self.depth += 1,
                b'}' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.end_object(&bytes[..=at])?;
                        return Ok(at + 1);
                    }
                }
                _ => {}
            }
        }
        if self.pending.len() + bytes.len() > LONGEST_OBJECT {
            return Err(RecordError::TooLong { offset: self.offset });
        }
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn end_object(&mut self, tail: &[u8]) -> Result<(), RecordError> {
        let mut pending = std::mem::take(&mut self.pending);
        // Most objects lie within one piece: these are read where they are.
        let object = if pending.is_empty() {
            tail
        } else {
            pending.extend_from_slice(tail);
            &pending
        };
        let update: Update = serde_json::from_slice(object)
            .map_err(|source| RecordError::Malformed { offset: self.offset, source })?;
        self.offset += object.len() as u64;
        self.apply(update);
        pending.clear();
        self.pending = pending;
        Ok(())
    }

    fn feed_text(&mut self, bytes: &[u8]) -> usize {
        if self.pending.is_empty() {
            let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if blank > 0 {
                self.offset += blank as u64;
                return blank;
            }
        }
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(bytes.len(), |at| at + 1);
        // A line longer than what is kept anyway is cut; its bytes are still consumed.
        let room = MOST_TEXT.saturating_sub(self.pending.len());
        self.pending.extend_from_slice(&bytes[..taken.min(room)]);
        self.offset += taken as u64;
        if end.is_some() {
            self.end_text();
        }
        taken
    }

    fn end_text(&mut self) {
        let line = String::from_utf8_lossy(&self.pending).trim_end().to_owned();
        self.pending.clear();
        self.text_bytes += line.len();
        self.text.push(line);
        while self.text_bytes > MOST_TEXT && self.text.len() > 1 {
            self.text_bytes -= self.text.remove(0).len();
        }
    }

    fn apply(&mut self, update: Update<'_>) {
        for change in update.vertexes.unwrap_or_default() {
            let at = match self.by_digest.get(change.digest.as_ref()) {
                Some(&at) => at,
                None => {
                    self.by_digest.insert(change.digest.into_owned(), self.vertexes.len());
                    self.vertexes.push(Vertex::new(&change.name));
                    self.vertexes.len() - 1
                }
            };
            self.vertexes[at].change(
                change.started,
                change.completed,
                change.cached,
                change.error.as_deref(),
            );
        }
        for status in update.statuses.unwrap_or_default() {
            let layer = status.id.strip_prefix("extracting ").unwrap_or(&status.id);
            if layer.starts_with("sha256:")
                && let Some(at) = self.by_digest.get(status.vertex.as_ref())
            {
                self.vertexes[*at].fetched = true;
            }
            if let Some(id) = status.id.strip_prefix("writing image ")
                && let Some(id) = id.split_whitespace().next()
                && !self.images.iter().any(|known| known == id)
            {
                self.images.push(id.to_owned());
            }
        }
        for log in update.logs.unwrap_or_default() {
            if self.logs.len() < 64 << 10 {
                self.logs.extend(BASE64.decode(log.data.as_bytes()).unwrap_or_default());
            }
        }
    }

    /// Ends the record and says what it held.
    pub fn finish(mut self) -> Result<BuildRecord, RecordError> {
        if self.depth > 0 {
            return Err(RecordError::Truncated { offset: self.offset });
        }
        if !self.pending.is_empty() {
            self.end_text();
        }
        Ok(summarise(self.vertexes, self.images, self.text))
    }
}

fn summarise(vertexes: Vec<Vertex>, images: Vec<String>, text: Vec<String>) -> BuildRecord {
    let mut record = BuildRecord { images, text, ..BuildRecord::default() };
    let (mut import, mut steps) = (Span::default(), Span::default());
    let (mut export, mut cache_export) = (Span::default(), Span::default());
    let mut found: Vec<(usize, u32, bool, StepRecord)> = Vec::new();
    let mut stages: Vec<String> = Vec::new();
    let mut record_error_cancelled = false;
    for vertex in vertexes {
        match &vertex.role {
            Role::Import(reference) => {
                import.cover(&vertex);
                record.imports.push((reference.clone(), vertex.error));
                continue;
            }
            Role::Export | Role::CacheExport => {
                let span = if matches!(vertex.role, Role::Export) {
                    &mut export
                } else {
                    &mut cache_export
                };
                span.cover(&vertex);
                if let Some(error) = &vertex.error {
                    record.export_errors.push((vertex.name.clone(), error.clone()));
                }
            }
            Role::Step { stage, position, instruction } => {
                steps.cover(&vertex);
                let stage_at =
                    stages.iter().position(|known| known == stage).unwrap_or_else(|| {
                        stages.push(stage.clone());
                        stages.len() - 1
                    });
                let step = StepRecord {
                    build: 0,
                    stage: stage.clone(),
                    step: *position,
                    instruction: instruction.clone(),
                    hit: vertex.cached || vertex.fetched,
                    duration_s: vertex.ran_s(),
                };
                found.push((stage_at, *position, vertex.fetched, step));
            }
            Role::Other => {}
        }
        if let Some(error) = vertex.error {
            // What was cancelled because something else failed is not the cause.
            let cancelled = error.contains("context canceled");
            if record.error.is_none() || (record_error_cancelled && !cancelled) {
                record_error_cancelled = cancelled;
                record.error = Some((vertex.name, error));
            }
        }
    }
    found.sort_by_key(|(stage, position, ..)| (*stage, *position));
    // The builder counts FROM, but not where the stage stands on another stage or on nothing:
    // there the first position belongs to an instruction.
    let counts_from: Vec<bool> = (0..stages.len())
        .map(|stage| !found.iter().any(|(of, position, ..)| *of == stage && *position == 1))
        .collect();
    for (stage, position, fetched, step) in found {
        let step = StepRecord { step: position - u32::from(counts_from[stage]), ..step };
        if fetched {
            record.fetched.push((step.stage.clone(), step.step));
        }
        record.steps.push(step);
    }
    record.import_outlasts_steps =
        matches!((import.end, steps.end), (Some(import), Some(steps)) if import > steps);
    record.import_s = import.seconds();
    record.steps_s = steps.seconds();
    record.export_s = export.seconds();
    record.cache_export_s = cache_export.seconds();
    record
}

#[derive(Deserialize)]
struct Update<'a> {
    #[serde(borrow, default)]
    vertexes: Option<Vec<VertexUpdate<'a>>>,
    #[serde(borrow, default)]
    statuses: Option<Vec<StatusUpdate<'a>>>,
    #[serde(borrow, default)]
    logs: Option<Vec<LogUpdate<'a>>>,
}

#[derive(Deserialize)]
struct VertexUpdate<'a> {
    #[serde(borrow)]
    digest: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(default, deserialize_with = "moment")]
    started: Option<OffsetDateTime>,
    #[serde(default, deserialize_with = "moment")]
    completed: Option<OffsetDateTime>,
    #[serde(default)]
    cached: bool,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct StatusUpdate<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    vertex: Cow<'a, str>,
}

#[derive(Deserialize)]
struct LogUpdate<'a> {
    #[serde(borrow, default)]
    data: Cow<'a, str>,
}

fn moment<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<OffsetDateTime>, D::Error> {
    let text = Option::<Cow<'de, str>>::deserialize(from)?;
    text.map(|text| OffsetDateTime::parse(&text, &Rfc3339).map_err(serde::de::Error::custom))
        .transpose()
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;

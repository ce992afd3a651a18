//! One upload in parts. It is aborted whatever ends it, and noted down before it begins, so that
//! even a killed run's is found: parts of an upload that never ends are nowhere listed, but are
//! stored and paid for.

use super::fault::Cause;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as ObjectPath;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Bytes of a part, and of a file that goes in one request.
pub(super) const PART: u64 = 8 << 20;
/// Parts that may be on their way at once. One more is being read, so that (PARTS + 1) × PART
/// bounds the memory.
const PARTS: usize = 4;
/// Parts that an upload can have.
const MOST_PARTS: u64 = 10_000;
/// How long parts on their way may take to arrive before an abort, and the abort itself.
const ABORT: Duration = Duration::from_secs(10);

/// Bytes of a part of so large a file.
fn part_size(bytes: u64) -> u64 {
    PART.max(bytes.div_ceil(MOST_PARTS))
}

/// An upload that is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    path: String,
    id: String,
}

/// The uploads that are not complete, and the file that they are noted in.
#[derive(Clone)]
pub(super) struct Uploads {
    store: Arc<dyn MultipartStore>,
    file: PathBuf,
    open: Arc<Mutex<Vec<Note>>>,
}

impl Uploads {
    /// With what an earlier process has noted in `file`.
    pub(super) fn new(store: Arc<dyn MultipartStore>, file: PathBuf) -> Self {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let noted = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Self { store, file, open: Arc::new(Mutex::new(noted)) }
    }

    /// Sends a file in parts; `parts` carries them. Goes on in the background when it is dropped,
    /// until what it has begun is tidied up.
    pub(super) async fn send(
        &self,
        parts: Arc<dyn MultipartStore>,
        file: File,
        to: ObjectPath,
    ) -> Result<u64, Cause> {
        let (_alive, given_up) = oneshot::channel();
        let uploads = self.clone();
        tokio::spawn(async move { uploads.carry(parts.as_ref(), file, to, given_up).await }).await?
    }

    async fn carry(
        &self,
        store: &dyn MultipartStore,
        file: File,
        to: ObjectPath,
        mut given_up: oneshot::Receiver<()>,
    ) -> Result<u64, Cause> {
        let size = part_size(file.metadata()?.len());
        let id = store.create_multipart(&to).await?;
        let note = Note { path: to.to_string(), id };
        let mut sending = FuturesUnordered::new();
        let all = async {
            self.note(&note)?;
            let mut file = file;
            let mut sent: Vec<Option<PartId>> = Vec::new();
            let mut bytes = 0;
            loop {
                let (read, part) = read(file, size).await?;
                file = read;
                let at_end = part.is_empty();
                if !at_end {
                    bytes += part.len() as u64;
                    let (index, to, id) = (sent.len(), &to, &note.id);
                    sent.push(None);
                    sending.push(async move {
                        let done = store.put_part(to, id, index, part.into()).await;
                        done.map(|part| (index, part))
                    });
                }
                while (at_end || sending.len() >= PARTS)
                    && let Some(done) = sending.next().await
                {
                    let (index, part) = done?;
                    sent[index] = Some(part);
                }
                if at_end {
                    break;
                }
            }
            store.complete_multipart(&to, &note.id, sent.into_iter().flatten().collect()).await?;
            Ok(bytes)
        };
        let done: Result<u64, Cause> = tokio::select! {
            done = all => done,
            _ = &mut given_up => Err("it was given up".into()),
        };
        if done.is_ok() {
            self.forget(&note);
            return done;
        }
        // A part that arrives after the abort would stay.
        let settled = async { while sending.next().await.is_some() {} };
        let _ = tokio::time::timeout(ABORT, settled).await;
        // The first error is the one to report.
        match tokio::time::timeout(ABORT, self.abort(&note)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("aborting an upload that failed: {error}"),
            Err(_) => tracing::warn!("aborting an upload that failed took too long"),
        }
        done
    }

    /// Aborts every upload that was noted and not completed.
    pub(super) async fn abort_all(&self) -> Result<(), object_store::Error> {
        let notes = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for note in notes {
            self.abort(&note).await?;
        }
        Ok(())
    }

    async fn abort(&self, note: &Note) -> Result<(), object_store::Error> {
        let path = ObjectPath::parse(&note.path)?;
        match self.store.abort_multipart(&path, &note.id).await {
            // It was completed or aborted after all.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {
                self.forget(note);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn note(&self, note: &Note) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(note.clone());
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file)?;
        file.write_all((serde_json::to_string(note)? + "\n").as_bytes())
    }

    fn forget(&self, note: &Note) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| other != note);
        if open.is_empty() {
            // A note that stays costs one more request, which finds nothing.
            let _ = std::fs::remove_file(&self.file);
        }
    }
}

/// Reads the next part of a file, outside the async threads.
pub(super) async fn read(file: File, bytes: u64) -> io::Result<(File, Bytes)> {
    tokio::task::spawn_blocking(move || {
        let left = file.metadata()?.len().min(bytes);
        let mut part = Vec::with_capacity(usize::try_from(left).map_err(io::Error::other)?);
        (&file).take(bytes).read_to_end(&mut part)?;
        Ok((file, part.into()))
    })
    .await?
}

/// The file that uploads of a run are noted in.
pub(super) fn notes(scratch: &Path) -> PathBuf {
    scratch.join("uploads.jsonl")
}

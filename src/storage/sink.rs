//! A file that is packed and written on a thread of its own, and gets its name when it is complete.

use super::codec::Encoder;
use crate::model::plan::ArchivePlan;
use bytes::Bytes;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Pieces that may wait for the disk.
const WAITING: usize = 16;

/// Takes the pieces of a file. Dropped before [`Sink::finish`], it leaves nothing.
pub struct Sink {
    pieces: mpsc::Sender<Bytes>,
    complete: oneshot::Sender<()>,
    writer: JoinHandle<io::Result<u64>>,
}

impl Sink {
    /// Begins a file that will be `target`, replacing what is there.
    pub fn new(target: PathBuf, packing: ArchivePlan) -> Self {
        let (pieces, received) = mpsc::channel(WAITING);
        // When the sink is dropped the thread finds its channel closed without the word that all
        // came, and takes its temporary file away.
        let (complete, all_came) = oneshot::channel();
        let work = move || write(&target, &packing, received, all_came);
        Self { pieces, complete, writer: tokio::task::spawn_blocking(work) }
    }

    /// Adds a piece; waits while the disk or the packing lags behind.
    pub async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        if self.pieces.send(piece).await.is_ok() {
            return Ok(());
        }
        // The thread has given up; it says why.
        match (&mut self.writer).await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// All pieces came: the file gets its name. Returns its bytes as they are on the disk.
    pub async fn finish(self) -> io::Result<u64> {
        // The thread may be gone already, with an error of its own.
        let _ = self.complete.send(());
        drop(self.pieces);
        self.writer.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// Not all pieces came: leaves nothing, and returns when that is so.
    pub async fn discard(self) {
        drop((self.complete, self.pieces));
        let _ = self.writer.await;
    }
}

/// Writes to a temporary file beside the target, and renames it if all came.
fn write(
    target: &Path,
    packing: &ArchivePlan,
    mut pieces: mpsc::Receiver<Bytes>,
    mut all_came: oneshot::Receiver<()>,
) -> io::Result<u64> {
    let file = temporary(target)?;
    let mut packed = Encoder::new(file, packing)?;
    while let Some(piece) = pieces.blocking_recv() {
        packed.write_all(&piece)?;
    }
    if all_came.try_recv().is_err() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is not complete"));
    }
    let file = packed.finish()?;
    let bytes = file.as_file().metadata()?.len();
    file.persist(target).map_err(|error| error.error)?;
    Ok(bytes)
}

/// A file beside `target` that is removed when dropped, unless it was renamed.
pub(super) fn temporary(target: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    tempfile::Builder::new().prefix(".breakeven-").tempfile_in(folder.unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    #[tokio::test]
    async fn a_file_has_its_name_only_when_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.tar");
        std::fs::write(&target, "old").unwrap();
        let mut sink = Sink::new(target.clone(), ArchivePlan::default());
        sink.write(Bytes::from_static(b"half")).await.unwrap();
        sink.discard().await;
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a.tar"]);

        let mut sink = Sink::new(target.clone(), ArchivePlan::default());
        for piece in [&b"all"[..], b" of", b" it"] {
            sink.write(Bytes::from_static(piece)).await.unwrap();
        }
        assert_eq!(sink.finish().await.unwrap(), 9);
        assert_eq!(std::fs::read(&target).unwrap(), b"all of it");
        assert_eq!(names(dir.path()), ["a.tar"]);
    }

    #[tokio::test]
    async fn the_reason_comes_back_whenever_the_thread_gives_up() {
        let mut sink = Sink::new("/nowhere/a.tar".into(), ArchivePlan::default());
        let error = loop {
            if let Err(error) = sink.write(Bytes::from_static(b"x")).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let sink = Sink::new("/nowhere/a.tar".into(), ArchivePlan::default());
        assert_eq!(sink.finish().await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

//! Load and save, streamed.

use super::shared::failure;
use super::{EngineError, StepLog};
use crate::model::ImageRef;
use bollard::Docker;
use bollard::query_parameters::ImportImageOptions;
use bytes::Bytes;
use futures_util::StreamExt;
use std::io::{self, Write};
use std::path::Path;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

/// Bytes read from an archive at once.
const PIECE: usize = 1 << 20;
/// Pieces from the engine that may wait for the disk.
const WAITING: usize = 16;

/// Loads an archive; returns the tags that it brought.
pub(super) async fn load(
    docker: &Docker,
    address: &str,
    archive: &Path,
    log: &mut StepLog,
) -> Result<Vec<String>, EngineError> {
    let name = archive.display().to_string();
    let file = tokio::fs::File::open(archive).await.map_err(|error| io("load", &name, error))?;
    let pieces = ReaderStream::with_capacity(file, PIECE);
    let options = ImportImageOptions { quiet: true, ..ImportImageOptions::default() };
    let mut answer = Box::pin(docker.import_image_stream(options, pieces, None));
    let mut tags = Vec::new();
    while let Some(part) = answer.next().await {
        let part = part.map_err(|error| failure("load", &name, address, error))?;
        for line in part.stream.iter().flat_map(|text| text.lines()) {
            log.line(line);
            if let Some(tag) = line.strip_prefix("Loaded image: ") {
                tags.push(tag.trim().to_owned());
            }
        }
    }
    Ok(tags)
}

/// Saves images into one archive; returns its bytes.
pub(super) async fn save(
    docker: &Docker,
    address: &str,
    references: &[ImageRef],
    archive: &Path,
    log: &mut StepLog,
) -> Result<u64, EngineError> {
    let names: Vec<String> = references.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let listed = names.join(" ");
    let to = archive.display().to_string();
    let (sender, pieces) = mpsc::channel::<Bytes>(WAITING);
    let target = archive.to_path_buf();
    // When this future is dropped the thread finds its channel closed without the word that all
    // came, and takes its temporary file away.
    let (complete, all_came) = tokio::sync::oneshot::channel::<()>();
    let writer = tokio::task::spawn_blocking(move || write(&target, pieces, all_came));
    let mut answer = Box::pin(docker.export_images(&names));
    let mut fault = None;
    while let Some(piece) = answer.next().await {
        match piece {
            Ok(piece) => {
                if sender.send(piece).await.is_err() {
                    // The writer has given up; it says why.
                    break;
                }
            }
            Err(error) => {
                fault = Some(failure("save", &listed, address, error));
                break;
            }
        }
    }
    drop(answer);
    match fault {
        Some(_) => drop(complete),
        // The writer may be gone already, with an error of its own.
        None => _ = complete.send(()),
    }
    drop(sender);
    let written = writer.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    match (fault, written) {
        (Some(fault), _) => Err(fault),
        (None, Ok(bytes)) => {
            log.line(format!("saved {listed} to {to}: {bytes} bytes"));
            Ok(bytes)
        }
        (None, Err(error)) => Err(io("save", &to, error)),
    }
}

/// Writes to a temporary file beside the target, and renames it if all came.
fn write(
    target: &Path,
    mut pieces: mpsc::Receiver<Bytes>,
    mut all_came: tokio::sync::oneshot::Receiver<()>,
) -> io::Result<u64> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".breakeven-save-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    let mut bytes = 0;
    while let Some(piece) = pieces.blocking_recv() {
        file.write_all(&piece)?;
        bytes += piece.len() as u64;
    }
    if all_came.try_recv().is_err() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is not complete"));
    }
    file.persist(target).map_err(|error| error.error)?;
    Ok(bytes)
}

fn io(operation: &str, reference: &str, source: io::Error) -> EngineError {
    EngineError::Io { operation: operation.to_owned(), reference: reference.to_owned(), source }
}

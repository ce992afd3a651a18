//! Load and save, streamed. Archives are packed and unpacked here, not by the engine: an old one
//! does not read zstd.

use super::connection::failure;
use super::{EngineError, StepLog};
use crate::model::ImageRef;
use crate::model::plan::{ArchivePlan, Compression};
use crate::storage::{Sink, codec};
use bollard::Docker;
use bollard::query_parameters::ImportImageOptions;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

/// Bytes read from an archive at once.
const PIECE: usize = 1 << 20;
/// Unpacked pieces that may wait for the engine.
const WAITING: usize = 4;

/// Loads an archive; returns the tags that it brought.
pub(super) async fn load(
    docker: &Docker,
    address: &str,
    archive: &Path,
    log: &mut StepLog,
) -> Result<Vec<String>, EngineError> {
    let name = archive.display().to_string();
    let fault = Fault::default();
    let pieces = open(archive, &fault).await.map_err(|error| io("load", &name, error))?;
    let options = ImportImageOptions { quiet: true, ..ImportImageOptions::default() };
    let mut answer = Box::pin(docker.import_image_stream(options, pieces, None));
    let mut tags = Vec::new();
    while let Some(part) = answer.next().await {
        let part = part.map_err(|error| match take(&fault) {
            // All that the engine saw is a request that broke off.
            Some(error) => io("load", &name, error),
            None => failure("load", &name, address, error),
        })?;
        for line in part.stream.iter().flat_map(|text| text.lines()) {
            log.line(line);
            if let Some(tag) = line.strip_prefix("Loaded image: ") {
                tags.push(tag.trim().to_owned());
            }
        }
    }
    match take(&fault) {
        Some(error) => Err(io("load", &name, error)),
        None => Ok(tags),
    }
}

/// Why an archive could not be unpacked.
type Fault = Arc<Mutex<Option<io::Error>>>;

fn take(fault: &Fault) -> Option<io::Error> {
    fault.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The unpacked content of an archive.
async fn open(archive: &Path, fault: &Fault) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
    let mut file = tokio::fs::File::open(archive).await?;
    let mut head = Vec::new();
    (&mut file).take(codec::HEAD).read_to_end(&mut head).await?;
    file.rewind().await?;
    if codec::recognise(&head) == Compression::None {
        return Ok(ReaderStream::with_capacity(file, PIECE).boxed());
    }
    let file = file.into_std().await;
    let (sender, mut pieces) = mpsc::channel(WAITING);
    let fault = Arc::clone(fault);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = unpack(file, &sender) {
            let kind = error.kind();
            *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            // If nobody listens any more there is nobody to tell.
            let _ = sender.blocking_send(Err(kind.into()));
        }
    });
    Ok(stream::poll_fn(move |context| pieces.poll_recv(context)).boxed())
}

fn unpack(file: std::fs::File, pieces: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let mut content = codec::decode(BufReader::with_capacity(PIECE, file))?;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        content.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        // Nobody waits any more: the engine has answered, or the load was broken off.
        if piece.is_empty() || pieces.blocking_send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
}

/// Saves images into one archive; returns its bytes.
pub(super) async fn save(
    docker: &Docker,
    address: &str,
    references: &[ImageRef],
    (archive, packing): (&Path, &ArchivePlan),
    log: &mut StepLog,
) -> Result<u64, EngineError> {
    let names: Vec<String> = references.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let listed = names.join(" ");
    let to = archive.display().to_string();
    let mut sink = Sink::new(archive.to_path_buf(), *packing);
    let mut answer = Box::pin(docker.export_images(&names));
    while let Some(piece) = answer.next().await {
        match piece {
            Ok(piece) => sink.write(piece).await.map_err(|error| io("save", &to, error))?,
            Err(error) => {
                sink.discard().await;
                return Err(failure("save", &listed, address, error));
            }
        }
    }
    let bytes = sink.finish().await.map_err(|error| io("save", &to, error))?;
    log.line(format!("saved {listed} to {to}: {bytes} bytes"));
    Ok(bytes)
}

fn io(operation: &str, reference: &str, source: io::Error) -> EngineError {
    EngineError::Io { operation: operation.to_owned(), reference: reference.to_owned(), source }
}

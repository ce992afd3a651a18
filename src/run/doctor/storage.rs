//! Whether the shared storage takes something and gives it back.

use super::subject::Subject;
use super::{Check, Line, State};
use crate::model::ArchiveName;
use crate::run::RunError;
use crate::storage::{self, StorageError};
use futures_util::FutureExt;
use std::path::Path;

pub(super) const CHECK: Check =
    Check { id: "storage", run: |subject| async move { vec![line(subject).await] }.boxed() };

const CONTENT: &str = "written by breakeven doctor\n";

async fn line(subject: &Subject<'_>) -> Line {
    let address = subject.plan.storage.as_deref();
    match exchange(address, &subject.plan.run, subject.bench.scratch).await {
        Ok(()) => Line::ok(match address {
            Some(address) => format!("{address}: written, read and removed"),
            None => "a temporary folder: written, read and removed".to_owned(),
        }),
        Err(error) => Line::of_error(State::Fail, &error),
    }
}

/// Writes a small object, reads it, and removes it.
async fn exchange(address: Option<&str>, run: &str, scratch: &Path) -> Result<(), RunError> {
    let folder = tempfile::tempdir_in(scratch).map_err(RunError::scratch(scratch))?;
    let storage =
        storage::open(address, run, folder.path(), &storage::Access::of_process()).await?;
    let exchanged = async {
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::write(&from, CONTENT).map_err(RunError::scratch(&from))?;
        let name = ArchiveName("doctor".to_owned());
        storage.store(&from, &name).await?;
        let found = storage.fetch(&name, &to).await?;
        let same =
            found.is_some() && std::fs::read(&to).is_ok_and(|read| read == CONTENT.as_bytes());
        if same { Ok(()) } else { Err(RunError::from(other(address))) }
    }
    .await;
    let closed = storage.close().await;
    exchanged?;
    Ok(closed?)
}

fn other(address: Option<&str>) -> StorageError {
    StorageError {
        operation: "read back".to_owned(),
        archive: "doctor".to_owned(),
        address: address.unwrap_or("a temporary folder").to_owned(),
        cause: "it is not what was written".to_owned(),
        advice: "Use another storage.".to_owned(),
    }
}

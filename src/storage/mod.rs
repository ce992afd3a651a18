//! The storage that CI jobs share for archives, and how archives are packed. `object_store` stays
//! in this folder.

pub mod codec;
mod directory;
pub mod pack;
mod sink;

pub use directory::DirectoryStorage;
pub use sink::Sink;

use crate::model::ArchiveName;
use async_trait::async_trait;
use std::path::Path;

/// Why the shared storage could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {archive} in the shared storage {address}: {cause}. {advice}")]
pub struct StorageError {
    /// What was tried.
    pub operation: String,
    /// On what.
    pub archive: String,
    /// Where.
    pub address: String,
    /// What came back.
    pub cause: String,
    /// What to do.
    pub advice: String,
}

/// Storage whose content can be put back. Archives are streamed both ways.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Copies an archive to a local file; `Ok(None)` if it does not exist, else its bytes.
    async fn fetch(&self, archive: &ArchiveName, to: &Path) -> Result<Option<u64>, StorageError>;

    /// Copies a local file into the storage; visible only when complete. Returns its bytes.
    async fn store(&self, from: &Path, archive: &ArchiveName) -> Result<u64, StorageError>;

    /// Remembers what is in the storage now under a name.
    async fn remember(&self, seed: &str) -> Result<(), StorageError>;

    /// Puts the storage into the state that holds exactly the union of what was remembered under
    /// these names.
    async fn restore(&self, seeds: &[String]) -> Result<(), StorageError>;

    /// Removes what this run kept there. Idempotent.
    async fn close(&self) -> Result<(), StorageError>;
}

/// Opens the shared storage: the folder `address`, else a new folder in `scratch`. Everything of
/// the run lies in one folder in it, named after `run`.
pub async fn open(
    address: Option<&str>,
    run: &str,
    scratch: &Path,
) -> Result<Box<dyn Storage>, StorageError> {
    let folder = address.map_or(scratch, Path::new);
    Ok(Box::new(DirectoryStorage::open(folder, run)?))
}

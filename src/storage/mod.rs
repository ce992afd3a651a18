//! The storage that CI jobs share for archives, and how archives are packed. `object_store` stays
//! in this folder.

pub mod address;
mod bucket;
pub mod codec;
mod directory;
mod fault;
pub mod objects;
pub mod pack;
mod sink;
mod upload;

pub use address::Address;
pub use bucket::BucketStorage;
pub use directory::DirectoryStorage;
pub use objects::Objects;
pub use sink::Sink;

use crate::model::ArchiveName;
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;

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

/// Slows a folder down to what a link would let through. Each call returns when the link would.
#[async_trait]
pub trait Pace: Send + Sync {
    /// The storage is asked for something.
    async fn request(&self);
    /// So many bytes come from the storage.
    async fn down(&self, bytes: u64);
    /// So many bytes go to the storage.
    async fn up(&self, bytes: u64);
}

/// What lies between a job and its storage, and what an object store is opened with.
#[derive(Clone, Default)]
pub struct Access {
    /// `http://` address of a proxy that carries what goes to an object store and comes from it.
    pub proxy: Option<String>,
    /// Slows a folder down. Without it the kernel copies.
    pub pace: Option<Arc<dyn Pace>>,
    /// Environment variables that object stores take credentials and endpoints from.
    pub environment: Vec<(String, String)>,
}

impl Access {
    /// Straight, with the environment of this process.
    pub fn of_process() -> Self {
        let text = |name: std::ffi::OsString| name.into_string().ok();
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
            .collect();
        Self { proxy: None, pace: None, environment }
    }
}

/// Opens the shared storage at `address`, else in `scratch`, a folder of the run that outlives this
/// process if it is killed. Everything of the run lies in one folder in it, named after `run`.
pub async fn open(
    address: Option<&str>,
    run: &str,
    scratch: &Path,
    access: &Access,
) -> Result<Box<dyn Storage>, StorageError> {
    let address = match address.map(Address::parse) {
        None => Address::Directory(scratch.to_path_buf()),
        Some(Ok(address)) => address,
        Some(Err(cause)) => {
            return Err(StorageError {
                operation: "open".to_owned(),
                archive: "the address".to_owned(),
                // It may hold a secret, which is one of the reasons why it was refused.
                address: "of the plan".to_owned(),
                cause,
                advice: format!("Write `storage` in breakeven.toml anew; {}.", address::ADDRESS),
            });
        }
    };
    Ok(match address {
        Address::Directory(folder) => {
            Box::new(DirectoryStorage::open(&folder, run, access.pace.clone())?)
        }
        Address::Bucket { .. } => {
            Box::new(BucketStorage::open(&address, run, scratch, access).await?)
        }
    })
}

/// Removes what a run that was killed left in the storage of the user's at `address`. A folder that
/// is gone holds nothing of ours.
pub async fn remove(address: &str, run: &str, scratch: &Path) -> Result<(), StorageError> {
    if matches!(Address::parse(address), Ok(Address::Directory(folder)) if !folder.is_dir()) {
        return Ok(());
    }
    open(Some(address), run, scratch, &Access::of_process()).await?.close().await
}

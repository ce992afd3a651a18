//! Immutable objects at an address: what a history is kept in. Whatever lies beside the one folder
//! that is opened is neither listed nor touched.

use super::address::{Address, Provider};
use super::fault::{Cause, Teller, innermost, is_full, is_missing_bucket};
use super::{Access, StorageError, bucket};
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long one request may take, further tries included.
const LIMIT: Duration = Duration::from_secs(120);

/// Bytes of the largest object that is read.
const LARGEST: u64 = 256 << 20;

/// An object that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name below the folder, with `/`.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}

/// One folder at an address.
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    folder: ObjectPath,
    shown: String,
    /// For what is no folder on a disk.
    teller: Option<Teller>,
}

impl Objects {
    /// Opens a folder at an address. Nothing is made, and a bucket is not asked yet.
    pub fn open(address: &Address, folder: &str, access: &Access) -> Result<Self, StorageError> {
        let shown = format!("{address}/{folder}");
        match address {
            Address::Directory(dir) => Self::on_disk(dir, folder, shown),
            Address::Bucket { provider, bucket, prefix } => {
                let teller = Teller::new(*provider, shown.clone(), &access.environment);
                let store = bucket::upkeep(*provider, bucket, access);
                let opened = store.map_err(Cause::from).and_then(|store| {
                    Ok((store, ObjectPath::parse(prefix).map_err(Cause::from)?.join(folder)))
                });
                match opened {
                    Ok((store, folder)) => Ok(Self { store, folder, shown, teller: Some(teller) }),
                    Err(cause) => Err(teller.tell("open", bucket_word(*provider), &cause)),
                }
            }
        }
    }

    fn on_disk(dir: &Path, folder: &str, shown: String) -> Result<Self, StorageError> {
        let failed = |cause: String| StorageError {
            operation: "open".to_owned(),
            archive: "the folder".to_owned(),
            address: dir.display().to_string(),
            cause,
            advice: "Name a folder that exists and that may be written to.".to_owned(),
        };
        if !dir.is_dir() {
            return Err(failed("there is no such folder".to_owned()));
        }
        let store = LocalFileSystem::new_with_prefix(dir)
            .map_err(|error| failed(innermost(&error)))?
            .with_fsync(true);
        Ok(Self { store: Arc::new(store), folder: ObjectPath::from(folder), shown, teller: None })
    }

    /// Where it lies, for people.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Every object below a part of the folder, by name.
    pub async fn list(&self, below: &str) -> Result<Vec<Listed>, StorageError> {
        let path = self.folder.clone().join(below);
        let name = |path: &ObjectPath| {
            let parts = path.prefix_match(&self.folder)?;
            Some(parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
        };
        let listing = async {
            let found: Vec<_> = self.store.list(Some(&path)).try_collect().await?;
            Ok(found)
        };
        let found = match limited(listing).await {
            // Nothing was written there yet.
            Err(cause) if is_absent(&cause) => Vec::new(),
            found => found.map_err(|cause| self.failed("list", below, &cause))?,
        };
        let mut listed: Vec<Listed> = found
            .into_iter()
            .filter_map(|one| Some(Listed { name: name(&one.location)?, bytes: one.size }))
            .collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// An object's bytes; `Ok(None)` if there is none of this name.
    pub async fn read(&self, name: &str) -> Result<Option<Bytes>, StorageError> {
        let path = self.path(name);
        let reading = async {
            let found = self.store.get(&path).await?;
            if found.meta.size > LARGEST {
                return Err(format!(
                    "it has {} bytes, {LARGEST} at most are read",
                    found.meta.size
                )
                .into());
            }
            Ok(found.bytes().await?)
        };
        match limited(reading).await {
            Err(cause) if is_absent(&cause) => Ok(None),
            read => read.map(Some).map_err(|cause| self.failed("read", name, &cause)),
        }
    }

    /// Writes an object that is not there yet, as a whole or not at all. Returns whether it was
    /// written: one of that name that is there stays as it is.
    pub async fn create(&self, name: &str, bytes: Bytes) -> Result<bool, StorageError> {
        let path = self.path(name);
        let writing = async {
            let put = |mode: PutMode| self.store.put_opts(&path, bytes.clone().into(), mode.into());
            match put(PutMode::Create).await {
                Err(StoreError::AlreadyExists { .. }) => Ok(false),
                // A store that cannot do it is asked first. Whoever comes in between writes the
                // same name, which is made from the content.
                Err(StoreError::NotImplemented { .. }) => match self.store.head(&path).await {
                    Ok(_) => Ok(false),
                    Err(StoreError::NotFound { .. }) => {
                        put(PutMode::Overwrite).await?;
                        Ok(true)
                    }
                    Err(error) => Err(error.into()),
                },
                done => done.map(|_| true).map_err(Cause::from),
            }
        };
        limited(writing).await.map_err(|cause| self.failed("write", name, &cause))
    }

    /// Writes an object, whether it is there or not: only for what can be made again.
    pub async fn replace(&self, name: &str, bytes: Bytes) -> Result<(), StorageError> {
        let path = self.path(name);
        let writing = async {
            self.store.put(&path, bytes.into()).await?;
            Ok(())
        };
        limited(writing).await.map_err(|cause| self.failed("write", name, &cause))
    }

    /// Removes an object. One that is gone already is no error.
    pub async fn remove(&self, name: &str) -> Result<(), StorageError> {
        let path = self.path(name);
        let removing = async { Ok(self.store.delete(&path).await?) };
        match limited(removing).await {
            Err(cause) if is_absent(&cause) => Ok(()),
            removed => removed.map_err(|cause| self.failed("remove", name, &cause)),
        }
    }

    fn path(&self, name: &str) -> ObjectPath {
        name.split('/').fold(self.folder.clone(), |path, part| path.join(part))
    }

    fn failed(&self, operation: &str, name: &str, cause: &Cause) -> StorageError {
        if let Some(teller) = &self.teller {
            return teller.tell(operation, name, cause);
        }
        let advice = if is_full(cause.as_ref()) {
            "Free some space there; nothing half-written was left."
        } else {
            "Check that the folder is there and may be read and written to."
        };
        StorageError {
            operation: operation.to_owned(),
            archive: name.to_owned(),
            address: self.shown.clone(),
            cause: innermost(cause.as_ref()),
            advice: advice.to_owned(),
        }
    }
}

const fn bucket_word(provider: Provider) -> &'static str {
    match provider {
        Provider::S3 | Provider::Gs => "the bucket",
        Provider::Az => "the container",
    }
}

fn is_absent(cause: &Cause) -> bool {
    let store = cause.downcast_ref::<StoreError>();
    store.is_some_and(|error| {
        matches!(error, StoreError::NotFound { .. }) && !is_missing_bucket(error)
    })
}

async fn limited<T>(work: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs()).into()),
    }
}

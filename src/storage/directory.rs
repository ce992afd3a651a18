//! A folder as the shared storage: a mounted network share, or a local disk that stands for one.
//!
//! Everything of a run lies in one folder `breakeven-RUN` in it; nothing beside that is touched.
//! Archives are written under a temporary name and renamed, never written again in place, so what
//! is remembered may share their content as hard links.

use super::fault::{Cause, innermost, is_full};
use super::sink::{Sink, temporary};
use super::{Pace, Storage, StorageError};
use crate::model::ArchiveName;
use crate::model::plan::ArchivePlan;
use async_trait::async_trait;
use futures_util::StreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{GetResultPayload, ObjectStoreExt, WriteMultipart};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use tokio_util::io::ReaderStream;

/// Bytes of one part of an upload.
const PART: usize = 4 * 1024 * 1024;
/// Bytes that a pace is told of at once.
const PIECE: usize = 64 * 1024;
/// Parts that may be on their way at once; together with [`PART`] the bound of the memory used.
const PARTS: usize = 2;

/// The shared storage in a folder.
pub struct DirectoryStorage {
    /// The folder of this run.
    ours: PathBuf,
    archives: PathBuf,
    store: LocalFileSystem,
    seeds: Arc<Mutex<Seeds>>,
    pace: Option<Arc<dyn Pace>>,
}

#[derive(Default)]
struct Seeds {
    folders: BTreeMap<String, PathBuf>,
    /// Number of the next folder.
    next: u32,
}

impl DirectoryStorage {
    /// Opens the folder `address`, which must exist. With a pace, what is fetched and stored is
    /// slowed down to it.
    pub fn open(
        address: &Path,
        run: &str,
        pace: Option<Arc<dyn Pace>>,
    ) -> Result<Self, StorageError> {
        let ours = address.join(format!("breakeven-{run}"));
        let archives = ours.join("archives");
        let failed = |error: io::Error, advice: &str| StorageError {
            operation: "open".to_owned(),
            archive: "the folder".to_owned(),
            address: address.display().to_string(),
            cause: error.to_string(),
            advice: advice.to_owned(),
        };
        if !address.is_dir() {
            let error = io::Error::from(io::ErrorKind::NotFound);
            return Err(failed(error, "Name a folder that exists (storage in breakeven.toml)."));
        }
        fs::create_dir_all(&archives)
            .map_err(|error| failed(error, "It must be possible to make a folder in it."))?;
        let store = LocalFileSystem::new_with_prefix(&archives)
            .map_err(|error| failed(io::Error::other(error), "Check the path."))?;
        Ok(Self { ours, archives, store, seeds: Arc::default(), pace })
    }

    async fn try_store(&self, from: &Path, to: &ObjectPath) -> Result<u64, Cause> {
        if let Some(pace) = &self.pace {
            pace.request().await;
        }
        let mut file = tokio::fs::File::open(from).await?;
        let mut upload =
            WriteMultipart::new_with_chunk_size(self.store.put_multipart(to).await?, PART);
        let sent = send(&mut file, &mut upload, self.pace.as_deref()).await;
        match sent {
            Ok(bytes) => {
                // Removes what it has written if it fails.
                upload.finish().await?;
                Ok(bytes)
            }
            Err(error) => {
                if let Err(second) = upload.abort().await {
                    tracing::warn!("ending an upload that failed: {second}");
                }
                Err(error)
            }
        }
    }

    async fn try_fetch(&self, from: &ObjectPath, to: &Path) -> Result<Option<u64>, Cause> {
        if let Some(pace) = &self.pace {
            pace.request().await;
        }
        let found = match self.store.get(from).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            other => other?,
        };
        // A local file's own stream has chunks of 8 KiB, which cost more than the copying.
        let GetResultPayload::File(file, _) = found.payload else {
            return Err("it is no file".into());
        };
        let bytes = match &self.pace {
            Some(pace) => paced(file, to, pace.as_ref()).await?,
            None => copied(file, to.to_path_buf()).await?,
        };
        Ok(Some(bytes))
    }

    /// `written` is the folder that the operation writes to.
    fn failed(
        &self,
        operation: &str,
        archive: &str,
        cause: &Cause,
        written: &Path,
    ) -> StorageError {
        let full = is_full(cause.as_ref());
        StorageError {
            operation: operation.to_owned(),
            archive: archive.to_owned(),
            address: self.ours.display().to_string(),
            cause: if full {
                format!("the disk of {} is full", written.display())
            } else {
                innermost(cause.as_ref())
            },
            advice: if full {
                "Free some space there or use another disk; nothing half-written was left."
            } else {
                "Check that the folder is there and may be written to."
            }
            .to_owned(),
        }
    }

    /// Runs file work outside the async threads, alone.
    async fn alone(
        &self,
        operation: &str,
        seed: &str,
        work: impl FnOnce(&mut Seeds) -> io::Result<()> + Send + 'static,
    ) -> Result<(), StorageError> {
        let mut seeds = Arc::clone(&self.seeds).lock_owned().await;
        let done = tokio::task::spawn_blocking(move || work(&mut seeds)).await;
        let done = done.map_err(Cause::from).and_then(|done| done.map_err(Cause::from));
        done.map_err(|cause| self.failed(operation, seed, &cause, &self.ours))
    }
}

/// Leaves the copying to the kernel, as `cp` does.
async fn copied(mut file: fs::File, to: PathBuf) -> io::Result<u64> {
    tokio::task::spawn_blocking(move || {
        let mut partial = temporary(&to)?;
        let bytes = io::copy(&mut file, partial.as_file_mut())?;
        partial.persist(to).map_err(|error| error.error)?;
        Ok(bytes)
    })
    .await?
}

async fn paced(file: fs::File, to: &Path, pace: &dyn Pace) -> io::Result<u64> {
    let mut pieces = ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE);
    let mut sink = Sink::new(to.to_path_buf(), ArchivePlan::default());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        pace.down(piece.len() as u64).await;
        sink.write(piece).await?;
    }
    sink.finish().await
}

async fn send(
    file: &mut tokio::fs::File,
    upload: &mut WriteMultipart,
    pace: Option<&dyn Pace>,
) -> Result<u64, Cause> {
    let size = pace.map_or(PART, |_| PIECE);
    file.set_max_buf_size(size);
    let mut total = 0;
    loop {
        let mut part = bytes::BytesMut::with_capacity(size);
        while part.len() < size && file.read_buf(&mut part).await? > 0 {}
        if part.is_empty() {
            return Ok(total);
        }
        total += part.len() as u64;
        if let Some(pace) = pace {
            pace.up(part.len() as u64).await;
        }
        upload.wait_for_capacity(PARTS).await?;
        upload.put(part.freeze());
    }
}

#[async_trait]
impl Storage for DirectoryStorage {
    async fn fetch(&self, archive: &ArchiveName, to: &Path) -> Result<Option<u64>, StorageError> {
        let done = match ObjectPath::parse(&archive.0) {
            Ok(name) => self.try_fetch(&name, to).await,
            Err(error) => Err(error.into()),
        };
        done.map_err(|cause| self.failed("fetch", &archive.0, &cause, to))
    }

    async fn store(&self, from: &Path, archive: &ArchiveName) -> Result<u64, StorageError> {
        let done = match ObjectPath::parse(&archive.0) {
            Ok(name) => self.try_store(from, &name).await,
            Err(error) => Err(error.into()),
        };
        done.map_err(|cause| self.failed("store", &archive.0, &cause, &self.ours))
    }

    async fn remember(&self, seed: &str) -> Result<(), StorageError> {
        let (name, archives, ours) = (seed.to_owned(), self.archives.clone(), self.ours.clone());
        self.alone("remember", seed, move |seeds| {
            let folder = ours.join("seeds").join(seeds.next.to_string());
            seeds.next += 1;
            fs::create_dir_all(&folder)?;
            link_all(&archives, &folder)?;
            match seeds.folders.insert(name, folder) {
                Some(old) => fs::remove_dir_all(old),
                None => Ok(()),
            }
        })
        .await
    }

    async fn restore(&self, wanted: &[String]) -> Result<(), StorageError> {
        let (names, archives) = (wanted.to_vec(), self.archives.clone());
        self.alone("restore", &wanted.join(" + "), move |seeds| {
            let mut folders = Vec::new();
            for name in &names {
                let folder = seeds.folders.get(name);
                folders.push(folder.ok_or_else(|| {
                    io::Error::other(format!("{name} was never remembered, a fault of breakeven"))
                })?);
            }
            fs::remove_dir_all(&archives)?;
            fs::create_dir(&archives)?;
            folders.into_iter().try_for_each(|folder| link_all(folder, &archives))
        })
        .await
    }

    async fn close(&self) -> Result<(), StorageError> {
        let ours = self.ours.clone();
        self.alone("remove", "all of it", move |seeds| {
            seeds.folders.clear();
            match fs::remove_dir_all(&ours) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        })
        .await
    }
}

/// Brings every archive of one folder into another; one that is there already stays.
fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    for found in fs::read_dir(from)? {
        let found = found?;
        let target = to.join(found.file_name());
        if target.exists() {
            continue;
        }
        if fs::hard_link(found.path(), &target).is_err() {
            // Not every network share has hard links.
            fs::copy(found.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn storage(dir: &Path) -> DirectoryStorage {
        DirectoryStorage::open(dir, "r1", None).unwrap()
    }

    fn name(text: &str) -> ArchiveName {
        ArchiveName(text.to_owned())
    }

    async fn put(storage: &DirectoryStorage, archive: &str, content: &[u8]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        let bytes = storage.store(file.path(), &name(archive)).await.unwrap();
        assert_eq!(bytes, content.len() as u64);
    }

    async fn get(storage: &DirectoryStorage, archive: &str) -> Option<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("fetched");
        let bytes = storage.fetch(&name(archive), &to).await.unwrap()?;
        let content = fs::read(to).unwrap();
        assert_eq!(bytes, content.len() as u64);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        Some(content)
    }

    #[tokio::test]
    async fn archives_of_any_size_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let storage = storage(dir.path());
        for size in [0, 1, PART - 1, PART, PART + 1, 3 * PART + 17] {
            let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            put(&storage, "main.tar", &content).await;
            assert!(get(&storage, "main.tar").await.unwrap() == content, "{size} bytes");
        }
        assert_eq!(get(&storage, "other.tar").await, None);
    }

    #[tokio::test]
    async fn what_is_remembered_comes_back_and_is_not_reached_by_later_archives() {
        let dir = tempfile::tempdir().unwrap();
        let storage = storage(dir.path());
        put(&storage, "main.tar", b"old").await;
        storage.remember("main").await.unwrap();
        for _ in 0..2 {
            put(&storage, "main.tar", b"new").await;
            put(&storage, "branch.tar", b"more").await;
            storage.restore(&["main".to_owned()]).await.unwrap();
            assert_eq!(get(&storage, "main.tar").await.unwrap(), b"old");
            assert_eq!(get(&storage, "branch.tar").await, None);
        }
        put(&storage, "main.tar", b"newer").await;
        put(&storage, "branch.tar", b"more").await;
        storage.remember("both").await.unwrap();
        storage.restore(&["main".to_owned(), "both".to_owned()]).await.unwrap();
        assert_eq!(get(&storage, "main.tar").await.unwrap(), b"old");
        assert_eq!(get(&storage, "branch.tar").await.unwrap(), b"more");
        storage.restore(&[]).await.unwrap();
        assert_eq!(get(&storage, "main.tar").await, None);
        let error = storage.restore(&["never".to_owned()]).await.unwrap_err().to_string();
        assert!(error.contains("never"), "{error}");
    }

    #[derive(Default)]
    struct Counts {
        requests: AtomicU64,
        down: AtomicU64,
        up: AtomicU64,
    }

    #[async_trait]
    impl Pace for Counts {
        async fn request(&self) {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        async fn down(&self, bytes: u64) {
            self.down.fetch_add(bytes, Ordering::Relaxed);
        }
        async fn up(&self, bytes: u64) {
            self.up.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_pace_is_told_of_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let pace = Arc::new(Counts::default());
        let storage = DirectoryStorage::open(dir.path(), "r1", Some(pace.clone())).unwrap();
        let content: Vec<u8> = (0..3 * PIECE + 5).map(|at| (at % 251) as u8).collect();
        put(&storage, "main.tar", &content).await;
        assert!(get(&storage, "main.tar").await.unwrap() == content);
        assert_eq!(get(&storage, "other.tar").await, None);
        storage.remember("s").await.unwrap();
        storage.restore(&["s".to_owned()]).await.unwrap();
        let told = [&pace.requests, &pace.up, &pace.down].map(|it| it.load(Ordering::Relaxed));
        assert_eq!(told, [3, content.len() as u64, content.len() as u64]);
    }

    #[tokio::test]
    async fn only_our_folder_is_made_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("main.tar"), "the user's").unwrap();
        let storage = storage(dir.path());
        assert_eq!(get(&storage, "main.tar").await, None);
        put(&storage, "main.tar", b"ours").await;
        storage.remember("s").await.unwrap();
        storage.close().await.unwrap();
        storage.close().await.unwrap();
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(fs::read(dir.path().join("main.tar")).unwrap(), b"the user's");
    }

    #[tokio::test]
    async fn names_cannot_leave_the_folder_and_missing_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let storage = storage(dir.path());
        let file = tempfile::NamedTempFile::new().unwrap();
        for bad in ["../x.tar", "/../x.tar", "a/../../x"] {
            assert!(storage.store(file.path(), &name(bad)).await.is_err(), "{bad}");
            assert!(storage.fetch(&name(bad), &dir.path().join("x")).await.is_err(), "{bad}");
        }
        let error = storage.store(Path::new("/nowhere.tar"), &name("a.tar")).await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains("store a.tar") && error.contains("No such file"), "{error}");
        let missing =
            DirectoryStorage::open(Path::new("/nowhere"), "r", None).err().unwrap().to_string();
        assert!(missing.contains("/nowhere") && missing.contains("exists"), "{missing}");
    }
}

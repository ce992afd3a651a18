//! A part of an object store as the shared storage: S3, Google Cloud Storage, Azure Blob Storage.
//!
//! Everything of a run lies below `breakeven-RUN/` under the prefix of the address: what jobs share
//! in `archives/`, what is remembered in `seeds/NUMBER/`. Nothing beside that is listed or touched.
//!
//! What is measured goes through a client without retries, whose connections are given up as soon
//! as an operation is over: a job has no connection left over from an earlier one. What is not
//! measured goes through another one.

use super::address::{Address, Provider};
use super::fault::{self, Cause, Teller};
use super::sink::Sink;
use super::upload::{self, Uploads};
use super::{Access, Storage, StorageError};
use crate::model::ArchiveName;
use crate::model::plan::ArchivePlan;
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::MultipartStore;
use object_store::path::{Path as ObjectPath, PathPart};
use object_store::{
    BackoffConfig, ClientOptions, Error as StoreError, ObjectStore, ObjectStoreExt, RetryConfig,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long opening may take: without credentials some clients wait for a machine that is not there.
const OPENING: Duration = Duration::from_secs(30);
/// How long a measured connection may be idle before the next request makes a new one.
const IDLE: Duration = Duration::from_millis(500);
/// How often a request that is not measured is made again, and for how long.
const RETRIES: (usize, Duration) = (3, Duration::from_secs(20));

/// The shared storage in an object store.
pub struct BucketStorage {
    /// For what is measured.
    measured: Client,
    /// For what is not.
    upkeep: Client,
    /// The path of this run.
    ours: ObjectPath,
    uploads: Uploads,
    teller: Teller,
    state: Mutex<State>,
}

#[derive(Clone)]
struct Client {
    objects: Arc<dyn ObjectStore>,
    parts: Arc<dyn MultipartStore>,
}

impl Client {
    fn of<T: ObjectStore + MultipartStore>(store: T) -> Self {
        let store = Arc::new(store);
        Self { objects: Arc::clone(&store) as Arc<dyn ObjectStore>, parts: store }
    }
}

/// What lies where, so that only what differs is copied.
#[derive(Default)]
struct State {
    archives: BTreeMap<String, Version>,
    seeds: BTreeMap<String, Seed>,
    /// Number of the next seed.
    next_seed: u32,
    /// Number of the next version.
    next_version: u64,
}

/// Archives that hold the same have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    number: u64,
    bytes: u64,
}

#[derive(Clone)]
struct Seed {
    folder: ObjectPath,
    archives: BTreeMap<String, Version>,
}

impl BucketStorage {
    /// Opens the storage, and looks whether it answers. Uploads are noted in `scratch`.
    pub async fn open(
        address: &Address,
        run: &str,
        scratch: &Path,
        access: &Access,
    ) -> Result<Self, StorageError> {
        let Address::Bucket { provider, bucket, prefix } = address else {
            return Err(StorageError {
                operation: "open".to_owned(),
                archive: "the bucket".to_owned(),
                address: address.to_string(),
                cause: "it is a folder".to_owned(),
                advice: super::address::ADDRESS.to_owned(),
            });
        };
        let folder = format!("breakeven-{run}");
        let teller = Teller::new(*provider, format!("{address}/{folder}"), &access.environment);
        let failed =
            |cause: Cause| teller.tell("open", &format!("the {}", provider.bucket()), &cause);
        let never = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let client = |retry, options| {
            client(*provider, bucket, access, retry, options).map_err(|error| failed(error.into()))
        };
        // The store's own limit of 30 s for a request would end long transfers; limits are the
        // caller's.
        let options = options(access).with_timeout_disabled();
        let measured = client(never, options.clone().with_pool_idle_timeout(IDLE))?;
        let upkeep = client(sometimes(), options)?;
        let prefix = ObjectPath::parse(prefix).map_err(|error| failed(error.into()))?;
        let ours = prefix.join(PathPart::from(folder.as_str()));
        let first = tokio::time::timeout(OPENING, async {
            measured.objects.list(Some(&ours)).next().await.transpose()
        });
        match first.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(failed(error.into())),
            Err(_) => {
                let cause = StoreError::Generic {
                    store: provider.scheme(),
                    source: format!("no answer within {} s", OPENING.as_secs()).into(),
                };
                return Err(failed(cause.into()));
            }
        }
        let uploads = Uploads::new(Arc::clone(&upkeep.parts), upload::notes(scratch));
        Ok(Self { measured, upkeep, ours, uploads, teller, state: Mutex::default() })
    }

    fn archives(&self) -> ObjectPath {
        self.ours.clone().join("archives")
    }

    fn path(&self, archive: &str) -> Result<ObjectPath, Cause> {
        if ObjectPath::parse(archive)?.parts().count() != 1 || archive.contains('/') {
            return Err(format!("{archive} is no name of an archive").into());
        }
        Ok(self.archives().join(archive))
    }

    async fn try_fetch(&self, archive: &str, to: &Path) -> Result<Option<u64>, Cause> {
        let path = self.path(archive)?;
        let found = match self.measured.objects.get(&path).await {
            Err(error @ StoreError::NotFound { .. }) if !fault::is_missing_bucket(&error) => {
                return Ok(None);
            }
            other => other?,
        };
        let size = found.meta.size;
        if let Some(known) = self.state.lock().await.archives.get(archive)
            && known.bytes != size
        {
            let stored = known.bytes;
            return Err(format!("it has {size} bytes, but {stored} were stored").into());
        }
        let mut pieces = found.into_stream();
        let mut sink = Sink::new(to.to_path_buf(), ArchivePlan::default());
        let mut came = 0;
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => {
                    came += piece.len() as u64;
                    sink.write(piece).await?;
                }
                Err(error) => {
                    sink.discard().await;
                    return Err(error.into());
                }
            }
        }
        if came != size {
            sink.discard().await;
            return Err(format!("it has {size} bytes, but {came} came").into());
        }
        Ok(Some(sink.finish().await?))
    }

    async fn try_store(&self, from: &Path, archive: &str) -> Result<u64, Cause> {
        let path = self.path(archive)?;
        let file = tokio::fs::File::open(from).await?.into_std().await;
        let size = file.metadata()?.len();
        // Until all of it is there nobody knows what is.
        self.state.lock().await.archives.remove(archive);
        let bytes = if size <= upload::PART {
            let (_, content) = upload::read(file, size).await?;
            let bytes = content.len() as u64;
            self.measured.objects.put(&path, content.into()).await?;
            bytes
        } else {
            self.uploads.send(Arc::clone(&self.measured.parts), file, path).await?
        };
        let mut state = self.state.lock().await;
        let number = state.next_version;
        state.next_version += 1;
        state.archives.insert(archive.to_owned(), Version { number, bytes });
        Ok(bytes)
    }

    async fn try_remember(&self, seed: &str) -> Result<(), Cause> {
        let mut state = self.state.lock().await;
        let number = state.next_seed.to_string();
        let folder = self.ours.clone().join("seeds").join(number.as_str());
        state.next_seed += 1;
        let archives = self.archives();
        let mut kept = BTreeMap::new();
        for name in self.names().await? {
            let from = archives.clone().join(name.as_str());
            self.upkeep.objects.copy(&from, &folder.clone().join(name.as_str())).await?;
            // What a failed store has left is only known when it is looked at.
            if let Some(version) = state.archives.get(&name).copied() {
                kept.insert(name, version);
            } else {
                let bytes = self.upkeep.objects.head(&from).await?.size;
                let version = Version { number: state.next_version, bytes };
                state.next_version += 1;
                state.archives.insert(name.clone(), version);
                kept.insert(name, version);
            }
        }
        let new = Seed { folder, archives: kept };
        if let Some(old) = state.seeds.insert(seed.to_owned(), new) {
            self.delete(&old.folder).await?;
        }
        Ok(())
    }

    async fn try_restore(&self, seeds: &[String]) -> Result<(), Cause> {
        let mut state = self.state.lock().await;
        let mut wanted: BTreeMap<String, (ObjectPath, Version)> = BTreeMap::new();
        for name in seeds {
            let seed = state.seeds.get(name);
            let seed =
                seed.ok_or_else(|| format!("{name} was never remembered, a fault of breakeven"))?;
            for (archive, version) in &seed.archives {
                let from = seed.folder.clone().join(archive.as_str());
                wanted.entry(archive.clone()).or_insert((from, *version));
            }
        }
        let archives = self.archives();
        let there = self.names().await?;
        for name in there.iter().filter(|name| !wanted.contains_key(*name)) {
            state.archives.remove(name);
            self.upkeep.objects.delete(&archives.clone().join(name.as_str())).await?;
        }
        for (name, (from, version)) in wanted {
            if there.contains(&name) && state.archives.get(&name) == Some(&version) {
                continue;
            }
            state.archives.remove(&name);
            self.upkeep.objects.copy(&from, &archives.clone().join(name.as_str())).await?;
            state.archives.insert(name, version);
        }
        Ok(())
    }

    /// Names of the archives that jobs share now.
    async fn names(&self) -> Result<BTreeSet<String>, StoreError> {
        let all = self.upkeep.objects.list(Some(&self.archives()));
        all.try_filter_map(async |found| Ok(found.location.filename().map(str::to_owned)))
            .try_collect()
            .await
    }

    /// Removes everything below a path of ours.
    async fn delete(&self, below: &ObjectPath) -> Result<(), StoreError> {
        let found = self.upkeep.objects.list(Some(below)).map_ok(|found| found.location).boxed();
        let deleted = self.upkeep.objects.delete_stream(found);
        deleted.try_for_each(async |_| Ok(())).await.or_else(|error| match error {
            StoreError::NotFound { .. } if !fault::is_missing_bucket(&error) => Ok(()),
            error => Err(error),
        })
    }

    async fn try_close(&self) -> Result<(), Cause> {
        let mut state = self.state.lock().await;
        state.archives.clear();
        state.seeds.clear();
        self.uploads.abort_all().await?;
        Ok(self.delete(&self.ours).await?)
    }
}

#[async_trait]
impl Storage for BucketStorage {
    async fn fetch(&self, archive: &ArchiveName, to: &Path) -> Result<Option<u64>, StorageError> {
        let done = self.try_fetch(&archive.0, to).await;
        done.map_err(|cause| self.teller.tell("fetch", &archive.0, &cause))
    }

    async fn store(&self, from: &Path, archive: &ArchiveName) -> Result<u64, StorageError> {
        let done = self.try_store(from, &archive.0).await;
        done.map_err(|cause| self.teller.tell("store", &archive.0, &cause))
    }

    async fn remember(&self, seed: &str) -> Result<(), StorageError> {
        let done = self.try_remember(seed).await;
        done.map_err(|cause| self.teller.tell("remember", seed, &cause))
    }

    async fn restore(&self, seeds: &[String]) -> Result<(), StorageError> {
        let done = self.try_restore(seeds).await;
        done.map_err(|cause| self.teller.tell("restore", &seeds.join(" + "), &cause))
    }

    async fn close(&self) -> Result<(), StorageError> {
        let done = self.try_close().await;
        done.map_err(|cause| self.teller.tell("remove", "all of it", &cause))
    }
}

/// A client for what is not measured.
pub(super) fn upkeep(
    provider: Provider,
    bucket: &str,
    access: &Access,
) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let options = options(access).with_timeout_disabled();
    client(provider, bucket, access, sometimes(), options).map(|client| client.objects)
}

fn sometimes() -> RetryConfig {
    RetryConfig {
        max_retries: RETRIES.0,
        retry_timeout: RETRIES.1,
        backoff: BackoffConfig::default(),
    }
}

fn options(access: &Access) -> ClientOptions {
    let options = ClientOptions::default();
    match &access.proxy {
        Some(proxy) => options.with_proxy_url(proxy),
        None => options,
    }
}

/// A client with the settings that the environment names, as the crate's own `from_env` takes them.
fn client(
    provider: Provider,
    bucket: &str,
    access: &Access,
    retry: RetryConfig,
    options: ClientOptions,
) -> Result<Client, StoreError> {
    let settings = access
        .environment
        .iter()
        .filter(|(name, _)| name.starts_with(provider.variables()))
        .map(|(name, value)| (name.to_ascii_lowercase(), value));
    Ok(match provider {
        Provider::S3 => Client::of(
            settings
                .fold(
                    AmazonS3Builder::new().with_client_options(options),
                    |builder, (key, value)| match key.parse() {
                        Ok(key) => builder.with_config(key, value),
                        Err(_) => builder,
                    },
                )
                .with_bucket_name(bucket)
                .with_retry(retry)
                .build()?,
        ),
        Provider::Gs => Client::of(
            settings
                .fold(
                    GoogleCloudStorageBuilder::new().with_client_options(options),
                    |builder, (key, value)| match key.parse() {
                        Ok(key) => builder.with_config(key, value),
                        Err(_) => builder,
                    },
                )
                .with_bucket_name(bucket)
                .with_retry(retry)
                .build()?,
        ),
        Provider::Az => Client::of(
            settings
                .fold(
                    MicrosoftAzureBuilder::new().with_client_options(options),
                    |builder, (key, value)| match key.parse() {
                        Ok(key) => builder.with_config(key, value),
                        Err(_) => builder,
                    },
                )
                .with_container_name(bucket)
                .with_retry(retry)
                .build()?,
        ),
    })
}

//! A registry of our own: CNCF distribution on 127.0.0.1, thrown away with the run.

use super::client::Client;
use super::leftover;
use super::server::{Program, Server};
use super::snapshot::{self, Content};
use super::{Registry, RegistryError, Seed, run_path};
use crate::model::ImageRef;
use async_trait::async_trait;
use oci_client::secrets::RegistryAuth;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

/// A registry that the run started. Dropping it ends its process; its files stay until
/// [`Registry::close`].
pub struct ManagedRegistry {
    prefix: String,
    client: Client,
    dir: PathBuf,
    state: Arc<Mutex<State>>,
}

struct State {
    server: Server,
    seeds: BTreeMap<Seed, Content>,
    /// What the folder that is served holds, but for what was pushed since.
    current: Vec<Seed>,
    /// Folders that are ready for other states, by their number.
    ready: BTreeMap<Vec<Seed>, u32>,
    /// Number of the next such folder.
    next: u32,
}

impl State {
    /// The union of these seeds, the first one's tags winning.
    fn union(&self, seeds: &[Seed]) -> Result<Content, RegistryError> {
        let mut union = Content::default();
        for seed in seeds {
            union.add(self.seeds.get(seed).ok_or_else(|| RegistryError::unknown(seed))?);
        }
        Ok(union)
    }

    /// Undoes what was pushed, then exchanges the folder for that of the wanted state. Each state
    /// has a folder of its own, made when it is first wanted, so that only pushes are undone.
    fn restore(&mut self, wanted: &[Seed], dir: &Path) -> Result<(), RegistryError> {
        let (data, pool) = (dir.join("data"), dir.join("pool"));
        let current = data.join("current");
        let union = self.union(wanted)?;
        if self.current != wanted {
            // Now, not when it is wanted again: what was pushed may be large.
            self.union(&self.current)?.enforce(&current, &pool).map_err(at)?;
            let ready = match self.ready.remove(wanted) {
                Some(number) => data.join(number.to_string()),
                None => {
                    let fresh = data.join("fresh");
                    remove(&fresh)?;
                    fs::create_dir(&fresh)
                        .map_err(|error| RegistryError::io("create", &fresh, error))?;
                    fresh
                }
            };
            // The registry opens files by their path from the root for every request.
            rename(&current, &data.join(self.next.to_string()))?;
            let left = std::mem::replace(&mut self.current, wanted.to_vec());
            self.ready.insert(left, self.next);
            self.next += 1;
            rename(&ready, &current)?;
        }
        union.enforce(&current, &pool).map_err(at)
    }
}

impl ManagedRegistry {
    /// Starts a registry that keeps everything in `dir`, which is made if it is absent, and waits
    /// until it answers. The path of all repositories begins with a name made from `run`.
    pub async fn start(program: &Program, run: &str, dir: &Path) -> Result<Self, RegistryError> {
        fs::create_dir_all(dir).map_err(|error| RegistryError::io("create", dir, error))?;
        let dir = fs::canonicalize(dir).map_err(|error| RegistryError::io("find", dir, error))?;
        // What a killed run left here.
        leftover::kill_leftover(&dir)?;
        let pool = dir.join("pool");
        for old in [&pool, &dir.join("data")] {
            remove(old)?;
        }
        fs::create_dir(&pool).map_err(|error| RegistryError::io("create", &pool, error))?;
        let server = Server::start(program, &dir).await?;
        let prefix = format!("{}/{}", server.address, run_path(run));
        let client = Client::new(&server.address, RegistryAuth::Anonymous)?;
        let state = State {
            server,
            seeds: BTreeMap::new(),
            current: Vec::new(),
            ready: BTreeMap::new(),
            next: 0,
        };
        Ok(Self { prefix, client, dir, state: Arc::new(Mutex::new(state)) })
    }

    /// Runs file work outside the async threads, alone.
    async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State, &Path) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        let dir = self.dir.clone();
        let task = tokio::task::spawn_blocking(move || work(&mut state, &dir));
        task.await.unwrap_or_else(|error| {
            let error = std::io::Error::other(error);
            Err(RegistryError::io("work on", &self.dir, error))
        })
    }
}

#[async_trait]
impl Registry for ManagedRegistry {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn restores_fully(&self) -> bool {
        true
    }

    async fn remember(&self, seed: &Seed, references: &[ImageRef]) -> Result<(), RegistryError> {
        for reference in references {
            if self.client.digest(reference).await?.is_none() {
                return Err(RegistryError::not_pushed(seed, reference));
            }
        }
        let seed = seed.clone();
        self.alone(move |state, dir| {
            let content =
                Content::take(&dir.join("data/current"), &dir.join("pool")).map_err(at)?;
            state.seeds.insert(seed, content);
            Ok(())
        })
        .await
    }

    async fn restore(&self, seeds: &[Seed]) -> Result<(), RegistryError> {
        let seeds = seeds.to_vec();
        self.alone(move |state, dir| state.restore(&seeds, dir)).await
    }

    async fn digest(&self, reference: &ImageRef) -> Result<Option<String>, RegistryError> {
        self.client.digest(reference).await
    }

    async fn image_config(
        &self,
        reference: &ImageRef,
    ) -> Result<Option<serde_json::Value>, RegistryError> {
        self.client.config(reference).await
    }

    async fn attests(&self, reference: &ImageRef) -> Result<bool, RegistryError> {
        let manifest = self.client.manifest(reference).await?;
        Ok(manifest.is_some_and(|manifest| manifest.attests()))
    }

    async fn close(&self) -> Result<(), RegistryError> {
        self.alone(|state, dir| {
            let stopped = state.server.stop();
            state.seeds.clear();
            state.ready.clear();
            let mut removed = Ok(());
            for name in ["data", "pool", "registry.yml", "registry.log"] {
                removed = removed.and(remove(&dir.join(name)));
            }
            stopped.and(removed)
        })
        .await
    }
}

fn at((path, error): snapshot::At) -> RegistryError {
    RegistryError::io("put back", &path, error)
}

fn rename(from: &Path, to: &Path) -> Result<(), RegistryError> {
    fs::rename(from, to).map_err(|error| RegistryError::io("rename", from, error))
}

/// Removes a file or folder; no error if it is not there.
fn remove(path: &Path) -> Result<(), RegistryError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RegistryError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

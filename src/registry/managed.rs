//! A registry of our own: CNCF distribution on 127.0.0.1, thrown away with the run.

use super::client::Client;
use super::server::{Program, Server};
use super::{Registry, RegistryError, Seed, run_path, snapshot};
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
    /// Folder of each seed's snapshot.
    seeds: BTreeMap<Seed, PathBuf>,
    /// Number of the next snapshot's folder.
    next: u32,
}

impl ManagedRegistry {
    /// Starts a registry that keeps everything in `dir`, which is made if it is absent, and waits
    /// until it answers. The path of all repositories begins with a name made from `run`.
    pub async fn start(program: &Program, run: &str, dir: &Path) -> Result<Self, RegistryError> {
        fs::create_dir_all(dir).map_err(|error| RegistryError::io("create", dir, error))?;
        let dir = fs::canonicalize(dir).map_err(|error| RegistryError::io("find", dir, error))?;
        let server = Server::start(program, &dir).await?;
        let prefix = format!("{}/{}", server.address, run_path(run));
        let client = Client::new(&server.address, RegistryAuth::Anonymous)?;
        let state = State { server, seeds: BTreeMap::new(), next: 0 };
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
            let folder = dir.join(format!("seeds/{}", state.next));
            state.next += 1;
            merge(&dir.join("data/current"), &folder)?;
            if let Some(old) = state.seeds.insert(seed, folder) {
                remove(&old)?;
            }
            Ok(())
        })
        .await
    }

    async fn restore(&self, seeds: &[Seed]) -> Result<(), RegistryError> {
        let seeds = seeds.to_vec();
        self.alone(move |state, dir| {
            let (current, next, old) =
                (dir.join("data/current"), dir.join("data/next"), dir.join("data/old"));
            // What an interrupted attempt left.
            remove(&next)?;
            remove(&old)?;
            fs::create_dir(&next).map_err(|error| RegistryError::io("create", &next, error))?;
            for seed in &seeds {
                let folder = state.seeds.get(seed);
                merge(folder.ok_or_else(|| RegistryError::unknown(seed))?, &next)?;
            }
            // The registry opens files by their path from the root for every request.
            rename(&current, &old)?;
            rename(&next, &current)?;
            remove(&old)
        })
        .await
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

    async fn close(&self) -> Result<(), RegistryError> {
        self.alone(|state, dir| {
            let stopped = state.server.stop();
            state.seeds.clear();
            let mut removed = Ok(());
            for name in ["data", "seeds", "registry.yml", "registry.log"] {
                removed = removed.and(remove(&dir.join(name)));
            }
            stopped.and(removed)
        })
        .await
    }
}

fn merge(from: &Path, to: &Path) -> Result<(), RegistryError> {
    snapshot::merge(from, to).map_err(|(path, error)| RegistryError::io("copy", &path, error))
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

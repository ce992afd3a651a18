//! The user's own registry. Only repositories under this run's prefix are ever written to.

use super::client::{Client, Manifest};
use super::{Registry, RegistryError, Seed, credentials, run_path};
use crate::model::ImageRef;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tokio::sync::Mutex;

/// The user's registry: tags are put back, layers are not.
pub struct ExternalRegistry {
    prefix: String,
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seeds: BTreeMap<Seed, BTreeMap<ImageRef, Manifest>>,
    /// Repositories of ours that were spoken of; the only ones that are looked into.
    repositories: BTreeSet<String>,
}

impl ExternalRegistry {
    /// Connects to the registry at `host[:port]` and checks that it answers and takes the user's
    /// credentials. `path` comes before every repository of ours and may be empty. `docker_config`
    /// is docker's configuration folder; the usual one if absent.
    pub async fn connect(
        address: &str,
        path: &str,
        run: &str,
        docker_config: Option<&Path>,
    ) -> Result<Self, RegistryError> {
        let usual = credentials::config_folder();
        let folder = docker_config.or(usual.as_deref());
        let client = Client::new(address, credentials::auth(address, folder).await?)?;
        client.ping().await?;
        let path = path.trim_matches('/');
        let prefix = [address, path, &run_path(run)]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/");
        // A repository that nobody has: asking for it proves the credentials.
        client.authenticate(&ImageRef::new(format!("{prefix}/probe"), "probe")).await?;
        Ok(Self { prefix, client, state: Mutex::default() })
    }

    /// Refuses whatever is not under this run's prefix.
    fn check_ours(&self, reference: &ImageRef) -> Result<(), RegistryError> {
        let rest = reference.repository.strip_prefix(&self.prefix);
        if rest.is_some_and(|rest| rest.starts_with('/')) {
            return Ok(());
        }
        Err(RegistryError::NotOurs {
            reference: reference.to_string(),
            prefix: self.prefix.clone(),
        })
    }

    /// Makes exactly these tags be in the repositories that were spoken of.
    async fn make_exactly(
        &self,
        repositories: &BTreeSet<String>,
        wanted: &BTreeMap<ImageRef, Manifest>,
    ) -> Result<(), RegistryError> {
        let mut right = BTreeSet::new();
        for repository in repositories {
            let mut unwanted = BTreeSet::new();
            for tag in self.client.tags(&ImageRef::new(repository, "latest")).await? {
                let reference = ImageRef::new(repository, tag);
                let Some(digest) = self.client.digest(&reference).await? else {
                    continue;
                };
                match wanted.get(&reference) {
                    Some(manifest) if manifest.digest == digest => {
                        right.insert((reference, digest));
                    }
                    // Putting the manifest moves the tag; its old one is then nobody's.
                    _ => {
                        unwanted.insert(digest);
                    }
                }
            }
            for digest in &unwanted {
                self.client.delete(&ImageRef::new(repository, "latest"), digest).await?;
            }
            // A deleted manifest takes every tag of it along, also those that were right.
            right.retain(|(reference, digest)| {
                reference.repository != *repository || !unwanted.contains(digest)
            });
        }
        for (reference, manifest) in wanted {
            if !right.contains(&(reference.clone(), manifest.digest.clone())) {
                self.client.put(reference, manifest).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Registry for ExternalRegistry {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn restores_fully(&self) -> bool {
        false
    }

    async fn remember(&self, seed: &Seed, references: &[ImageRef]) -> Result<(), RegistryError> {
        let mut manifests = BTreeMap::new();
        for reference in references {
            self.check_ours(reference)?;
            let found = self.client.manifest(reference).await?;
            let manifest = found.ok_or_else(|| RegistryError::not_pushed(seed, reference))?;
            manifests.insert(reference.clone(), manifest);
        }
        let mut state = self.state.lock().await;
        state.repositories.extend(references.iter().map(|one| one.repository.clone()));
        state.seeds.insert(seed.clone(), manifests);
        Ok(())
    }

    async fn restore(&self, seeds: &[Seed]) -> Result<(), RegistryError> {
        let state = self.state.lock().await;
        let mut wanted = BTreeMap::new();
        for seed in seeds {
            let manifests = state.seeds.get(seed).ok_or_else(|| RegistryError::unknown(seed))?;
            for (reference, manifest) in manifests {
                wanted.entry(reference.clone()).or_insert_with(|| manifest.clone());
            }
        }
        self.make_exactly(&state.repositories, &wanted).await
    }

    async fn digest(&self, reference: &ImageRef) -> Result<Option<String>, RegistryError> {
        self.note(reference).await;
        self.client.digest(reference).await
    }

    async fn image_config(
        &self,
        reference: &ImageRef,
    ) -> Result<Option<serde_json::Value>, RegistryError> {
        self.note(reference).await;
        self.client.config(reference).await
    }

    async fn attests(&self, reference: &ImageRef) -> Result<bool, RegistryError> {
        let manifest = self.client.manifest(reference).await?;
        Ok(manifest.is_some_and(|manifest| manifest.attests()))
    }

    async fn close(&self) -> Result<(), RegistryError> {
        let mut state = self.state.lock().await;
        state.seeds.clear();
        self.make_exactly(&state.repositories, &BTreeMap::new()).await?;
        state.repositories.clear();
        Ok(())
    }
}

impl ExternalRegistry {
    /// Remembers a repository of ours, so that it is put back and emptied as well.
    async fn note(&self, reference: &ImageRef) {
        if self.check_ours(reference).is_ok() {
            self.state.lock().await.repositories.insert(reference.repository.clone());
        }
    }
}

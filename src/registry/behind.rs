//! A registry as jobs reach it: under the address of the link's proxy in front of it.

use super::{Registry, RegistryError, Seed};
use crate::model::ImageRef;
use async_trait::async_trait;
use std::sync::Arc;

/// A registry under another address. What we ask it ourselves goes straight to it.
pub struct Behind {
    inner: Arc<dyn Registry>,
    /// `host:port` of the proxy.
    address: String,
    prefix: String,
}

impl Behind {
    /// The same registry as it is reached at `address`.
    pub fn new(inner: Arc<dyn Registry>, address: String) -> Self {
        let path = inner.prefix().split_once('/').map_or("", |(_, path)| path);
        let prefix = format!("{address}/{path}");
        Self { inner, address, prefix }
    }

    /// A reference as the registry itself has it.
    fn inside(&self, reference: &ImageRef) -> ImageRef {
        let own = self.inner.prefix().split('/').next().unwrap_or_default();
        match reference.registry() == self.address {
            true => ImageRef::new(format!("{own}/{}", reference.path()), &reference.tag),
            false => reference.clone(),
        }
    }
}

#[async_trait]
impl Registry for Behind {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn restores_fully(&self) -> bool {
        self.inner.restores_fully()
    }

    async fn remember(&self, seed: &Seed, references: &[ImageRef]) -> Result<(), RegistryError> {
        let references: Vec<ImageRef> = references.iter().map(|one| self.inside(one)).collect();
        self.inner.remember(seed, &references).await
    }

    async fn restore(&self, seeds: &[Seed]) -> Result<(), RegistryError> {
        self.inner.restore(seeds).await
    }

    async fn digest(&self, reference: &ImageRef) -> Result<Option<String>, RegistryError> {
        self.inner.digest(&self.inside(reference)).await
    }

    async fn image_config(
        &self,
        reference: &ImageRef,
    ) -> Result<Option<serde_json::Value>, RegistryError> {
        self.inner.image_config(&self.inside(reference)).await
    }

    async fn attests(&self, reference: &ImageRef) -> Result<bool, RegistryError> {
        self.inner.attests(&self.inside(reference)).await
    }

    async fn close(&self) -> Result<(), RegistryError> {
        self.inner.close().await
    }
}

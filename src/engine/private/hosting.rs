//! Private engines as a run takes them.

use super::{PrivateHost, Registries};
use crate::engine::{Engine, EngineError, EngineFacts, EngineHost, Owned, Snapshot, StepLog};
use crate::model::ImageRef;
use async_trait::async_trait;
use std::net::IpAddr;
use std::sync::Arc;

#[async_trait]
impl EngineHost for PrivateHost {
    fn address(&self) -> &str {
        &self.address
    }

    fn is_private(&self) -> bool {
        true
    }

    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        self.users.facts().await
    }

    fn users(&self) -> &dyn Engine {
        &self.users
    }

    async fn prepare(&self) -> Result<IpAddr, EngineError> {
        Self::prepare(self).await
    }

    async fn publish_base(&self, base: &str, to: &ImageRef) -> Result<(), EngineError> {
        self.users.push_as(base, to, &mut StepLog::default()).await.map(|_| ())
    }

    async fn trust(&self, registry: &str) {
        let registry = registry.to_owned();
        Self::trust(self, Registries { insecure: vec![registry.clone()], mirror: Some(registry) })
            .await;
    }

    fn alias(&self, address: &str, registry: &str) {
        self.users.logins().alias(address, registry);
    }

    async fn fresh(&self) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Self::fresh(self).await?)
    }

    async fn release(
        &self,
        _engine: Arc<dyn Engine>,
        _owned: &Owned,
        _before: &Snapshot,
    ) -> Result<(), EngineError> {
        Self::release(self).await
    }

    async fn round_over(&self) -> Result<(), EngineError> {
        self.discard().await
    }

    async fn close(&self) -> Result<(), EngineError> {
        Self::close(self).await
    }
}

//! A private engine that runs.

use crate::engine::logins::Logins;
use crate::engine::{
    BuildOutcome, BuildRequest, Engine, EngineError, EngineEvent, EngineFacts, ImageFacts, Owned,
    PushOutcome, SharedEngine, Snapshot, StepLog, Trace,
};
use crate::model::plan::ArchivePlan;
use crate::model::{Builder, ImageRef};
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use time::OffsetDateTime;

/// An engine that is ours alone: it does all that the user's does, by the same code, but to put it
/// back means to empty it.
pub struct PrivateEngine(SharedEngine);

impl PrivateEngine {
    /// `root`: where the daemon's own folder lies on this machine.
    pub(super) async fn connect(
        address: &str,
        root: Option<PathBuf>,
        logins: Arc<Logins>,
    ) -> Result<Self, EngineError> {
        SharedEngine::open(Some(address), root, logins).await.map(Self)
    }

    /// Removes everything that is on it: containers, images, build cache, volumes.
    pub async fn empty(&self) -> Result<(), EngineError> {
        self.0.empty().await
    }
}

#[async_trait]
impl Engine for PrivateEngine {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        self.0.facts().await
    }

    async fn supports(&self, builder: Builder) -> Result<(), EngineError> {
        self.0.supports(builder).await
    }

    async fn build(
        &self,
        request: &BuildRequest<'_>,
        seen: &(dyn for<'id> Fn(&'id str) + Send + Sync),
        log: &mut StepLog,
    ) -> Result<BuildOutcome, EngineError> {
        self.0.build(request, seen, log).await
    }

    async fn pull(&self, reference: &ImageRef, log: &mut StepLog) -> Result<(), EngineError> {
        self.0.pull(reference, log).await
    }

    async fn push(
        &self,
        reference: &ImageRef,
        log: &mut StepLog,
    ) -> Result<PushOutcome, EngineError> {
        self.0.push(reference, log).await
    }

    async fn load(&self, archive: &Path, log: &mut StepLog) -> Result<Vec<String>, EngineError> {
        self.0.load(archive, log).await
    }

    async fn save(
        &self,
        references: &[ImageRef],
        archive: &Path,
        packing: &ArchivePlan,
        log: &mut StepLog,
    ) -> Result<u64, EngineError> {
        self.0.save(references, archive, packing, log).await
    }

    async fn inspect(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError> {
        self.0.inspect(reference).await
    }

    async fn events(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<Vec<EngineEvent>, EngineError> {
        self.0.events(from, to).await
    }

    async fn snapshot(&self) -> Result<Snapshot, EngineError> {
        self.0.snapshot().await
    }

    async fn reset(&self, _owned: &Owned, _before: &Snapshot) -> Result<(), EngineError> {
        self.empty().await
    }

    /// Nothing: an engine whose run was killed is removed as a whole.
    async fn leftovers(
        &self,
        _owned: &Owned,
        _before: &Snapshot,
        _trace: &Trace,
    ) -> Result<Owned, EngineError> {
        Ok(Owned::default())
    }
}

//! Where engines come from: every sample takes one as a fresh runner has it, and gives it back.

use super::buildah::BuildahHost;
use super::logins::Logins;
use super::private::{PrivateHost, PrivateSpec};
use super::{Engine, EngineError, EngineFacts, Owned, SharedEngine, Snapshot};
use crate::model::ImageRef;
use crate::model::plan::EnginePlan;
use async_trait::async_trait;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

/// Hands out engines in the state of a fresh runner.
#[async_trait]
pub trait EngineHost: Send + Sync {
    /// Address of the user's engine behind it.
    fn address(&self) -> &str;

    /// Address of the user's daemon on which a killed run may leave engines of ours; none where no
    /// daemon is used.
    fn daemon(&self) -> Option<&str> {
        Some(self.address())
    }

    /// Whether its engines are this run's alone, so that images of the workload's bases have to be
    /// pulled like on a fresh runner, and nothing on them needs to be put back.
    fn is_private(&self) -> bool;

    /// Asks the user's engine behind it what it is. [`EngineError::Unavailable`] if nothing
    /// answers.
    async fn facts(&self) -> Result<EngineFacts, EngineError>;

    /// The user's engine behind it, which has the images of the workload's bases.
    fn users(&self) -> &dyn Engine;

    /// Makes what its engines share. Returns the address of this machine as its engines reach it.
    async fn prepare(&self) -> Result<IpAddr, EngineError>;

    /// Puts a base image of the user's engine into the run's registry, from where engines pull it.
    /// Nothing to do where they have it.
    async fn publish_base(&self, base: &str, to: &ImageRef) -> Result<(), EngineError>;

    /// Says at which address (`host:port`, without TLS) engines to come reach the run's registry.
    /// Private ones ask it first for images of Docker Hub, see [`bases`](super::bases).
    async fn trust(&self, registry: &str);

    /// Says that the user's registry is reached at another address (`host:port`): what the user
    /// shows the registry is shown there.
    fn alias(&self, address: &str, registry: &str);

    /// An engine in the state of a fresh runner.
    async fn fresh(&self) -> Result<Arc<dyn Engine>, EngineError>;

    /// Takes an engine back after a job. What the job made on it is gone afterwards.
    async fn release(
        &self,
        engine: Arc<dyn Engine>,
        owned: &Owned,
        before: &Snapshot,
    ) -> Result<(), EngineError>;

    /// A round is over: an engine that served it serves no other.
    async fn round_over(&self) -> Result<(), EngineError>;

    /// Removes what [`EngineHost::prepare`] made, and engines that were not given back. Idempotent.
    async fn close(&self) -> Result<(), EngineError>;
}

/// Connects to the engine that a run's plan names. Nothing is made yet. `scratch` is the folder of
/// the run's own files.
pub async fn open(
    name: &str,
    plan: &EnginePlan,
    run: &str,
    scratch: &Path,
) -> Result<Arc<dyn EngineHost>, EngineError> {
    match plan {
        EnginePlan::Shared { host } => {
            let engine = SharedEngine::connect(host.as_deref()).await?;
            let (address, logins) = (engine.address().to_owned(), engine.logins().clone());
            Ok(Arc::new(SharedHost { engine: Arc::new(engine), address, logins }))
        }
        EnginePlan::Private { host, image, store, keep } => {
            let spec = PrivateSpec { image: image.clone(), store: *store, keep: *keep };
            let host = PrivateHost::connect(host.as_deref(), run, name, spec, scratch).await?;
            Ok(Arc::new(host))
        }
        EnginePlan::Buildah { driver } => {
            Ok(Arc::new(BuildahHost::connect(name, *driver, scratch).await?))
        }
    }
}

/// The user's own engine: always the same one, put back after every job.
pub struct SharedHost {
    engine: Arc<dyn Engine>,
    address: String,
    /// The engine's.
    logins: Arc<Logins>,
}

impl SharedHost {
    /// Hands out this engine, which shows no registry any credentials.
    pub fn new(engine: Arc<dyn Engine>, address: String) -> Self {
        Self { engine, address, logins: Arc::default() }
    }
}

#[async_trait]
impl EngineHost for SharedHost {
    fn address(&self) -> &str {
        &self.address
    }

    fn is_private(&self) -> bool {
        false
    }

    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        self.engine.facts().await
    }

    fn users(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    async fn prepare(&self) -> Result<IpAddr, EngineError> {
        Ok(Ipv4Addr::LOCALHOST.into())
    }

    async fn publish_base(&self, _base: &str, _to: &ImageRef) -> Result<(), EngineError> {
        Ok(())
    }

    async fn trust(&self, _registry: &str) {}

    fn alias(&self, address: &str, registry: &str) {
        self.logins.alias(address, registry);
    }

    async fn fresh(&self) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::clone(&self.engine))
    }

    async fn release(
        &self,
        engine: Arc<dyn Engine>,
        owned: &Owned,
        before: &Snapshot,
    ) -> Result<(), EngineError> {
        engine.reset(owned, before).await
    }

    async fn round_over(&self) -> Result<(), EngineError> {
        Ok(())
    }

    async fn close(&self) -> Result<(), EngineError> {
        Ok(())
    }
}

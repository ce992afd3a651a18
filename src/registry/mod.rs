//! The registry that images are pushed to and pulled from, behind one trait.

mod behind;
mod client;
mod credentials;
mod external;
mod leftover;
mod managed;
mod server;
mod snapshot;

pub use behind::Behind;
pub use client::speaks_tls;
pub use credentials::{Credential, config_folder, credential};
pub use external::ExternalRegistry;
pub use leftover::{Identity, kill_leftover};
pub use managed::ManagedRegistry;
pub use server::Program;

use crate::model::ImageRef;
use crate::model::plan::RegistryPlan;
use async_trait::async_trait;
use std::path::Path;

/// Why a registry could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It does not answer, or could not be started.
    #[error("the registry at {address} does not answer: {cause}. {advice}")]
    Unavailable {
        /// What was tried.
        address: String,
        /// What came back.
        cause: String,
        /// What to do.
        advice: String,
    },
    /// It answered with an error.
    #[error("{operation} {reference}: the registry said {cause}. {advice}")]
    Refused {
        /// What was tried.
        operation: String,
        /// On what.
        reference: String,
        /// The answer.
        cause: String,
        /// What to do.
        advice: String,
    },
    /// Its files could not be read or written.
    #[error("{operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: String,
        /// On which file.
        path: String,
        /// The operating system's message.
        source: std::io::Error,
    },
    /// The user's credentials for it could not be found out.
    #[error("the credentials for the registry at {address}: {cause}. {advice}")]
    Credentials {
        /// Which registry.
        address: String,
        /// What went wrong.
        cause: String,
        /// What to do.
        advice: String,
    },
    /// A state is to be put back that was never remembered.
    #[error("the registry's state {seed:?} was never remembered: a fault of breakeven, report it")]
    UnknownSeed {
        /// The state.
        seed: String,
    },
    /// An image that should have been pushed is not in the registry.
    #[error("remember {seed:?}: {reference} is not in the registry; the push before it failed")]
    NotPushed {
        /// The state that it belongs to.
        seed: String,
        /// The image.
        reference: String,
    },
    /// A reference is not one of this run's own.
    #[error("{reference} does not begin with {prefix}/ and is left alone: it is not this run's")]
    NotOurs {
        /// The reference.
        reference: String,
        /// What it should begin with.
        prefix: String,
    },
}

impl RegistryError {
    fn io(operation: &str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { operation: operation.to_owned(), path: path.display().to_string(), source }
    }

    fn unknown(seed: &Seed) -> Self {
        Self::UnknownSeed { seed: seed.0.clone() }
    }

    fn not_pushed(seed: &Seed, reference: &ImageRef) -> Self {
        Self::NotPushed { seed: seed.0.clone(), reference: reference.to_string() }
    }
}

/// A remembered state of a registry: what one seeding job left in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seed(pub String);

/// A registry whose content can be put back.
#[async_trait]
pub trait Registry: Send + Sync {
    /// `host:port/path` before every repository name of this run, without a `/` at its end.
    fn prefix(&self) -> &str;

    /// Whether everything is put back by [`Registry::restore`], layers included.
    fn restores_fully(&self) -> bool;

    /// Remembers what is in the registry now as `seed`; `references` are the tags that belong to
    /// it.
    async fn remember(&self, seed: &Seed, references: &[ImageRef]) -> Result<(), RegistryError>;

    /// Puts the registry into the state that holds exactly the union of these seeds; of none:
    /// empty.
    async fn restore(&self, seeds: &[Seed]) -> Result<(), RegistryError>;

    /// Digest of a tag's manifest; `None` if there is no such tag.
    async fn digest(&self, reference: &ImageRef) -> Result<Option<String>, RegistryError>;

    /// A tag's image configuration (JSON), as it was pushed; `None` if there is no such tag.
    async fn image_config(
        &self,
        reference: &ImageRef,
    ) -> Result<Option<serde_json::Value>, RegistryError>;

    /// Whether a tag is an index with attestations beside the image; false if there is no such tag.
    async fn attests(&self, reference: &ImageRef) -> Result<bool, RegistryError>;

    /// Ends it and removes what it kept. Idempotent.
    async fn close(&self) -> Result<(), RegistryError>;
}

/// Opens the registry of a plan. `run` becomes part of every repository's name; a managed registry
/// keeps its files in `dir`.
pub async fn open(
    plan: &RegistryPlan,
    run: &str,
    dir: &Path,
) -> Result<Box<dyn Registry>, RegistryError> {
    Ok(match plan {
        RegistryPlan::Managed => {
            Box::new(ManagedRegistry::start(&Program::find(), run, dir).await?)
        }
        RegistryPlan::External { address, prefix } => {
            Box::new(ExternalRegistry::connect(address, prefix, run, None).await?)
        }
    })
}

/// The part of every repository's path that tells this run from all others. Registries know no
/// capital letters.
fn run_path(run: &str) -> String {
    format!("breakeven-{}", run.to_ascii_lowercase())
}

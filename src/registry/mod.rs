//! The registry that images are pushed to and pulled from, behind one trait.

use crate::model::ImageRef;
use async_trait::async_trait;

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
}

/// A remembered state of a registry: what one seeding job left in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seed(pub String);

/// A registry whose content can be put back.
#[async_trait]
pub trait Registry: Send + Sync {
    /// `host:port/path` before every repository name of this run.
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

    /// Ends it and removes what it kept. Idempotent.
    async fn close(&self) -> Result<(), RegistryError>;
}

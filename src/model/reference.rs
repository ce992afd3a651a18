//! Names of images and archives as strategies use them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A full image reference: `host:port/repository:tag`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageRef {
    /// `host:port/repository`, without a tag.
    pub repository: String,
    /// The tag.
    pub tag: String,
}

impl ImageRef {
    /// Puts a reference together.
    pub fn new(repository: impl Into<String>, tag: impl Into<String>) -> Self {
        Self { repository: repository.into(), tag: tag.into() }
    }

    /// The registry's `host:port`.
    pub fn registry(&self) -> &str {
        self.repository.split_once('/').map_or("", |(host, _)| host)
    }

    /// The repository's path within its registry.
    pub fn path(&self) -> &str {
        self.repository.split_once('/').map_or(&self.repository, |(_, path)| path)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// The file name of an image archive in the shared storage, such as `main.tar`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArchiveName(pub String);

impl fmt::Display for ArchiveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

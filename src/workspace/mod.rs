//! Copies of a workload's context with a change applied. The user's own files are only read.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a prepared workspace lies.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Folder of the context copy.
    pub context: PathBuf,
    /// The Dockerfile within or beside it.
    pub dockerfile: PathBuf,
    /// SHA-256 (hex) over paths, modes and contents of the context, `.dockerignore` respected.
    pub hash: String,
    /// SHA-256 (hex) of every file of the context by its path with `/`, `.dockerignore`
    /// respected.
    pub files: BTreeMap<String, String>,
    /// SHA-256 (hex) of the Dockerfile.
    pub dockerfile_hash: String,
}

//! Copies of a workload's context with a change applied. The user's own files are only read.

mod fingerprint;
mod ignore;
mod pattern;
mod walk;

pub use fingerprint::{Fingerprint, fingerprint};
pub use ignore::Ignore;
pub use walk::{Entry, EntryKind, walk};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why a workspace could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// A file could not be read or written.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The operating system's message.
        source: std::io::Error,
    },
    /// An ignore file has a line that Docker would refuse.
    #[error("{} line {line}: {cause}; correct the pattern, Docker refuses it too", file.display())]
    Ignore {
        /// The ignore file.
        file: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        cause: String,
    },
    /// The context holds something that is neither file, folder nor link.
    #[error(
        "{} is {what}, which no image can hold; remove it or name it in .dockerignore",
        path.display()
    )]
    SpecialFile {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
}

impl WorkspaceError {
    fn io(operation: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { operation, path: path.to_path_buf(), source }
    }
}

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

//! Where a run is that a command is to read.

use super::{Published, RunError, recorded};
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A run as the command line names it. What else a run can be kept in becomes another variant, and
/// every command that reads runs can name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunSource {
    /// A directory that `breakeven run` wrote.
    Directory(PathBuf),
}

impl RunSource {
    /// Reads its journal and decides. Nothing is written.
    pub fn read(&self) -> Result<Published, RunError> {
        match self {
            Self::Directory(dir) => recorded(dir),
        }
    }
}

impl FromStr for RunSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::Directory(text.into()))
    }
}

impl fmt::Display for RunSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(dir) => dir.display().fmt(f),
        }
    }
}

//! How archives are packed.

use serde::{Deserialize, Serialize};

/// How archives of images and caches are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivePlan {
    /// Format.
    pub compression: Compression,
    /// Level; the format's own default if absent.
    pub level: Option<i32>,
    /// Threads that compress.
    pub threads: u32,
}

impl Default for ArchivePlan {
    fn default() -> Self {
        Self { compression: Compression::None, level: None, threads: 1 }
    }
}

/// Format of an archive.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not compressed, as `docker save` writes it.
    #[default]
    None,
    /// As `gzip` writes it.
    Gzip,
    /// As `zstd` writes it.
    Zstd,
}

impl Compression {
    /// The levels that there are; none where nothing is compressed.
    pub const fn levels(self) -> Option<std::ops::RangeInclusive<i32>> {
        match self {
            Self::None => None,
            Self::Gzip => Some(1..=9),
            Self::Zstd => Some(1..=19),
        }
    }

    /// The level where none is named: what the command of this name takes.
    pub const fn default_level(self) -> Option<i32> {
        match self {
            Self::None => None,
            Self::Gzip => Some(6),
            Self::Zstd => Some(3),
        }
    }

    /// What the name of such an archive ends with.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::None => "tar",
            Self::Gzip => "tar.gz",
            Self::Zstd => "tar.zst",
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

//! What builds.

use super::super::cell::Builder;
use serde::{Deserialize, Serialize};

/// A Docker-compatible daemon that builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum EnginePlan {
    /// The user's own daemon; only what a run made is removed from it.
    Shared {
        /// Its address; found as the docker client finds it if absent.
        host: Option<String>,
    },
    /// A daemon of this run's alone, in a container of the user's engine, thrown away.
    Private {
        /// Address of the user's engine that the container runs on; found as the docker client
        /// finds it if absent.
        host: Option<String>,
        /// Image with a `dockerd`.
        image: String,
        /// Where the daemon keeps images; its own default if absent.
        store: Option<Store>,
        /// How long one daemon is kept.
        keep: Keep,
    },
    /// No daemon: Buildah, with a storage of its own for every sample.
    Buildah {
        /// How it keeps layers; found out if absent.
        driver: Option<Driver>,
    },
}

impl EnginePlan {
    /// The builders that such an engine may have.
    pub const fn builders(&self) -> &'static [Builder] {
        match self {
            Self::Shared { .. } | Self::Private { .. } => &Builder::OF_DAEMONS,
            Self::Buildah { .. } => &[Builder::Buildah],
        }
    }

    /// Address of the user's engine, if the configuration names one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Shared { host } | Self::Private { host, .. } => host.as_deref(),
            Self::Buildah { .. } => None,
        }
    }

    /// Whether the daemon is this run's alone.
    pub const fn is_private(&self) -> bool {
        matches!(self, Self::Private { .. })
    }
}

/// How Buildah keeps layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// As differences, mounted over one another.
    Overlay,
    /// As whole copies, which works everywhere and is slow.
    Vfs,
}

impl Driver {
    /// As `--storage-driver` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Vfs => "vfs",
        }
    }
}

/// Where a daemon keeps images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// The daemon's own store (driver overlay2).
    Overlay2,
    /// The containerd image store.
    Containerd,
}

/// How long one private daemon is kept.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Each sample has a new one, as a fresh runner has.
    #[default]
    Sample,
    /// One serves a whole round and is emptied between samples.
    Round,
}

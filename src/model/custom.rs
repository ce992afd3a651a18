//! Strategies of the user's own: the steps of ours with placeholders in their names.
//!
//! Names of images are tags in the workload's repository. In a list, `{candidate}` stands for
//! every candidate, best first, and `{stage}` for every named stage; `{own}` is the candidate
//! under whose name the job pushes.

use super::cell::Builder;
use super::step::{CacheMode, PullMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A strategy of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomStrategy {
    /// One line: what a job under it does.
    #[serde(default)]
    pub summary: String,
    /// Builders that it works with.
    pub builders: Vec<Builder>,
    /// What a job does, in order. It must push the image `{own}`, as every job does.
    pub steps: Vec<CustomStep>,
}

/// One step of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CustomStep {
    /// Pulls images. A missing one is no error: the job goes on without.
    Pull(PullTemplate),
    /// Copies the first archive that exists from the shared storage to local disk.
    Fetch(FetchTemplate),
    /// Loads the images of the archive that was fetched, if one was.
    Load(LoadTemplate),
    /// Unpacks the archive that was fetched, if one was, into the cache folder.
    Unpack(UnpackTemplate),
    /// Builds an image.
    Build(BuildTemplate),
    /// Saves images into one archive on local disk.
    Save(SaveTemplate),
    /// Packs the cache folder that a build left into one archive on local disk.
    Pack(PackTemplate),
    /// Copies an archive from local disk to the shared storage.
    Store(StoreTemplate),
    /// Pushes an image.
    Push(PushTemplate),
}

/// Pulls images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PullTemplate {
    /// Tags, best first, such as `["{candidate}"]`.
    pub pull: Vec<String>,
    /// The `first` that exists, or `all` that exist; `strategies.pull` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<PullMode>,
}

/// Copies the first archive that exists from the shared storage to local disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchTemplate {
    /// Names of archives, best first, without an ending, such as `["{candidate}"]`.
    pub fetch: Vec<String>,
}

/// Loads the images of the archive that was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadTemplate {
    /// `true`.
    pub load: bool,
}

/// Unpacks the archive that was fetched into the cache folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnpackTemplate {
    /// `true`.
    pub unpack: bool,
}

/// Builds an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildTemplate {
    /// Its tag, such as `{own}`.
    pub build: String,
    /// `--target`; the workload's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Tags given as `--cache-from`, whether they exist or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Whether only those sources are given that the job has pulled, loaded or built.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub present: bool,
    /// Whether the cache folder is given as a source, where one was unpacked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub folder: bool,
    /// Whether the image carries inline cache metadata.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inline: bool,
    /// `--cache-to type=registry` under this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_to: Option<String>,
    /// `--cache-to type=local`, into the cache folder.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache_folder: bool,
    /// Which steps an exported cache holds; `max` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CacheMode>,
    /// Whether a cache in the registry is written as an image manifest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub image_manifest: bool,
}

/// Saves images into one archive on local disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveTemplate {
    /// Tags, such as `["{own}"]`.
    pub save: Vec<String>,
    /// The archive's name, without an ending, such as `{own}`.
    pub archive: String,
}

/// Packs the cache folder that a build left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackTemplate {
    /// The archive's name.
    pub pack: String,
}

/// Copies an archive to the shared storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreTemplate {
    /// The archive's name.
    pub store: String,
}

/// Pushes an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushTemplate {
    /// Its tag.
    pub push: String,
}

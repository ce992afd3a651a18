//! What is built, and what is changed in it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A build context and Dockerfile as a user has it. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// Folder of the build context.
    pub context: PathBuf,
    /// The Dockerfile.
    pub dockerfile: PathBuf,
    /// `--target`, if not the last stage.
    pub target: Option<String>,
    /// `--build-arg` values.
    pub build_args: BTreeMap<String, String>,
    /// Secret `--build-arg`s, with the environment variable that holds the value of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_args: BTreeMap<String, String>,
    /// Named stages whose images stage strategies carry, in Dockerfile order, final one excluded.
    pub stages: Vec<String>,
    /// The images named by FROM that are not stages.
    pub bases: Vec<String>,
    /// What the Dockerfile's stages take, for deriving which steps a change leaves alone.
    #[serde(default)]
    pub layout: Vec<StageLayout>,
}

/// One stage of a Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageLayout {
    /// Its name, or its number (from 0) where it has none: as in `steps.csv`.
    pub name: String,
    /// Number of the stage that it starts from, if it starts from one.
    pub base_stage: Option<usize>,
    /// Its RUN, COPY and ADD instructions in order.
    pub steps: Vec<StepLayout>,
    /// Whether it has an ARG.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub argument: bool,
}

/// One instruction that makes file system content.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepLayout {
    /// Patterns of the files that it takes from the build context; none for RUN.
    pub takes: Vec<String>,
    /// Number of the stage that it takes files from (`COPY --from`, `RUN --mount=from`).
    pub from_stage: Option<usize>,
}

/// What differs from the previous build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Edits in order; none for the change `none`.
    pub edits: Vec<Edit>,
    /// Weight in the change mix.
    pub weight: f64,
    /// The commit that is built, if the change is one of a replay.
    #[serde(default)]
    pub commit: Option<CommitPlan>,
}

/// A commit of the repository's history that is built as a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitPlan {
    /// The first line of its message.
    pub title: String,
    /// What a sample builds.
    pub built: Revision,
    /// Its first parent: what every candidate was built from.
    pub before: Revision,
}

/// A commit, with the workloads as its Dockerfiles have them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Its full id.
    pub commit: String,
    /// Workloads by name. Their paths are those of the user's checkout.
    pub workloads: BTreeMap<String, Workload>,
}

/// One edit of a workspace. `{nonce}` in texts becomes a value that no other sample has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "edit")]
pub enum Edit {
    /// Adds text at the end of every matching file.
    Append {
        /// Glob of files, relative to the context.
        files: String,
        /// The text.
        text: String,
    },
    /// Replaces every occurrence of a text in every matching file.
    Replace {
        /// Glob of files.
        files: String,
        /// What to look for, literally.
        find: String,
        /// What to put in its place.
        with: String,
    },
    /// Creates a file (or overwrites it).
    Create {
        /// Path, relative to the context.
        file: String,
        /// Its content.
        text: String,
    },
    /// Deletes every matching file.
    Delete {
        /// Glob of files.
        files: String,
    },
    /// Copies a file of the user's over a file of the workspace.
    Copy {
        /// Absolute path of the source.
        from: PathBuf,
        /// Path, relative to the context.
        file: String,
    },
}

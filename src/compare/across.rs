//! Across what two runs are compared all the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Across what runs are compared that were not measured under the same conditions.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(from = "Written", into = "Written")]
#[schemars(with = "Written")]
pub enum Across {
    /// Nothing: such runs are not compared.
    #[default]
    Nothing,
    /// What is built: contexts, Dockerfiles, base images, commits. A repository that is measured
    /// every night has others each time.
    Content,
    /// Everything: machine, engines, links and how a job is carried out as well.
    Everything,
}

/// As it is written in a file: `true`, `false` or `"content"`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    /// Whether across everything.
    Everything(bool),
    /// Across what is built alone.
    Content(Word),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
enum Word {
    /// Contexts, Dockerfiles, base images and commits.
    Content,
}

impl From<Written> for Across {
    fn from(written: Written) -> Self {
        match written {
            Written::Everything(false) => Self::Nothing,
            Written::Everything(true) => Self::Everything,
            Written::Content(Word::Content) => Self::Content,
        }
    }
}

impl From<Across> for Written {
    fn from(across: Across) -> Self {
        match across {
            Across::Nothing => Self::Everything(false),
            Across::Everything => Self::Everything(true),
            Across::Content => Self::Content(Word::Content),
        }
    }
}

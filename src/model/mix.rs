//! The change mix: how often each kind of build really happened.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Where the weights of changes come from, if not from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MixSource {
    /// The history of the git repository that holds the build context.
    Git,
}

/// The change mix as it was found: weights of changes are its counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MixPlan {
    /// Where it comes from.
    pub source: MixSource,
    /// The repository's work tree.
    pub repository: PathBuf,
    /// The revision that was asked for.
    pub rev: String,
    /// Id of the commit that this was.
    pub head: String,
    /// Commits that were looked at, merges included.
    pub commits: u32,
    /// Commits of each change, the dearest change first, `none` last.
    pub changes: Vec<MixCount>,
    /// Merges. They belong to no change: what they bring in are commits of their own.
    pub merges: u32,
    /// Commits that touch what the build takes, but no change's paths.
    pub unmatched: u32,
    /// Whether the clone ended before enough commits were found.
    pub shallow: bool,
}

/// How many commits belong to a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MixCount {
    /// Name of the change.
    pub change: String,
    /// Commits.
    pub commits: u32,
}

impl MixPlan {
    /// The head's id as people write it.
    pub fn short_head(&self) -> &str {
        self.head.get(..10).unwrap_or(&self.head)
    }
}

/// One line: `200 commits of HEAD up to 1a2b3c4d5e: deps 21, app 130, none 12; merges 37; ...`.
impl fmt::Display for MixPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.commits == 1 { "commit" } else { "commits" };
        write!(f, "{} {noun} of {} up to {}: ", self.commits, self.rev, self.short_head())?;
        for (index, count) in self.changes.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{} {}", count.change, count.commits)?;
        }
        write!(f, "; not counted: merges {}, of no change {}", self.merges, self.unmatched)?;
        if self.shallow { f.write_str("; the clone is shallow") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_one_line() {
        let count = |change: &str, commits| MixCount { change: change.to_owned(), commits };
        let mix = MixPlan {
            source: MixSource::Git,
            repository: "/work/shop".into(),
            rev: "HEAD".to_owned(),
            head: "0123456789abcdef".to_owned(),
            commits: 20,
            changes: vec![count("deps", 2), count("app", 11), count("none", 3)],
            merges: 3,
            unmatched: 1,
            shallow: true,
        };
        insta::assert_snapshot!(mix, @"20 commits of HEAD up to 0123456789: deps 2, app 11, none 3; not counted: merges 3, of no change 1; the clone is shallow");
    }
}

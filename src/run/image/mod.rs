//! What an image is apart from times: its file tree by content and its configuration, so that the
//! final images of two strategies can be held against each other.

pub mod archive;
mod likeness;

pub use likeness::{Likeness, export, nonce};

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// SHA-256.
pub type Hash = [u8; 32];

/// An image without times, names and history.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    /// What of its configuration decides how it runs.
    pub config: BTreeMap<String, Value>,
    /// Every path with the layer that it comes from (from 0) and a hash of what it is: kind, mode,
    /// owner, content or target.
    pub paths: BTreeMap<String, (usize, Hash)>,
    /// A hash of each layer, times left out.
    pub layers: Vec<Hash>,
    /// The instruction that made each layer, as the history has it.
    pub made_by: Vec<String>,
}

/// What differs between two images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Keys of the configuration.
    pub config: BTreeSet<String>,
    /// Paths.
    pub paths: BTreeSet<String>,
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_none(&self) -> bool {
        self.config.is_empty() && self.paths.is_empty()
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 4;
        let config = self.config.iter().map(|key| format!("configuration {key}"));
        let all: Vec<String> = config.chain(self.paths.iter().cloned()).collect();
        f.write_str(&all[..all.len().min(SHOWN)].join(", "))?;
        if all.len() > SHOWN {
            write!(f, " and {} more", all.len() - SHOWN)?;
        }
        Ok(())
    }
}

impl Tree {
    /// What differs from another image, but for what comes from `unsteady` layers.
    pub fn difference(&self, other: &Self, unsteady: &BTreeSet<usize>) -> Difference {
        let keys = self.config.keys().chain(other.config.keys());
        let paths = self.paths.keys().chain(other.paths.keys());
        let differs = |path: &&String| {
            let (one, two) = (self.paths.get(*path), other.paths.get(*path));
            let steady = |found: Option<&(usize, Hash)>| {
                found.is_none_or(|(layer, _)| !unsteady.contains(layer))
            };
            one.map(|found| found.1) != two.map(|found| found.1) && steady(one) && steady(two)
        };
        Difference {
            config: keys
                .filter(|key| self.config.get(*key) != other.config.get(*key))
                .cloned()
                .collect(),
            paths: paths.filter(differs).cloned().collect(),
        }
    }

    /// Layers that are not the same in another image of the same instructions.
    pub fn layers_unlike(&self, other: &Self) -> BTreeSet<usize> {
        let count = self.layers.len().max(other.layers.len());
        (0..count).filter(|at| self.layers.get(*at) != other.layers.get(*at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[(&str, usize, u8)]) -> Tree {
        Tree {
            paths: paths
                .iter()
                .map(|(path, layer, content)| ((*path).to_owned(), (*layer, [*content; 32])))
                .collect(),
            layers: vec![[0; 32], [1; 32]],
            ..Tree::default()
        }
    }

    #[test]
    fn paths_differ_by_what_they_are_and_not_by_their_layer() {
        let one = tree(&[("a", 0, 1), ("b", 0, 1), ("c", 1, 1)]);
        let other = tree(&[("a", 1, 1), ("b", 0, 2), ("d", 1, 1)]);
        let found = one.difference(&other, &BTreeSet::new());
        assert_eq!(found.to_string(), "b, c, d");
        let found = one.difference(&other, &BTreeSet::from([1]));
        assert_eq!(found.to_string(), "b");
        assert!(one.difference(&one, &BTreeSet::new()).is_none());
    }

    #[test]
    fn configuration_counts_and_long_lists_are_cut() {
        let mut one = tree(&[("a", 0, 1), ("b", 0, 1), ("c", 0, 1), ("d", 0, 1)]);
        one.config.insert("Env".to_owned(), Value::Null);
        let found = one.difference(&tree(&[]), &BTreeSet::new());
        assert_eq!(found.to_string(), "configuration Env, a, b, c and 1 more");
    }

    #[test]
    fn layers_are_held_against_each_other_one_by_one() {
        let one = tree(&[]);
        let mut other = one.clone();
        other.layers[1] = [9; 32];
        other.layers.push([2; 32]);
        assert_eq!(one.layers_unlike(&other), BTreeSet::from([1, 2]));
    }
}

//! A part of a run that one of several machines measures.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Part `index` of `of`. Rounds are dealt out one after another: shard K of N measures the rounds
/// K, K + N, K + 2 N, … of the whole run, so that more rounds leave those of before where they
/// were, and no shard has more than one round more than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Shard {
    /// Which one, from 1.
    pub index: u32,
    /// How many there are.
    pub of: u32,
}

impl Shard {
    /// `None` unless `index` is one of 1 to `of`.
    pub fn new(index: u32, of: u32) -> Option<Self> {
        (1..=of).contains(&index).then_some(Self { index, of })
    }

    /// Whether it measures a round. Every shard has the warm-up, round 0.
    pub fn has(self, round: u32) -> bool {
        // A file that was edited by hand may name no shards at all.
        round == 0 || self.of == 0 || (round - 1) % self.of == self.index.saturating_sub(1)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounds_are_dealt_out_one_after_another() {
        let rounds = |index| {
            let shard = Shard::new(index, 3).unwrap();
            (0..=7).filter(|round| shard.has(*round)).collect::<Vec<u32>>()
        };
        assert_eq!(rounds(1), [0, 1, 4, 7]);
        assert_eq!(rounds(2), [0, 2, 5]);
        assert_eq!(rounds(3), [0, 3, 6]);
    }

    #[test]
    fn only_shards_that_there_are_can_be_made() {
        assert_eq!(Shard::new(0, 3), None);
        assert_eq!(Shard::new(4, 3), None);
        assert_eq!(Shard::new(1, 0), None);
        assert_eq!(Shard::new(3, 3).map(|shard| shard.to_string()), Some("3/3".to_owned()));
    }

    proptest! {
        #[test]
        fn every_round_belongs_to_exactly_one(of in 1u32..50, round in 1u32..1000) {
            let having = (1..=of).filter(|index| Shard::new(*index, of).unwrap().has(round));
            prop_assert_eq!(having.count(), 1);
        }
    }
}

//! The order of measuring: rounds with every cell once, each shuffled from the recorded seed.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// One place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The round; 0 is the warm-up.
    pub round: u32,
    /// Position within the round, from 0.
    pub position: u32,
    /// Index of the cell in the plan.
    pub cell: usize,
}

/// The whole order of a run: the warm-up round, then `rounds` counted ones.
///
/// Every round has a generator of its own (the seed, with the round as its stream), so that the
/// order of a round does not depend on how many rounds came before it.
pub fn order(cells: usize, rounds: u32, seed: u64) -> Vec<Slot> {
    (0..=rounds)
        .flat_map(|round| {
            let mut generator = ChaCha8Rng::seed_from_u64(seed);
            generator.set_stream(u64::from(round));
            let mut shuffled: Vec<usize> = (0..cells).collect();
            shuffled.shuffle(&mut generator);
            (0u32..).zip(shuffled).map(move |(position, cell)| Slot { round, position, cell })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_round_has_every_cell_once(cells in 1usize..40, rounds in 0u32..8, seed: u64) {
            let slots = order(cells, rounds, seed);
            prop_assert_eq!(slots.len(), cells * (rounds as usize + 1));
            for round in slots.chunks(cells) {
                let mut seen: Vec<usize> = round.iter().map(|slot| slot.cell).collect();
                seen.sort_unstable();
                prop_assert_eq!(seen, (0..cells).collect::<Vec<_>>());
                prop_assert!(round.iter().enumerate().all(|(i, s)| s.position as usize == i));
            }
        }

        #[test]
        fn more_rounds_do_not_change_earlier_ones(cells in 1usize..20, seed: u64) {
            let short = order(cells, 3, seed);
            prop_assert_eq!(&order(cells, 7, seed)[..short.len()], &short[..]);
        }
    }

    #[test]
    fn rounds_differ_from_each_other_and_between_seeds() {
        let of = |seed| order(30, 1, seed);
        let cells = |slots: &[Slot]| slots.iter().map(|slot| slot.cell).collect::<Vec<_>>();
        assert_ne!(cells(&of(1)[..30]), cells(&of(1)[30..]));
        assert_ne!(cells(&of(1)), cells(&of(2)));
    }
}

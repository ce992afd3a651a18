//! Runs whose rounds were measured on several machines, each round on one of them.
//!
//! The question is what a strategy saves on *a* machine such as these, so machines are what chance
//! drew, and rounds within them. From [`LEAST`] machines on, a resample draws machines with
//! replacement and then, of each drawn machine, as many of its rounds as it has: the bootstrap of
//! hierarchical data (Davison & Hinkley, *Bootstrap Methods and their Application*, 1997, section
//! 3.8). Of the two ways that the section compares, both levels are drawn with replacement; that
//! spreads a little wider than the data do, which with few machines is the safe side. The tail is
//! that of as many units as there are machines.
//!
//! With fewer machines that is no way to an interval: even the range from the lowest machine to the
//! highest holds the true mean of 2, 3, 4 machines only in 50, 75, 87.5 % of cases. Rounds are then
//! the units, as in a run on one machine, and the interval of a mean is widened where it does not
//! hold each machine's own mean. It speaks of these machines and not of others.

use super::{Bootstrap, pick};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Machines below which machines are not resampled.
pub const LEAST: usize = 5;

impl Bootstrap {
    /// For a run whose rounds were dealt out to so many machines, one after another; `None` for a
    /// run on one machine.
    pub fn over_machines(self, machines: Option<u32>) -> Self {
        Self { machines: machines.unwrap_or(1).max(1), ..self }
    }

    /// The machine of a round, from 0.
    pub const fn machine(&self, round: u32) -> u32 {
        round.saturating_sub(1) % self.machines
    }

    /// How many machines these rounds were measured on.
    pub fn machines_of(&self, rounds: impl IntoIterator<Item = u32>) -> usize {
        let machines: std::collections::BTreeSet<u32> =
            rounds.into_iter().map(|round| self.machine(round)).collect();
        machines.len()
    }

    /// How many units an interval over these rounds is made from: machines where they are
    /// resampled, rounds elsewhere.
    pub fn units_of(&self, rounds: &[u32]) -> usize {
        match self.machines_of(rounds.iter().copied()) {
            machines if machines >= LEAST => machines,
            _ => rounds.len(),
        }
    }

    /// [`Self::distributions`] over units that are these rounds, by machines where there are enough
    /// of them.
    pub fn distributions_of<const K: usize>(
        &self,
        rounds: &[u32],
        statistics: impl Fn(&[u32]) -> Option<[f64; K]> + Sync,
    ) -> [Vec<f64>; K] {
        let blocks = self.blocks(rounds);
        if blocks.len() < LEAST {
            return self.distributions(rounds.len(), statistics);
        }
        self.resampled(
            rounds.len(),
            |random, times| draw_blocks(random, &blocks, times),
            statistics,
        )
    }

    /// Positions of the rounds, by machine.
    pub(super) fn blocks(&self, rounds: &[u32]) -> Vec<Vec<usize>> {
        let mut blocks: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, round) in rounds.iter().enumerate() {
            blocks.entry(self.machine(*round)).or_default().push(at);
        }
        blocks.into_values().collect()
    }
}

/// Draws as many machines as there are, and of each as many rounds as it has.
pub(super) fn draw_blocks(random: &mut ChaCha8Rng, blocks: &[Vec<usize>], times: &mut [u32]) {
    times.fill(0);
    for _ in blocks {
        let block = &blocks[pick(random, blocks.len())];
        for _ in block {
            times[block[pick(random, block.len())]] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{interval, tests::normals};
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_round_is_of_the_machine_that_the_shard_says() {
        let bootstrap = Bootstrap::new(1).over_machines(Some(3));
        for round in 1..20 {
            let shard = (1..=3).find(|index| {
                crate::model::Shard::new(*index, 3).is_some_and(|shard| shard.has(round))
            });
            assert_eq!(shard, Some(bootstrap.machine(round) + 1));
        }
        assert_eq!(Bootstrap::new(1).over_machines(None).machines_of(1..9), 1);
    }

    #[test]
    fn machines_are_drawn_whole_and_rounds_only_within_them() {
        let blocks = vec![vec![0, 1, 2], vec![3], vec![4, 5]];
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut times = vec![0; 6];
        for _ in 0..200 {
            draw_blocks(&mut random, &blocks, &mut times);
            let of: Vec<u32> =
                blocks.iter().map(|block| block.iter().map(|at| times[*at]).sum()).collect();
            let machines: Vec<u32> =
                of.iter().zip(&blocks).map(|(drawn, block)| drawn / block.len() as u32).collect();
            assert_eq!(machines.iter().sum::<u32>(), 3, "{times:?}");
            assert!(of.iter().zip(&blocks).all(|(drawn, block)| drawn % block.len() as u32 == 0));
        }
    }

    /// How often, of `runs`, an interval holds the true mean 0 where machines differ by a normal
    /// deviation of `between` times that of rounds, with the rounds as units or the machines.
    fn coverage(
        (runs, resamples): (u32, usize),
        machines: u32,
        each: u32,
        between: f64,
        blocks: bool,
    ) -> f64 {
        let mut noise = normals(42);
        let mut held = 0;
        for run in 0..runs {
            let own: Vec<f64> =
                noise.by_ref().take(machines as usize).map(|z| between * z).collect();
            let rounds: Vec<u32> = (1..=machines * each).collect();
            let bootstrap = Bootstrap::new(u64::from(run)).with_resamples(resamples);
            let bootstrap = bootstrap.over_machines(blocks.then_some(machines));
            let values: Vec<f64> = rounds
                .iter()
                .zip(noise.by_ref())
                .map(|(round, z)| own[((round - 1) % machines) as usize] + z)
                .collect();
            let mean = |times: &[u32]| {
                let (sum, drawn) = values.iter().zip(times).fold((0.0, 0.0), |(sum, n), (x, k)| {
                    (sum + x * f64::from(*k), n + f64::from(*k))
                });
                Some([sum / drawn])
            };
            let [means] = bootstrap.distributions_of(&rounds, mean);
            let [point] = mean(&vec![1; rounds.len()]).unwrap();
            let estimate = interval(point, &means, bootstrap.units_of(&rounds));
            held += u32::from(estimate.low <= 0.0 && 0.0 <= estimate.high);
        }
        f64::from(held) / f64::from(runs)
    }

    /// The table in docs/methodology.md was made by [`coverage`] with 2,000 runs and 1,000 resamples. Here the row
    /// that decides it: machines that differ as much as rounds do.
    #[test]
    fn machines_as_blocks_hold_the_truth_where_rounds_as_units_do_not() {
        let blocks = coverage((200, 500), 6, 4, 1.0, true);
        assert!((0.90..=1.0).contains(&blocks), "blocks: {blocks}");
        let rounds = coverage((200, 500), 6, 4, 1.0, false);
        assert!(rounds < 0.85, "rounds: {rounds}");
        // And where machines do not differ, blocks cost width, not truth.
        let alike = coverage((200, 500), 6, 4, 0.0, true);
        assert!((0.90..=1.0).contains(&alike), "alike: {alike}");
    }
}

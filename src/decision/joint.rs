//! Weighted means over several cells, estimated together.
//!
//! **The round is what is resampled**, for all cells at once: the cells of a round were measured
//! within minutes of each other and share the machine's mood, so that resampling each cell by
//! itself would take for independent what is not. Of a run on several machines, machines are
//! resampled first: [`crate::stats::bootstrap::machines`].
//!
//! Of more than [`SINGLE_ROUNDS`] rounds of one machine **blocks of rounds that follow each other**
//! are resampled instead, at most [`BLOCKS`] of them, each by its sums (Carlstein, "The Use of
//! Subseries Values for Estimating the Variance of a General Statistic from a Stationary Sequence",
//! The Annals of Statistics 14, 1986). That takes as long for a million rounds as for a few hundred,
//! and what neighbouring rounds have in common does not make the interval too narrow.

use crate::stats::bootstrap::{interval, machines};
use crate::stats::{Bootstrap, Estimate};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most rounds that are resampled one by one.
const SINGLE_ROUNDS: usize = 500;

/// Most blocks that more rounds are put into. The width of an interval from so many is right to
/// about a twentieth.
const BLOCKS: usize = 200;

/// `M` numbers of one cell by round.
pub(super) type ByRound<const M: usize> = BTreeMap<u32, [f64; M]>;

/// Cells with their weights, each with at least one round.
pub(super) struct Joint<const M: usize> {
    /// Rounds that any cell has, or the first ones of blocks of them: the units of resampling.
    rounds: Vec<u32>,
    cells: Vec<Weighed<M>>,
}

struct Weighed<const M: usize> {
    weight: f64,
    /// The unit, how many of the cell's rounds are in it, and the sums of their numbers.
    units: Vec<(usize, f64, [f64; M])>,
}

impl<const M: usize> Joint<M> {
    /// Puts cells together; `None` if there are none, or if one has no round.
    pub(super) fn new(cells: impl IntoIterator<Item = (f64, ByRound<M>)>) -> Option<Self> {
        let cells: Vec<(f64, ByRound<M>)> = cells.into_iter().collect();
        if cells.is_empty() || cells.iter().any(|(_, rounds)| rounds.is_empty()) {
            return None;
        }
        let rounds: BTreeSet<u32> =
            cells.iter().flat_map(|(_, rounds)| rounds.keys().copied()).collect();
        let unit: HashMap<u32, usize> = rounds.iter().copied().zip(0..).collect();
        let cells = cells
            .into_iter()
            .map(|(weight, rounds)| Weighed {
                weight,
                units: rounds.into_iter().map(|(round, m)| (unit[&round], 1.0, m)).collect(),
            })
            .collect();
        Some(Self { rounds: rounds.into_iter().collect(), cells })
    }

    /// Rounds of the cell that has the fewest. An interval is as wide as these deserve.
    pub(super) fn fewest(&self) -> usize {
        let rounds = |cell: &Weighed<M>| {
            cell.units.iter().map(|(_, rounds, _)| *rounds as usize).sum::<usize>()
        };
        self.cells.iter().map(rounds).min().unwrap_or(0)
    }

    /// Of the cell that has the fewest units of resampling, how many.
    pub(super) fn fewest_units(&self, bootstrap: Bootstrap) -> usize {
        if let Some(blocks) = self.blocks(bootstrap) {
            return blocks.fewest_units(bootstrap);
        }
        let of = |cell: &Weighed<M>| {
            let rounds: Vec<u32> = cell.units.iter().map(|(unit, ..)| self.rounds[*unit]).collect();
            bootstrap.units_of(&rounds)
        };
        self.cells.iter().map(of).min().unwrap_or(0)
    }

    /// The weighted sums of the cells' means, as measured.
    pub(super) fn point(&self) -> [f64; M] {
        self.sum(&self.means())
    }

    /// The means of each cell, as measured.
    pub(super) fn means(&self) -> Vec<[f64; M]> {
        self.means_where(|_| 1.0).unwrap_or_default()
    }

    /// Estimates of whatever `of` makes from the weighted sums.
    pub(super) fn estimate<const K: usize>(
        &self,
        bootstrap: Bootstrap,
        of: impl Fn([f64; M]) -> [f64; K] + Sync,
    ) -> [Estimate; K] {
        self.estimate_means(bootstrap, |means| of(self.sum(means)))
    }

    /// Estimates of whatever `of` makes from the means of each cell.
    pub(super) fn estimate_means<const K: usize>(
        &self,
        bootstrap: Bootstrap,
        of: impl Fn(&[[f64; M]]) -> [f64; K] + Sync,
    ) -> [Estimate; K] {
        let point = of(&self.means());
        let resampled = self.distributions(bootstrap, &of);
        let units = self.fewest_units(bootstrap);
        let mut estimates = std::array::from_fn(|k| interval(point[k], &resampled[k], units));
        self.widen(bootstrap, &mut estimates, &of);
        estimates
    }

    /// With several machines, but too few to resample them: widens intervals that do not hold what
    /// each machine says by itself.
    fn widen<const K: usize>(
        &self,
        bootstrap: Bootstrap,
        estimates: &mut [Estimate; K],
        of: impl Fn(&[[f64; M]]) -> [f64; K],
    ) {
        let machines: BTreeSet<u32> =
            self.rounds.iter().map(|round| bootstrap.machine(*round)).collect();
        if !(2..machines::LEAST).contains(&machines.len()) {
            return;
        }
        for machine in machines {
            let is_of = |unit: usize| bootstrap.machine(self.rounds[unit]) == machine;
            // A machine that has no sample of a cell says nothing by itself.
            let Some(means) = self.means_where(|unit| f64::from(is_of(unit))) else { continue };
            for (estimate, own) in estimates.iter_mut().zip(of(&means)) {
                if own.is_finite() {
                    estimate.low = estimate.low.min(own);
                    estimate.high = estimate.high.max(own);
                }
            }
        }
    }

    /// Whatever `of` makes from the means of each cell, of every resample, in ascending order.
    pub(super) fn distributions<const K: usize>(
        &self,
        bootstrap: Bootstrap,
        of: impl Fn(&[[f64; M]]) -> [f64; K] + Sync,
    ) -> [Vec<f64>; K] {
        if let Some(blocks) = self.blocks(bootstrap) {
            return bootstrap.distributions_of(&blocks.rounds, |times| {
                blocks.means_where(|unit| f64::from(times[unit])).map(|means| of(&means))
            });
        }
        bootstrap.distributions_of(&self.rounds, |times| {
            self.means_where(|unit| f64::from(times[unit])).map(|means| of(&means))
        })
    }

    /// The same in blocks of rounds, where there are many and all of one machine.
    fn blocks(&self, bootstrap: Bootstrap) -> Option<Self> {
        let machines: BTreeSet<u32> =
            self.rounds.iter().map(|round| bootstrap.machine(*round)).collect();
        if self.rounds.len() <= SINGLE_ROUNDS || machines.len() > 1 {
            return None;
        }
        let size = self.rounds.len().div_ceil(BLOCKS);
        let blocked = |cell: &Weighed<M>| {
            let mut units: Vec<(usize, f64, [f64; M])> = Vec::new();
            for (unit, rounds, numbers) in &cell.units {
                match units.last_mut() {
                    Some((last, sum, sums)) if *last == unit / size => {
                        *sum += rounds;
                        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
                    }
                    _ => units.push((unit / size, *rounds, *numbers)),
                }
            }
            Weighed { weight: cell.weight, units }
        };
        let rounds = self.rounds.iter().copied().step_by(size).collect();
        Some(Self { rounds, cells: self.cells.iter().map(blocked).collect() })
    }

    /// The weighted sums of the means of each cell.
    pub(super) fn sum(&self, means: &[[f64; M]]) -> [f64; M] {
        let mut sums = [0.0; M];
        for (cell, mean) in self.cells.iter().zip(means) {
            sums.iter_mut().zip(mean).for_each(|(sum, mean)| *sum += cell.weight * mean);
        }
        sums
    }

    /// The means where every round counts as often as `times` says. `None` if a cell with failed
    /// samples has none of its rounds among them.
    fn means_where(&self, times: impl Fn(usize) -> f64) -> Option<Vec<[f64; M]>> {
        let mean = |cell: &Weighed<M>| {
            let mut drawn = 0.0;
            let mut sums = [0.0; M];
            for (unit, rounds, numbers) in &cell.units {
                let k = times(*unit);
                drawn += k * rounds;
                for (sum, number) in sums.iter_mut().zip(numbers) {
                    *sum += k * number;
                }
            }
            (drawn > 0.0).then(|| sums.map(|sum| sum / drawn))
        };
        self.cells.iter().map(mean).collect()
    }
}

impl Joint<2> {
    /// The savings of two kinds of cells, each the weighted mean over its kind: of each cell its
    /// kind (0 or 1), its weight, and the baseline's seconds and the competitor's by round. `None`
    /// where a kind has no cell with a weight, or a cell no pair.
    pub(super) fn savings<'a>(
        cells: impl Iterator<Item = (usize, f64, &'a ByRound<2>)> + Clone,
    ) -> Option<Self> {
        let mut sums = [0.0; 2];
        cells.clone().for_each(|(kind, weight, _)| sums[kind] += weight);
        if sums.iter().any(|sum| *sum <= 0.0) {
            return None;
        }
        // Two numbers a cell, of which one is 0, so that the sums over cells are the two savings.
        Self::new(cells.filter(|(_, weight, _)| *weight > 0.0).map(|(kind, weight, pairs)| {
            let saved = pairs.iter().map(|(&round, [baseline, ours])| {
                let mut numbers = [0.0; 2];
                numbers[kind] = baseline - ours;
                (round, numbers)
            });
            (weight / sums[kind], saved.collect())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_round(numbers: &[(u32, f64)]) -> ByRound<1> {
        numbers.iter().map(|&(round, number)| (round, [number])).collect()
    }

    #[test]
    fn the_point_is_the_weighted_sum_of_means() {
        let one = by_round(&[(1, 10.0), (2, 20.0), (3, 30.0)]);
        let two = by_round(&[(1, 1.0), (3, 3.0)]);
        let joint = Joint::new([(0.25, one), (0.75, two)]).unwrap();
        assert_eq!(joint.point(), [0.25 * 20.0 + 0.75 * 2.0]);
        assert_eq!((joint.rounds.len(), joint.fewest()), (3, 2));
    }

    #[test]
    fn a_cell_without_rounds_makes_no_sum() {
        assert!(Joint::new([(0.5, by_round(&[(1, 1.0)])), (0.5, by_round(&[]))]).is_none());
        assert!(Joint::<1>::new([]).is_none());
    }

    #[test]
    fn rounds_are_resampled_jointly() {
        // The two cells' moods cancel in every round. Only a joint resampling sees that.
        let moods = [3.0, -1.0, 4.0, -1.0, 5.0, -9.0, 2.0, -6.0];
        let up = moods.iter().zip(1..).map(|(mood, round)| (round, [10.0 + mood])).collect();
        let down = moods.iter().zip(1..).map(|(mood, round)| (round, [10.0 - mood])).collect();
        let joint: Joint<1> = Joint::new([(0.5, up), (0.5, down)]).unwrap();
        let [estimate] = joint.estimate(Bootstrap::new(1), |sums| sums);
        assert!(estimate.high - estimate.low < 1e-9, "{estimate:?}");
    }

    /// Two cells of 2,000 rounds, of which one lacks every tenth: blocks give nearly the width of
    /// rounds drawn one by one.
    #[test]
    fn blocks_of_many_rounds_give_the_interval_of_the_rounds() {
        let golden = |round: u32, by: f64| f64::from(round) * by % 1.0;
        let one = (1..=2_000).map(|round| (round, [golden(round, 0.618_033_988_749_895)]));
        let two = (1..=2_000).filter(|round| round % 10 > 0);
        let two = two.map(|round| (round, [10.0 * golden(round, 0.754_877_666_246_693)]));
        let joint: Joint<1> = Joint::new([(0.7, one.collect()), (0.3, two.collect())]).unwrap();
        let bootstrap = Bootstrap::new(5).with_resamples(2_000);
        assert_eq!((joint.fewest(), joint.fewest_units(bootstrap)), (1_800, 200));
        let [blocks] = joint.estimate(bootstrap, |sums| sums);
        let [rounds] = bootstrap.distributions(2_000, |times| {
            let means = joint.means_where(|unit| f64::from(times[unit]))?;
            Some(joint.sum(&means))
        });
        let rounds = interval(joint.point()[0], &rounds, 1_800);
        assert_eq!(blocks.point, rounds.point);
        let ratio = (blocks.high - blocks.low) / (rounds.high - rounds.low);
        assert!((0.5..1.5).contains(&ratio), "{ratio}: {blocks:?} {rounds:?}");
    }
}

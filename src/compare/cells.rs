//! The same cell in two runs.

use super::{BaselineShift, CellDifference, CellSide, Difference, Side, Word};
use crate::decision::{Group, ROUNDS_FOR_VERDICT, Row};
use crate::model::{Cell, CellKey, Plan, Sample};
use crate::stats::{Bootstrap, Rounds, Values};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Seconds of whole jobs by round.
pub(super) type ByRound = BTreeMap<u32, f64>;

/// Cells that are in both runs, with what was measured of them, and those that are not.
pub(super) struct Pairs {
    baseline: Option<String>,
    /// Relevance of the two plans.
    relevances: [(f64, f64); 2],
    /// How many machines measured either run, where there are several.
    machines: [Option<u32>; 2],
    pairs: Vec<Pair>,
    pub(super) only_in_base: Vec<String>,
    pub(super) only_in_new: Vec<String>,
}

struct Pair {
    cell: Cell,
    sides: [CellSide; 2],
    times: [ByRound; 2],
}

impl Pairs {
    /// Finds them. What an engine could not do is in neither.
    pub(super) fn new(base: &Side<'_>, new: &Side<'_>) -> Self {
        let (before, after) = (rows(base), rows(new));
        let mut times = [times(base), times(new)];
        let before_of: HashMap<CellKey, &Row> =
            before.iter().map(|(cell, row)| (cell.key(), *row)).collect();
        let after_has: HashSet<CellKey> = after.iter().map(|(cell, _)| cell.key()).collect();
        let only = |cells: &[(Cell, &Row)], has: &dyn Fn(&CellKey) -> bool| {
            let keys = cells.iter().map(|(cell, _)| cell.key()).filter(|key| !has(key));
            keys.map(|key| key.0).collect()
        };
        let only_in_base = only(&before, &|key| after_has.contains(key));
        let only_in_new = only(&after, &|key| before_of.contains_key(key));
        let mut pairs = Vec::new();
        for (cell, row) in after {
            let key = cell.key();
            let Some(earlier) = before_of.get(&key) else { continue };
            let times = times.each_mut().map(|all| all.remove(&key).unwrap_or_default());
            let sides = [side(earlier, &times[0]), side(row, &times[1])];
            pairs.push(Pair { cell, sides, times });
        }
        let same = base.plan.baseline == new.plan.baseline;
        let relevance = |plan: &Plan| (plan.relevance.share, plan.relevance.seconds);
        Self {
            baseline: same.then(|| new.plan.baseline.clone()),
            relevances: [base, new].map(|side| relevance(side.plan)),
            machines: [base, new].map(|side| side.plan.machines),
            pairs,
            only_in_base,
            only_in_new,
        }
    }

    /// How many statements hold together: one for each cell that can be compared, and one for the
    /// baseline's together.
    pub(super) fn statements(&self) -> usize {
        let cells = self.pairs.iter().filter(|pair| self.measured(&pair.times).is_some()).count();
        cells + usize::from(self.baseline_times().is_some())
    }

    /// The difference of every pair.
    pub(super) fn differences(&self, bootstrap: Bootstrap, confidence: f64) -> Vec<CellDifference> {
        let of = |pair: &Pair| {
            let values = self.measured(&pair.times);
            let time = values.map(|values| self.difference(bootstrap, confidence, &values));
            let word = match &time {
                Some(time) => time.word(),
                None if pair.times.iter().any(BTreeMap::is_empty) => Word::NotMeasured,
                None => Word::TooFewRounds,
            };
            let cell = pair.cell.clone();
            let [base, new] = pair.sides.clone();
            CellDifference {
                workload: cell.workload,
                change: cell.change,
                availability: cell.availability,
                strategy: cell.strategy,
                builder: cell.builder,
                link: cell.link,
                engine: cell.engine,
                base,
                new,
                time,
                word,
            }
        };
        self.pairs.iter().map(of).collect()
    }

    /// The baseline's cells together, if there are two at least.
    pub(super) fn baseline(&self, bootstrap: Bootstrap, confidence: f64) -> Option<BaselineShift> {
        let (cells, values) = self.baseline_times()?;
        let time = self.difference(bootstrap, confidence, &values);
        let strategy = self.baseline.clone()?;
        Some(BaselineShift { strategy, cells, word: time.word(), time })
    }

    fn difference(
        &self,
        bootstrap: Bootstrap,
        confidence: f64,
        [base, new]: &[Rounds; 2],
    ) -> Difference {
        let [seconds, share] = bootstrap.difference(base, new, confidence);
        let relevant = |(share, seconds): (f64, f64)| (share * base.mean()).max(seconds);
        let relevant_s = self.relevances.map(relevant).into_iter().fold(0.0, f64::max);
        Difference { seconds, share, relevant_s }
    }

    /// The mean over the baseline's cells in each round in which all of them count: rounds and not
    /// jobs are what is drawn, since the jobs of a round share the machine's mood.
    fn baseline_times(&self) -> Option<(usize, [Rounds; 2])> {
        let baseline = self.baseline.as_ref()?;
        let of: Vec<&Pair> =
            self.pairs.iter().filter(|pair| pair.cell.strategy == *baseline).collect();
        if of.len() < 2 {
            return None;
        }
        let means = [0, 1].map(|side| {
            let first = of[0].times[side].keys();
            let mean = |round: &u32| {
                let times: Option<Vec<f64>> =
                    of.iter().map(|pair| pair.times[side].get(round).copied()).collect();
                times.map(|times| (*round, times.iter().sum::<f64>() / of.len() as f64))
            };
            first.filter_map(mean).collect::<ByRound>()
        });
        self.measured(&means).map(|values| (of.len(), values))
    }

    /// The numbers of both runs, if there are enough in each.
    fn measured(&self, times: &[ByRound; 2]) -> Option<[Rounds; 2]> {
        if times.iter().any(|times| times.len() < ROUNDS_FOR_VERDICT) {
            return None;
        }
        let of = |side: usize| {
            let by_round = times[side].iter().map(|(round, seconds)| (*round, *seconds));
            Rounds::new(by_round, self.machines[side])
        };
        Some([of(0)?, of(1)?])
    }
}

pub(super) fn rows<'a>(side: &Side<'a>) -> Vec<(Cell, &'a Row)> {
    let of = |group: &'a Group| {
        group.rows.iter().map(move |row| {
            let cell = Cell {
                workload: group.workload.clone(),
                change: group.change.clone(),
                availability: group.availability.clone(),
                strategy: row.strategy.clone(),
                builder: row.builder,
                link: group.link.clone(),
                engine: group.engine.clone(),
                state: row.state,
                again: false,
            };
            (cell, row)
        })
    };
    side.decision.groups.iter().flat_map(of).collect()
}

pub(super) fn times(side: &Side<'_>) -> HashMap<CellKey, ByRound> {
    let mut times: HashMap<CellKey, ByRound> = HashMap::new();
    let counts = |sample: &&Sample| sample.counts() && sample.total_s().is_finite();
    for sample in side.samples().into_iter().filter(counts) {
        times.entry(sample.cell.key()).or_default().insert(sample.round, sample.total_s());
    }
    times
}

fn side(row: &Row, times: &ByRound) -> CellSide {
    CellSide {
        n: times.len(),
        mean_s: Values::new(times.values().copied()).ok().map(|values| values.mean()),
        hits: row.hits,
        steps: row.steps,
        bytes_down: row.bytes_down,
        bytes_up: row.bytes_up,
    }
}

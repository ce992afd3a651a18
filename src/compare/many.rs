//! A run against many earlier ones of the same kind: is it beyond what they differ by among
//! themselves?
//!
//! Each earlier run is **one** number per cell: the mean of its jobs. So everything that makes one
//! run differ from the next (the machine's mood, its place in a data centre) is in the interval,
//! which no comparison of two runs can have. It is that of one more run ([`prediction::reach`]), at
//! the confidence that all statements together ask for, as with two runs.

use super::cells::{rows, times};
use super::{
    BaselineShift, CellDifference, CellSide, Comparison, Difference, ERROR, RunName, Said, Side,
    VerdictPair, Word,
};
use crate::decision::{ROUNDS_FOR_VERDICT, Verdict, Weighted};
use crate::model::Cell;
use crate::stats::{Values, prediction};
use crate::trend::{CellSummary, Summary};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Fewest earlier runs from which anything is said.
pub const RUNS: usize = 5;

/// One cell of the new run with what the earlier ones measured of it.
struct Pair {
    cell: Cell,
    base: CellSide,
    new: CellSide,
    /// Mean seconds by the place of the earlier run.
    means: BTreeMap<usize, f64>,
}

/// Compares a run with earlier ones, the oldest first. `place` says where these are from. Whether
/// they may be compared is for the caller to know, as with two runs.
pub fn against(
    bases: &[Summary],
    new: Side<'_>,
    place: &str,
    across: Vec<String>,
    notes: Vec<String>,
) -> Comparison {
    let known: Vec<HashMap<String, &CellSummary>> =
        bases.iter().map(|run| run.cells.iter().map(|cell| (cell.key(), cell)).collect()).collect();
    let times = times(&new);
    let (mut pairs, mut only_in_new) = (Vec::new(), Vec::new());
    for (cell, row) in rows(&new) {
        let key = cell.key();
        let of: Vec<(usize, &CellSummary)> = known
            .iter()
            .enumerate()
            .filter_map(|(place, cells)| Some((place, *cells.get(&key.0)?)))
            .collect();
        if of.is_empty() {
            only_in_new.push(key.0);
            continue;
        }
        let seconds = times.get(&key).map(|of| of.values().copied().collect::<Vec<_>>());
        let seconds = seconds.unwrap_or_default();
        let side = CellSide {
            n: seconds.len(),
            mean_s: Values::new(seconds).ok().map(|values| values.mean()),
            hits: row.hits,
            steps: row.steps,
            bytes_down: row.bytes_down,
            bytes_up: row.bytes_up,
        };
        let means = of.iter().filter_map(|(place, cell)| Some((*place, cell.mean_s?))).collect();
        pairs.push(Pair { base: together(&of, &means), new: side, means, cell });
    }
    let baseline = of_baseline(&pairs, bases.len(), &new.plan.baseline);
    let measured = pairs.iter().filter(|pair| pair.values().is_some()).count();
    let statements = measured + usize::from(baseline.is_some());
    let confidence = 1.0 - ERROR / statements.max(1) as f64;
    let relevances: Vec<(f64, f64)> = bases
        .iter()
        .map(|run| run.relevance)
        .chain([new.plan.relevance])
        .map(|relevance| (relevance.share, relevance.seconds))
        .collect();
    let keys: HashSet<String> = pairs.iter().map(|pair| pair.cell.key().0).collect();
    let in_base: std::collections::BTreeSet<String> =
        known.iter().flat_map(|cells| cells.keys().cloned()).collect();
    let last = bases.last();
    Comparison {
        base: RunName {
            run: format!("the last {} runs of {place}", bases.len()),
            started_at: last.map(|run| run.started_at.clone()).unwrap_or_default(),
            rounds: bases.iter().map(|run| run.rounds).sum(),
        },
        new: super::name(&new),
        across,
        notes,
        statements,
        confidence,
        cells: pairs.iter().map(|pair| pair.difference(&relevances, confidence)).collect(),
        only_in_base: in_base.into_iter().filter(|key| !keys.contains(key)).collect(),
        only_in_new,
        baseline: baseline.and_then(|(cells, values, mean)| {
            let time = difference(&values, mean, &relevances, confidence)?;
            let strategy = new.plan.baseline.clone();
            Some(BaselineShift { strategy, cells, word: time.word(), time })
        }),
        verdicts: last.map(|last| verdicts(last, &new)).unwrap_or_default(),
    }
}

impl Pair {
    /// The earlier runs' means and the new one's, if there are enough of both.
    fn values(&self) -> Option<(Values, f64)> {
        let enough = self.means.len() >= RUNS && self.new.n >= ROUNDS_FOR_VERDICT;
        let values = Values::new(self.means.values().copied()).ok().filter(|_| enough)?;
        Some((values, self.new.mean_s?))
    }

    fn difference(&self, relevances: &[(f64, f64)], confidence: f64) -> CellDifference {
        let time = self
            .values()
            .and_then(|(values, mean)| difference(&values, mean, relevances, confidence));
        let word = match &time {
            Some(time) => time.word(),
            None if self.means.is_empty() || self.new.n == 0 => Word::NotMeasured,
            None => Word::TooFewRounds,
        };
        let cell = self.cell.clone();
        CellDifference {
            workload: cell.workload,
            change: cell.change,
            availability: cell.availability,
            strategy: cell.strategy,
            builder: cell.builder,
            link: cell.link,
            engine: cell.engine,
            base: self.base.clone(),
            new: self.new.clone(),
            time,
            word,
        }
    }
}

fn difference(
    values: &Values,
    mean: f64,
    relevances: &[(f64, f64)],
    confidence: f64,
) -> Option<Difference> {
    let reach = prediction::reach(values, confidence)?;
    let (base, apart) = (values.mean(), mean - values.mean());
    let around = |point: f64, reach: f64| crate::stats::Estimate {
        point,
        low: point - reach,
        high: point + reach,
    };
    let of_base = |seconds: f64| if base > 0.0 { seconds / base } else { 0.0 };
    let relevant = relevances.iter().map(|(share, seconds)| (share * base).max(*seconds));
    Some(Difference {
        seconds: around(apart, reach),
        share: around(of_base(apart), of_base(reach)),
        relevant_s: relevant.fold(0.0, f64::max),
    })
}

/// What the earlier runs measured of a cell; `n` counts runs.
fn together(of: &[(usize, &CellSummary)], means: &BTreeMap<usize, f64>) -> CellSide {
    let cells = || of.iter().map(|(_, cell)| *cell);
    let median = |bytes: fn(&CellSummary) -> Option<u64>| {
        let values = Values::new(cells().filter_map(bytes).map(|bytes| bytes as f64)).ok()?;
        Some(values.median().round() as u64)
    };
    let hits = cells().filter_map(|cell| cell.hits);
    CellSide {
        n: means.len(),
        mean_s: Values::new(means.values().copied()).ok().map(|values| values.mean()),
        hits: hits.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))),
        steps: cells().filter_map(|cell| cell.steps).max(),
        bytes_down: median(|cell| cell.bytes_down),
        bytes_up: median(|cell| cell.bytes_up),
    }
}

/// The mean over the baseline's cells in each earlier run that has all of them, and in the new one.
fn of_baseline(pairs: &[Pair], runs: usize, baseline: &str) -> Option<(usize, Values, f64)> {
    let of: Vec<(&Pair, f64)> = pairs
        .iter()
        .filter(|pair| pair.cell.strategy == baseline)
        .filter_map(|pair| Some((pair, pair.values()?.1)))
        .collect();
    if of.len() < 2 {
        return None;
    }
    let count = of.len() as f64;
    let mean = |place: usize| {
        let all: Option<Vec<f64>> =
            of.iter().map(|(pair, _)| pair.means.get(&place).copied()).collect();
        all.map(|all| all.iter().sum::<f64>() / count)
    };
    let means: Vec<f64> = (0..runs).filter_map(mean).collect();
    let new = of.iter().map(|(_, mean)| mean).sum::<f64>() / count;
    let values = Values::new(means).ok().filter(|values| values.count() >= RUNS)?;
    Some((of.len(), values, new))
}

/// Verdicts of the last of the earlier runs beside the new one's.
fn verdicts(last: &Summary, new: &Side<'_>) -> Vec<VerdictPair> {
    let pair = |one: &Weighted| {
        let place =
            [&*one.workload, &*one.strategy, one.builder.as_str(), &*one.link, &*one.engine];
        let base = last.verdicts.iter().find(|other| other.place() == place)?;
        let saving = one.saving.as_ref().filter(|saving| saving.verdict != Verdict::Baseline)?;
        Some(VerdictPair {
            workload: one.workload.clone(),
            link: one.link.clone(),
            engine: one.engine.clone(),
            strategy: one.strategy.clone(),
            builder: one.builder,
            base: Said { verdict: base.verdict, seconds: base.seconds },
            new: Said { verdict: saving.verdict, seconds: saving.seconds },
        })
    };
    new.decision.weighted.iter().filter_map(pair).collect()
}

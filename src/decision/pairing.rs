//! Which samples count, and which are compared with which.

use super::joint::ByRound;
use crate::model::plan::Competitor;
use crate::model::{Builder, Cell, CellKey, Plan, Sample, State, Status, sample};
use crate::strategy::{self, STRATEGIES};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What is decided on its own: one workload on one link and engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    pub(super) workload: String,
    pub(super) link: String,
    pub(super) engine: String,
}

impl Scope {
    fn of(cell: &Cell) -> Self {
        Self {
            workload: cell.workload.clone(),
            link: cell.link.clone(),
            engine: cell.engine.clone(),
        }
    }

    /// Every scope of a plan, sorted.
    pub(super) fn all(plan: &Plan) -> BTreeSet<Self> {
        plan.cells.iter().map(Self::of).collect()
    }

    /// The plan's cells in this scope, in the order in which reports show competitors.
    pub(super) fn cells<'a>(&self, plan: &'a Plan) -> Vec<&'a Cell> {
        let mut cells: Vec<&Cell> =
            plan.cells.iter().filter(|cell| Self::of(cell) == *self).collect();
        cells.sort_by_key(|cell| (strategy_rank(&cell.strategy), &cell.strategy, cell.builder));
        cells
    }

    /// The cell of a competitor under a change and availability, planned or not.
    pub(super) fn cell(
        &self,
        plan: &Plan,
        change: &str,
        availability: &str,
        competitor: &Competitor,
    ) -> Cell {
        let (strategy, builder) = competitor;
        Cell {
            workload: self.workload.clone(),
            change: change.to_owned(),
            availability: availability.to_owned(),
            strategy: strategy.clone(),
            builder: *builder,
            link: self.link.clone(),
            engine: self.engine.clone(),
            state: strategy::find(plan, strategy)
                .map_or(State::Cold, |strategy| strategy.state(availability != "none")),
            again: false,
        }
    }
}

/// Position in the strategies' table; behind it what a newer version named.
fn strategy_rank(id: &str) -> usize {
    STRATEGIES.iter().position(|strategy| strategy.id == id).unwrap_or(STRATEGIES.len())
}

/// Every competitor among a scope's cells, in the order of these.
pub(super) fn competitors(cells: &[&Cell]) -> Vec<Competitor> {
    let mut competitors: Vec<Competitor> =
        cells.iter().map(|cell| (cell.strategy.clone(), cell.builder)).collect();
    competitors.dedup();
    competitors
}

/// The baseline that a competitor is compared with: under its own builder, or the
/// other one where the plan has no baseline under its own. The plan decides and not the samples: where the
/// right baseline failed, there is no comparison rather than a wrong one.
pub(super) fn baseline_for(plan: &Plan, cells: &[&Cell], own: Builder) -> Option<Competitor> {
    let has = |builder| {
        cells.iter().any(|cell| cell.strategy == plan.baseline && cell.builder == builder)
    };
    let builder = std::iter::once(own).chain(Builder::ALL).find(|&builder| has(builder))?;
    Some((plan.baseline.clone(), builder))
}

/// Samples by cell. Those of the warm-up round are not in it.
pub(super) struct Measured<'a>(HashMap<CellKey, OfCell<'a>>);

/// What was measured of one cell.
struct OfCell<'a> {
    statuses: BTreeMap<Status, usize>,
    counted: Vec<&'a Sample>,
    totals: ByRound<1>,
}

impl<'a> Measured<'a> {
    /// Sorts samples into cells; the order of the input does not matter.
    pub(super) fn new(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        let counted = samples.into_iter().filter(|sample| sample.round > 0);
        Self::of_standing(&sample::standing(counted))
    }

    /// The same of samples that stand ([`sample::standing`]).
    pub(super) fn of_standing(samples: &[&'a Sample]) -> Self {
        let counted = samples.iter().copied().filter(|sample| sample.round > 0);
        let groups = sample::by_cell(counted);
        let of_cell = |(cell, samples): (&Arc<Cell>, Vec<&'a Sample>)| {
            let mut statuses = BTreeMap::new();
            for sample in &samples {
                *statuses.entry(sample.status).or_default() += 1;
            }
            let mut counted = samples;
            counted.retain(|sample| sample.counts() && sample.total_s().is_finite());
            let totals = counted.iter().map(|sample| (sample.round, [sample.total_s()])).collect();
            (cell.key(), OfCell { statuses, counted, totals })
        };
        Self(groups.into_par_iter().map(of_cell).collect())
    }

    /// Samples of a cell that count, at most one a round: of several, as a resumed run leaves
    /// them, the one that stands ([`sample::standing`]).
    pub(super) fn counted(&self, cell: &Cell) -> Vec<&'a Sample> {
        self.of(cell).map(|of| of.counted.clone()).unwrap_or_default()
    }

    /// How many samples of a cell have this status.
    pub(super) fn with_status(&self, cell: &Cell, status: Status) -> usize {
        self.of(cell).and_then(|of| of.statuses.get(&status)).copied().unwrap_or(0)
    }

    /// Seconds of the whole job by round, of the samples that count.
    pub(super) fn totals(&self, cell: &Cell) -> ByRound<1> {
        self.of(cell).map(|of| of.totals.clone()).unwrap_or_default()
    }

    fn of(&self, cell: &Cell) -> Option<&OfCell<'a>> {
        self.0.get(&cell.key())
    }
}

/// The baseline's seconds and the competitor's, in the rounds in which both count.
pub(super) fn pair(baseline: &ByRound<1>, competitor: &ByRound<1>) -> ByRound<2> {
    competitor
        .iter()
        .filter_map(|(round, [ours])| {
            baseline.get(round).map(|[theirs]| (*round, [*theirs, *ours]))
        })
        .collect()
}

//! Between two rounds of an adaptive run: whether to go on, and with whom. Of the plain protocol
//! there is nothing to decide.

use super::resume::Earlier;
use super::scheduler::Slot;
use crate::decision::{Look, Race};
use crate::model::{Cell, Left, Plan, Sample, Steps};
use crate::stats::sequential::FIRST_LOOK;

/// What a run knows for deciding when to stop.
pub(super) struct Stopping {
    race: Option<Race>,
    /// Samples of counted rounds, without what no look needs.
    samples: Vec<Sample>,
    left: Vec<Left>,
    /// The last round that another part of the run had begun: it was decided there that it begins.
    begun: Option<u32>,
}

impl Stopping {
    /// For those cells of a plan that the engines can do, going on where a run was stopped.
    pub(super) fn new(plan: &Plan, cells: &[&Cell], earlier: &Earlier) -> Self {
        let race = plan.adaptive.then(|| {
            let compared = cells.iter().filter(|cell| !cell.again);
            let cells = compared.map(|cell| (*cell).clone()).collect();
            Race::new(&Plan { cells, again: Vec::new(), ..plan.clone() })
        });
        let mut stopping = Self {
            race: race.flatten(),
            samples: Vec::new(),
            left: earlier.left(),
            begun: earlier.last_round(),
        };
        earlier.samples().for_each(|sample| stopping.note(sample));
        stopping
    }

    /// Takes a sample into account.
    pub(super) fn note(&mut self, sample: &Sample) {
        if self.race.is_some() && sample.round > 0 {
            let (steps, findings) = (Steps::default(), Vec::new());
            self.samples.push(Sample { steps, findings, ..sample.clone() });
        }
    }

    /// Looks at all rounds up to this one, before the next begins; `None` where that was done, where
    /// it is too early, and under the plain protocol.
    pub(super) fn look(&self, round: u32) -> Option<Look> {
        let race = self.race.as_ref()?;
        let done = self.begun.is_some_and(|begun| begun > round);
        (!done && round as usize >= FIRST_LOOK).then(|| {
            let mut look = race.look(round, &self.samples, &self.left);
            look.leaving.retain(|leaving| !self.left.iter().any(|left| is_same(left, leaving)));
            look
        })
    }

    /// Does without a strategy from now on.
    pub(super) fn leaves(&mut self, left: Left) {
        self.left.push(left);
    }

    /// Whether a cell is not measured any more.
    pub(super) fn is_left(&self, cell: &Cell) -> bool {
        self.left.iter().any(|left| {
            (&left.workload, &left.link, &left.engine, &left.strategy, left.builder)
                == (&cell.workload, &cell.link, &cell.engine, &cell.strategy, cell.builder)
        })
    }

    /// How many samples the run will have at most, after so many, with these places to come.
    pub(super) fn samples(&self, before: u32, slots: &[Slot], cells: &[&Cell]) -> u32 {
        let to_come = slots.iter().filter(|slot| !self.is_left(cells[slot.cell])).count();
        before + u32::try_from(to_come).unwrap_or(u32::MAX - before)
    }
}

fn is_same(one: &Left, other: &Left) -> bool {
    (&one.workload, &one.link, &one.engine, &one.strategy, one.builder)
        == (&other.workload, &other.link, &other.engine, &other.strategy, other.builder)
}

//! Which Dockerfile instructions were taken from a cache, by strategy.

use super::Model;
use crate::decision::{Group, Row};
use crate::model::{Sample, rows};
use crate::stats::Values;
use std::collections::{BTreeMap, HashMap};

/// The instructions of a group: one row each, one entry per strategy.
#[derive(Debug, Clone, PartialEq)]
pub struct StepTable {
    /// In the order of the Dockerfile.
    pub steps: Vec<StepRow>,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// The stage: its name, or its number where it has none.
    pub stage: String,
    /// Position within the stage.
    pub step: u32,
    /// The instruction as the builder shows it.
    pub instruction: String,
    /// What became of it under each of the group's rows; `None` where no job came across it.
    pub under: Vec<Option<StepUse>>,
}

/// What became of an instruction under a strategy.
#[derive(Debug, Clone, PartialEq)]
pub struct StepUse {
    /// Jobs that came across it.
    pub n: usize,
    /// Those that took it from a cache whenever they did.
    pub hits: usize,
    /// Median seconds of those that carried it out, where the builder says.
    pub ran_s: Option<f64>,
}

/// Jobs' encounters with one instruction: whether it was a hit, and seconds where it was none.
type Encounters = Vec<(bool, Option<f64>)>;

/// The table of a group.
pub fn table(model: &Model<'_>, group: &Group) -> StepTable {
    let stages: Vec<&str> = model
        .plan
        .workloads
        .get(&group.workload)
        .map(|workload| workload.layout.iter().map(|stage| stage.name.as_str()).collect())
        .unwrap_or_default();
    let rank = |stage: &str| stages.iter().position(|known| *known == stage).unwrap_or(usize::MAX);
    let mut instructions: BTreeMap<(usize, &str, u32), &str> = BTreeMap::new();
    let mut under: Vec<Uses<'_>> = Vec::new();
    for row in &group.rows {
        let mut uses = Uses::default();
        for sample in model.samples_of(group, row) {
            if uses.add(sample) {
                for step in sample.steps.iter() {
                    let place = (rank(step.stage), step.stage, step.step);
                    instructions.entry(place).or_insert(step.instruction);
                }
            }
        }
        under.push(uses);
    }
    let steps = instructions.into_iter().map(|((_, stage, step), instruction)| StepRow {
        stage: stage.to_owned(),
        step,
        instruction: instruction.to_owned(),
        under: under.iter().map(|uses| uses.of(stage, step).map(summed)).collect(),
    });
    StepTable { steps: steps.collect() }
}

/// Jobs' encounters with each instruction under one strategy.
#[derive(Default)]
struct Uses<'a> {
    /// Stages and positions in them, with where in `all` they are.
    places: BTreeMap<(&'a str, u32), usize>,
    all: Vec<Encounters>,
    /// Where in `all` each instruction of a list is that was met before: most jobs of a strategy have
    /// the same list.
    lists: HashMap<usize, Vec<usize>>,
}

impl<'a> Uses<'a> {
    /// Whether its list of instructions is a new one. A job may build several times: an instruction is
    /// a hit if it never had to be carried out.
    fn add(&mut self, sample: &'a Sample) -> bool {
        let (mut is_new, places) = (false, &mut self.places);
        let list = self.lists.entry(sample.steps.place()).or_insert_with(|| {
            is_new = true;
            let place = |step: rows::StepRow<'a>| {
                let next = places.len();
                *places.entry((step.stage, step.step)).or_insert(next)
            };
            sample.steps.iter().map(place).collect()
        });
        self.all.resize_with(places.len(), Vec::new);
        let mut job: Vec<Option<(bool, Option<f64>)>> = vec![None; places.len()];
        for (step, &place) in sample.steps.iter().zip(list.iter()) {
            let (hit, ran_s) = job[place].get_or_insert((true, None));
            *hit &= step.hit;
            if let Some(seconds) = step.duration_s.filter(|_| !step.hit) {
                *ran_s = Some(ran_s.unwrap_or(0.0) + seconds);
            }
        }
        for (all, one) in self.all.iter_mut().zip(job) {
            all.extend(one);
        }
        is_new
    }

    fn of(&self, stage: &'a str, step: u32) -> Option<&Encounters> {
        self.places.get(&(stage, step)).map(|&place| &self.all[place])
    }
}

fn summed(encounters: &Encounters) -> StepUse {
    let ran = encounters.iter().filter_map(|(hit, seconds)| seconds.filter(|_| !hit));
    StepUse {
        n: encounters.len(),
        hits: encounters.iter().filter(|(hit, _)| *hit).count(),
        ran_s: Values::new(ran).ok().map(|values| values.median()),
    }
}

impl StepUse {
    /// `hit`, `3.20 s`, or `hit 4/6, else 3.20 s`.
    pub fn text(&self) -> String {
        let ran = || match self.ran_s {
            Some(seconds) => format!("{} s", super::text::plain_seconds(seconds)),
            None => "ran".to_owned(),
        };
        match self.hits {
            0 => ran(),
            hits if hits == self.n => "hit".to_owned(),
            hits => format!("hit {hits}/{}, else {}", self.n, ran()),
        }
    }
}

impl StepRow {
    /// `builder 3`.
    pub fn place(&self) -> String {
        format!("{} {}", self.stage, self.step)
    }
}

/// The heading of a strategy's column.
pub fn heading(row: &Row) -> String {
    format!("{} ({})", row.strategy, row.builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_says_hits_and_what_the_others_took() {
        let text = |hits, ran_s| StepUse { n: 6, hits, ran_s }.text();
        assert_eq!(
            [text(6, None), text(0, Some(3.2)), text(4, Some(3.2)), text(0, None)],
            ["hit", "3.20 s", "hit 4/6, else 3.20 s", "ran"]
        );
    }

    #[test]
    fn a_step_that_one_of_two_builds_carried_out_is_no_hit() {
        let uses = [(true, None), (false, Some(2.0)), (false, Some(4.0))].to_vec();
        assert_eq!(summed(&uses), StepUse { n: 3, hits: 1, ran_s: Some(3.0) });
    }
}

//! The cells of a plan, and the filters that choose among them.

use super::competitors::Competitor;
use crate::model::plan::{AGAIN_ROUNDS, Availability, EnginePlan};
use crate::model::{Builder, Cell, Plan};
use globset::{GlobBuilder, GlobMatcher};
use std::collections::{BTreeMap, BTreeSet};

/// Every combination, sorted.
pub(super) fn cells(
    competitors: &BTreeMap<String, Vec<Competitor>>,
    changes: &[String],
    availabilities: &[Availability],
    links: &[&String],
    engines: &BTreeMap<String, EnginePlan>,
) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (workload, competitors) in competitors {
        for (change, availability) in pairs(changes, availabilities) {
            let engines: Vec<_> = engines.iter().collect();
            for (link, (engine, kind)) in pairs(links, &engines) {
                let has = |(_, builder): &&Competitor| kind.builders().contains(builder);
                cells.extend(competitors.iter().filter(has).map(|(strategy, builder)| Cell {
                    workload: workload.clone(),
                    change: change.clone(),
                    availability: availability.name.clone(),
                    strategy: strategy.id.to_string(),
                    builder: *builder,
                    link: (*link).clone(),
                    engine: (*engine).clone(),
                    state: strategy.state(!availability.have.is_empty()),
                    again: false,
                }));
            }
        }
    }
    cells.sort();
    cells
}

fn pairs<'a, A, B>(one: &'a [A], other: &'a [B]) -> impl Iterator<Item = (&'a A, &'a B)> {
    one.iter().flat_map(move |a| other.iter().map(move |b| (a, b)))
}

/// The A/A cells of a plan: what is decided on its own (a workload on a link and engine) has one,
/// since what one of them resolves says nothing of another. It is the baseline's cell that happens
/// most often, under the builder that most cells have, since that is where verdicts hang on it.
pub(super) fn again(plan: &Plan) -> Vec<Cell> {
    if plan.rounds < AGAIN_ROUNDS {
        return Vec::new();
    }
    let mut places: BTreeMap<[&str; 3], Vec<&Cell>> = BTreeMap::new();
    for cell in &plan.cells {
        places.entry([&cell.workload, &cell.link, &cell.engine]).or_default().push(cell);
    }
    let of_place = |cells: Vec<&Cell>| {
        let with = |builder: Builder| cells.iter().filter(|cell| cell.builder == builder).count();
        let weight = |cell: &Cell| {
            plan.change_weight(&cell.change) * plan.availability_weight(&cell.availability)
        };
        let rank = |cell: &Cell| (with(cell.builder), weight(cell));
        let of_baseline = cells.iter().copied().filter(|cell| cell.strategy == plan.baseline);
        // Of equal ones the first.
        let better = |best: &Cell, cell: &Cell| rank(cell) > rank(best);
        let best = of_baseline.reduce(|best, cell| if better(best, cell) { cell } else { best })?;
        Some(Cell { again: true, ..best.clone() })
    };
    places.into_values().filter_map(of_place).collect()
}

/// A filter over cells: a glob over the whole key, or, without a `/`, over any part of it.
#[derive(Debug, Clone)]
pub struct Filter(GlobMatcher);

impl Filter {
    /// Reads filters separated by commas.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let words: Vec<&str> = text.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
        if words.is_empty() {
            return Err("the filter is empty".to_owned());
        }
        words.into_iter().map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let glob = GlobBuilder::new(text).literal_separator(false).build();
        glob.map(|glob| Self(glob.compile_matcher())).map_err(|error| error.to_string())
    }

    /// Whether it takes a cell.
    pub fn takes(&self, cell: &Cell) -> bool {
        self.takes_key(&cell.key().0)
    }

    /// Whether it takes the cell of this key.
    pub fn takes_key(&self, key: &str) -> bool {
        if self.0.glob().glob().contains('/') {
            self.0.is_match(key)
        } else {
            key.split('/').any(|part| self.0.is_match(part))
        }
    }
}

/// What filters can be made from: the values of each axis.
pub(super) fn axes(cells: &[Cell]) -> Vec<(&'static str, Vec<String>)> {
    type Part = fn(&Cell) -> String;
    let parts: [(&str, Part); 7] = [
        ("workload", |cell| cell.workload.clone()),
        ("change", |cell| cell.change.clone()),
        ("availability", |cell| cell.availability.clone()),
        ("strategy", |cell| cell.strategy.clone()),
        ("builder", |cell| cell.builder.to_string()),
        ("link", |cell| cell.link.clone()),
        ("engine", |cell| cell.engine.clone()),
    ];
    parts
        .into_iter()
        .map(|(axis, part)| {
            let values: BTreeSet<String> = cells.iter().map(part).collect();
            (axis, values.into_iter().collect())
        })
        .collect()
}

//! `breakeven.toml`: its schema, its defaults, and a validation that names every problem at once.

mod candidates;
mod cells;
mod changes;
mod competitors;
mod custom;
pub mod dockerfile;
mod document;
mod engines;
pub mod guess;
mod links;
mod mix;
mod names;
mod prices;
mod problem;
mod reader;
mod replay;
pub mod schema;
mod settings;
mod shape;
pub mod shards;
mod workloads;

pub use cells::Filter;
pub use problem::{ConfigError, Place, Problem, allowed, nearest};
pub use reader::Reader;
pub use settings::{DURATION, duration};

use crate::model::plan::{PLAN_VERSION, Plan, Relevance};
use crate::model::{Cell, Shard};
use document::Document;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::{OffsetDateTime, macros::format_description};

/// A configuration without problems.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file, as it was named.
    pub file: PathBuf,
    /// What was left out or needs care.
    notes: Vec<String>,
    /// Everything but the run's id and what can be overridden; with every cell.
    plan: Plan,
    seed: Option<u32>,
    aa: bool,
    only: Option<Vec<Filter>>,
    /// Where `only` is in the file.
    only_at: Place,
}

/// Most rounds of a run in parts where the configuration leaves it to the run when to stop.
const ROUNDS_OF_PARTS: u32 = 10;

/// What the command line sets in place of the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Counted rounds of the plain protocol.
    pub fixed: Option<u32>,
    /// Most counted rounds of a run that stops once every verdict is settled.
    pub max_rounds: Option<u32>,
    /// Longest time for the run.
    pub max_time: Option<Duration>,
    /// Filters over cells.
    pub only: Option<Vec<Filter>>,
    /// Seed of everything random.
    pub seed: Option<u32>,
    /// No A/A cells, whatever the file says.
    pub no_aa: bool,
    /// The part of the rounds that is measured here, if others measure the rest.
    pub shard: Option<Shard>,
    /// A seed that all parts derive alike, for the case that none is given.
    pub shared_seed: Option<u32>,
}

/// Reads and checks a configuration file. The error names every problem in it.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let unreadable = |error: std::io::Error| {
        let message = format!("cannot read it: {error}");
        let advice = "name another file, or let `breakeven init` write one".to_owned();
        ConfigError::new(path, vec![Problem { place: Place::File, message, advice }])
    };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let absolute = path.canonicalize().map_err(unreadable)?;
    let (file, mut document) = Document::read::<schema::File>(&text, &schema::json_schema());
    let Some(file) = file else {
        return Err(ConfigError::new(path, document.into_problems()));
    };
    let config = check(&mut document, &file, path, &absolute);
    if document.is_sound() {
        Ok(config)
    } else {
        Err(ConfigError::new(path, document.into_problems()))
    }
}

fn check(document: &mut Document, file: &schema::File, path: &Path, absolute: &Path) -> Config {
    let base = absolute.parent().unwrap_or(Path::new("/"));
    let workloads = workloads::workloads(document, &file.workload, base);
    let mut changes = changes::changes(document, file, &workloads, base);
    let candidates = candidates::candidates(document, file, &workloads);
    let availabilities = candidates::availabilities(document, file, &candidates);
    let strategies = custom::strategies(document, file);
    let engines = engines::engines(document, file.engine.as_ref());
    let competitors = competitors::competitors(document, file, &strategies, &workloads, &engines);
    let mut notes = competitors.notes;
    let mix = mix::mix(document, file, &workloads, &mut changes, &mut notes);
    let replayed = replay::replay(document, file, &workloads, &mut changes, &mut notes);
    for name in &changes.measured {
        if changes.all.get(name).is_some_and(changes::without_nonce) {
            notes.push(format!(
                "change `{name}`: no `{{nonce}}` in its edits, so that it is the same change in \
                 every sample"
            ));
        }
    }
    let only_at = document.place(&["only"]);
    let only = file.only.as_ref().map(|filters| only(document, filters));
    let links = links::links(document, &file.link);
    let (rounds, adaptive) = settings::rounds(document, file);
    let link_names: Vec<&String> = links.keys().collect();
    let plan = Plan {
        version: PLAN_VERSION,
        run: String::new(),
        breakeven: env!("CARGO_PKG_VERSION").to_owned(),
        config: absolute.to_path_buf(),
        seed: 0,
        rounds,
        adaptive,
        deploy_rounds: file.deploy_rounds,
        max_time_s: file.max_time.as_ref().map(|t| settings::seconds(document, &["max_time"], t)),
        baseline: file.baseline.clone(),
        pull: file.strategies.pull,
        relevance: Relevance { share: file.relevance.share, seconds: file.relevance.seconds },
        image_manifest: file.strategies.image_manifest,
        cells: cells::cells(
            &competitors.of,
            &changes.measured,
            &availabilities,
            &link_names,
            &engines,
        ),
        again: Vec::new(),
        workloads,
        changes: changes.all,
        mix,
        replayed,
        candidates,
        availabilities,
        engines,
        links,
        strategies,
        registry: settings::registry(document, &file.registry),
        storage: settings::storage(document, file.storage.as_ref(), base),
        history: file
            .history
            .as_ref()
            .and_then(|text| settings::address(document, &["history"], text, base)),
        archive: settings::archive(document, &file.archive),
        limits: settings::limits(document, &file.limits),
        prices: prices::prices(document, file.prices.as_ref(), base),
        shard: None,
        machines: None,
        facts: BTreeMap::new(),
    };
    settings::in_contexts(document, &plan, &mut notes);
    Config { file: path.to_path_buf(), notes, plan, seed: file.seed, aa: file.aa, only, only_at }
}

fn only(document: &mut Document, filters: &[String]) -> Vec<Filter> {
    if filters.is_empty() {
        document.problem(&["only"], "`only` is empty", "leave it out for every cell");
    }
    let mut read = Vec::new();
    for (index, text) in filters.iter().enumerate() {
        match Filter::parse_list(text) {
            Ok(filters) => read.extend(filters),
            Err(message) => document.problem(
                &["only", &format!("[{index}]")],
                format!("{text:?} is not a filter: {message}"),
                "allowed: globs over the cell's key, or over one part of it",
            ),
        }
    }
    read
}

impl Config {
    /// The plan of a run: a new id, a seed, and the cells that the filters take.
    pub fn resolve(&self, overrides: &Overrides) -> Result<Plan, ConfigError> {
        let mut problems = Vec::new();
        let mut plan = self.plan.clone();
        (plan.rounds, plan.adaptive) = match (overrides.fixed, overrides.max_rounds) {
            (Some(rounds), _) => (rounds, false),
            (None, Some(most)) => (most, true),
            (None, None) => (plan.rounds, plan.adaptive),
        };
        // A part knows nothing of the others' samples, so that it cannot tell when all is settled.
        if overrides.shard.is_some() && plan.adaptive {
            plan.adaptive = false;
            plan.rounds = plan.rounds.min(ROUNDS_OF_PARTS);
        }
        if plan.rounds == 0 {
            problems.push(Problem {
                place: Place::Option("--fixed"),
                message: "no rounds, so nothing to measure".to_owned(),
                advice: "allowed: a whole number, at least 1".to_owned(),
            });
        }
        plan.max_time_s = overrides.max_time.map(|t| t.as_secs_f64()).or(plan.max_time_s);
        let (filters, place) = match &overrides.only {
            Some(filters) => (Some(filters), Place::Option("--only")),
            None => (self.only.as_ref(), self.only_at.clone()),
        };
        if let Some(filters) = filters {
            plan.cells.retain(|cell| filters.iter().any(|filter| filter.takes(cell)));
            if plan.cells.is_empty() {
                problems.push(self.nothing_left(place));
            }
        }
        if self.aa && !overrides.no_aa {
            plan.again = cells::again(&plan);
        }
        let random = RandomState::new().hash_one(std::time::SystemTime::now());
        // 32 bits, so that every reader of JSON and TOML keeps all of them.
        let mut given = overrides.seed.or(self.seed).map(u64::from);
        if let Some(shard) = overrides.shard {
            plan.shard = Some(shard);
            if plan.own_rounds() == 0 {
                problems.push(shards::no_round(shard, plan.rounds));
            }
            given = given.or(overrides.shared_seed.map(u64::from));
            if given.is_none() {
                problems.push(shards::no_seed(shard));
            }
        }
        plan.seed = given.unwrap_or(random & u64::from(u32::MAX));
        plan.run = run_id(random >> 32);
        if problems.is_empty() { Ok(plan) } else { Err(ConfigError::new(&self.file, problems)) }
    }

    /// What was left out of a plan of this configuration, or needs care, for people.
    pub fn notes(&self, plan: &Plan) -> Vec<String> {
        let mut notes = self.notes.clone();
        if !plan.cells.iter().any(|cell| cell.strategy == plan.baseline) {
            notes.push(format!(
                "no cell of the baseline `{}` is left, so there will be no saving and no verdict",
                plan.baseline
            ));
        }
        notes
    }

    fn nothing_left(&self, place: Place) -> Problem {
        let axes: Vec<String> = cells::axes(&self.plan.cells)
            .into_iter()
            .map(|(axis, values)| format!("{axis}: {}", problem::listed(values)))
            .collect();
        Problem {
            place,
            message: "the filter takes no cell".to_owned(),
            advice: format!(
                "a filter without `/` is a glob over one part of a cell, one with `/` over all of \
                 workload/change/availability/strategy/builder/link/engine; there are\n      {}",
                axes.join("\n      ")
            ),
        }
    }
}

/// Values of each axis that these cells have, in the order of a cell's key.
pub fn axes(cells: &[Cell]) -> Vec<(&'static str, Vec<String>)> {
    cells::axes(cells)
}

/// Id of a run that begins.
pub fn new_run() -> String {
    run_id(RandomState::new().hash_one(std::time::SystemTime::now()) >> 32)
}

/// The second in UTC, and enough chance that two runs of the same second differ.
fn run_id(random: u64) -> String {
    let format = format_description!("[year][month][day]-[hour][minute][second]");
    let now = OffsetDateTime::now_utc().format(format).unwrap_or_default();
    format!("{now}-{random:08x}")
}

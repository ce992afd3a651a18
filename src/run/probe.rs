//! Which cells the engines cannot do, found out before anything is measured.

use super::RunError;
use super::bench::{Bench, Site};
use super::job::Made;
use crate::engine::{Capability, EngineError, probe};
use crate::model::{Cell, CellKey, Event, ImageRef, Step};
use crate::strategy;
use std::collections::{BTreeMap, BTreeSet};

/// Tries what the plan's strategies need, and says what each engine is and which cells have to be
/// left out.
pub async fn probe_engines(bench: &Bench<'_>) -> Result<Vec<Event>, RunError> {
    let mut events = Vec::new();
    for name in bench.plan.engines.keys() {
        let mut users: BTreeMap<Capability, Vec<&Cell>> = BTreeMap::new();
        for cell in bench.plan.cells.iter().filter(|cell| cell.engine == *name) {
            for capability in needs(bench, cell) {
                users.entry(capability).or_default().push(cell);
            }
        }
        if users.is_empty() {
            continue;
        }
        let site = bench.site(name);
        let begun = bench.begin(site).await?;
        if site.host.is_private() {
            let facts = begun.engine.facts().await?;
            let containerd = if facts.containerd_store { " (containerd)" } else { "" };
            events.push(Event::EngineFacts {
                engine: name.clone(),
                version: facts.version,
                store: format!("{}{containerd}", facts.store),
            });
        }
        let mut tried = Vec::new();
        for (capability, cells) in &users {
            let engine = begun.engine.as_ref();
            tried.push((cells, trial(bench, site, engine, *capability).await));
        }
        bench.end(site, begun).await?;
        for (cells, outcome) in tried {
            match outcome {
                Ok(()) => {}
                Err(EngineError::NotCapable { what, cause, advice }) => {
                    events.push(event(name, cells, &format!("{what}: {cause}"), advice));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(events)
}

/// What a cell's strategy needs of the engine.
fn needs(bench: &Bench<'_>, cell: &Cell) -> BTreeSet<Capability> {
    let job = bench.job(&cell.engine, &cell.workload, cell.builder);
    let strategy = strategy::find(bench.plan, &cell.strategy);
    let exports = |step: &Step| matches!(step, Step::Build(build) if build.export.is_some());
    let needs_export = strategy.is_some_and(|strategy| {
        strategy.steps(&job).iter().chain(&strategy.leaving(&job)).any(exports)
    });
    [Capability::Builder(cell.builder)]
        .into_iter()
        .chain(needs_export.then_some(Capability::CacheExport))
        .collect()
}

async fn trial(
    bench: &Bench<'_>,
    site: &Site,
    engine: &dyn crate::engine::Engine,
    capability: Capability,
) -> Result<(), EngineError> {
    let tag = ImageRef::new(format!("{}/probe", site.registry.prefix()), "probe");
    bench.made(Made::Tag(&tag.to_string()));
    let seen = |id: &str| bench.made(Made::Image(id));
    probe(engine, capability, &tag, bench.scratch, &seen).await
}

fn event(engine: &str, cells: &[&Cell], reason: &str, advice: String) -> Event {
    let competitors: BTreeSet<String> = cells.iter().map(|cell| cell.competitor()).collect();
    let competitors: Vec<String> = competitors.into_iter().collect();
    Event::Unsupported {
        what: format!("{} on engine {engine}", competitors.join(", ")),
        cells: cells.iter().map(|cell| cell.key()).collect::<Vec<CellKey>>(),
        reason: reason.to_owned(),
        advice,
    }
}

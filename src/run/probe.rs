//! Which cells the engines cannot do, found out before anything is measured.

use super::RunError;
use super::bench::{Begun, Bench, Site};
use super::job::Made;
use crate::engine::{Capability, EngineError, Trial};
use crate::model::finding as kinds;
use crate::model::{Builder, Cell, CellKey, Event, ImageRef, Step};
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
        let seen = |id: &str| bench.made(Made::Image(id));
        let mut trials = Vec::new();
        for (number, (capability, cells)) in users.iter().enumerate() {
            let tag = ImageRef::new(
                format!("{}/probe", site.registry.prefix()),
                format!("{}-{number}", bench.plan.run),
            );
            trials.push((*capability, cells, Trial::new(bench.scratch, tag, &seen)?));
        }
        let begun = bench.begin(site).await?;
        let note_tags = || {
            for (_, _, trial) in &trials {
                bench.made(Made::Tag(&trial.tag().to_string()));
            }
        };
        note_tags();
        events.extend(facts(name, site, &begun).await?);
        let mut answers = Vec::new();
        for (capability, cells, trial) in &trials {
            let answer = trial.first(begun.engine.as_ref(), *capability).await;
            answers.push((*capability, *cells, trial, answer));
        }
        bench.end(site, begun).await?;
        // What an archive brings shows on an engine that no longer has what was saved.
        if answers.iter().any(|(capability, _, _, answer)| is_loaded(*capability) && answer.is_ok())
        {
            let begun = bench.begin(site).await?;
            note_tags();
            for (capability, _, trial, answer) in &mut answers {
                if answer.is_ok() {
                    *answer = trial.next(begun.engine.as_ref(), *capability).await;
                }
            }
            bench.end(site, begun).await?;
        }
        for (capability, cells, _, answer) in answers {
            match answer {
                Ok(()) => {}
                Err(EngineError::NotCapable { what, cause, advice }) => {
                    let reason = format!("{what}: {cause}");
                    events.push(event(name, capability, cells, reason, advice));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(events)
}

/// What an engine of this run's alone is; of the user's it is known before.
async fn facts(name: &str, site: &Site, begun: &Begun) -> Result<Option<Event>, RunError> {
    if !site.host.is_private() {
        return Ok(None);
    }
    let facts = begun.engine.facts().await?;
    let containerd = if facts.containerd_store { " (containerd)" } else { "" };
    Ok(Some(Event::EngineFacts {
        engine: name.to_owned(),
        version: facts.version,
        store: format!("{}{containerd}", facts.store),
    }))
}

/// What a cell's strategy needs of the engine.
fn needs(bench: &Bench<'_>, cell: &Cell) -> BTreeSet<Capability> {
    let job = bench.job(&cell.engine, &cell.workload, cell.builder);
    let mut needed = BTreeSet::from([Capability::Builder(cell.builder)]);
    let Some(strategy) = strategy::find(bench.plan, &cell.strategy) else { return needed };
    let steps: Vec<Step> = strategy.steps(&job).into_iter().chain(strategy.leaving(&job)).collect();
    let loads = steps.contains(&Step::Load);
    for step in &steps {
        let Step::Build(build) = step else { continue };
        if build.export.is_some() {
            needed.insert(Capability::CacheExport);
        }
        if build.inline_cache && cell.builder == Builder::Buildkit {
            needed.insert(Capability::InlineCache);
        }
        if loads && !build.sources.references().is_empty() {
            needed.insert(Capability::LoadedImage(cell.builder));
        }
    }
    needed
}

fn is_loaded(capability: Capability) -> bool {
    matches!(capability, Capability::LoadedImage(_))
}

fn event(
    engine: &str,
    capability: Capability,
    cells: &[&Cell],
    reason: String,
    advice: String,
) -> Event {
    let competitors: BTreeSet<String> = cells.iter().map(|cell| cell.competitor()).collect();
    let competitors: Vec<String> = competitors.into_iter().collect();
    let kind =
        if is_loaded(capability) { &kinds::LOADED_NOT_CONSULTED } else { &kinds::UNSUPPORTED };
    Event::Unsupported {
        what: format!("{} on engine {engine}", competitors.join(", ")),
        cells: cells.iter().map(|cell| cell.key()).collect::<Vec<CellKey>>(),
        reason,
        advice,
        finding: kind.id.to_owned(),
    }
}

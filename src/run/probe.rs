//! Which cells the engines cannot do, found out before anything is measured.

use super::RunError;
use super::bench::{Begun, Bench, Site};
use super::job::Made;
use crate::engine::{Capability, EngineError, Trial};
use crate::model::event::Unsupported;
use crate::model::finding as kinds;
use crate::model::plan::StageLayout;
use crate::model::{Builder, Cell, CellKey, Event, ImageRef, Step};
use crate::strategy;
use std::collections::{BTreeMap, BTreeSet};

/// Tries what the plan's strategies need, and says what each engine is and which cells have to be
/// left out.
pub async fn probe_engines(bench: &Bench<'_>) -> Result<Vec<Event>, RunError> {
    let mut events = Vec::new();
    for name in bench.plan.engines.keys() {
        let mut users: BTreeMap<Capability, Vec<&Cell>> = BTreeMap::new();
        for cell in bench.plan.measured().filter(|cell| cell.engine == *name) {
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
            trials.push((*capability, cells, Trial::new(*capability, bench.scratch, tag, &seen)?));
        }
        let begun = bench.begin(site).await?;
        let note_trials = || {
            for (_, _, trial) in &trials {
                bench.made(Made::Tag(&trial.tag().to_string()));
                bench.made(Made::Dockerfile(trial.dockerfile()));
            }
        };
        note_trials();
        events.extend(facts(name, site, &begun).await?);
        let mut answers = Vec::new();
        for (capability, cells, trial) in &trials {
            let answer = trial.first(begun.engine.as_ref()).await;
            answers.push((*capability, *cells, trial, answer));
        }
        bench.end(site, begun).await?;
        // What an archive brings shows on an engine that no longer has what was saved.
        let goes_on = |(capability, _, _, answer): &(Capability, _, _, Result<_, _>)| {
            capability.needs_another_engine() && answer.is_ok()
        };
        if answers.iter().any(goes_on) {
            let begun = bench.begin(site).await?;
            note_trials();
            for (_, _, trial, answer) in &mut answers {
                if answer.is_ok() {
                    *answer = trial.next(begun.engine.as_ref()).await;
                }
            }
            bench.end(site, begun).await?;
        }
        // Where there is no such builder, nothing else that it cannot do is worth a word.
        let without: Vec<Builder> = answers
            .iter()
            .filter_map(|(capability, _, _, answer)| match (capability, answer) {
                (Capability::Builder(builder), Err(EngineError::NotCapable { .. })) => {
                    Some(*builder)
                }
                _ => None,
            })
            .collect();
        for (capability, cells, _, answer) in answers {
            match answer {
                Ok(()) => {}
                Err(EngineError::NotCapable { what, cause, advice }) => {
                    let of_builder = matches!(capability, Capability::Builder(_));
                    let left = |cell: &&&Cell| of_builder || !without.contains(&cell.builder);
                    let cells: Vec<&Cell> = cells.iter().filter(left).copied().collect();
                    if !cells.is_empty() {
                        let reason = format!("{what}: {cause}");
                        events.push(event(name, capability, &cells, reason, advice));
                    }
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
        let by_daemon = cell.builder != Builder::Buildah;
        if build.export.is_some() && by_daemon {
            needed.insert(Capability::CacheExport);
        }
        if build.inline_cache && cell.builder == Builder::Buildkit {
            needed.insert(Capability::InlineCache);
        }
        let takes = !build.sources.references().is_empty();
        if takes && cell.builder == Builder::Classic {
            needed.insert(Capability::Source);
        } else if takes && loads {
            needed.insert(Capability::LoadedImage);
        }
        // Builds that leave a source and builds that take one name the same stages.
        if cell.builder == Builder::Classic
            && takes
            && has_argument(&bench.plan.workloads[&cell.workload].layout, build.target.as_deref())
        {
            needed.insert(Capability::SourceWithArgument);
        }
    }
    needed
}

/// Whether an image of this stage, or of the last one, was built over an ARG.
fn has_argument(layout: &[StageLayout], target: Option<&str>) -> bool {
    let mut stage = match target {
        Some(target) => layout.iter().find(|stage| stage.name == target),
        None => layout.last(),
    };
    while let Some(one) = stage {
        if one.argument {
            return true;
        }
        stage = one.base_stage.and_then(|base| layout.get(base));
    }
    false
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
    let kind = match capability {
        Capability::LoadedImage => &kinds::LOADED_NOT_CONSULTED,
        _ => &kinds::UNSUPPORTED,
    };
    Event::Unsupported(Box::new(Unsupported {
        what: format!("{} on engine {engine}", competitors.join(", ")),
        cells: cells.iter().map(|cell| cell.key()).collect::<Vec<CellKey>>(),
        reason,
        advice,
        finding: kind.id.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_built_over_the_arguments_of_the_stages_that_it_starts_from() {
        let stage = |name: &str, base_stage, argument| StageLayout {
            name: name.to_owned(),
            base_stage,
            argument,
            ..StageLayout::default()
        };
        let layout =
            [stage("base", None, true), stage("builder", Some(0), false), stage("2", None, false)];
        assert!(has_argument(&layout, Some("base")));
        assert!(has_argument(&layout, Some("builder")));
        assert!(!has_argument(&layout, None), "what it copies from the builder is another matter");
        assert!(!has_argument(&layout, Some("nowhere")));
    }
}

//! Deploy time, measured: what a node pays to pull a workload's final image over a link.
//!
//! The image is the one that the seeding job of the baseline pushed, which differs from what a
//! measured job pushes by the edits of its change. At the beginning of each of the first
//! `deploy_rounds` counted rounds, before its samples, each of them is pulled once over each link.
//! The engine plays the node: one of this run's alone has nothing; on the user's own the base images
//! stay, as they do for a sample, and are noted. What a pull brings is removed as a sample's is.

use super::RunError;
use super::bench::{Begun, Bench, Site};
use super::job::Made;
use super::seed::{SeedOf, Seeds};
use crate::engine::StepLog;
use crate::link::Proxy;
use crate::model::plan::LinkPlan;
use crate::model::{Cell, DeployPull, Event, ImageRef};
use crate::strategy::Job;
use std::collections::BTreeSet;
use std::time::Duration;

/// An image and the link that it is pulled over.
pub struct Way<'a> {
    cell: &'a Cell,
    seed: &'a SeedOf,
    image: ImageRef,
}

/// What is pulled at the beginning of a round: the final image of each workload, engine and builder
/// for which the baseline is measured, over each link.
pub fn ways<'a>(
    bench: &Bench<'_>,
    seeds: &'a Seeds,
    cells: &[&'a Cell],
    round: u32,
) -> Vec<Way<'a>> {
    let plan = bench.plan;
    let mut known = BTreeSet::new();
    let mut ways = Vec::new();
    for cell in cells.iter().copied().filter(|cell| cell.strategy == plan.baseline) {
        let is_due = (1..=plan.deploy_rounds).contains(&round);
        if !is_due || !known.insert((&cell.workload, &cell.engine, &cell.link, cell.builder)) {
            continue;
        }
        // Where no candidate ever exists there is none, and the report says that it was not pulled.
        let left = plan.candidates.iter().find_map(|one| Some((one, seeds.get(cell, &one.name)?)));
        if let Some((candidate, seed)) = left {
            let job = bench.job(&cell.engine, &cell.workload, cell.builder);
            let image = Job { own: candidate.name.clone(), ..job }.own_image();
            ways.push(Way { cell, seed, image });
        }
    }
    ways
}

/// Pulls one. A pull that fails is recorded as such; what is returned as an error is that the engine
/// or the registry could not be made ready or put back. `None` if the user stopped the run.
pub async fn pull(bench: &Bench<'_>, way: &Way<'_>, round: u32) -> Result<Option<Event>, RunError> {
    let site = bench.site(&way.cell.engine);
    let begun = bench.begin(site).await?;
    let pulled = node(bench, site, &begun, way, round).await;
    let ended = bench.end(site, begun).await;
    let pulled = pulled?;
    ended.map(|()| pulled.map(|pull| Event::DeployPulled { pull: Box::new(pull) }))
}

async fn node(
    bench: &Bench<'_>,
    site: &Site,
    begun: &Begun,
    way: &Way<'_>,
    round: u32,
) -> Result<Option<DeployPull>, RunError> {
    let Way { cell, seed, image } = way;
    let (engine, clock) = (begun.engine.as_ref(), &bench.world.clock);
    site.restore(std::slice::from_ref(&seed.seed)).await?;
    let mut present = Vec::new();
    for base in &bench.plan.workload(&cell.workload, &cell.change).bases {
        if engine.inspect(base).await?.is_some() {
            present.push(base.clone());
        }
    }
    bench.made(Made::Tag(&image.to_string()));
    for (_, image) in &seed.facts.images {
        bench.made(Made::Image(&image.id));
    }
    let limit_s = bench.plan.limits.transfer_s;
    let mut log = StepLog::default();
    bench.shape(site, &bench.plan.links[&cell.link]);
    let before = site.link.as_ref().map(Proxy::traffic);
    let started = clock.now();
    let ended = tokio::select! {
        biased;
        ended = tokio::time::timeout(
            Duration::from_secs_f64(limit_s),
            engine.pull(image, &mut log),
        ) => Some(ended),
        () = bench.cancel.cancelled() => None,
    };
    let duration_s = (clock.now() - started).as_secs_f64();
    let after = site.link.as_ref().map(Proxy::traffic);
    bench.shape(site, &LinkPlan::default());
    let moved = before.zip(after).map(|(before, after)| (after - before).total());
    let reason = match ended {
        None => return Ok(None),
        Some(Ok(Ok(()))) => String::new(),
        Some(Ok(Err(error))) => error.to_string(),
        Some(Err(_)) => {
            format!("pull {image} did not end within {limit_s} s. Raise limits.transfer")
        }
    };
    Ok(Some(DeployPull {
        workload: cell.workload.clone(),
        engine: cell.engine.clone(),
        link: cell.link.clone(),
        builder: cell.builder,
        round,
        duration_s: reason.is_empty().then_some(duration_s),
        bytes_down: moved.map(|moved| moved.bytes_down),
        requests: moved.map(|moved| moved.requests),
        present,
        reason,
    }))
}

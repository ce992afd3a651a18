//! What checks look at, from the first thing that is made for them to the last that is removed.

use super::{Examination, Extent, Line};
use crate::engine::{self, Activity, Engine, EngineError, EngineFacts, EngineHost, activity};
use crate::link::{Limiter, Shape};
use crate::model::Noise;
use crate::model::plan::EnginePlan;
use crate::model::{Builder, Plan};
use crate::run::bench::{Begun, Bench, Site, Sites, World};
use crate::run::clock::SystemClock;
use crate::run::ledger::{self, Ledger};
use crate::run::lifecycle::{self, Hosts};
use crate::run::machine::Reading;
use crate::run::{RunError, cleanup, sites};
use crate::{registry, storage, workspace};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the machine is watched before anything of ours disturbs it.
const WATCHED: Duration = Duration::from_secs(1);
/// How far back others' doings on an engine are looked for, in seconds.
pub(super) const RECENT_S: u32 = 30;
/// Longest time for what a check does on an engine, or with registry or storage.
const LIMIT: Duration = Duration::from_secs(120);

/// What checks look at.
pub(super) struct Subject<'a> {
    pub(super) plan: &'a Plan,
    pub(super) extent: Extent,
    /// What went on before we did anything.
    pub(super) noise: Noise,
    pub(super) load: Option<f64>,
    /// What each engine of the plan said of itself, or why not.
    pub(super) engines: BTreeMap<String, Result<Answered, String>>,
    /// What the engines that build said of themselves, or why one of ours could not be made.
    pub(super) building: BTreeMap<String, Result<EngineFacts, String>>,
    /// Why there is no registry to try.
    pub(super) registry: Result<(), String>,
    /// Why the engines cannot be tried although they answer.
    pub(super) sites: Result<(), String>,
    pub(super) bench: Bench<'a>,
}

/// An engine that answers.
pub(super) struct Answered {
    pub(super) host: Arc<dyn EngineHost>,
    pub(super) facts: EngineFacts,
    /// What others did on it before we did anything.
    pub(super) activity: Result<Activity, EngineError>,
}

impl Subject<'_> {
    /// The engines that answer.
    pub(super) fn answered(&self) -> impl Iterator<Item = (&str, &Answered)> {
        self.engines.iter().filter_map(|(name, one)| Some((name.as_str(), one.as_ref().ok()?)))
    }

    /// Those of them that are daemons, which others may use as well.
    pub(super) fn daemons(&self) -> impl Iterator<Item = (&str, &Answered)> {
        self.answered().filter(|(_, one)| one.host.daemon().is_some())
    }

    /// What the engines that build said of themselves.
    pub(super) fn building(&self) -> impl Iterator<Item = (&str, &EngineFacts)> {
        self.building.iter().filter_map(|(name, one)| Some((name.as_str(), one.as_ref().ok()?)))
    }

    /// The engines that can be tried.
    pub(super) fn sites(&self) -> impl Iterator<Item = (&str, &Site)> {
        self.bench.world.sites.iter().map(|(name, site)| (name.as_str(), site))
    }

    /// A finding about an engine; one engine needs no name.
    pub(super) fn of(&self, engine: &str, found: impl Into<String>) -> String {
        match self.plan.engines.len() {
            1 => found.into(),
            _ => format!("{engine}: {}", found.into()),
        }
    }

    /// What is said where no engine could be tried.
    pub(super) fn untried(&self) -> Vec<Line> {
        let cause = match (&self.registry, &self.sites) {
            (Err(_), _) => "not tried: there is no registry",
            (_, Err(cause)) => cause,
            _ => "not tried: no engine answers",
        };
        vec![Line::unknown(cause)]
    }

    /// Does something on an engine as a fresh runner has it, and puts that back.
    pub(super) async fn on<T>(
        &self,
        site: &Site,
        work: impl AsyncFnOnce(&Begun) -> T,
    ) -> Result<T, RunError> {
        let begun = self.bench.begin(site).await?;
        let done = tokio::time::timeout(LIMIT, work(&begun)).await;
        self.bench.end(site, begun).await?;
        done.map_err(|_| RunError::ResetTimedOut { limit_s: LIMIT.as_secs_f64() })
    }

    /// A builder that works on this engine, the modern one first.
    pub(super) async fn builder(&self, engine: &dyn Engine) -> Option<Builder> {
        for builder in [Builder::Buildkit, Builder::Classic, Builder::Buildah] {
            if engine.supports(builder).await.is_ok() {
                return Some(builder);
            }
        }
        None
    }
}

/// Makes every check. The plan says which engines, registry and storage are meant; nothing of its
/// workloads is built. `None` if it was cancelled; everything is put back then as well.
pub async fn examine(
    plan: &Plan,
    extent: Extent,
    cancel: &CancellationToken,
) -> Result<Option<Examination>, RunError> {
    let earlier = Reading::take();
    tokio::time::sleep(WATCHED).await;
    let now = Reading::take();
    let mut engines = BTreeMap::new();
    for (name, engine) in &plan.engines {
        engines
            .insert(name.clone(), ask(plan, name, engine).await.map_err(|error| error.to_string()));
    }
    let hosts: Hosts = engines
        .iter()
        .filter_map(|(name, one)| Some((name.clone(), Arc::clone(&one.as_ref().ok()?.host))))
        .collect();
    let scratch = lifecycle::scratch(&plan.run);
    let ledger = Ledger::create(&ledger::folder(), &lifecycle::header(plan, &hosts, &scratch))?;
    let watched = Watched { noise: now.since(&earlier), load: now.load(), engines };
    let lines = with_scratch(plan, extent, watched, hosts, (&scratch, &ledger), cancel).await;
    let removed = workspace::remove(&scratch);
    let open = ledger.is_open();
    if lines.is_ok() && removed.is_ok() && !open {
        ledger.close()?;
    } else {
        drop(ledger);
        // The trial in hand was broken off: what it made goes as a killed run's.
        if removed.is_ok() && open {
            cleanup::clean_run(&ledger::folder(), &plan.run, false).await?;
        }
    }
    let lines = lines?;
    removed?;
    Ok(lines.map(Examination::new))
}

/// What was found out before anything was made.
struct Watched {
    noise: Noise,
    load: Option<f64>,
    engines: BTreeMap<String, Result<Answered, String>>,
}

async fn ask(plan: &Plan, name: &str, engine: &EnginePlan) -> Result<Answered, EngineError> {
    let scratch = lifecycle::scratch(&plan.run);
    let host = engine::open(name, engine, &plan.run, &scratch).await?;
    let facts = host.facts().await?;
    // Without a daemon there is nothing that others could do on it.
    let activity = match host.daemon() {
        Some(_) => activity(&facts.address, RECENT_S).await,
        None => Ok(Activity::default()),
    };
    Ok(Answered { host, facts, activity })
}

async fn with_scratch(
    plan: &Plan,
    extent: Extent,
    watched: Watched,
    hosts: Hosts,
    (scratch, ledger): (&Path, &Ledger),
    cancel: &CancellationToken,
) -> Result<Option<Vec<Line>>, RunError> {
    let own_storage = scratch.join("storage");
    std::fs::create_dir_all(&own_storage).map_err(RunError::scratch(scratch))?;
    let storage =
        storage::open(None, &plan.run, &own_storage, &storage::Access::of_process()).await?;
    let folder = lifecycle::registry_folder(scratch);
    let registry = registry::open(&plan.registry, &plan.run, &folder).await.map(Arc::from);
    let mut world = World {
        sites: Sites::new(),
        storage: storage.into(),
        line: None,
        clock: Arc::<SystemClock>::default(),
        machine: || None,
    };
    let mut opened = Ok(());
    if let Ok(registry) = &registry {
        let line = Limiter::new(&Shape::default());
        opened = sites::open(plan, hosts, registry, &line, &mut world.sites).await;
    }
    let mut subject = Subject {
        plan,
        extent,
        noise: watched.noise,
        load: watched.load,
        engines: watched.engines,
        building: BTreeMap::new(),
        registry: registry.as_ref().map(|_| ()).map_err(ToString::to_string),
        sites: opened.map_err(|error| error.to_string()),
        bench: Bench {
            plan,
            world: &world,
            ledger,
            ledger_error: Mutex::default(),
            scratch,
            logs: scratch,
            cancel,
            listener: &|_| {},
            part: 0,
        },
    };
    let checks = async {
        subject.building = building(&subject).await;
        every_check(&subject).await
    };
    let lines = tokio::select! {
        lines = checks => Some(lines),
        () = cancel.cancelled() => None,
    };
    let closing = async {
        let sites = sites::close(&world.sites).await;
        let closed = match &registry {
            Ok(registry) => registry.close().await.map_err(RunError::from),
            Err(_) => Ok(()),
        };
        sites.and(closed)
    };
    let limit_s = plan.limits.cleanup_s;
    let closed = tokio::time::timeout(Duration::from_secs_f64(limit_s), closing).await;
    closed.unwrap_or(Err(RunError::ResetTimedOut { limit_s }))?;
    Ok(lines)
}

/// A private engine is made, asked and thrown away; the user's own has been asked.
async fn building(subject: &Subject<'_>) -> BTreeMap<String, Result<EngineFacts, String>> {
    let mut building = BTreeMap::new();
    for (name, one) in subject.answered().filter(|(_, one)| !one.host.is_private()) {
        building.insert(name.to_owned(), Ok(one.facts.clone()));
    }
    for (name, site) in subject.sites().filter(|(_, site)| site.host.is_private()) {
        let asked = subject.on(site, async |begun| begun.engine.facts().await).await;
        let facts = asked.and_then(|facts| Ok(facts?)).map_err(|error| error.to_string());
        building.insert(name.to_owned(), facts);
    }
    building
}

async fn every_check(subject: &Subject<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    for check in subject.extent.checks() {
        let found = (check.run)(subject).await;
        lines.extend(found.into_iter().map(|line| Line { check: check.id.to_owned(), ..line }));
    }
    lines
}

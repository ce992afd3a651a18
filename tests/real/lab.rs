//! A run within the test's own process, so that somebody can meddle between two jobs.

use super::harness::{Bed, docker};
use async_trait::async_trait;
use breakeven::config::{self, Filter, Overrides};
use breakeven::engine;
use breakeven::model::plan::RegistryPlan;
use breakeven::model::{Event, ImageRef, Plan, Sample, Status};
use breakeven::registry::{self, Registry, RegistryError, Seed};
use breakeven::run::clock::SystemClock;
use breakeven::run::journal::Journal;
use breakeven::run::ledger::{Header, Ledger};
use breakeven::run::{Outcome, Site, World, execute, publish};
use breakeven::storage::{self, Storage};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub const BASE: &str = "breakeven-fixture-base:1";

/// What happens after the earlier jobs' state was put back: told the reference of the final image
/// of candidate `branch`.
pub type Meddle = Box<dyn Fn(&str) + Send + Sync>;

/// Nobody meddles.
pub fn nobody() -> Meddle {
    Box::new(|_| {})
}

/// Pushes an image under a name of an earlier job.
pub fn push_instead(image: &'static str) -> Meddle {
    Box::new(move |reference| {
        docker(&["tag", image, reference]);
        docker(&["push", "-q", reference]);
        docker(&["rmi", reference]);
    })
}

/// A registry in which somebody meddles.
struct Meddled {
    inner: Box<dyn Registry>,
    /// The workload.
    name: String,
    /// Whether nothing of earlier jobs is there any more.
    emptied: bool,
    meddle: Meddle,
}

#[async_trait]
impl Registry for Meddled {
    fn prefix(&self) -> &str {
        self.inner.prefix()
    }

    fn restores_fully(&self) -> bool {
        self.inner.restores_fully()
    }

    async fn remember(&self, seed: &Seed, references: &[ImageRef]) -> Result<(), RegistryError> {
        self.inner.remember(seed, references).await
    }

    async fn restore(&self, seeds: &[Seed]) -> Result<(), RegistryError> {
        if seeds.is_empty() {
            return self.inner.restore(seeds).await;
        }
        self.inner.restore(if self.emptied { &[] } else { seeds }).await?;
        (self.meddle)(&format!("{}/{}:branch", self.prefix(), self.name));
        Ok(())
    }

    async fn digest(&self, reference: &ImageRef) -> Result<Option<String>, RegistryError> {
        self.inner.digest(reference).await
    }

    async fn image_config(
        &self,
        reference: &ImageRef,
    ) -> Result<Option<serde_json::Value>, RegistryError> {
        self.inner.image_config(reference).await
    }

    async fn attests(&self, reference: &ImageRef) -> Result<bool, RegistryError> {
        self.inner.attests(reference).await
    }

    async fn close(&self) -> Result<(), RegistryError> {
        self.inner.close().await
    }
}

/// What is run, and who meddles.
pub struct Scene<'a> {
    pub config: &'a str,
    /// Filters of cells.
    pub only: &'a str,
    pub emptied: bool,
    pub meddle: Meddle,
    pub listener: &'a (dyn Fn(&Event) + Send + Sync),
}

impl<'a> Scene<'a> {
    pub fn of(config: &'a str, only: &'a str) -> Self {
        Self { config, only, emptied: false, meddle: nobody(), listener: &|_| {} }
    }

    /// Measures a warm-up and a round, and writes the reports.
    pub fn play(self, bed: &Bed) -> Vec<Sample> {
        let plan = resolved(bed, self.config, self.only, 1);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let dir = bed.path("registry");
            let inner = registry::open(&RegistryPlan::Managed, &plan.run, &dir).await.unwrap();
            let name = plan.workloads.keys().next().unwrap().clone();
            let (emptied, meddle) = (self.emptied, self.meddle);
            let registry = Arc::new(Meddled { inner, name, emptied, meddle });
            let shared = &plan.engines["shared"];
            let host = engine::open("shared", shared, &plan.run, Path::new("unused"));
            let host = host.await.unwrap();
            let site = Site { host, registry, link: None, bases: None };
            let storage = own_storage(bed, &plan).await;
            let outcome = conduct(bed, &plan, ("shared", site), storage, self.listener).await;
            assert!(outcome.error.is_none(), "{:?}", outcome.error);
        });
        super::harness::samples(&bed.path("out"))
    }
}

/// The plan of a configuration, of the cells that these filters leave.
pub fn resolved(bed: &Bed, config: &str, only: &str, rounds: u32) -> Plan {
    let only = Some(Filter::parse_list(only).unwrap());
    let overrides = Overrides { fixed: Some(rounds), only, ..Overrides::default() };
    config::load(&bed.config(config)).unwrap().resolve(&overrides).unwrap()
}

/// The run's own storage.
pub async fn own_storage(bed: &Bed, plan: &Plan) -> Arc<dyn Storage> {
    let access = storage::Access::default();
    storage::open(None, &plan.run, &scratch(bed), &access).await.unwrap().into()
}

/// The folder of a run's workspaces, archives and own storage.
pub fn scratch(bed: &Bed) -> PathBuf {
    let scratch = bed.path("scratch");
    std::fs::create_dir_all(&scratch).unwrap();
    scratch
}

/// Carries out a plan on the one engine that it names, closes all that it was given but the engine,
/// and writes the reports.
pub async fn conduct(
    bed: &Bed,
    plan: &Plan,
    (name, site): (&str, Site),
    storage: Arc<dyn Storage>,
    listener: &(dyn Fn(&Event) + Send + Sync),
) -> Outcome {
    let (out, scratch) = (bed.path("out"), scratch(bed));
    let world = World {
        sites: BTreeMap::from([(name.to_owned(), site)]),
        storage,
        line: None,
        clock: Arc::new(SystemClock::default()),
        machine: || None,
    };
    let mut journal = Journal::create(&out, plan).unwrap();
    let header = Header {
        run: plan.run.clone(),
        private: Vec::new(),
        scratch: scratch.clone(),
        storage: None,
    };
    let ledger = Ledger::create(&bed.path("state"), &header).unwrap();
    let (logs, cancel) = (out.join("logs"), CancellationToken::new());
    let dirs = (scratch.as_path(), logs.as_path());
    let outcome = execute(plan, &world, &mut journal, &ledger, dirs, &cancel, listener).await;
    world.sites[name].registry.close().await.unwrap();
    world.storage.close().await.unwrap();
    publish(&out).unwrap();
    outcome.unwrap()
}

/// A workload of a Dockerfile and some files. `SALT` in them becomes a text of this test's own.
pub fn tiny(bed: &Bed, files: &[(&str, &str)]) {
    let folder = bed.path("tiny");
    let salt = bed.salt();
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("SALT", &salt)).unwrap();
    }
}

/// The configuration of such a workload: one candidate, and a change of `app`.
pub const TINY: &str = r##"
[workload.tiny]
context = "tiny"

[change.app]
edits = [{ append = "app", text = "# {nonce}\n" }]

[candidate.branch]
"##;

/// What `report.json` says of the findings of a kind: every detail.
pub fn details(bed: &Bed, id: &str) -> Vec<String> {
    let text = std::fs::read_to_string(bed.path("out/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut details = Vec::new();
    for finding in report["findings"].as_array().unwrap() {
        if finding["id"] == id {
            assert!(finding["advice"].as_str().unwrap().ends_with('.'), "{finding}");
            for detail in finding["details"].as_array().unwrap() {
                details.push(detail.as_str().unwrap().to_owned());
            }
        }
    }
    details
}

/// Fails unless `report.json` has the finding with a detail that contains `text`.
#[track_caller]
pub fn assert_found(bed: &Bed, id: &str, text: &str) {
    let details = details(bed, id);
    assert!(details.iter().any(|detail| detail.contains(text)), "{id}: {details:?}");
}

#[track_caller]
pub fn assert_invalid(samples: &[Sample], finding: &str) {
    assert_eq!(samples.len(), 2);
    for sample in samples {
        let found: Vec<&str> = sample.findings.iter().map(|f| f.id.as_str()).collect();
        assert!(found.contains(&finding), "{}: {found:?} {}", sample.cell.key(), sample.reason);
        assert_eq!(sample.status, Status::Invalid, "{}", sample.cell.key());
    }
}

#[track_caller]
pub fn assert_all_ok(samples: &[Sample]) {
    for sample in samples {
        assert_eq!(sample.status, Status::Ok, "{}: {}", sample.cell.key(), sample.reason);
    }
}

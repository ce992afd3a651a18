//! Traps that need somebody to meddle between two jobs: sprung on the real engine.

use super::harness::{ARTICLE, Bed, IMPORTED, assert_as_before, docker, holdings, import, samples};
use async_trait::async_trait;
use breakeven::config::{self, Filter, Overrides};
use breakeven::engine;
use breakeven::model::plan::RegistryPlan;
use breakeven::model::{Event, ImageRef, Sample, Status};
use breakeven::registry::{self, Registry, RegistryError, Seed};
use breakeven::run::clock::SystemClock;
use breakeven::run::journal::Journal;
use breakeven::run::ledger::{Header, Ledger};
use breakeven::run::{Site, World, execute};
use breakeven::storage;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What happens after the earlier jobs' state was put back: told the final image's reference.
type Meddle = Box<dyn Fn(&str) + Send + Sync>;

/// A registry in which somebody meddles.
struct Meddled {
    inner: Box<dyn Registry>,
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
        (self.meddle)(&format!("{}/article:branch", self.prefix()));
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

    async fn close(&self) -> Result<(), RegistryError> {
        self.inner.close().await
    }
}

/// Measures one cell for a warm-up and a round, with somebody meddling.
fn measure(
    bed: &Bed,
    cell: &str,
    emptied: bool,
    meddle: Meddle,
    listener: &(dyn Fn(&Event) + Send + Sync),
) -> Vec<Sample> {
    let path = bed.config(&ARTICLE.replace("[candidate.main]\nlacks = [\"app\"]\n", ""));
    let only = Filter::parse_list(&format!("*/app/*/{cell}/*/*")).unwrap();
    let overrides = Overrides { rounds: Some(1), only: Some(only), ..Overrides::default() };
    let plan = config::load(&path).unwrap().resolve(&overrides).unwrap();
    let (out, scratch) = (bed.path("out"), bed.path("scratch"));
    std::fs::create_dir_all(&scratch).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let dir = bed.path("registry");
        let inner = registry::open(&RegistryPlan::Managed, &plan.run, &dir).await.unwrap();
        let registry = Arc::new(Meddled { inner, emptied, meddle });
        let host = engine::open(
            "shared",
            &plan.engines["shared"],
            &plan.run,
            std::path::Path::new("unused"),
        )
        .await
        .unwrap();
        let site = Site { host, registry: registry.clone(), link: None, bases: None };
        let world = World {
            sites: BTreeMap::from([("shared".to_owned(), site)]),
            storage: storage::open(None, &plan.run, &scratch, &storage::Access::default())
                .await
                .unwrap()
                .into(),
            line: None,
            clock: Arc::new(SystemClock::default()),
        };
        let mut journal = Journal::create(&out, &plan).unwrap();
        let header = Header {
            run: plan.run.clone(),
            private: Vec::new(),
            scratch: scratch.clone(),
            storage: None,
        };
        let ledger = Ledger::create(&bed.path("state"), &header).unwrap();
        let (logs, cancel) = (out.join("logs"), CancellationToken::new());
        let dirs = (scratch.as_path(), logs.as_path());
        let outcome = execute(&plan, &world, &mut journal, &ledger, dirs, &cancel, listener);
        let outcome = outcome.await.unwrap();
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        registry.close().await.unwrap();
        world.storage.close().await.unwrap();
    });
    samples(&out)
}

#[track_caller]
fn assert_invalid(samples: &[Sample], finding: &str) {
    assert_eq!(samples.len(), 2);
    for sample in samples {
        let found: Vec<&str> = sample.findings.iter().map(|f| f.id.as_str()).collect();
        assert!(found.contains(&finding), "{}: {found:?} {}", sample.cell.key(), sample.reason);
        assert_eq!(sample.status, Status::Invalid, "{}", sample.cell.key());
    }
}

/// Pushes an image under a name of an earlier job.
fn push_instead(image: &'static str) -> Meddle {
    Box::new(move |reference| {
        docker(&["tag", image, reference]);
        docker(&["push", "-q", reference]);
        docker(&["rmi", reference]);
    })
}

const BASE: &str = "breakeven-fixture-base:1";
#[test]
fn trap_1_a_source_is_there_and_no_step_hits() {
    let bed = Bed::new();
    import();
    let before = holdings();
    // The change leaves COPY --from alone, so the final stage should have hit.
    let samples = measure(&bed, "pull/classic", false, push_instead(IMPORTED), &|_| {});
    let after = holdings();
    docker(&["rmi", IMPORTED]);
    assert_invalid(&samples, "source-without-hit");
    assert_eq!(after, before);
}

#[test]
fn trap_2_a_source_that_an_earlier_job_left_is_missing() {
    for cell in ["pull/classic", "inline/buildkit"] {
        let bed = Bed::new();
        let before = holdings();
        let samples = measure(&bed, cell, true, Box::new(|_| {}), &|_| {});
        assert_invalid(&samples, "source-missing");
        assert_as_before(&before, cell);
    }
}

#[test]
fn trap_3_a_source_without_inline_cache_metadata() {
    let bed = Bed::new();
    import();
    let before = holdings();
    let samples = measure(&bed, "inline/buildkit", false, push_instead(IMPORTED), &|_| {});
    let after = holdings();
    docker(&["rmi", IMPORTED]);
    assert_invalid(&samples, "no-inline-metadata");
    assert_eq!(after, before);
}

#[test]
fn trap_4_a_stale_local_tag_hides_the_registrys_image() {
    let bed = Bed::new();
    let before = holdings();
    let meddle: Meddle = Box::new(|reference| {
        docker(&["tag", BASE, reference]);
    });
    let samples = measure(&bed, "inline/buildkit", false, meddle, &|_| {});
    assert_invalid(&samples, "stale-local-tag");
    assert_as_before(&before, "trap 4");
}

#[test]
fn trap_9_a_source_that_the_other_builder_made() {
    let bed = Bed::new();
    let context = bed.path("other");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), format!("FROM {BASE}\nCOPY Dockerfile /d\n"))
        .unwrap();
    let built = Command::new("docker")
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "-q", "-t", "breakeven-test-other:1"])
        .arg(&context)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", super::harness::text(&built.stderr));
    let before = holdings();
    let meddle = push_instead("breakeven-test-other:1");
    let samples = measure(&bed, "inline/buildkit", false, meddle, &|_| {});
    let after = holdings();
    docker(&["rmi", "breakeven-test-other:1"]);
    assert_invalid(&samples, "other-builder");
    assert_eq!(after, before);
}

#[test]
fn trap_21_a_context_that_changes_by_itself() {
    let bed = Bed::new();
    bed.config(ARTICLE);
    let generated = bed.path("fixtures/article/app/generated.txt");
    let listener = |event: &Event| {
        if let Event::SampleStarted { sample, .. } = event {
            std::fs::write(&generated, format!("made before sample {sample}")).unwrap();
        }
    };
    let samples = measure(&bed, "cold/classic", false, Box::new(|_| {}), &listener);
    for sample in samples {
        assert_eq!(sample.status, Status::Ok, "{}", sample.reason);
        let found = sample.findings.iter().find(|finding| finding.id == "context-differs");
        assert!(found.is_some_and(|finding| finding.detail == "app/generated.txt"), "{sample:?}");
    }
}

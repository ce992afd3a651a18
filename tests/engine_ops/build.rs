//! Builds by both builders, and that ours and the docker client's are sources for each other.

use crate::rig::{BASE, Registry, Rig, containers_with, docker, hits, two_stages};
use breakeven::engine::{Engine, EngineError, StepLog};
use breakeven::model::plan::ArchivePlan;
use breakeven::model::{Builder, ImageRef};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const ALL_HIT: [&str; 6] =
    ["builder 1 true", "builder 2 true", "builder 3 true", "1 1 true", "1 2 true", "1 3 true"];

fn buildx(context: &Path, tag: &str) {
    let home = tempfile::tempdir().unwrap();
    let program = std::env::var_os("BREAKEVEN_BUILDX").map_or_else(
        || std::env::home_dir().unwrap().join(".local/share/breakeven/cli-plugins/docker-buildx"),
        Into::into,
    );
    let built = Command::new(program)
        .args(["build", "--builder", "default", "--load", "--provenance=false", "-t", tag])
        .args(["--build-arg", "BUILDKIT_INLINE_CACHE=1"])
        .arg(context)
        .env("BUILDX_CONFIG", home.path())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

#[tokio::test]
async fn the_engine_says_what_it_is() {
    let rig = Rig::new("facts").await;
    let facts = rig.engine.facts().await.unwrap();
    assert!(facts.address.contains("://"), "{facts:?}");
    assert!(!facts.version.is_empty() && facts.api.starts_with("1."), "{facts:?}");
    assert!(!facts.store.is_empty() && facts.buildx.is_some(), "{facts:?}");
    for builder in Builder::OF_DAEMONS {
        rig.engine.supports(builder).await.unwrap();
    }
}

#[tokio::test]
async fn a_classic_build_says_its_steps_and_images() {
    let rig = Rig::new("classic").await;
    let (context, tag) = (rig.context(), rig.image("1"));
    let cold = rig.build(Builder::Classic, &context, &tag, &[]).await.unwrap();
    assert_eq!(hits(&cold), ALL_HIT.map(|step| step.replace("true", "false")));
    assert_eq!(cold.steps[5].instruction, "CMD [\"sh\"]");
    assert!(cold.steps.iter().all(|step| step.duration_s.is_some()));
    let id = docker(&["images", "-q", "--no-trunc", &tag.to_string()]);
    assert_eq!(cold.image, id);
    let base = docker(&["images", "-q", BASE]);
    assert!(!cold.images_seen.iter().any(|seen| seen.contains(&base)), "the base is not ours");
    let warm = rig.build(Builder::Classic, &context, &tag, &[]).await.unwrap();
    assert_eq!(hits(&warm), ALL_HIT);
    assert_eq!(warm.image, cold.image);
    let other = rig.image("builder");
    let target =
        rig.build_target(Builder::Classic, &context, &other, &[], Some("builder")).await.unwrap();
    assert_eq!(hits(&target), ALL_HIT[..3]);
    rig.reset().await.unwrap();
    assert_eq!(rig.engine.inspect(&cold.image).await.unwrap(), None);
    for seen in &cold.images_seen {
        assert_eq!(rig.engine.inspect(seen).await.unwrap(), None, "{seen} is still there");
    }
}

#[tokio::test]
async fn a_buildkit_build_says_its_steps_and_images() {
    let rig = Rig::new("buildkit").await;
    let (context, tag) = (rig.context(), rig.image("1"));
    let cold = rig.build(Builder::Buildkit, &context, &tag, &[]).await.unwrap();
    // BuildKit shows no step for what makes no content, such as CMD.
    assert_eq!(
        hits(&cold),
        ALL_HIT[..5].iter().map(|s| s.replace("true", "false")).collect::<Vec<_>>()
    );
    assert!(cold.steps_s.unwrap() > 0.0 && cold.export_s.is_some() && cold.import_s.is_none());
    assert_eq!(cold.image, docker(&["images", "-q", "--no-trunc", &tag.to_string()]));
    assert!(cold.images_seen.contains(&cold.image));
    let warm = rig.build(Builder::Buildkit, &context, &tag, &[]).await.unwrap();
    assert_eq!(hits(&warm), ALL_HIT[..5]);
    rig.reset().await.unwrap();
    let again = rig.build(Builder::Buildkit, &context, &tag, &[]).await.unwrap();
    assert!(again.steps.iter().all(|step| !step.hit), "reset leaves no cache: {again:?}");
    rig.reset().await.unwrap();
}

#[tokio::test]
async fn what_the_client_built_is_a_full_source_for_ours_and_the_reverse() {
    let rig = Rig::new("parity").await;
    for sources in [false, true] {
        // The client first. With sources, the rest of the local cache is out of the game: they
        // alone must do, the stage's image among them.
        let context = rig.context();
        let theirs = [rig.image("their-builder"), rig.image("theirs")];
        client_builds(&rig, &context, &theirs, &[]);
        let from: &[ImageRef] = if sources { &theirs } else { &[] };
        let ours = rig.image("ours");
        let mine = rig.build(Builder::Classic, &context, &ours, from).await.unwrap();
        assert_eq!(hits(&mine), ALL_HIT);

        let context = rig.context();
        let ours = [rig.image("our-builder"), rig.image("ours")];
        let stage = Some("builder");
        rig.build_target(Builder::Classic, &context, &ours[0], &[], stage).await.unwrap();
        rig.build(Builder::Classic, &context, &ours[1], &[]).await.unwrap();
        let from: &[ImageRef] = if sources { &ours } else { &[] };
        let said = client_builds(&rig, &context, &theirs, from);
        assert_eq!(said.matches("Using cache").count(), 6, "{said}");
    }
    rig.reset().await.unwrap();
}

/// Builds the builder stage and the final image with the docker client; what it says of the latter.
fn client_builds(rig: &Rig, context: &Path, tags: &[ImageRef; 2], from: &[ImageRef]) -> String {
    let mut said = String::new();
    for (tag, target) in tags.iter().zip(["builder", ""]) {
        let tag = tag.to_string();
        let from = from.iter().map(|source| format!("--cache-from={source}"));
        let mut arguments = vec!["build".to_owned(), "--tag".to_owned(), tag];
        arguments.extend(from);
        arguments.push(format!("--target={target}"));
        arguments.push(context.display().to_string());
        said = docker(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        own_ids(rig, &said);
    }
    said
}

fn own_ids(rig: &Rig, said: &str) {
    let base = docker(&["images", "-q", BASE]);
    for id in said.lines().filter_map(|line| line.strip_prefix(" ---> ")) {
        if id.len() == 12 && id != base {
            rig.own_image(id);
        }
    }
}

#[tokio::test]
async fn what_buildx_built_is_a_full_source_for_ours_and_the_reverse() {
    let rig = Rig::new("parity-bk").await;
    let (context, theirs, ours) = (rig.context(), rig.image("theirs"), rig.image("ours"));
    // A build of ours first: what buildx does between its start and end counts as ours then.
    rig.build(Builder::Buildkit, &context, &ours, &[]).await.unwrap();
    buildx(&context, &theirs.to_string());
    let ids = [&ours, &theirs].map(|tag| docker(&["images", "-q", "--no-trunc", &tag.to_string()]));
    assert_eq!(ids[0], ids[1], "buildx found all of our steps");
    let context = rig.context();
    buildx(&context, &theirs.to_string());
    let found = rig.build(Builder::Buildkit, &context, &ours, &[]).await.unwrap();
    assert_eq!(hits(&found), ALL_HIT[..5]);
    rig.reset().await.unwrap();
}

#[tokio::test]
async fn an_inline_cache_is_found_in_the_registry_and_among_loaded_images() {
    let rig = Rig::new("inline").await;
    let registry = Registry::start();
    let dockerfile =
        format!("FROM {BASE}\nRUN echo {{nonce}} > /nonce\nCOPY manifest ./\nCOPY app ./\n");
    let context = rig.context_with(&dockerfile);
    let tag = rig.remote(&registry, "service", "main");
    let missing = rig.remote(&registry, "service", "missing");
    rig.build(Builder::Buildkit, &context, &tag, &[]).await.unwrap();
    rig.engine.push(&tag, &mut StepLog::default()).await.unwrap();
    let archive = rig.dir.path().join("image.tar");
    rig.engine
        .save(
            std::slice::from_ref(&tag),
            &archive,
            &ArchivePlan::default(),
            &mut StepLog::default(),
        )
        .await
        .unwrap();
    rig.reset().await.unwrap();

    std::fs::write(context.join("app/data"), "changed").unwrap();
    let sources = [missing.clone(), tag.clone()];
    let new = rig.image("new");
    let built = rig.build(Builder::Buildkit, &context, &new, &sources).await.unwrap();
    assert_eq!(hits(&built), ["0 1 true", "0 2 true", "0 3 false"]);
    assert_eq!(built.imports.len(), 2);
    for (reference, error) in &built.imports {
        assert_eq!(error.is_some(), *reference == missing.to_string(), "{:?}", built.imports);
    }
    assert!(built.import_s.unwrap() > 0.0);
    rig.reset().await.unwrap();

    drop(registry);
    rig.engine.load(&archive, &mut StepLog::default()).await.unwrap();
    let built = rig.build(Builder::Buildkit, &context, &new, &[tag]).await.unwrap();
    assert_eq!(hits(&built), ["0 1 true", "0 2 true", "0 3 false"]);
    rig.reset().await.unwrap();
}

#[tokio::test]
async fn a_failing_build_names_its_step_and_the_builders_message() {
    let rig = Rig::new("failing").await;
    let dockerfile =
        format!("FROM {BASE}\nRUN echo {{nonce}}\nRUN echo no; exit 3\nCMD [\"sh\"]\n");
    let context = rig.context_with(&dockerfile);
    for builder in Builder::OF_DAEMONS {
        let tag = rig.image("never");
        let error = rig.build(builder, &context, &tag, &[]).await.unwrap_err();
        let EngineError::Failed { cause, .. } = &error else { panic!("{error:?}") };
        assert!(cause.contains("RUN echo no; exit 3"), "{builder}: {cause}");
        assert!(cause.contains("code: 3"), "{builder}: {cause}");
        assert_eq!(rig.engine.inspect(&tag.to_string()).await.unwrap(), None);
        let nowhere = rig.build_target(builder, &context, &tag, &[], Some("nowhere")).await;
        let error = nowhere.unwrap_err().to_string();
        assert!(error.contains("nowhere"), "{builder}: {error}");
    }
    rig.reset().await.unwrap();
    assert_eq!(containers_with("exit 3"), Vec::<String>::new());
}

#[tokio::test]
async fn a_base_that_is_not_there_is_named() {
    let rig = Rig::new("no-base").await;
    let context = rig.context_with("FROM 127.0.0.1:1/engine-ops/no-base:1\nRUN true\n");
    for builder in Builder::OF_DAEMONS {
        let error = rig.build(builder, &context, &rig.image("never"), &[]).await.unwrap_err();
        assert!(matches!(error, EngineError::Failed { .. }), "{builder}: {error:?}");
        assert!(error.to_string().contains("no-base:1"), "{builder}: {error}");
        assert!(error.to_string().contains("refused"), "{builder}: {error}");
    }
    rig.reset().await.unwrap();
}

#[tokio::test]
async fn a_build_that_is_dropped_ends_on_the_engine() {
    let rig = Rig::new("dropped").await;
    for (at, builder) in Builder::OF_DAEMONS.into_iter().enumerate() {
        // A number that no other process has in its command line.
        let seconds = format!("6{at}.{}", std::process::id());
        let context = rig.context_with(&format!("FROM {BASE}\nRUN sleep {seconds} # {{nonce}}\n"));
        let tag = rig.image("never");
        let build = rig.build(builder, &context, &tag, &[]);
        tokio::select! {
            built = build => panic!("the build should not end: {built:?}"),
            () = until(|| running(&seconds)) => {}
        }
        until(|| !running(&seconds)).await;
        if builder == Builder::Classic {
            until(|| containers_with(&seconds).is_empty()).await;
        }
    }
    rig.reset().await.unwrap();
}

/// Whether a `sleep` of so many seconds runs on this machine, in a container or not.
fn running(seconds: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        line == format!("sleep\0{seconds}\0").as_bytes()
    })
}

async fn until(holds: impl Fn() -> bool) {
    for _ in 0..300 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come to pass within 30 s");
}

#[tokio::test]
async fn facts_of_images_tell_the_builder_and_the_inline_cache() {
    let rig = Rig::new("inspect").await;
    let context = rig.context_with(&two_stages());
    let (classic, buildkit) = (rig.image("classic"), rig.image("buildkit"));
    rig.build(Builder::Classic, &context, &classic, &[]).await.unwrap();
    rig.build(Builder::Buildkit, &context, &buildkit, &[]).await.unwrap();
    let facts = rig.engine.inspect(&classic.to_string()).await.unwrap().unwrap();
    assert!(facts.by_classic && !facts.by_buildkit && !facts.inline_cache, "{facts:?}");
    let facts = rig.engine.inspect(&buildkit.to_string()).await.unwrap().unwrap();
    assert!(!facts.by_classic && facts.by_buildkit && facts.inline_cache, "{facts:?}");
    assert_eq!(facts.layers.len(), 3);
    assert!(facts.size > 0 && facts.id.starts_with("sha256:"));
    let facts = rig.engine.inspect(BASE).await.unwrap().unwrap();
    assert!(!facts.by_classic && !facts.by_buildkit, "{facts:?}");
    assert_eq!(rig.engine.inspect("engine-ops-nowhere:1").await.unwrap(), None);
    rig.reset().await.unwrap();
}

//! Caches that a build leaves, and what a build on the next fresh engine finds of them.

use crate::rig::{Ask, Registry, Rig, build, hits};
use breakeven::engine::private::PrivateHost;
use breakeven::engine::{BuildOutcome, Engine, EngineError, StepLog};
use breakeven::model::plan::{ArchivePlan, Keep, Store};
use breakeven::model::{Builder, CacheExport, CacheMode, ImageRef};
use std::path::Path;

const ALL_BUT_APP: [&str; 4] = ["1 1", "builder 1", "builder 2", "builder 3"];
const NOTHING: [&str; 0] = [];

/// Builds on a fresh engine, as the next job does, after one of the context's files was changed.
async fn next(
    host: &PrivateHost,
    registry: &Registry,
    context: &Path,
    changed: &str,
    ask: &Ask<'_>,
) -> BuildOutcome {
    let engine = host.fresh().await.unwrap();
    std::fs::write(context.join(changed), format!("changed {changed}")).unwrap();
    let tag = registry.image("service", "next");
    let built = build(&engine, Builder::Buildkit, context, &tag, ask).await.unwrap();
    assert_eq!(built.imports.len(), 1, "{:?}", built.imports);
    assert_eq!(built.imports[0].1, None, "the import succeeded");
    assert!(built.import_s.unwrap() > 0.0);
    built
}

#[tokio::test]
async fn a_cache_in_the_registry_is_found_by_the_next_fresh_engine() {
    let rig = Rig::new("registry-cache").await;
    let (host, registry) = rig.host(Store::Containerd, Keep::Sample).await;
    for (mode, image_manifest, left_of_deps) in [
        (CacheMode::Min, false, &NOTHING[..]),
        (CacheMode::Max, false, &["builder 1"]),
        (CacheMode::Max, true, &["builder 1"]),
    ] {
        let context = rig.context();
        let cache = registry.image("cache", &format!("{}-{image_manifest}", mode.as_str()));
        let export = CacheExport::Registry { reference: cache.clone(), mode, image_manifest };
        let engine = host.fresh().await.unwrap();
        let ask = Ask { export: Some(&export), ..Ask::default() };
        let tag = registry.image("service", "main");
        let built = build(&engine, Builder::Buildkit, &context, &tag, &ask).await.unwrap();
        assert!(built.cache_export_s.unwrap() > 0.0 && built.export_s.unwrap() > 0.0);
        assert_eq!(built.export_errors, []);
        let ask = Ask { sources: std::slice::from_ref(&cache), ..Ask::default() };
        let app = next(&host, &registry, &context, "app", &ask).await;
        assert_eq!(hits(&app), ALL_BUT_APP, "{mode:?}");
        // The layer upon which the changed file is put had to be fetched: a hit that the builder
        // does not call one.
        assert_eq!(app.fetched, [("1".to_owned(), 1)]);
        let deps = next(&host, &registry, &context, "manifest", &ask).await;
        assert_eq!(hits(&deps), left_of_deps, "{mode:?}");
    }
    host.close().await.unwrap();
    rig.assert_nothing_left();
}

#[tokio::test]
async fn a_cache_in_a_folder_is_found_by_the_next_fresh_engine() {
    let rig = Rig::new("folder-cache").await;
    let (host, registry) = rig.host(Store::Containerd, Keep::Sample).await;
    for (mode, left_of_deps) in [(CacheMode::Min, &NOTHING[..]), (CacheMode::Max, &["builder 1"])] {
        let context = rig.context();
        let folder = rig.dir.path().join(format!("cache, {}", mode.as_str()));
        let export = CacheExport::Local { mode };
        let engine = host.fresh().await.unwrap();
        let ask = Ask { export: Some(&export), export_folder: Some(&folder), ..Ask::default() };
        let tag = registry.image("service", "main");
        let built = build(&engine, Builder::Buildkit, &context, &tag, &ask).await.unwrap();
        assert!(built.cache_export_s.unwrap() > 0.0);
        assert!(folder.join("index.json").is_file());
        let ask = Ask { cache_folder: Some(&folder), ..Ask::default() };
        let app = next(&host, &registry, &context, "app", &ask).await;
        assert_eq!(hits(&app), ALL_BUT_APP, "{mode:?}");
        let deps = next(&host, &registry, &context, "manifest", &ask).await;
        assert_eq!(hits(&deps), left_of_deps, "{mode:?}");
    }
    host.close().await.unwrap();
    rig.assert_nothing_left();
}

#[tokio::test]
async fn an_inline_cache_is_found_on_both_stores() {
    let rig = Rig::new("inline-cache").await;
    for store in [Store::Overlay2, Store::Containerd] {
        let (host, registry) = rig.host(store, Keep::Sample).await;
        let context = rig.context();
        let engine = host.fresh().await.unwrap();
        let tag = registry.image("service", "main");
        let ask = Ask { inline_cache: true, ..Ask::default() };
        let built = build(&engine, Builder::Buildkit, &context, &tag, &ask).await.unwrap();
        for name in [tag.to_string(), built.image] {
            let facts = engine.inspect(&name).await.unwrap();
            let facts = facts.unwrap_or_else(|| panic!("{store:?}: no image {name}"));
            assert!(facts.by_buildkit && facts.inline_cache, "{store:?}: {facts:?}");
        }
        engine.push(&tag, &mut StepLog::default()).await.unwrap();
        let ask = Ask { sources: std::slice::from_ref(&tag), ..Ask::default() };
        let app = next(&host, &registry, &context, "app", &ask).await;
        assert_eq!(hits(&app), ALL_BUT_APP, "{store:?}");
        let deps = next(&host, &registry, &context, "manifest", &ask).await;
        assert_eq!(hits(&deps), NOTHING, "{store:?}");
        host.close().await.unwrap();
        rig.assert_nothing_left();
    }
}

/// What the docker client's own store cannot do is refused by the builder before it builds.
#[tokio::test]
async fn the_older_store_exports_no_cache() {
    let rig = Rig::new("no-export").await;
    let (host, registry) = rig.host(Store::Overlay2, Keep::Sample).await;
    let engine = host.fresh().await.unwrap();
    let export = CacheExport::Local { mode: CacheMode::Max };
    let ask = Ask { export: Some(&export), ..Ask::default() };
    let tag = registry.image("service", "main");
    let built = build(&engine, Builder::Buildkit, &rig.context(), &tag, &ask).await;
    let error = built.unwrap_err();
    assert!(matches!(error, EngineError::Failed { .. }), "{error:?}");
    assert!(error.to_string().contains("Cache export is not supported"), "{error}");
    host.close().await.unwrap();
    rig.assert_nothing_left();
}

/// Which pulled images are sources of a build: all, with both builders and on both stores.
#[tokio::test]
async fn a_pulled_image_is_a_source() {
    let rig = Rig::new("pulled").await;
    for store in [Store::Overlay2, Store::Containerd] {
        let (host, registry) = rig.host(store, Keep::Sample).await;
        for builder in Builder::OF_DAEMONS {
            let context = rig.context();
            let engine = host.fresh().await.unwrap();
            let tag = registry.image("service", builder.as_str());
            let ask = Ask { inline_cache: builder == Builder::Buildkit, ..Ask::default() };
            build(&engine, builder, &context, &tag, &ask).await.unwrap();
            engine.push(&tag, &mut StepLog::default()).await.unwrap();
            std::fs::write(context.join("app"), "changed").unwrap();
            let engine = host.fresh().await.unwrap();
            engine.pull(&tag, &mut StepLog::default()).await.unwrap();
            let ask = Ask { sources: std::slice::from_ref(&tag), ..Ask::default() };
            let next = registry.image("service", "next");
            let built = build(&engine, builder, &context, &next, &ask).await.unwrap();
            assert_eq!(hits(&built), of_final_image(builder), "{store:?} {builder}");
        }
        host.close().await.unwrap();
        rig.assert_nothing_left();
    }
}

/// The final image alone is a source for the steps of its own stage; BuildKit's inline cache says
/// the same of the steps that these come from.
fn of_final_image(builder: Builder) -> &'static [&'static str] {
    match builder {
        Builder::Classic => &["1 1"],
        Builder::Buildkit | Builder::Buildah => &ALL_BUT_APP,
    }
}

/// Loaded images, of a name under which no registry answers: BuildKit on the containerd store does
/// not look among its own images (trap 30).
#[tokio::test]
async fn a_loaded_image_is_a_source_but_for_buildkit_on_the_containerd_store() {
    let rig = Rig::new("loaded").await;
    for store in [Store::Overlay2, Store::Containerd] {
        let (host, _registry) = rig.host(store, Keep::Sample).await;
        for builder in Builder::OF_DAEMONS {
            let context = rig.context();
            let engine = host.fresh().await.unwrap();
            let tag = ImageRef::new("127.0.0.1:1/test/service", builder.as_str());
            let ask = Ask { inline_cache: builder == Builder::Buildkit, ..Ask::default() };
            build(&engine, builder, &context, &tag, &ask).await.unwrap();
            let archive = rig.dir.path().join(format!("{store:?}-{builder}.tar"));
            let (tags, packing) = (std::slice::from_ref(&tag), ArchivePlan::default());
            engine.save(tags, &archive, &packing, &mut StepLog::default()).await.unwrap();
            std::fs::write(context.join("app"), "changed").unwrap();
            let engine = host.fresh().await.unwrap();
            let loaded = engine.load(&archive, &mut StepLog::default()).await.unwrap();
            assert_eq!(loaded, [tag.to_string()]);
            let ask = Ask { sources: tags, ..Ask::default() };
            let next = ImageRef::new("127.0.0.1:1/test/service", "next");
            let built = build(&engine, builder, &context, &next, &ask).await.unwrap();
            if (store, builder) == (Store::Containerd, Builder::Buildkit) {
                assert_eq!(hits(&built), NOTHING);
                assert!(built.imports[0].1.is_some(), "asked a registry: {:?}", built.imports);
            } else {
                assert_eq!(hits(&built), of_final_image(builder), "{store:?} {builder}");
            }
        }
        host.close().await.unwrap();
        rig.assert_nothing_left();
    }
}

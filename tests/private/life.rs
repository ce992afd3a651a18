//! From the network to the last trace.

use crate::rig::{Ask, BASE, IMAGE, Rig, build, docker, hits};
use breakeven::engine::private::{PrivateHost, PrivateSpec, Registries, remove_leftovers};
use breakeven::engine::{Engine, EngineError, StepLog};
use breakeven::model::Builder;
use breakeven::model::plan::{Keep, Store};

#[tokio::test]
async fn it_starts_builds_pushes_and_leaves_nothing() {
    let rig = Rig::new("life").await;
    for store in [Store::Overlay2, Store::Containerd] {
        let (host, registry) = rig.host(store, Keep::Sample).await;
        for sample in 0..3 {
            let engine = host.fresh().await.unwrap();
            let fresh = engine.snapshot().await.unwrap();
            assert!(fresh.images.is_empty() && fresh.records.is_empty(), "{fresh:?}");
            for builder in Builder::OF_DAEMONS {
                let tag = registry.image("service", &format!("{builder}-{sample}"));
                // Another one for each builder: of the same they may make the same layers within a
                // second, and these would not be sent twice.
                let context = rig.context();
                let ask = Ask::default();
                let built = build(&engine, builder, &context, &tag, &ask).await;
                let built = built.unwrap_or_else(|error| panic!("{store:?} {builder}: {error}"));
                assert_eq!(hits(&built), Vec::<String>::new(), "{store:?} {builder}");
                let pushed = engine.push(&tag, &mut StepLog::default()).await.unwrap();
                assert!(pushed.pushed > 0, "{store:?} {builder}: {pushed:?}");
            }
            host.release().await.unwrap();
        }
        host.close().await.unwrap();
        host.close().await.unwrap();
        rig.assert_nothing_left();
    }
}

#[tokio::test]
async fn one_that_is_kept_is_emptied() {
    let rig = Rig::new("kept").await;
    for store in [Store::Overlay2, Store::Containerd] {
        let (host, registry) = rig.host(store, Keep::Round).await;
        let containers =
            || docker(&["ps", "-q", "--filter", &format!("label=breakeven.run={}", rig.run)]);
        let mut first = String::new();
        for sample in 0..3 {
            let engine = host.fresh().await.unwrap();
            if sample == 0 {
                first = containers();
            }
            assert_eq!(containers(), first, "the same container serves all");
            let fresh = engine.snapshot().await.unwrap();
            assert!(fresh.images.is_empty() && fresh.records.is_empty(), "{fresh:?}");
            for builder in Builder::OF_DAEMONS {
                let tag = registry.image("service", "main");
                let built = build(&engine, builder, &rig.context(), &tag, &Ask::default()).await;
                assert_eq!(hits(&built.unwrap()), Vec::<String>::new());
            }
            host.release().await.unwrap();
        }
        host.discard().await.unwrap();
        assert_eq!(containers(), "");
        host.fresh().await.unwrap();
        assert_ne!(containers(), first);
        // Another registry takes another engine: the daemon reads its settings once.
        let second = containers();
        host.release().await.unwrap();
        host.trust(Registries::default()).await;
        host.fresh().await.unwrap();
        assert_ne!(containers(), second);
        host.close().await.unwrap();
        rig.assert_nothing_left();
    }
}

#[tokio::test]
async fn an_image_that_is_not_there_is_refused_before_anything_is_made() {
    let rig = Rig::new("no-image").await;
    let error = rig.connect("breakeven-nowhere:1", None, Keep::Sample).await.unwrap_err();
    assert!(matches!(error, EngineError::NotCapable { .. }), "{error}");
    assert!(error.to_string().contains("docker pull breakeven-nowhere:1"), "{error}");
    rig.assert_nothing_left();
}

#[tokio::test]
async fn a_daemon_that_does_not_start_shows_its_log_and_leaves_nothing() {
    let rig = Rig::new("no-start").await;
    // An image without a daemon.
    let host = rig.connect(BASE, None, Keep::Sample).await.unwrap();
    host.prepare().await.unwrap();
    let error = host.fresh().await.err().unwrap();
    assert!(matches!(error, EngineError::NotCapable { .. }), "{error}");
    assert!(error.to_string().contains("dockerd"), "the log's words: {error}");
    host.close().await.unwrap();
    rig.assert_nothing_left();
    // A daemon that refuses its settings.
    let host = rig.connect(IMAGE, None, Keep::Sample).await.unwrap();
    host.prepare().await.unwrap();
    let mirror = Some("no address".to_owned());
    host.trust(Registries { mirror, ..Registries::default() }).await;
    let error = host.fresh().await.err().unwrap();
    assert!(error.to_string().contains("no address"), "the log's words: {error}");
    // The next one is not hindered.
    host.trust(Registries::default()).await;
    host.fresh().await.unwrap();
    host.close().await.unwrap();
    rig.assert_nothing_left();
}

#[tokio::test]
async fn what_a_killed_run_left_is_found_by_its_label() {
    let rig = Rig::new("killed").await;
    let host = rig.connect(IMAGE, None, Keep::Sample).await.unwrap();
    host.prepare().await.unwrap();
    host.fresh().await.unwrap();
    // Another run's, which lives.
    let spec = PrivateSpec { image: IMAGE.to_owned(), store: None, keep: Keep::Sample };
    let folder = tempfile::tempdir().unwrap();
    let run = format!("{}0", rig.run);
    let alive = PrivateHost::connect(None, &run, "e", spec, folder.path()).await.unwrap();
    alive.prepare().await.unwrap();
    let engine = alive.fresh().await.unwrap();
    drop(host);
    assert_eq!(remove_leftovers(None, &rig.run).await.unwrap(), 2, "container and network");
    assert_eq!(remove_leftovers(None, &rig.run).await.unwrap(), 0);
    engine.facts().await.unwrap();
    alive.close().await.unwrap();
    std::fs::remove_dir_all(rig.dir.path().join("engine-e")).unwrap();
    rig.assert_nothing_left();
}

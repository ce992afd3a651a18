//! What can go wrong with a registry while a cache is imported from it or exported to it, on a
//! modern engine of the run's own: each fault is one sample's.

use super::front;
use super::harness::{ARTICLE, Bed, assert_as_before, docker, holdings};
use super::lab::{BASE, conduct, own_storage, resolved, scratch};
use super::runs::UsersRegistry;
use super::sabotage::{Case, Row, Saboteur, cases, cases_of_bodies, chosen};
use breakeven::engine;
use breakeven::link::{Limiter, Proxy, Shape, Upstream};
use breakeven::model::{Event, Phase};
use breakeven::registry::{self, Behind};
use breakeven::run::Site;
use std::sync::Arc;

const ENGINE: &str = "[engine]\nkind = \"private\"\nimage = \"breakeven-engine:modern\"\n\
                      store = \"containerd\"\n";

/// Requests for what an import reads; those for the base image are not met.
fn reads(first: &str) -> bool {
    (first.starts_with("GET") || first.starts_with("HEAD")) && first.contains("/team/")
}

/// Requests for layers of a cache, which are read when a step needs them.
fn reads_layers(first: &str) -> bool {
    reads(first) && first.contains("/blobs/")
}

/// Requests by which an export writes.
fn writes(first: &str) -> bool {
    ["POST", "PATCH", "PUT"].iter().any(|method| first.starts_with(method))
}

fn rows() -> Vec<Row> {
    let of_bodies: Vec<Case> = cases_of_bodies().into();
    let (read, left) = ("registry-read-only", "registry-max");
    let row = |strategy, meets, cases| Row { strategy, phase: Phase::Build, meets, cases };
    vec![
        row(read, reads, chosen([cases(), of_bodies.clone()].concat(), &["hangs"])),
        row(read, reads_layers, chosen(of_bodies, &[])),
        row(left, writes, chosen(cases(), &["killed"])),
    ]
}

#[test]
fn a_fault_of_the_registry_is_one_samples_in_import_and_export_of_a_cache() {
    let bed = Bed::new();
    let before = holdings();
    let users = UsersRegistry::start(&bed);
    let address = users.address.clone();
    // The engine looks for its base here, as it would in a mirror of the user's.
    let base = format!("{address}/library/{BASE}");
    docker(&["tag", BASE, &base]);
    docker(&["push", "-q", &base]);
    docker(&["rmi", &base]);
    let saboteur = Arc::new(Saboteur::new(rows(), users));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let spoils = Arc::clone(&saboteur);
        let front = front::start(&address, move |first: &str| spoils.meet(first)).await;
        let config = format!(
            "{ENGINE}[registry]\naddress = \"{front}\"\nprefix = \"team\"\n\
             [limits]\nbuild = \"8s\"\ntransfer = \"8s\"\n{ARTICLE}"
        );
        let only = "*/app/*/registry-read-only/*,*/app/*/registry-max/*";
        let plan = resolved(&bed, &config, only, saboteur.rounds());
        assert_eq!(plan.cells.len(), 2);
        let registry = registry::open(&plan.registry, &plan.run, &bed.path("unused")).await;
        let scratch = scratch(&bed);
        let host = engine::open("private", &plan.engines["private"], &plan.run, &scratch);
        let host = host.await.unwrap();
        let listen = host.prepare().await.unwrap();
        let line = Limiter::new(&Shape::default());
        let proxy = Proxy::start_on(listen, Upstream::http(front), &line).await.unwrap();
        let reached = proxy.address().to_string();
        host.trust(&reached).await;
        let registry = Arc::new(Behind::new(registry.unwrap().into(), reached));
        let site = Site { host: host.clone(), registry, link: Some(proxy), bases: None };
        let storage = own_storage(&bed, &plan).await;
        let listener = |event: &Event| saboteur.hear(event);
        let outcome = conduct(&bed, &plan, ("private", site), storage, &listener).await;
        host.close().await.unwrap();
        saboteur.judge(&outcome, &bed.samples());
    });
    assert_as_before(&before, "after every fault");
}

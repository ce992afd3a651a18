//! What can go wrong with a registry or a storage × the phases in which it does, on the real engine:
//! each fault is one sample's, the next one is measured as if nothing had been.

use super::front::{self, Fault};
use super::harness::{ARTICLE, Bed, assert_as_before, holdings};
use super::lab::{conduct, resolved, scratch};
use super::runs::UsersRegistry;
use super::sabotage::{Becomes, Case, Row, Saboteur, cases, cases_of_bodies, chosen};
use super::server;
use breakeven::model::{Event, Phase};
use breakeven::run::Site;
use breakeven::{engine, registry, storage};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

const KEYS: (&str, &str) = ("test-key-id", "test-secret-value");

/// What a server behind a front can do wrong in this phase of this strategy's samples; `usual` is
/// what has to do where not all of it is tried.
fn row((strategy, phase, usual): (&'static str, Phase, &[&str])) -> Row {
    let mut cases = cases();
    if matches!(phase, Phase::Pull | Phase::Build | Phase::Fetch) {
        cases.extend(cases_of_bodies());
    }
    if matches!(phase, Phase::Pull | Phase::Fetch) {
        cases.push(Case { what: "slow", fault: Some(Fault::Slow), becomes: Becomes::Good });
    }
    // What is killed is the registry.
    if matches!(phase, Phase::Fetch | Phase::Store) {
        cases.remove(0);
    }
    // What an engine does with a build that was given up in a hanging import: faults_hang.rs.
    if phase == Phase::Build {
        cases.retain(|case| case.what != "hangs");
    }
    let cases = chosen(cases, usual);
    Row { strategy, phase, meets: |_| true, cases }
}

#[test]
fn a_fault_of_registry_or_storage_is_one_samples_in_every_phase() {
    let bed = Bed::new();
    let before = holdings();
    let rows: [(_, _, &[&str]); 5] = [
        ("pull", Phase::Pull, &["killed", "truncated"]),
        ("pull", Phase::Push, &["hangs"]),
        ("inline", Phase::Build, &["500"]),
        ("save-load", Phase::Fetch, &["truncated"]),
        ("save-load", Phase::Store, &["hangs", "503"]),
    ];
    let rows = rows.map(row).into();
    let users = UsersRegistry::start(&bed);
    let address = users.address.clone();
    let saboteur = Arc::new(Saboteur::new(rows, users));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let rule = || {
            let saboteur = Arc::clone(&saboteur);
            move |first: &str| saboteur.meet(first)
        };
        let registry_front = front::start(&address, rule()).await;
        let (root, listener) = (bed.path("s3"), TcpListener::bind("127.0.0.1:0").await.unwrap());
        std::fs::create_dir_all(root.join("shared")).unwrap();
        let s3 = listener.local_addr().unwrap().to_string();
        let storage_front = front::start(&s3, rule()).await;
        tokio::spawn(async move { server::serve(listener, &root, KEYS).await });

        let config = format!(
            "{ARTICLE}\n[registry]\naddress = \"{registry_front}\"\nprefix = \"team\"\n\
             [limits]\nbuild = \"6s\"\ntransfer = \"3s\"\nstorage = \"3s\"\n"
        );
        let only =
            "*/app/*/pull/classic/*/*,*/app/*/save-load/classic/*/*,*/app/*/inline/buildkit/*/*";
        let plan = resolved(&bed, &config, only, saboteur.rounds() + 1);
        assert_eq!(plan.cells.len(), 3);
        let registry = registry::open(&plan.registry, &plan.run, &bed.path("unused")).await;
        let registry = registry.unwrap().into();
        let host = engine::open("shared", &plan.engines["shared"], &plan.run, Path::new("unused"));
        let host = host.await.unwrap();
        let site = Site { host, registry, link: None, bases: None };
        let environment = [
            ("AWS_ACCESS_KEY_ID", KEYS.0),
            ("AWS_SECRET_ACCESS_KEY", KEYS.1),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &format!("http://{storage_front}")),
            ("AWS_ALLOW_HTTP", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let access =
            storage::Access { environment: environment.to_vec(), ..storage::Access::default() };
        let address = Some("s3://shared/ci");
        let storage = storage::open(address, &plan.run, &scratch(&bed), &access).await;
        let listener = |event: &Event| saboteur.hear(event);
        let storage = storage.unwrap().into();
        let outcome = conduct(&bed, &plan, ("shared", site), storage, &listener).await;
        saboteur.judge(&outcome, &bed.samples());
    });
    assert_as_before(&before, "after every fault");
}

//! A build that is given up while it imports a cache from a registry that hangs.

use super::front::{self, Fault};
use super::harness::{ARTICLE, Bed, assert_as_before, holdings, text};
use super::inner::join;
use super::lab::{conduct, own_storage, resolved};
use super::runs::UsersRegistry;
use super::sabotage::{Row, Saboteur, cases};
use breakeven::engine;
use breakeven::link::{Limiter, Proxy, Shape, Upstream};
use breakeven::model::{Event, Phase, Sample, Status};
use breakeven::registry::{self, Behind};
use breakeven::run::Site;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

const ONLY: &str = "*/app/*/inline/buildkit/*/*";

fn config(registry: &str) -> String {
    format!(
        "{ARTICLE}\n[registry]\naddress = \"{registry}\"\nprefix = \"team\"\n\
         [limits]\nbuild = \"4s\"\n"
    )
}

fn findings(sample: &Sample) -> Vec<&str> {
    sample.findings.iter().map(|finding| finding.id.as_str()).collect()
}

#[test]
fn a_link_hangs_up_so_that_a_build_that_is_given_up_goes_no_further() {
    let bed = Bed::new();
    let before = holdings();
    let mut cases = cases();
    cases.retain(|case| case.what == "hangs");
    let row = Row { strategy: "inline", phase: Phase::Build, meets: |_| true, cases };
    let users = UsersRegistry::start(&bed);
    let address = users.address.clone();
    let saboteur = Arc::new(Saboteur::new(vec![row], users));
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let spoils = Arc::clone(&saboteur);
        let front = front::start(&address, move |first: &str| spoils.meet(first)).await;
        let plan = resolved(&bed, &config(&front), ONLY, saboteur.rounds());
        let registry = registry::open(&plan.registry, &plan.run, &bed.path("unused")).await;
        let line = Limiter::new(&Shape::default());
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let proxy = Proxy::start_on(here, Upstream::http(front), &line).await.unwrap();
        let registry = Behind::new(registry.unwrap().into(), proxy.address().to_string());
        let host = engine::open("shared", &plan.engines["shared"], &plan.run, Path::new("unused"));
        let host = host.await.unwrap();
        let site = Site { host, registry: Arc::new(registry), link: Some(proxy), bases: None };
        let storage = own_storage(&bed, &plan).await;
        let listener = |event: &Event| saboteur.hear(event);
        let outcome = conduct(&bed, &plan, ("shared", site), storage, &listener).await;
        saboteur.judge(&outcome, &bed.samples());
    });
    assert!(!findings(&bed.samples()[1]).contains(&"build-goes-on"));
    // What an engine would still do, it would do at once.
    std::thread::sleep(Duration::from_secs(2));
    assert_as_before(&before, "after the registry let go");
}

/// A registry in front of which a connection can be held.
struct Holding {
    address: String,
    /// Whether the next connection is held.
    armed: Arc<AtomicBool>,
    /// Connections are held until it changes.
    released: Arc<AtomicU32>,
    _users: UsersRegistry,
    _runtime: Runtime,
}

impl Holding {
    fn start(bed: &Bed) -> Self {
        let (users, runtime) = (UsersRegistry::start(bed), Runtime::new().unwrap());
        // Each request has a connection of its own there.
        let behind = runtime.block_on(front::start(&users.address, |_: &str| Fault::None));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (armed, released) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (arm, release) = (Arc::clone(&armed), Arc::clone(&released));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if arm.swap(false, Ordering::SeqCst) {
                    let (release, since) = (Arc::clone(&release), release.load(Ordering::SeqCst));
                    std::thread::spawn(move || {
                        while release.load(Ordering::SeqCst) == since {
                            std::thread::sleep(Duration::from_millis(20));
                        }
                        drop(client);
                    });
                } else {
                    join(client, TcpStream::connect(&behind).unwrap());
                }
            }
        });
        Self { address, armed, released, _users: users, _runtime: runtime }
    }

    fn hold_next(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    fn release(&self) {
        self.released.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_build_that_goes_on_in_the_engine_is_named_and_cleaned_up_once_it_can_be() {
    let bed = Bed::new();
    let before = holdings();
    let registry = Holding::start(&bed);
    let options = ["--rounds", "1", "--only", ONLY];
    let mut running = bed.start(&config(&registry.address), &options);
    // Held until the first sample is over, and again until after the run.
    for sample in [1, 2] {
        assert!(running.wait_for(&format!("sample {sample}:")), "{}", running.seen);
        assert!(running.wait_for("phase build"), "{}", running.seen);
        registry.hold_next();
        if sample == 1 {
            assert!(running.wait_for(" failed: "), "{}", running.seen);
            registry.release();
        }
    }
    assert_eq!(running.end(), Some(4), "{}", running.seen);
    assert!(running.seen.contains("`breakeven clean` then"), "{}", running.seen);
    let samples = bed.samples();
    assert_eq!(samples.len(), 2);
    for sample in &samples {
        assert_eq!(sample.status, Status::Failed, "{}", sample.reason);
        assert!(sample.reason.contains("within 4 s"), "{}", sample.reason);
        assert_eq!(findings(sample), ["timed-out", "build-goes-on"]);
    }
    let too_early = bed.clean();
    let stderr = text(&too_early.stderr);
    assert_eq!(too_early.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("`breakeven clean` then"), "{stderr}");
    registry.release();
    std::thread::sleep(Duration::from_secs(1));
    let cleaned = bed.clean();
    assert_eq!(cleaned.status.code(), Some(0), "{}", text(&cleaned.stderr));
    assert_as_before(&before, "after clean");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

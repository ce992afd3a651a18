//! What can go wrong with a registry or a storage × the phases in which it does, on the real engine:
//! each fault is one sample's, the next one is measured as if nothing had been.

use super::front::{self, Fault};
use super::harness::{ARTICLE, Bed, assert_as_before, holdings};
use super::runs::UsersRegistry;
use super::server;
use breakeven::config::{self, Filter, Overrides};
use breakeven::model::event::Ending;
use breakeven::model::{Event, Phase, Plan, Sample, Status};
use breakeven::registry;
use breakeven::run::clock::SystemClock;
use breakeven::run::journal::Journal;
use breakeven::run::ledger::{Header, Ledger};
use breakeven::run::{Outcome, Site, World, execute, publish};
use breakeven::{engine, storage};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const KEYS: (&str, &str) = ("test-key-id", "test-secret-value");

/// One fault, and what becomes of the sample that it hits.
#[derive(Debug, Clone)]
struct Case {
    what: &'static str,
    fault: Option<Fault>,
    /// Whether the sample is as good as any.
    harmless: bool,
}

fn case(what: &'static str, fault: Fault) -> Case {
    Case { what, fault: Some(fault), harmless: false }
}

/// What a server behind a front can do wrong. Killed: its process is, until the sample is over.
///
/// Engines and builders answer much of this with attempts of their own, so that all of it takes
/// minutes: `BREAKEVEN_TEST_FAULTS=all` does it, otherwise some have to do.
fn cases(phase: Phase) -> Vec<Case> {
    let mut cases = vec![
        Case { what: "killed", fault: None, harmless: false },
        case("resets", Fault::Reset),
        case("401", Fault::Answer(401, "{}")),
        case("404", Fault::Answer(404, "{}")),
        case("429", Fault::Answer(429, "{}")),
        case("500", Fault::Answer(500, "{}")),
        case("503", Fault::Answer(503, "{}")),
        case("hangs", Fault::Silence),
    ];
    // An answer that has a body can be spoilt in other ways.
    if matches!(phase, Phase::Pull | Phase::Build | Phase::Fetch) {
        cases.push(case("truncated", Fault::Cut(20)));
        cases.push(case("states another length", Fault::Length(9)));
    }
    if matches!(phase, Phase::Pull | Phase::Fetch) {
        cases.push(Case { what: "slow", fault: Some(Fault::Slow), harmless: true });
    }
    // What is killed is the registry.
    if matches!(phase, Phase::Fetch | Phase::Store) {
        cases.remove(0);
    }
    // Left out: the engine goes on with a build that was given up in a hanging import, and makes
    // build cache records when the registry lets go, after the sample's own were removed.
    if phase == Phase::Build {
        cases.retain(|case| case.what != "hangs");
    }
    if std::env::var("BREAKEVEN_TEST_FAULTS").is_err() {
        cases.retain(|case| ["killed", "hangs", "500", "truncated"].contains(&case.what));
    }
    cases
}

/// Which faults are still to come, in which phase of which strategy's samples.
type Table = BTreeMap<&'static str, VecDeque<(Phase, Case)>>;

fn table(rows: &[(&'static str, Phase)]) -> Table {
    let mut table = Table::new();
    for (strategy, phase) in rows {
        let cases = cases(*phase).into_iter().map(|case| (*phase, case));
        table.entry(strategy).or_default().extend(cases);
    }
    table
}

/// Lets each fault of a table loose in its phase, and notes in which sample.
struct Saboteur {
    now: Arc<Mutex<Fault>>,
    registry: Mutex<UsersRegistry>,
    state: Mutex<State>,
}

struct State {
    left: Table,
    /// The fault of the sample in hand.
    next: Option<(Phase, Case)>,
    killed: bool,
    done: BTreeMap<u32, (Phase, Case)>,
}

impl Saboteur {
    fn new(left: Table, registry: UsersRegistry, now: Arc<Mutex<Fault>>) -> Self {
        let state = State { left, next: None, killed: false, done: BTreeMap::new() };
        Self { now, registry: Mutex::new(registry), state: Mutex::new(state) }
    }

    fn hear(&self, event: &Event) {
        let mut state = self.state.lock().unwrap();
        match event {
            Event::SampleStarted { sample, round, cell, .. } if *round > 0 => {
                let strategy = cell.0.split('/').nth(3).unwrap();
                state.next = state.left.get_mut(strategy).and_then(VecDeque::pop_front);
                if let Some(next) = state.next.clone() {
                    state.done.insert(*sample, next);
                }
            }
            Event::PhaseStarted { phase: Some(phase) } => {
                self.stop(&mut state);
                if let Some((_, case)) = state.next.take_if(|(at, _)| at == phase) {
                    match case.fault {
                        Some(fault) => *self.now.lock().unwrap() = fault,
                        None => {
                            self.registry.lock().unwrap().kill();
                            state.killed = true;
                        }
                    }
                }
            }
            Event::SampleFinished { .. } => self.stop(&mut state),
            _ => {}
        }
    }

    fn stop(&self, state: &mut State) {
        *self.now.lock().unwrap() = Fault::None;
        if std::mem::take(&mut state.killed) {
            self.registry.lock().unwrap().again();
        }
    }

    /// Every fault came up; each is its own sample's and nobody else's.
    fn judge(&self, outcome: &Outcome, samples: &[Sample]) {
        let state = self.state.lock().unwrap();
        let last = samples.last().map(|sample| (sample.sample, sample.cell.key(), &sample.reason));
        let last_fault = last.as_ref().and_then(|(number, ..)| state.done.get(number));
        assert!(outcome.error.is_none(), "{:?} after {last:?} {last_fault:?}", outcome.error);
        assert_eq!(outcome.ending, Ending::Complete);
        let left: usize = state.left.values().map(VecDeque::len).sum();
        assert_eq!(left, 0, "the run was too short for the table");
        let mut not_ok = 0;
        for sample in samples {
            let key = sample.cell.key();
            let found: Vec<&str> = sample.findings.iter().map(|f| f.id.as_str()).collect();
            let told = format!("{key}: {} {:?} {found:?}", sample.status, sample.reason);
            let Some((phase, case)) = state.done.get(&sample.sample) else {
                assert_eq!(sample.status, Status::Ok, "nothing was wrong, yet {told}");
                continue;
            };
            let told = format!("{} in {phase}: {told}", case.what);
            if case.harmless {
                assert_eq!(sample.status, Status::Ok, "{told}");
                continue;
            }
            not_ok += 1;
            match sample.status {
                Status::Failed => {
                    assert!(sample.reason.contains(phase.as_str()), "{told}");
                    let hangs = matches!(case.fault, Some(Fault::Silence));
                    assert!(!hangs || found.contains(&"timed-out"), "{told}");
                }
                // A source that cannot be had is left out by builders: such a sample is not slow.
                Status::Invalid => {
                    assert!(["pull", "fetch", "build"].contains(&phase.as_str()), "{told}");
                }
                _ => panic!("{told}"),
            }
        }
        assert_eq!(outcome.not_ok, not_ok);
    }
}

fn resolved(bed: &Bed, config: &str, only: &str, rounds: u32) -> Plan {
    let only = Some(Filter::parse_list(only).unwrap());
    let overrides = Overrides { rounds: Some(rounds), only, ..Overrides::default() };
    config::load(&bed.config(config)).unwrap().resolve(&overrides).unwrap()
}

#[test]
fn a_fault_of_registry_or_storage_is_one_samples_in_every_phase() {
    let bed = Bed::new();
    let before = holdings();
    let rows = [
        ("pull", Phase::Pull),
        ("pull", Phase::Push),
        ("inline", Phase::Build),
        ("save-load", Phase::Fetch),
        ("save-load", Phase::Store),
    ];
    let table = table(&rows);
    let rounds = table.values().map(VecDeque::len).max().unwrap() as u32 + 1;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let now = Arc::new(Mutex::new(Fault::None));
        let rule = |now: &Arc<Mutex<Fault>>| {
            let now = Arc::clone(now);
            move |_: &str| now.lock().unwrap().clone()
        };
        let users = UsersRegistry::start(&bed);
        let registry_front = front::start(&users.address, rule(&now)).await;
        let (root, listener) = (bed.path("s3"), TcpListener::bind("127.0.0.1:0").await.unwrap());
        std::fs::create_dir_all(root.join("shared")).unwrap();
        let s3 = listener.local_addr().unwrap().to_string();
        let storage_front = front::start(&s3, rule(&now)).await;
        tokio::spawn(async move { server::serve(listener, &root, KEYS).await });

        let config = format!(
            "{ARTICLE}\n[registry]\naddress = \"{registry_front}\"\nprefix = \"team\"\n\
             [limits]\nbuild = \"6s\"\ntransfer = \"3s\"\nstorage = \"3s\"\n"
        );
        let only =
            "*/app/*/pull/classic/*/*,*/app/*/save-load/classic/*/*,*/app/*/inline/buildkit/*/*";
        let plan = resolved(&bed, &config, only, rounds);
        assert_eq!(plan.cells.len(), 3);
        let (out, scratch) = (bed.path("out"), bed.path("scratch"));
        std::fs::create_dir_all(&scratch).unwrap();
        let registry = registry::open(&plan.registry, &plan.run, &bed.path("unused")).await;
        let registry: Arc<dyn registry::Registry> = registry.unwrap().into();
        let host = engine::open("shared", &plan.engines["shared"], &plan.run, Path::new("unused"));
        let host = host.await.unwrap();
        let site = Site { host, registry: Arc::clone(&registry), link: None, bases: None };
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
        let storage = storage::open(address, &plan.run, &scratch, &access).await.unwrap();
        let world = World {
            sites: BTreeMap::from([("shared".to_owned(), site)]),
            storage: storage.into(),
            line: None,
            clock: Arc::new(SystemClock::default()),
            machine: || None,
        };
        let mut journal = Journal::create(&out, &plan).unwrap();
        let header = Header {
            run: plan.run.clone(),
            private: Vec::new(),
            scratch: scratch.clone(),
            storage: None,
        };
        let ledger = Ledger::create(&bed.path("state"), &header).unwrap();
        let saboteur = Saboteur::new(table, users, now);
        let listener = |event: &Event| saboteur.hear(event);
        let dirs = (scratch.as_path(), &*out.join("logs"));
        let cancel = CancellationToken::new();
        let outcome =
            execute(&plan, &world, &mut journal, &ledger, dirs, &cancel, &listener).await.unwrap();
        registry.close().await.unwrap();
        world.storage.close().await.unwrap();
        publish(&out).unwrap();
        saboteur.judge(&outcome, &bed.samples());
    });
    assert_as_before(&before, "after every fault");
}

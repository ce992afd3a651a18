//! The plans of the hand-made runs.

use breakeven::model::plan::{
    ArchivePlan, Availability, Candidate, Change, EnginePlan, Keep, Limits, LinkPlan, PLAN_VERSION,
    RegistryPlan, Relevance, Store, Workload,
};
use breakeven::model::prices::{Prices, Rounding};
use breakeven::model::{Builder, Cell, Plan, PullMode, State};
use std::collections::BTreeMap;

pub fn plan(rounds: u32) -> Plan {
    let workload = Workload {
        context: "/src/article".into(),
        dockerfile: "/src/article/Dockerfile".into(),
        target: None,
        build_args: BTreeMap::new(),
        secret_args: BTreeMap::new(),
        stages: vec!["builder".to_owned()],
        bases: vec!["breakeven-fixture-base:1".to_owned()],
        layout: Vec::new(),
    };
    let weighted = |weight| Change { weight, ..Change::default() };
    let have = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let competitors = [
        ("cold", Builder::Classic),
        ("cold", Builder::Buildkit),
        ("save-load-stages", Builder::Classic),
        ("inline", Builder::Buildkit),
    ];
    let mut cells = Vec::new();
    for change in ["app", "deps"] {
        for availability in ["branch+main", "none"] {
            for (strategy, builder) in competitors {
                let state = match (strategy, availability) {
                    ("cold", _) => State::Cold,
                    (_, "none") => State::Populate,
                    _ => State::Steady,
                };
                cells.push(Cell {
                    workload: "article".to_owned(),
                    change: change.to_owned(),
                    availability: availability.to_owned(),
                    strategy: strategy.to_owned(),
                    builder,
                    link: "loopback".to_owned(),
                    engine: "shared".to_owned(),
                    state,
                    again: false,
                });
            }
        }
    }
    Plan {
        version: PLAN_VERSION,
        run: "20260302-090000-k7".to_owned(),
        breakeven: "0.1.0".to_owned(),
        config: "/src/breakeven.toml".into(),
        seed: 42,
        rounds,
        adaptive: false,
        deploy_rounds: 5,
        max_time_s: None,
        baseline: "cold".to_owned(),
        pull: PullMode::First,
        relevance: Relevance { share: 0.02, seconds: 1.0 },
        workloads: BTreeMap::from([("article".to_owned(), workload)]),
        mix: None,
        replayed: None,
        changes: BTreeMap::from([
            ("none".to_owned(), weighted(0.0)),
            ("app".to_owned(), weighted(7.0)),
            ("deps".to_owned(), weighted(3.0)),
        ]),
        candidates: ["branch", "main"]
            .map(|name| Candidate { name: name.to_owned(), lacks: Vec::new() })
            .into(),
        availabilities: vec![
            Availability {
                name: "branch+main".to_owned(),
                have: have(&["branch", "main"]),
                weight: 9.0,
            },
            Availability { name: "none".to_owned(), have: Vec::new(), weight: 1.0 },
        ],
        engines: BTreeMap::from([("shared".to_owned(), EnginePlan::Shared { host: None })]),
        links: BTreeMap::from([("unshaped".to_owned(), LinkPlan::default())]),
        strategies: BTreeMap::new(),
        archive: ArchivePlan::default(),
        image_manifest: false,
        registry: RegistryPlan::Managed,
        storage: None,
        history: None,
        limits: Limits {
            build_s: 3600.0,
            transfer_s: 900.0,
            storage_s: 900.0,
            cleanup_s: 60.0,
            retries: 0,
        },
        prices: None,
        cells,
        again: Vec::new(),
        shard: None,
        machines: None,
        facts: [
            ("cpus", "2"),
            ("engine", "Docker 20.10.24, API 1.41, overlay2"),
            ("host", "Debian GNU/Linux 12, 6.1.0-18-amd64"),
            ("memory", "7.8 GB"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
    }
}

/// The same with the A/A cell that a configuration would give it.
pub fn with_again(rounds: u32) -> Plan {
    let plan = plan(rounds);
    let is_it = |cell: &&Cell| {
        (&*cell.change, &*cell.availability, &*cell.strategy, cell.builder)
            == ("app", "branch+main", "cold", Builder::Buildkit)
    };
    let again = plan.cells.iter().filter(is_it).map(|cell| Cell { again: true, ..cell.clone() });
    Plan { again: again.collect(), ..plan }
}

pub fn wide_plan(rounds: u32) -> Plan {
    let link = |down, up, rtt_s| LinkPlan { down_bps: down, up_bps: up, rtt_s };
    let private = EnginePlan::Private {
        host: None,
        image: "breakeven-engine:1".to_owned(),
        store: Some(Store::Containerd),
        keep: Keep::Sample,
    };
    let mut plan = Plan {
        links: BTreeMap::from([
            ("slow".to_owned(), link(Some(20e6), Some(5e6), 0.04)),
            ("office".to_owned(), link(Some(100e6), Some(40e6), 0.02)),
            ("fast".to_owned(), link(Some(1e9), Some(1e9), 0.002)),
        ]),
        engines: BTreeMap::from([
            ("shared".to_owned(), EnginePlan::Shared { host: None }),
            ("modern".to_owned(), private),
        ]),
        prices: Some(Prices {
            seen: "2026-11".to_owned(),
            currency: "USD".to_owned(),
            per_minute: 0.006,
            rounding: Rounding::Minute,
            out_per_gb: 0.09,
            in_per_gb: 0.0,
            storage_per_gb_month: 0.1,
            keep_builds: 30,
            per_10k_requests: 0.004,
            waiting_per_minute: 0.0,
            builds_per_day: 40.0,
            sources: BTreeMap::new(),
        }),
        ..plan(rounds)
    };
    let mut cells = Vec::new();
    for (engine, link) in
        plan.engines.keys().flat_map(|engine| plan.links.keys().map(move |link| (engine, link)))
    {
        for cell in &plan.cells {
            let cell = Cell { link: link.clone(), engine: engine.clone(), ..cell.clone() };
            if engine == "modern" && cell.strategy == "inline" {
                cells.push(Cell { strategy: "registry-max".to_owned(), ..cell.clone() });
                let state = if cell.state == State::Steady { State::ReadOnly } else { State::Cold };
                let strategy = "registry-read-only".to_owned();
                cells.push(Cell { strategy, state, ..cell.clone() });
            }
            cells.push(cell);
        }
    }
    plan.cells = cells;
    plan
}

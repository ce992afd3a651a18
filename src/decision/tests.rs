use super::*;
use crate::model::plan::{
    ArchivePlan, Availability, Candidate, Change, CommitPlan, EnginePlan, Limits, LinkPlan,
    PLAN_VERSION, RegistryPlan, Relevance, Revision,
};
use crate::model::{
    ContentHash, PhaseRecord, Prices, PullMode, Rounding, Status, StepRecord, Steps,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod again;
mod around;
mod links;

/// Decides from few resamples: enough where an interval's ends are not what is tested.
pub(super) fn decide(plan: &Plan, samples: &[Sample]) -> Decision {
    let bootstrap = Bootstrap::new(plan.seed).over_machines(plan.machines);
    decide_by(plan, samples, bootstrap.with_resamples(1_000))
}

/// The smallest saving that matters in these tests: 1 s.
const RELEVANT_S: f64 = 1.0;

fn cell(change: &str, availability: &str, strategy: &str, builder: Builder) -> Cell {
    Cell {
        workload: "web".to_owned(),
        change: change.to_owned(),
        availability: availability.to_owned(),
        strategy: strategy.to_owned(),
        builder,
        link: "loopback".to_owned(),
        engine: "shared".to_owned(),
        state: crate::strategy::ours(strategy).unwrap().state(availability != "none"),
        again: false,
    }
}

/// A plan of these competitors under the changes `app` (weight 3) and `deps` (1), and under the
/// availabilities `main` (9) and `none` (1).
pub(super) fn plan(competitors: &[(&str, Builder)]) -> Plan {
    let change = |weight| Change { weight, ..Change::default() };
    let availability = |name: &str, have: &[&str], weight| Availability {
        name: name.to_owned(),
        have: have.iter().map(|&name| name.to_owned()).collect(),
        weight,
    };
    let mut cells = Vec::new();
    for change in ["app", "deps"] {
        for availability in ["main", "none"] {
            for &(strategy, builder) in competitors {
                cells.push(cell(change, availability, strategy, builder));
            }
        }
    }
    cells.sort();
    Plan {
        version: PLAN_VERSION,
        run: "test".to_owned(),
        breakeven: String::new(),
        config: "breakeven.toml".into(),
        seed: 1,
        rounds: 10,
        adaptive: false,
        deploy_rounds: 0,
        max_time_s: None,
        baseline: "cold".to_owned(),
        pull: PullMode::First,
        relevance: Relevance { share: 0.02, seconds: RELEVANT_S },
        workloads: BTreeMap::new(),
        mix: None,
        replayed: None,
        changes: BTreeMap::from([
            ("app".to_owned(), change(3.0)),
            ("deps".to_owned(), change(1.0)),
        ]),
        candidates: vec![Candidate { name: "main".to_owned(), lacks: Vec::new() }],
        availabilities: vec![availability("main", &["main"], 9.0), availability("none", &[], 1.0)],
        engines: BTreeMap::from([("shared".to_owned(), EnginePlan::Shared { host: None })]),
        links: BTreeMap::from([("unshaped".to_owned(), LinkPlan::default())]),
        strategies: BTreeMap::new(),
        archive: ArchivePlan::default(),
        image_manifest: false,
        registry: RegistryPlan::Managed,
        storage: None,
        history: None,
        limits: Limits {
            build_s: 60.0,
            transfer_s: 60.0,
            storage_s: 60.0,
            cleanup_s: 60.0,
            retries: 0,
        },
        prices: None,
        cells,
        again: Vec::new(),
        shard: None,
        machines: None,
        facts: BTreeMap::new(),
    }
}

fn phase(phase: Phase, seconds: f64, within: Option<&str>) -> PhaseRecord {
    PhaseRecord {
        seq: 0,
        phase,
        operation: within.unwrap_or("build").to_owned(),
        reference: String::new(),
        duration_s: seconds,
        bytes_down: None,
        bytes_up: None,
        requests: None,
        within: within.is_some(),
    }
}

fn sample(number: u32, round: u32, cell: &Cell, build_s: f64) -> Sample {
    Sample {
        sample: number,
        round,
        position: 0,
        machine: None,
        cell: cell.clone().into(),
        status: Status::Ok,
        reason: String::new(),
        phases: [phase(Phase::Build, build_s, None), phase(Phase::Build, 0.1, Some("export"))]
            .into_iter()
            .collect(),
        steps: Steps::default(),
        cache_source: String::new(),
        image_bytes: None,
        workspace_hash: ContentHash::default(),
        started_at: String::new(),
        reset_s: 0.0,
        overhead_s: 0.0,
        noise: None,
        findings: Vec::new(),
    }
}

/// Prices like those of a hosted runner, rounded up to whole minutes.
pub(super) fn prices() -> Prices {
    Prices {
        seen: "2026-11".to_owned(),
        currency: "USD".to_owned(),
        per_minute: 0.006,
        rounding: Rounding::Minute,
        out_per_gb: 0.09,
        in_per_gb: 0.0,
        storage_per_gb_month: 0.1,
        keep_builds: 10,
        per_10k_requests: 0.0,
        waiting_per_minute: 0.0,
        builds_per_day: 20.0,
        sources: BTreeMap::new(),
    }
}

/// One job of so many seconds.
pub(super) fn job(round: u32, seconds: f64) -> Sample {
    sample(round, round, &cell("app", "main", "pull", Builder::Classic), seconds)
}

/// One sample of every cell in every round; `seconds` says how long it takes.
pub(super) fn samples(
    plan: &Plan,
    rounds: u32,
    seconds: impl Fn(&Cell, u32) -> f64,
) -> Vec<Sample> {
    let mut samples = Vec::new();
    for round in 1..=rounds {
        for cell in &plan.cells {
            let number = samples.len() as u32 + 1;
            samples.push(sample(number, round, cell, seconds(cell, round)));
        }
    }
    samples
}

/// Noise between -0.5 s and 0.5 s that depends on cell and round only.
pub(super) fn noise(cell: &Cell, round: u32) -> f64 {
    let text = format!("{}#{round}", cell.key());
    let seed = text.bytes().fold(17u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte));
    f64::from(ChaCha8Rng::seed_from_u64(seed).next_u32()) / f64::from(u32::MAX) - 0.5
}

/// Cold takes 20 s; with a cache an app change takes 10 s and a deps change 18 s; the first build
/// 29 s.
pub(super) fn typical(cell: &Cell, round: u32) -> f64 {
    let seconds = match (cell.state, cell.change.as_str()) {
        (State::Cold, _) => 20.0,
        (State::Populate, _) => 29.0,
        (_, "app") => 10.0,
        _ => 18.0,
    };
    seconds + noise(cell, round)
}

fn row<'a>(decision: &'a Decision, cell: &Cell) -> &'a Row {
    let group = decision
        .groups
        .iter()
        .find(|group| group.change == cell.change && group.availability == cell.availability);
    let is = |row: &&Row| row.strategy == cell.strategy && row.builder == cell.builder;
    group.unwrap().rows.iter().find(is).unwrap()
}

fn over_mix<'a>(decision: &'a Decision, strategy: &str) -> &'a Weighted {
    decision.weighted.iter().find(|weighted| weighted.strategy == strategy).unwrap()
}

const COLD_AND_PULL: [(&str, Builder); 2] =
    [("cold", Builder::Classic), ("pull", Builder::Classic)];

#[test]
fn rows_and_mix_are_decided() {
    let plan = plan(&COLD_AND_PULL);
    let decision = decide(&plan, &samples(&plan, 10, typical));
    assert_eq!((decision.rounds, decision.groups.len(), decision.weighted.len()), (10, 4, 2));
    let weights: Vec<f64> = decision.groups.iter().map(|group| group.weight).collect();
    for (weight, expected) in weights.iter().zip([0.675, 0.075, 0.225, 0.025]) {
        assert!((weight - expected).abs() < 1e-12, "{weights:?}");
    }
    let verdict = |change, availability| {
        let cell = cell(change, availability, "pull", Builder::Classic);
        row(&decision, &cell).saving.as_ref().unwrap().verdict
    };
    assert_eq!(verdict("app", "main"), Verdict::PaysOff);
    assert_eq!(verdict("deps", "main"), Verdict::PaysOff);
    assert_eq!(verdict("app", "none"), Verdict::DoesNotPayOff);
    let cold = row(&decision, &cell("app", "main", "cold", Builder::Classic));
    assert_eq!(cold.saving.as_ref().unwrap().verdict, Verdict::Baseline);
    assert_eq!((cold.n, cold.phases.len(), cold.build_parts["export"]), (10, 1, 0.1));

    let pull = over_mix(&decision, "pull");
    let saving = pull.saving.as_ref().unwrap();
    // 0.9 · (0.75 · 10 + 0.25 · 2) − 0.1 · 9 = 6.3, give or take the noise.
    assert!((saving.seconds.point - 6.3).abs() < 0.5, "{saving:?}");
    assert_eq!((saving.verdict, saving.pairs), (Verdict::PaysOff, 10));
    // 9 s more for the first, 8 s less for every later one.
    assert!((pull.builds_to_repay.unwrap().point - 9.0 / 8.0).abs() < 0.1);
    assert_eq!(over_mix(&decision, "cold").builds_to_repay, None);
}

#[test]
fn savings_of_groups_add_up_to_the_mix() {
    let plan = plan(&COLD_AND_PULL);
    let mut samples = samples(&plan, 8, typical);
    samples[3].status = Status::Failed;
    samples[12].status = Status::Failed;
    let decision = decide(&plan, &samples);
    let of_group = |group: &Group| {
        let pull = group.rows.iter().find(|row| row.strategy == "pull").unwrap();
        group.weight * pull.saving.as_ref().unwrap().seconds.point
    };
    let sum: f64 = decision.groups.iter().map(of_group).sum();
    let saving = over_mix(&decision, "pull").saving.as_ref().unwrap();
    assert!((sum - saving.seconds.point).abs() < 1e-9);
    assert_eq!(saving.pairs, 7);
}

#[test]
fn each_builder_has_its_own_baseline_and_else_the_other_ones() {
    let competitors = [
        ("cold", Builder::Classic),
        ("cold", Builder::Buildkit),
        ("pull", Builder::Classic),
        ("inline", Builder::Buildkit),
    ];
    let both = plan(&competitors);
    let decision = decide(&both, &samples(&both, 6, typical));
    let against = |decision: &Decision, strategy| {
        over_mix(decision, strategy).saving.as_ref().unwrap().against
    };
    assert_eq!(against(&decision, "pull"), Builder::Classic);
    assert_eq!(against(&decision, "inline"), Builder::Buildkit);
    let one = plan(&[competitors[0], competitors[3]]);
    let decision = decide(&one, &samples(&one, 6, typical));
    assert_eq!(against(&decision, "inline"), Builder::Classic);
}

#[test]
fn fewer_than_five_pairs_give_no_verdict() {
    let plan = plan(&COLD_AND_PULL);
    let four = decide(&plan, &samples(&plan, 4, typical));
    let saving = over_mix(&four, "pull").saving.clone().unwrap();
    assert_eq!((saving.verdict, saving.more_rounds), (Verdict::TooFewRounds, Some(1)));
    let five = decide(&plan, &samples(&plan, 5, typical));
    assert_eq!(over_mix(&five, "pull").saving.as_ref().unwrap().verdict, Verdict::PaysOff);
}

#[test]
fn a_cell_without_samples_is_named_and_hides_the_mix() {
    let plan = plan(&COLD_AND_PULL);
    let lost = cell("deps", "main", "pull", Builder::Classic);
    let without = |lost: &Cell| {
        let mut samples = samples(&plan, 6, typical);
        samples.retain(|sample| *sample.cell != *lost);
        decide(&plan, &samples)
    };
    let decision = without(&lost);
    let pull = over_mix(&decision, "pull");
    assert_eq!((pull.total_s, &pull.saving, pull.builds_to_repay), (None, &None, None));
    assert_eq!(pull.missing, [lost.key().0]);
    assert!(over_mix(&decision, "cold").total_s.is_some());
    // Of the baseline: the total is known, the saving is not.
    let lost = cell("deps", "main", "cold", Builder::Classic);
    let decision = without(&lost);
    let pull = over_mix(&decision, "pull");
    assert!(pull.total_s.is_some() && pull.saving.is_none());
    assert_eq!(pull.missing, [lost.key().0]);
}

#[test]
fn samples_in_different_rounds_are_no_pair() {
    let plan = plan(&COLD_AND_PULL);
    let mut samples = samples(&plan, 12, typical);
    samples.retain(|sample| (sample.cell.strategy == "cold") == (sample.round % 2 == 0));
    let decision = decide(&plan, &samples);
    let pull = over_mix(&decision, "pull");
    assert!(pull.total_s.is_some() && pull.saving.is_none());
    assert_eq!(pull.missing.len(), 4);
}

#[test]
fn no_samples_at_all_are_no_error() {
    let plan = plan(&COLD_AND_PULL);
    let decision = decide(&plan, &[]);
    assert_eq!((decision.rounds, decision.groups.len()), (0, 4));
    assert!(decision.groups.iter().flat_map(|group| &group.rows).all(|row| row.n == 0));
    assert!(decision.weighted.iter().all(|weighted| weighted.missing.len() >= 4));
    assert!(sentence(&decision)[0].contains("there is no verdict"));
}

#[test]
fn a_saving_that_is_too_small_to_pay_off_has_the_threshold_beside_it() {
    let mut plan = plan(&COLD_AND_PULL);
    for (relevant_s, expected) in [(1e3, true), (0.0, false)] {
        plan.relevance.seconds = relevant_s;
        let words = sentence(&decide(&plan, &samples(&plan, 12, typical))).join("\n");
        let named = "the smallest saving that matters is 1000.0 s";
        assert_eq!(words.contains(named), expected, "{words}");
    }
}

#[test]
fn a_mix_without_weight_has_no_result() {
    let mut plan = plan(&COLD_AND_PULL);
    plan.changes.values_mut().for_each(|change| change.weight = 0.0);
    let decision = decide(&plan, &samples(&plan, 6, typical));
    let pull = over_mix(&decision, "pull");
    assert!(pull.total_s.is_none() && pull.saving.is_none() && pull.missing.is_empty());
    assert!(row(&decision, &plan.cells[0]).saving.is_some());
    let words = sentence(&decision).join("\n");
    assert!(words.contains("No result for `pull (classic)`: no change"), "{words}");
}

#[test]
fn hits_sources_and_bytes_are_of_samples_that_count() {
    let plan = plan(&COLD_AND_PULL);
    let pull = cell("app", "main", "pull", Builder::Classic);
    let step = |step, hit| StepRecord {
        build: 0,
        stage: "0".to_owned(),
        step,
        instruction: "RUN true".to_owned(),
        hit,
        duration_s: None,
    };
    let mut samples = Vec::new();
    for (round, hits, bytes) in [(1, 2, Some(10)), (2, 1, Some(31)), (3, 2, None), (4, 0, Some(9))]
    {
        let mut sample = sample(round, round, &pull, 1.0);
        sample.steps = (0..2).map(|at| step(at, at < hits)).collect();
        sample.phases.edit(|rows| rows[0].bytes_down = bytes);
        sample.cache_source = "main".to_owned();
        samples.push(sample);
    }
    samples[3].status = Status::Invalid;
    let decision = decide(&plan, &samples);
    let row = row(&decision, &pull);
    assert_eq!((row.n, row.invalid, row.failed), (3, 1, 0));
    assert_eq!((row.hits, row.steps), (Some((1, 2)), Some(2)));
    assert_eq!((row.bytes_down, row.bytes_up), (Some(21), None));
    assert_eq!(row.sources, BTreeMap::from([("main".to_owned(), 3)]));
}

/// The decision's numbers that must not depend on anything they should not depend on.
fn savings(decision: &Decision) -> Vec<Option<Saving>> {
    decision.weighted.iter().map(|weighted| weighted.saving.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn pairing_removes_what_a_whole_round_has_in_common(
        moods in prop::collection::vec(-5.0..50.0, 7),
    ) {
        let plan = plan(&COLD_AND_PULL);
        let calm = decide(&plan, &samples(&plan, 7, typical));
        let moody = decide(&plan, &samples(&plan, 7, |cell, round| {
            typical(cell, round) + moods[round as usize - 1]
        }));
        let (calm, moody) = (over_mix(&calm, "pull"), over_mix(&moody, "pull"));
        let (calm, moody) = (calm.saving.as_ref().unwrap(), moody.saving.as_ref().unwrap());
        prop_assert!((calm.seconds.point - moody.seconds.point).abs() < 1e-9);
        prop_assert!((calm.seconds.low - moody.seconds.low).abs() < 1e-9);
        prop_assert!((calm.seconds.high - moody.seconds.high).abs() < 1e-9);
    }

    #[test]
    fn the_order_of_samples_does_not_matter(
        order in Just((0..24usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let plan = plan(&[COLD_AND_PULL[0], COLD_AND_PULL[1]]);
        let straight = samples(&plan, 3, typical);
        let shuffled: Vec<Sample> = order.iter().map(|&at| straight[at].clone()).collect();
        prop_assert_eq!(decide(&plan, &straight), decide(&plan, &shuffled));
    }

    #[test]
    fn what_does_not_count_has_no_influence(
        fates in prop::collection::vec((0..4u32, 0.1..1e4), 48),
    ) {
        let plan = plan(&COLD_AND_PULL);
        let counted = samples(&plan, 6, typical);
        let mut more = counted.clone();
        for ((fate, seconds), of) in fates.into_iter().zip(&counted) {
            let (status, round) = match fate {
                0 => (Status::Invalid, of.round),
                1 => (Status::Failed, of.round),
                2 => (Status::Interrupted, of.round),
                _ => (Status::Ok, 0),
            };
            let number = 1_000 + more.len() as u32;
            more.push(Sample { status, ..sample(number, round, &of.cell, seconds) });
        }
        let (pure, mixed) = (decide(&plan, &counted), decide(&plan, &more));
        prop_assert_eq!(savings(&pure), savings(&mixed));
        for (pure, mixed) in pure.groups.iter().zip(&mixed.groups) {
            for (pure, mixed) in pure.rows.iter().zip(&mixed.rows) {
                let Row { invalid, failed, .. } = *mixed;
                prop_assert_eq!(&Row { invalid, failed, ..pure.clone() }, mixed);
            }
        }
    }
}

#[test]
fn words() {
    let plan = plan(&[
        ("cold", Builder::Classic),
        ("cold", Builder::Buildkit),
        ("local", Builder::Classic),
        ("pull", Builder::Classic),
        ("save-load", Builder::Classic),
        ("save-load-stages", Builder::Classic),
        ("inline", Builder::Buildkit),
        ("inline-stages", Builder::Buildkit),
    ]);
    let mut samples = samples(&plan, 8, |cell, round| match cell.strategy.as_str() {
        "pull" => 21.0 + noise(cell, round),
        "save-load" => 19.1 + 6.0 * noise(cell, round),
        "inline" => typical(cell, round) - 1.0,
        "local" => 3.0,
        _ => typical(cell, round),
    });
    samples.retain(|sample| match sample.cell.strategy.as_str() {
        "save-load-stages" => sample.round < 3,
        "inline-stages" => sample.cell.change != "deps",
        _ => true,
    });
    let decision = super::decide(&plan, &samples);
    insta::assert_snapshot!(sentence(&decision).join("\n"));
}

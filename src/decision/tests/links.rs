//! Over several links, in money, at deploy and over commits.

use super::*;

/// A plan of the same cells over links of so many Mbit/s down, a fifth of that up, and so many
/// milliseconds of round trip.
fn over_links(links: &[(&str, f64, f64)]) -> Plan {
    let mut plan = plan(&COLD_AND_PULL);
    plan.links = links
        .iter()
        .map(|&(name, mbit, rtt_ms)| {
            let down_bps = mbit * 1e6;
            let (down_bps, up_bps) = (Some(down_bps), Some(down_bps / 5.0));
            (name.to_owned(), LinkPlan { down_bps, up_bps, rtt_s: rtt_ms / 1e3 })
        })
        .collect();
    let cells = std::mem::take(&mut plan.cells);
    plan.cells = cells
        .iter()
        .flat_map(|cell| {
            let over = |link: &String| Cell { link: link.clone(), ..cell.clone() };
            plan.links.keys().map(over).collect::<Vec<_>>()
        })
        .collect();
    plan.cells.sort();
    plan
}

const FOUR_LINKS: [(&str, f64, f64); 4] =
    [("dsl", 10.0, 40.0), ("office", 50.0, 20.0), ("fast", 200.0, 10.0), ("hall", 1000.0, 1.0)];

/// `c`, megabytes down and up, and round trips.
type Made = (f64, f64, f64, f64);

/// Jobs that take what the model says, give or take noise of this share, with counted bytes.
fn modelled(plan: &Plan, rounds: u32, noisy: f64, of: impl Fn(&Cell) -> Made) -> Vec<Sample> {
    let mut samples = samples(plan, rounds, |_, _| 0.0);
    for sample in &mut samples {
        let (c, down, up, r) = of(&sample.cell);
        let link = plan.links[&sample.cell.link];
        let seconds = c
            + 8e6 * down / link.down_bps.unwrap()
            + 8e6 * up / link.up_bps.unwrap()
            + r * link.rtt_s;
        let seconds = seconds * (1.0 + noisy * 2.0 * noise(&sample.cell, sample.round));
        sample.phases.edit(|rows| {
            rows[0].duration_s = seconds;
            rows[0].bytes_down = Some((down * 1e6) as u64);
            rows[0].bytes_up = Some((up * 1e6) as u64);
            rows[0].requests = Some(9);
        });
    }
    samples
}

/// Cold takes 30 s and uploads 10 MB; with a cache 12 s, but 40 MB come down as well.
fn cold_or_pull(cell: &Cell) -> Made {
    if cell.strategy == "cold" { (30.0, 0.0, 10.0, 20.0) } else { (12.0, 40.0, 10.0, 60.0) }
}

fn over_mix_of_links<'a>(decision: &'a Decision, strategy: &str) -> &'a LinkModel {
    decision
        .link_models
        .iter()
        .find(|model| model.change.is_none() && model.strategy == strategy)
        .unwrap()
}

#[test]
fn the_model_finds_what_made_the_times() {
    let plan = over_links(&FOUR_LINKS);
    let decision = decide(&plan, &modelled(&plan, 8, 0.02, cold_or_pull));
    let model = over_mix_of_links(&decision, "pull");
    let fit = model.fit.as_ref().unwrap();
    let holds = |estimate: Estimate, made: f64| estimate.low <= made && made <= estimate.high;
    assert!(holds(fit.c_s, 12.0) && holds(fit.round_trips.unwrap(), 60.0), "{fit:?}");
    assert_eq!((fit.bytes_down.point, fit.bytes), (40e6, BytesFrom::Counted));
    assert_eq!((model.not_drawn.as_ref(), model.curve.len()), (None, 40));
    assert_eq!(model.points[0].link, "dsl", "the slowest first");
    assert_eq!(model.held_out.len(), 4);
    assert!(model.held_out.iter().all(|held| held.error.abs() < 0.05), "{:?}", model.held_out);
    // 18 s less 40 round trips of 15 ms, against 40 MB: 320 Mbit in 17.4 s.
    let BreakEven::Above(crossing) = &model.break_even_bps else {
        panic!("saves above: {:?}", model.break_even_bps)
    };
    let made = 320e6 / 17.4;
    assert!(crossing.low.unwrap() <= made && made <= crossing.high.unwrap(), "{crossing:?}");
    assert!((crossing.point / made - 1.0).abs() < 0.05, "{crossing:?}");
    assert!(!model.extrapolated);
    assert!(holds(model.saving_per_10ms_s.unwrap(), -0.4));
    // Over the mix, and each of four changes and availabilities, for both.
    assert_eq!(decision.link_models.len(), 10);
}

#[test]
fn a_break_even_bandwidth_that_is_not_there_is_said_in_words() {
    let plan = over_links(&FOUR_LINKS);
    let of = |pull: Made| {
        let cold = (30.0, 10.0, 10.0, 20.0);
        let of = |cell: &Cell| if cell.strategy == "cold" { cold } else { pull };
        let decision = decide(&plan, &modelled(&plan, 6, 0.01, of));
        over_mix_of_links(&decision, "pull").break_even_bps.clone()
    };
    assert_eq!(of((12.0, 5.0, 5.0, 20.0)), BreakEven::Always);
    assert_eq!(of((45.0, 40.0, 20.0, 20.0)), BreakEven::Never);
    assert!(matches!(of((45.0, 1.0, 1.0, 20.0)), BreakEven::Below(_)));
}

#[test]
fn too_few_links_and_a_model_that_misses_are_not_drawn() {
    let one = plan(&COLD_AND_PULL);
    let decision = decide(&one, &samples(&one, 6, typical));
    assert_eq!(decision.link_models.len(), 2, "over the mix only");
    for links in 1..=2 {
        let plan = over_links(&FOUR_LINKS[..links]);
        let decision = decide(&plan, &modelled(&plan, 6, 0.01, cold_or_pull));
        let model = over_mix_of_links(&decision, "pull");
        let why = model.not_drawn.as_deref().unwrap();
        assert!(why.contains("at least three"), "{why}");
        assert!(model.fit.is_none() && model.curve.is_empty() && model.points.len() == links);
        assert_eq!(model.break_even_bps, BreakEven::not_known(why));
    }
    // Half of the bytes move while something else is done, so that counting them is wrong.
    let plan = over_links(&FOUR_LINKS);
    let mut samples = modelled(&plan, 6, 0.01, cold_or_pull);
    for sample in samples.iter_mut().filter(|sample| sample.cell.strategy == "pull") {
        let link = plan.links[&sample.cell.link];
        sample.phases.edit(|rows| rows[0].duration_s -= 8e6 * 25.0 / link.down_bps.unwrap());
    }
    let decision = decide(&plan, &samples);
    let model = over_mix_of_links(&decision, "pull");
    let why = model.not_drawn.as_deref().unwrap();
    assert!(why.contains("more than 10 %") && why.contains("link dsl"), "{why}");
    assert!(model.fit.is_some() && model.curve.is_empty() && model.held_out.len() == 4);
}

#[test]
fn shares_and_hits_break_even_where_savings_cancel() {
    let plan = plan(&COLD_AND_PULL);
    // App saves 10 s, deps loses 5; a build without a candidate loses 9.
    let of = |cell: &Cell, round| match (cell.state, cell.change.as_str()) {
        (State::Cold, _) => 20.0 + noise(cell, round),
        (State::Populate, _) => 29.0 + noise(cell, round),
        (_, "app") => 10.0 + noise(cell, round),
        _ => 25.0 + noise(cell, round),
    };
    let decision = decide(&plan, &samples(&plan, 10, of));
    let pull = over_mix(&decision, "pull");
    let deps = pull.shares.iter().find(|share| share.change == "deps").unwrap();
    assert!(deps.dearest && (deps.now - 0.25).abs() < 1e-12 && deps.points.len() == 11);
    // App over availabilities: 0.9 · 10 − 0.1 · 9 = 8.1; deps: 0.9 · −5 − 0.9 = −5.4.
    let BreakEven::Below(at) = deps.break_even else { panic!("{:?}", deps.break_even) };
    let made = 8.1 / 13.5;
    assert!(at.low.unwrap() <= made && made <= at.high.unwrap(), "{at:?}");
    let app = pull.shares.iter().find(|share| share.change == "app").unwrap();
    assert!(!app.dearest && app.points.is_empty());
    assert!(matches!(app.break_even, BreakEven::Above(at) if (at.point - 0.4).abs() < 0.05));
    // Found: 0.75 · 10 − 0.25 · 5 = 6.25; not found: −9.
    let BreakEven::Above(hits) = pull.hit_share else { panic!("{:?}", pull.hit_share) };
    assert!((hits.point - 9.0 / 15.25).abs() < 0.03, "{hits:?}");
    let cold = over_mix(&decision, "cold");
    assert!(cold.shares.is_empty() && cold.not_repaid.as_deref() == Some("it is the baseline"));
    assert!(matches!(cold.hit_share, BreakEven::NotKnown { .. }));
}

#[test]
fn first_builds_are_reckoned_with_even_if_the_mix_leaves_them_out() {
    let mut plan = plan(&COLD_AND_PULL);
    let all = over_mix(&decide(&plan, &samples(&plan, 8, typical)), "pull").clone();
    plan.availabilities[1].weight = 0.0;
    let without = over_mix(&decide(&plan, &samples(&plan, 8, typical)), "pull").clone();
    let (all, without) = (all.builds_to_repay.unwrap(), without.builds_to_repay.unwrap());
    assert!((all.point - without.point).abs() < 1e-9, "{all:?} {without:?}");
}

#[test]
fn deploy_and_trade_come_from_what_a_cold_job_pushes() {
    let mut plan = over_links(&FOUR_LINKS[..1]);
    let mut samples = modelled(&plan, 5, 0.0, cold_or_pull);
    for sample in &mut samples {
        sample.image_bytes = Some(90_000_000);
        let mut push = sample.phases.records()[0].clone();
        push.phase = Phase::Push;
        push.bytes_up = Some(if sample.round == 1 { 25_000_000 } else { 24_000_000 });
        sample.phases.edit(|rows| rows.push(push));
    }
    let decision = decide(&plan, &samples);
    let [deploy] = decision.deploys.as_slice() else { panic!("{:?}", decision.deploys) };
    assert_eq!((deploy.bytes, deploy.image_bytes), (Some(25_000_000), Some(90_000_000)));
    // 200 Mbit at 10 Mbit/s, and six round trips of 40 ms.
    assert!((deploy.seconds().unwrap() - 20.24).abs() < 1e-9, "{deploy:?}");
    assert!(decision.trade.is_empty(), "there is one workload");

    // A second workload beside it, of one stage.
    let single = |cell: &Cell| Cell { workload: "single".to_owned(), ..cell.clone() };
    plan.cells.extend(plan.cells.iter().map(single).collect::<Vec<_>>());
    let more: Vec<Sample> = samples
        .iter()
        .map(|sample| Sample { cell: single(&sample.cell).into(), ..sample.clone() })
        .collect();
    samples.extend(more);
    let stage = crate::model::plan::StageLayout::default();
    let workload = |stages: usize| crate::model::plan::Workload {
        context: "/w".into(),
        dockerfile: "/w/Dockerfile".into(),
        target: None,
        build_args: BTreeMap::new(),
        secret_args: BTreeMap::new(),
        stages: Vec::new(),
        bases: Vec::new(),
        layout: vec![stage.clone(); stages],
    };
    plan.workloads = [("web", 2), ("single", 1)]
        .map(|(name, stages)| (name.to_owned(), workload(stages)))
        .into();
    let decision = decide(&plan, &samples);
    let rows: Vec<(&str, usize, &str)> = decision
        .trade
        .iter()
        .map(|row| (row.workload.as_str(), row.stages, row.strategy.as_str()))
        .collect();
    let both = |workload, stages| [(workload, stages, "cold"), (workload, stages, "pull")];
    assert_eq!(rows, [both("single", 1), both("web", 2)].concat());
    assert!(decision.trade.iter().all(|row| row.deploy_s.is_some()));
}

#[test]
fn pulls_take_the_place_of_what_is_computed() {
    let plan = over_links(&FOUR_LINKS[..2]);
    let decision = decide(&plan, &modelled(&plan, 5, 0.0, cold_or_pull));
    let [slow, fast] = [FOUR_LINKS[0].0, FOUR_LINKS[1].0];
    let pull = |link: &str, round, duration_s| DeployPull {
        workload: "web".to_owned(),
        engine: "shared".to_owned(),
        link: link.to_owned(),
        builder: Builder::Classic,
        round,
        duration_s,
        bytes_down: Some(1_000 + u64::from(round)),
        requests: Some(9),
        present: vec!["base:1".to_owned()],
        reason: duration_s.map_or_else(|| "no route".to_owned(), |_| String::new()),
    };
    let pulls = [
        pull(slow, 1, Some(4.0)),
        pull(slow, 2, Some(6.0)),
        pull(slow, 3, Some(5.0)),
        // A round that was begun again after an interruption.
        pull(slow, 3, Some(50.0)),
        pull(fast, 1, None),
        DeployPull { workload: "another".to_owned(), ..pull(fast, 2, Some(1.0)) },
    ];
    let of = |decision: &Decision, link: &str| {
        decision.deploys.iter().find(|deploy| deploy.link == link).unwrap().clone()
    };
    let computed = of(&decision, fast).computed_s;
    let decision = decision.with_pulls(&plan, &pulls);
    let measured = of(&decision, slow);
    let seconds = measured.measured_s.unwrap();
    assert_eq!((seconds.point, measured.n, measured.failed), (5.0, 3, 0));
    assert!(seconds.low >= 4.0 && seconds.high <= 6.0, "{seconds:?}");
    assert_eq!((measured.fetched, measured.seconds()), (Some(1_002), Some(5.0)));
    assert_eq!(measured.present, ["base:1"]);
    let failed = of(&decision, fast);
    assert_eq!((failed.measured_s, failed.n, failed.failed), (None, 0, 1));
    assert_eq!((failed.reason.as_deref(), failed.seconds()), (Some("no route"), computed));
}

#[test]
fn a_replay_sums_over_its_commits() {
    let mut plan = plan(&COLD_AND_PULL);
    plan.availabilities.pop();
    plan.cells.retain(|cell| cell.availability == "main");
    for cell in &mut plan.cells {
        cell.change = format!("commit-{}", if cell.change == "app" { "1-aaa" } else { "2-bbb" });
    }
    let at = |commit: &str| Revision { commit: commit.to_owned(), workloads: BTreeMap::new() };
    let commit = CommitPlan { title: "Fix it".to_owned(), built: at("b"), before: at("a") };
    let change = Change { weight: 1.0, commit: Some(commit), ..Change::default() };
    plan.changes =
        ["commit-1-aaa", "commit-2-bbb"].map(|name| (name.to_owned(), change.clone())).into();
    let of = |cell: &Cell, _| match (cell.state, cell.change.as_str()) {
        (State::Cold, _) => 120.0,
        (_, "commit-1-aaa") => 30.0,
        _ => 90.0,
    };
    let decision = decide(&plan, &samples(&plan, 6, of));
    let pull = over_mix(&decision, "pull");
    let replay = pull.replay.as_ref().unwrap();
    assert_eq!((replay.commits, replay.baseline_s.point, replay.saved_s.point), (2, 240.0, 120.0));
    assert!(pull.shares.is_empty(), "a commit happens once");
    let words = sentence(&decision).join("\n");
    let expected = "Over your last 2 commits `pull (classic)` would have saved 2.00 [2.00, 2.00] of 4.00 minutes.";
    assert!(words.contains(expected), "{words}");
}

#[test]
fn outlook_in_words() {
    let mut plan = over_links(&FOUR_LINKS);
    plan.prices = Some(prices());
    let of = |cell: &Cell| match (cell.strategy.as_str(), cell.change.as_str(), cell.state) {
        ("cold", ..) => (30.0, 0.0, 10.0, 20.0),
        (_, _, State::Populate) => (36.0, 0.0, 20.0, 30.0),
        (_, "app", _) => (12.0, 40.0, 10.0, 60.0),
        _ => (33.0, 40.0, 10.0, 60.0),
    };
    let decision = decide(&plan, &modelled(&plan, 8, 0.02, of));
    let words: Vec<String> = decision
        .scopes()
        .map(|scope| format!("{}: {}", scope[0].link, outlook(&decision, scope).join("\n  ")))
        .collect();
    insta::assert_snapshot!(words.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn the_order_of_samples_does_not_matter_to_models_and_money(
        order in Just((0..96usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let plan = over_links(&FOUR_LINKS[..3]);
        let straight = modelled(&plan, 4, 0.05, cold_or_pull);
        prop_assert_eq!(straight.len(), order.len());
        let shuffled: Vec<Sample> = order.iter().map(|&at| straight[at].clone()).collect();
        prop_assert_eq!(decide(&plan, &straight), decide(&plan, &shuffled));
    }

    #[test]
    fn known_coefficients_are_within_their_intervals_or_next_to_them(
        c in 5.0..50.0, down in 1.0..80.0, up in 1.0..20.0, trips in 5.0..90.0,
    ) {
        let plan = over_links(&FOUR_LINKS);
        let of = |cell: &Cell| {
            if cell.strategy == "cold" { (30.0, 0.0, 10.0, 20.0) } else { (c, down, up, trips) }
        };
        let decision = decide(&plan, &modelled(&plan, 8, 0.01, of));
        let model = over_mix_of_links(&decision, "pull");
        let fit = model.fit.as_ref().unwrap();
        // An interval misses now and then; not by more than twice its own width.
        let near = |estimate: Estimate, made: f64| {
            let width = estimate.high - estimate.low;
            estimate.low - 2.0 * width <= made && made <= estimate.high + 2.0 * width
        };
        prop_assert!(near(fit.c_s, c), "{:?} {c}", fit.c_s);
        prop_assert!(near(fit.round_trips.unwrap(), trips), "{:?} {trips}", fit.round_trips);
        prop_assert!((fit.bytes_down.point - (down * 1e6).floor()).abs() < 1.0);
    }
}

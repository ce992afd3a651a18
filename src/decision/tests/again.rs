//! The baseline against itself.

use super::*;

const PULL: [(&str, Builder); 2] = [("cold", Builder::Classic), ("pull", Builder::Classic)];

/// A plan with the A/A cell of `app`.
fn with_again() -> Plan {
    let again = Cell { again: true, ..cell("app", "main", "cold", Builder::Classic) };
    Plan { again: vec![again], ..plan(&PULL) }
}

fn plan_without(plan: &Plan) -> Plan {
    Plan { again: Vec::new(), ..plan.clone() }
}

/// One sample of every cell in every round, A/A cells included.
fn measured(plan: &Plan, rounds: u32, seconds: impl Fn(&Cell, u32) -> f64) -> Vec<Sample> {
    let mut cells = plan.cells.clone();
    cells.extend(plan.again.iter().cloned());
    samples(&Plan { cells, ..plan.clone() }, rounds, seconds)
}

fn resolved(decision: &Decision) -> &Resolved {
    decision.resolution[0].resolved.as_ref().unwrap()
}

#[test]
fn the_smallest_difference_is_half_the_width_of_the_interval() {
    let plan = with_again();
    let decision = decide(&plan, &measured(&plan, 10, typical));
    let (one, found) = (&decision.resolution[0], resolved(&decision));
    assert_eq!(
        (one.pairs, one.change.as_str(), one.place().as_str()),
        (10, "app", "change app, candidates main")
    );
    assert_eq!(found.smallest_s, (found.seconds.high - found.seconds.low) / 2.0);
    // Differences of two uniform noises of width 1 have a deviation of 0.41.
    assert!((0.15..0.6).contains(&found.smallest_s), "{found:?}");
    assert!((found.smallest_share - found.smallest_s / 20.0).abs() < 0.002, "{found:?}");
    assert!(!found.is_unlike() && one.unlike().is_none(), "{found:?}");
    let said = sentence(&decision).join("\n");
    assert!(said.contains("`cold (classic)`, measured twice in 10 rounds (change app, candidates main), differs from itself by"), "{said}");
}

#[test]
fn the_again_cell_is_no_competitor_and_changes_no_verdict() {
    let plan = with_again();
    let all = measured(&plan, 8, typical);
    let without: Vec<Sample> = all.iter().filter(|sample| !sample.cell.again).cloned().collect();
    let with = decide(&plan, &all);
    let plain = decide(&plan_without(&plan), &without);
    assert_eq!((&with.groups, &with.weighted), (&plain.groups, &plain.weighted));
    assert_eq!(plain.resolution, []);
    assert_eq!(winners(&with).len(), 1);
}

/// Three savings tell little about their spread, which the A/A cell's is added to.
#[test]
fn the_again_cell_tells_an_adaptive_run_something_about_the_spread() {
    let plan = Plan { adaptive: true, ..with_again() };
    let width = |plan: &Plan, again_noise: f64| {
        let seconds = |cell: &Cell, round| {
            let twin = if cell.again { again_noise * noise(cell, round) } else { 0.0 };
            typical(cell, round) + twin
        };
        let decision = decide(plan, &measured(plan, 3, seconds));
        let mix = over_mix(&decision, "pull").saving.as_ref().unwrap().seconds;
        let app = decision.groups.iter().find(|group| group.change == "app").unwrap();
        let row = app.rows.iter().find(|row| row.strategy == "pull").unwrap();
        let one = row.saving.as_ref().unwrap().seconds;
        [mix, one].map(|saving| saving.high - saving.low)
    };
    let without = width(&plan_without(&plan), 0.0);
    let (quiet, loud) = (width(&plan, 0.0), width(&plan, 40.0));
    for at in 0..2 {
        assert!(quiet[at] < without[at], "{quiet:?} {without:?}");
        assert!(loud[at] > without[at], "{loud:?} {without:?}");
    }
}

#[test]
fn noise_over_a_mix_is_less_than_that_of_one_cell() {
    let plan = with_again();
    let samples = measured(&plan, 3, typical);
    let measured = Measured::new(&samples);
    let scope = Scope::all(&plan).pop_first().unwrap();
    let of = |weights: &[f64]| {
        super::super::again::noise_of(&plan, &measured, &scope, weights.iter().copied()).unwrap()
    };
    let (one, four) = (of(&[1.0]), of(&[0.25; 4]));
    assert_eq!(one.len(), 3);
    for (round, [once, again]) in &one {
        assert!((four[round][0] - 0.5 * once).abs() < 1e-9);
        assert!((four[round][1] - 0.5 * again).abs() < 1e-9);
    }
    assert_eq!(super::super::again::noise_of(&plan_without(&plan), &measured, &scope, [1.0]), None);
}

#[test]
fn a_saving_below_what_is_resolved_is_named() {
    let plan = with_again();
    // Noise of seconds, and a strategy that saves a tenth of one.
    let noisy = |cell: &Cell, round| {
        let saved = if cell.strategy == "pull" { 0.1 } else { 0.0 };
        30.0 + 6.0 * noise(&Cell { strategy: "cold".to_owned(), ..cell.clone() }, round) - saved
    };
    let decision = decide(&plan, &measured(&plan, 8, noisy));
    let one = &decision.resolution[0];
    assert_eq!(one.smaller.len(), 1, "{one:?}");
    assert_eq!(
        (one.smaller[0].strategy.as_str(), one.smaller[0].builder),
        ("pull", Builder::Classic)
    );
    assert!((one.smaller[0].saving_s - 0.1).abs() < 1e-9, "{one:?}");
    let said = sentence(&decision).join("\n");
    assert!(said.contains("Below that: the saving of `pull (classic)` (0.10 s)."), "{said}");
    let clear = decide(&plan, &measured(&plan, 8, typical));
    assert_eq!(clear.resolution[0].smaller, []);
}

#[test]
fn fewer_than_three_pairs_say_nothing_but_that() {
    let plan = with_again();
    let mut lost = measured(&plan, 4, typical);
    for sample in lost.iter_mut().filter(|sample| sample.cell.again && sample.round > 2) {
        sample.status = Status::Failed;
    }
    let decision = decide(&plan, &lost);
    let one = &decision.resolution[0];
    assert_eq!((one.pairs, one.resolved.as_ref(), one.smaller.len()), (2, None, 0));
    let said = sentence(&decision).join("\n");
    assert!(said.contains("measured twice in 2 rounds, 3 are needed"), "{said}");
}

/// Normal noise from uniform numbers: Box and Muller, "A Note on the Generation of Random Normal
/// Deviates", Annals of Mathematical Statistics 29 (1958).
fn normals(seed: u64) -> impl Iterator<Item = f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = move || (f64::from(random.next_u32()) + 1.0) / (f64::from(u32::MAX) + 2.0);
    std::iter::repeat_with(move || {
        let (radius, turn) = ((-2.0 * uniform().ln()).sqrt(), uniform());
        radius * (std::f64::consts::TAU * turn).cos()
    })
}

/// How many of 1,000 simulated runs of so many rounds say that the baseline differs from itself,
/// and how often the 95 % interval leaves out the true difference.
fn alarms(rounds: u32, skewed: bool, bias: f64) -> (u32, u32) {
    let plan = with_again();
    let pair = [Cell { again: false, ..plan.again[0].clone() }, plan.again[0].clone()];
    let mut noise = normals(u64::from(rounds) + u64::from(skewed));
    let bootstrap = Bootstrap::new(1).with_resamples(500);
    let (mut unlike, mut missed) = (0, 0);
    for _ in 0..1_000 {
        let mut samples = Vec::new();
        for round in 1..=rounds {
            let mood = noise.next().unwrap();
            for cell in &pair {
                let z = noise.next().unwrap();
                let own = if skewed { (0.5 * z).exp() } else { z };
                let bias = if cell.again { bias } else { 0.0 };
                samples.push(sample(
                    samples.len() as u32 + 1,
                    round,
                    cell,
                    30.0 + mood + own - bias,
                ));
            }
        }
        let measured = Measured::new(&samples);
        let found = crate::decision::again::of_decider(
            &Decider { plan: &plan, measured, bootstrap, looks: None },
            &[],
        );
        let found = found[0].resolved.as_ref().unwrap();
        unlike += u32::from(found.is_unlike());
        missed += u32::from(!(found.seconds.low..=found.seconds.high).contains(&bias));
    }
    (unlike, missed)
}

#[test]
fn equal_cells_differ_in_one_run_of_a_hundred_and_unequal_ones_nearly_always() {
    for (rounds, skewed) in [(5, false), (10, false), (10, true)] {
        // 1 % of 1,000 are 10; three standard deviations of that are 9.4. Skewed noise makes
        // fewer.
        let (unlike, missed) = alarms(rounds, skewed, 0.0);
        let least = if skewed { 0 } else { 2 };
        assert!((least..=19).contains(&unlike), "{rounds} {skewed}: {unlike}");
        // What the intervals of five and ten rounds leave out: see the methodology.
        assert!((20..=110).contains(&missed), "{rounds} {skewed}: {missed}");
    }
    let (unlike, _) = alarms(10, false, 3.0);
    assert!(unlike > 980, "{unlike}");
}

#[test]
fn the_chance_is_shared_among_the_cells_of_a_run() {
    let mut plan = with_again();
    let other = |cell: &Cell| Cell { engine: "own".to_owned(), ..cell.clone() };
    plan.cells.extend(plan.cells.iter().map(other).collect::<Vec<_>>());
    plan.again.push(other(&plan.again[0]));
    let decision = decide(&plan, &measured(&plan, 6, typical));
    assert_eq!(decision.resolution.len(), 2);
    for one in &decision.resolution {
        assert_eq!(one.resolved.as_ref().unwrap().shown_below, FALSE_ALARM / 2.0);
    }
    // Each is said of its own scope.
    for scope in decision.scopes() {
        let said = sentences_of(&decision, scope);
        assert_eq!(said.iter().filter(|one| one.contains("measured twice")).count(), 1, "{said:?}");
    }
}

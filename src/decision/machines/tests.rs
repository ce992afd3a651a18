use super::super::tests::{decide, noise, plan, samples, typical};
use super::*;
use crate::model::{Cell, Plan, Shard};

const MACHINES: u32 = 3;

/// A run of 12 rounds on three machines; `seconds` is told the machine, too.
fn merged(seconds: impl Fn(&Cell, u32, u32) -> f64) -> (Plan, Vec<Sample>) {
    let competitors = [("cold", Builder::Classic), ("pull", Builder::Classic)];
    let plan = Plan { machines: Some(MACHINES), rounds: 12, ..plan(&competitors) };
    let of = |round: u32| {
        (1..=MACHINES).find(|index| Shard::new(*index, MACHINES).unwrap().has(round)).unwrap()
    };
    let mut samples = samples(&plan, 12, |cell, round| seconds(cell, round, of(round)));
    for sample in &mut samples {
        sample.machine = Some(of(sample.round));
    }
    (plan, samples)
}

#[test]
fn each_machine_has_its_own_saving_and_alike_ones_are_not_said_to_differ() {
    let (plan, samples) = merged(|cell, round, _| typical(cell, round));
    let machines = decide(&plan, &samples).machines;
    let rounds: Vec<(u32, usize)> =
        machines.machines.iter().map(|one| (one.machine, one.rounds)).collect();
    assert_eq!(rounds, [(1, 4), (2, 4), (3, 4)]);
    let [pull] = machines.strategies.as_slice() else { panic!("{machines:?}") };
    assert_eq!(pull.strategy, "pull");
    for (own, number) in pull.savings.iter().zip(1..) {
        let own = own.unwrap();
        assert_eq!(own.pairs, 4);
        let alone: Vec<Sample> =
            samples.iter().filter(|s| s.machine == Some(number)).cloned().collect();
        let expected = decide(&Plan { machines: None, ..plan.clone() }, &alone);
        let expected = expected.weighted[1].saving.as_ref().unwrap().seconds;
        assert!((own.seconds.point - expected.point).abs() < 1e-12);
    }
    assert!(!pull.differs && pull.p.is_some(), "{pull:?}");
    assert!(machines.differing().is_empty());
}

#[test]
fn a_machine_on_which_a_strategy_loses_is_found_and_the_interval_holds_it() {
    let slow = |cell: &Cell, round: u32, machine: u32| {
        let worse = if machine == 2 && cell.strategy == "pull" { 15.0 } else { 0.0 };
        typical(cell, round) + worse
    };
    let (plan, samples) = merged(slow);
    let decision = decide(&plan, &samples);
    let pull = &decision.machines.strategies[0];
    assert!(pull.differs && pull.p.is_some_and(|p| p < 0.01), "{pull:?}");
    let saving = decision.weighted[1].saving.as_ref().unwrap();
    let own: Vec<f64> = pull.savings.iter().map(|own| own.unwrap().seconds.point).collect();
    assert!(own[1] < 0.0 && own[0] > 5.0, "{own:?}");
    // Too few machines to resample them: the interval holds each of them all the same.
    assert!(own.iter().all(|own| saving.seconds.low <= *own && *own <= saving.seconds.high));
    assert_eq!(saving.verdict, Verdict::Undecided);
    let [sentence] = decision.machines.differing().try_into().unwrap();
    assert!(sentence.contains("machine 2"), "{sentence}");
}

#[test]
fn a_difference_below_what_matters_is_not_one() {
    let (plan, samples) = merged(|cell, round, machine| {
        let more = if cell.strategy == "pull" { 0.3 * f64::from(machine) } else { 0.0 };
        typical(cell, round) - noise(cell, round) * 0.999 + more
    });
    let pull = &decide(&plan, &samples).machines.strategies[0];
    assert!(pull.p.is_some_and(|p| p < FALSE_ALARM) && !pull.differs, "{pull:?}");
}

#[test]
fn a_run_on_one_machine_has_none() {
    let plan = plan(&[("cold", Builder::Classic), ("pull", Builder::Classic)]);
    assert!(decide(&plan, &samples(&plan, 5, typical)).machines.is_empty());
}

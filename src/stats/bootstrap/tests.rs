use super::*;
use proptest::prelude::*;

fn values(numbers: &[f64]) -> Values {
    Values::new(numbers.iter().copied()).unwrap()
}

fn small() -> Bootstrap {
    Bootstrap::new(7).with_resamples(500)
}

/// Normal noise by Box and Muller from a seeded generator.
pub fn normals(seed: u64) -> impl Iterator<Item = f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = move || (f64::from(random.next_u32()) + 0.5) / 4_294_967_296.0;
    std::iter::repeat_with(move || {
        (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
    })
}

#[test]
fn tails_follow_the_formula() {
    // Expected values: Student's density integrated by Simpson's rule and inverted by bisection,
    // independently of the library that is used here.
    for (n, expected) in [(5, 0.000_954_1), (10, 0.008_550_6), (200, 0.024_026_2)] {
        assert!((tail(n) - expected).abs() < 1e-7, "n = {n}: {}", tail(n));
    }
    assert_eq!(tail(1), 0.0);
}

#[test]
fn same_seed_same_estimate_and_another_seed_another() {
    let noise = values(&normals(3).take(12).collect::<Vec<_>>());
    let first = Bootstrap::new(1).mean(&noise);
    assert_eq!(first, Bootstrap::new(1).mean(&noise));
    assert_ne!(first, Bootstrap::new(2).mean(&noise));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let noise = values(&normals(5).take(30).collect::<Vec<_>>());
    let under = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| (Bootstrap::new(9).mean(&noise), Bootstrap::new(9).median(&noise)))
    };
    assert_eq!(under(1), under(5));
}

#[test]
fn the_streams_of_chunks_differ() {
    let units = 50;
    let seen = std::sync::Mutex::new(Vec::new());
    let [_] = Bootstrap::new(1).with_resamples(2 * CHUNK).distributions(units, |times| {
        seen.lock().unwrap().push(times.to_vec());
        Some([0.0])
    });
    let mut seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 2 * CHUNK);
    assert!(seen.iter().all(|times| times.iter().sum::<u32>() == units as u32));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 2 * CHUNK, "a resample of 50 units came twice");
}

#[test]
fn degenerate_input_has_no_spread() {
    assert_eq!(small().mean(&values(&[4.2])), Estimate::exactly(4.2));
    assert_eq!(small().median(&values(&[0.1; 7])), Estimate::exactly(0.1));
    assert_eq!(interval(1.0, &[], 9), Estimate::exactly(1.0));
}

#[test]
fn the_median_of_a_resample_is_that_of_the_drawn_numbers() {
    let sorted = [1.0, 2.0, 4.0, 8.0];
    assert_eq!(median_of_drawn(&sorted, &[1, 1, 1, 1]), 3.0);
    assert_eq!(median_of_drawn(&sorted, &[0, 2, 0, 2]), 5.0);
    assert_eq!(median_of_drawn(&sorted, &[0, 0, 0, 4]), 8.0);
    assert_eq!(median_of_drawn(&sorted[..3], &[0, 1, 2]), 4.0);
}

/// How often, of `runs`, the interval of the mean and of the median of `n` rounds holds the true
/// one. `skew` makes lognormal noise with σ = 0.5, the shape of times with a slow tail.
fn coverage(runs: u32, n: usize, skew: bool) -> (f64, f64) {
    let shape = |z: f64| if skew { (0.5 * z).exp() } else { z };
    let (mean, median) = if skew { (0.125_f64.exp(), 1.0) } else { (0.0, 0.0) };
    let mut noise = normals(42);
    let mut held = (0, 0);
    for run in 0..runs {
        let rounds: Vec<f64> = noise.by_ref().take(n).map(shape).collect();
        let rounds = values(&rounds);
        let bootstrap = Bootstrap::new(u64::from(run)).with_resamples(2_000);
        let holds = |estimate: Estimate, truth| estimate.low <= truth && truth <= estimate.high;
        held.0 += u32::from(holds(bootstrap.mean(&rounds), mean));
        held.1 += u32::from(holds(bootstrap.median(&rounds), median));
    }
    (f64::from(held.0) / f64::from(runs), f64::from(held.1) / f64::from(runs))
}

/// 2,000 simulated runs with 2,000 resamples each, seed 42, gave (mean, median):
///
/// | rounds | normal noise | lognormal noise, σ = 0.5 |
/// |---|---|---|
/// | 5 | 91.9 %, 93.9 % | 90.0 %, 93.9 % |
/// | 10 | 93.9 %, 96.3 % | 92.4 %, 96.4 % |
/// | 20 | 95.0 %, 96.7 % | 93.5 %, 96.8 % |
///
/// This test repeats the middle row with 500 runs.
#[test]
fn ten_rounds_hold_the_truth_in_at_least_nine_of_ten_runs() {
    for skew in [false, true] {
        let (mean, median) = coverage(500, 10, skew);
        assert!((0.90..=0.99).contains(&mean), "mean, skew {skew}: {mean}");
        assert!((0.90..=0.99).contains(&median), "median, skew {skew}: {median}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_interval_holds_the_point_and_lies_within_the_numbers(
        numbers in prop::collection::vec(-1e4..1e4, 1..25),
    ) {
        let numbers = values(&numbers);
        for estimate in [small().mean(&numbers), small().median(&numbers)] {
            prop_assert!(estimate.low <= estimate.point && estimate.point <= estimate.high);
            let slack = 1e-9;
            prop_assert!(estimate.low >= numbers.min() - slack);
            prop_assert!(estimate.high <= numbers.max() + slack);
        }
    }

    #[test]
    fn a_constant_shifts_the_estimate(
        numbers in prop::collection::vec(-1e4..1e4, 1..25),
        constant in -1e4_f64..1e4,
    ) {
        let shifted = values(&numbers.iter().map(|x| x + constant).collect::<Vec<_>>());
        let numbers = values(&numbers);
        for (before, after) in [
            (small().mean(&numbers), small().mean(&shifted)),
            (small().median(&numbers), small().median(&shifted)),
        ] {
            prop_assert!((before.point + constant - after.point).abs() < 1e-8);
            prop_assert!((before.low + constant - after.low).abs() < 1e-8);
            prop_assert!((before.high + constant - after.high).abs() < 1e-8);
        }
    }
}

/// The interval of many numbers' median is the one that drawing gives: 2,001 of them, lognormal.
#[test]
fn the_median_of_many_needs_no_drawing() {
    let numbers = normals(11).take(2_001).map(|z| (0.5 * z).exp());
    let values = Values::new(numbers).unwrap();
    let sorted = values.sorted();
    let bootstrap = Bootstrap::new(3).with_resamples(2_000);
    let [drawn] =
        bootstrap.distributions(sorted.len(), |times| Some([median_of_drawn(sorted, times)]));
    let drawn = interval(values.median(), &drawn, sorted.len());
    let known = bootstrap.median(&values);
    assert_eq!(known.point, drawn.point);
    let ratio = (known.high - known.low) / (drawn.high - drawn.low);
    assert!((0.9..1.1).contains(&ratio), "{known:?} {drawn:?}");
}

use super::*;
use crate::decision::tests::{job, prices};
use crate::model::{Phase, Rounding};
use proptest::prelude::*;

/// Jobs of so many seconds, one a round.
fn jobs(seconds: &[f64]) -> Vec<Sample> {
    seconds.iter().zip(1..).map(|(&seconds, round)| job(round, seconds)).collect()
}

fn priced(prices: &Prices, ours: &[f64], theirs: &[f64]) -> Money {
    let (ours, theirs) = (jobs(ours), jobs(theirs));
    let cell = Priced::new(
        prices,
        1.0,
        &ours.iter().collect::<Vec<_>>(),
        &theirs.iter().collect::<Vec<_>>(),
    );
    let saved = |at: usize| theirs[at].total_s() - ours[at].total_s();
    let (least, most) = (0..ours.len()).fold((f64::MAX, f64::MIN), |(least, most), at| {
        (least.min(saved(at)), most.max(saved(at)))
    });
    let saved_s = Estimate { point: (least + most) / 2.0, low: least, high: most };
    let bootstrap = Bootstrap::new(1).with_resamples(500);
    money(prices, bootstrap, &[cell], Some(saved_s)).unwrap()
}

#[test]
fn a_job_has_a_price_where_all_that_is_paid_for_was_counted() {
    let mut sample = job(1, 90.0);
    let count = |sample: &mut Sample, down, up| {
        sample.phases.edit(|rows| {
            for row in rows.iter_mut() {
                (row.bytes_down, row.bytes_up, row.requests) = (down, up, None);
            }
        });
    };
    count(&mut sample, Some(2_000_000_000), None);
    let of_phases = sample.phases.iter().filter(|row| !row.within).count() as f64;
    let price_of = |sample: &Sample| price(&prices(), sample);
    // Two minutes, and what came down; nothing is paid for bytes up and requests.
    let known = price_of(&sample).unwrap();
    assert!((known - (2.0 * 0.006 + of_phases * 2.0 * 0.09)).abs() < 1e-12, "{known}");
    count(&mut sample, None, Some(1));
    assert_eq!(price_of(&sample), None);
}

/// The published case of the methodology, as docs/decision.md reckons it.
#[test]
fn the_published_case_saves_no_money_by_whole_minutes() {
    let by_minute = priced(&prices(), &[145.0; 5], &[169.0; 5]);
    assert_eq!(by_minute.billed_minutes, Estimate::exactly(3.0));
    let saving = by_minute.saving.unwrap();
    assert_eq!(saving.billed_minutes, Estimate::exactly(0.0));
    assert_eq!(saving.rounding, RoundingEffect::Hides);
    assert_eq!(saving.verdict, MoneyVerdict::Same);

    let by_second = Prices { rounding: Rounding::Second, ..prices() };
    let saving = priced(&by_second, &[145.0; 5], &[169.0; 5]).saving.unwrap();
    assert!((saving.billed_minutes.point - 0.4).abs() < 1e-12);
    assert!((saving.per_build.point - 0.0024).abs() < 1e-12);
    assert_eq!(saving.rounding, RoundingEffect::None);
    assert_eq!(saving.verdict, MoneyVerdict::Cheaper);
}

#[test]
fn rounding_can_make_a_saving_out_of_nothing() {
    // Half a second in both directions around the edge of a minute is no saving of time.
    let ours = [59.8, 59.9, 59.7, 59.9, 60.0];
    let theirs = [60.3, 60.2, 60.1, 60.4, 60.1];
    let (ours_jobs, theirs_jobs) = (jobs(&ours), jobs(&theirs));
    let cell = Priced::new(
        &prices(),
        1.0,
        &ours_jobs.iter().collect::<Vec<_>>(),
        &theirs_jobs.iter().collect::<Vec<_>>(),
    );
    let unsure = Estimate { point: 0.4, low: -0.1, high: 0.9 };
    let bootstrap = Bootstrap::new(1).with_resamples(500);
    let money = money(&prices(), bootstrap, &[cell], Some(unsure)).unwrap();
    let saving = money.saving.unwrap();
    assert_eq!(saving.billed_minutes.point, 1.0);
    assert_eq!(saving.rounding, RoundingEffect::Makes);
}

#[test]
fn jobs_are_rounded_one_by_one_and_then_averaged() {
    // The mean of 30 and 90 seconds is one minute; what is billed is one and two.
    let money = priced(&prices(), &[30.0, 90.0], &[100.0, 100.0]);
    assert_eq!((money.minutes.point, money.billed_minutes.point), (1.0, 1.5));
    assert_eq!(money.saving.unwrap().verdict, MoneyVerdict::TooFewRounds);
}

#[test]
fn bytes_and_what_is_kept_are_paid_where_they_were_counted() {
    let mut sample = job(1, 60.0);
    let mut add = |phase, down, up| {
        let row = crate::model::PhaseRecord {
            phase,
            bytes_down: Some(down),
            bytes_up: Some(up),
            requests: Some(5),
            duration_s: 0.0,
            ..sample.phases.records()[0].clone()
        };
        sample.phases.edit(|rows| rows.push(row));
    };
    add(Phase::Pull, 2_000_000_000, 0);
    add(Phase::Push, 0, 300_000_000);
    add(Phase::Store, 0, 500_000_000);
    let reckoned = |sample: &Sample| {
        let cell = Priced::new(&prices(), 1.0, &[sample], &[]);
        money(&prices(), Bootstrap::new(1).with_resamples(10), &[cell], None).unwrap()
    };
    // The build's own row was not counted.
    let partly = reckoned(&sample);
    assert_eq!((partly.kept_bytes, partly.left_out.len()), (None, 3));
    assert!(
        partly.parts.iter().any(|part| part.kind == MoneyKind::Out && part.per_build.is_none())
    );
    sample.phases.edit(|rows| {
        rows[0].bytes_down = Some(0);
        rows[0].bytes_up = Some(0);
        rows[0].requests = Some(1);
    });
    let whole = reckoned(&sample);
    assert!(whole.left_out.is_empty() && whole.saving.is_none());
    // 0.006 for the minute and 2 GB at 0.09.
    assert!((whole.per_build.point - 0.186).abs() < 1e-12);
    // Ten images and one archive: 3.5 GB at 0.10.
    assert!((whole.kept_bytes.unwrap().point - 3.5e9).abs() < 1.0);
    let month = 0.186 * 20.0 * 365.0 / 12.0 + 0.35;
    assert!((whole.per_month.point - month).abs() < 1e-9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The rounding of a mean would not keep within these ends: of 54 s and 72 s it makes 2.
    #[test]
    fn a_bill_is_never_below_the_time_and_less_than_a_minute_above(
        seconds in prop::collection::vec(1.0..600.0, 1..12),
    ) {
        let money = priced(&prices(), &seconds, &vec![100.0; seconds.len()]);
        prop_assert!(money.billed_minutes.point >= money.minutes.point - 1e-9);
        prop_assert!(money.billed_minutes.point < money.minutes.point + 1.0);
    }

    #[test]
    fn what_costs_more_a_minute_costs_more(factor in 1.1..9.0_f64) {
        let dearer = Prices { per_minute: 0.006 * factor, ..prices() };
        let [cheap, dear] = [prices(), dearer].map(|list| priced(&list, &[100.0; 5], &[200.0; 5]));
        prop_assert!(dear.per_month.point > cheap.per_month.point);
        let saved = |money: &Money| money.saving.as_ref().unwrap().per_build.point;
        prop_assert!((saved(&dear) - factor * saved(&cheap)).abs() < 1e-12);
    }
}

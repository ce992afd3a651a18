//! Drift, and what disturbs single samples.

use super::*;

const PULL: [(&str, Builder); 2] = [("cold", Builder::Classic), ("pull", Builder::Classic)];

mod drifting {
    use super::*;

    #[test]
    fn a_machine_that_slows_down_is_noticed_and_savings_stand() {
        let plan = plan(&PULL);
        let steady = samples(&plan, 8, typical);
        let slowing =
            samples(&plan, 8, |cell, round| typical(cell, round) * (1.0 + f64::from(round) * 0.05));
        let drift = |samples: &[Sample]| decide(&plan, samples).drift.unwrap();
        assert!(!drift(&steady).is_shown(), "{:?}", drift(&steady));
        let found = drift(&slowing);
        assert!(found.is_shown() && found.tau == 1.0 && found.rounds == 8, "{found:?}");
        // From 1.05 to 1.40.
        assert!((found.change - 1.0 / 3.0).abs() < 0.05, "{found:?}");
        assert!(found.in_words().contains("slower over 8 rounds (p = under 0.001)"));
    }

    #[test]
    fn two_rounds_have_no_trend_and_lost_samples_are_not_in_it() {
        let plan = plan(&PULL);
        assert_eq!(decide(&plan, &samples(&plan, 2, typical)).drift, None);
        let mut lost = samples(&plan, 8, |cell, round| typical(cell, round) * f64::from(round));
        for sample in lost.iter_mut().filter(|sample| sample.round > 2) {
            sample.status = Status::Failed;
        }
        assert_eq!(decide(&plan, &lost).drift, None);
    }
}

mod disturbed {
    use super::*;
    use crate::model::{Finding, Noise, finding};

    fn waiting(cpu: f64) -> Option<Box<Noise>> {
        Some(Box::new(Noise { cpu: Some(cpu), ..Noise::default() }))
    }

    #[test]
    fn an_undisturbed_run_says_so() {
        let plan = plan(&PULL);
        let mut samples = samples(&plan, 6, typical);
        samples.iter_mut().for_each(|sample| sample.noise = waiting(0.9));
        assert_eq!(decide(&plan, &samples).disturbance, Disturbance::default());
    }

    #[test]
    fn the_verdict_is_given_with_and_without() {
        let plan = plan(&PULL);
        let mut samples = samples(&plan, 8, typical);
        // Two rounds in which the hypervisor made every cold job take four times as long.
        let cold = |sample: &Sample| sample.cell.state == State::Cold && sample.round <= 2;
        for sample in samples.iter_mut().filter(|sample| cold(sample)) {
            sample.phases.edit(|rows| rows[0].duration_s *= 4.0);
            sample.findings = vec![Finding::new(&finding::OTHER_WORK, "the hypervisor took 40 %")];
        }
        let decision = decide(&plan, &samples);
        let disturbance = &decision.disturbance;
        assert_eq!(disturbance.samples.len(), samples.iter().filter(|one| cold(one)).count());
        assert!(disturbance.samples[0].reasons[0].starts_with("other-work: the hypervisor"));
        let compared =
            decision.weighted.iter().filter(|one| one.strategy != decision.baseline).count();
        assert_eq!(disturbance.verdicts.len(), compared);
        for one in &disturbance.verdicts {
            let with = decision
                .weighted
                .iter()
                .find(|other| (&other.strategy, other.builder) == (&one.strategy, one.builder))
                .and_then(|other| other.saving.as_ref())
                .unwrap();
            let without = one.without.as_ref().unwrap();
            assert_eq!((with.pairs, without.pairs), (8, 6));
            assert!(without.seconds.point < with.seconds.point, "{without:?} {with:?}");
            assert!(
                without.seconds.high - without.seconds.low < with.seconds.high - with.seconds.low
            );
        }
    }

    #[test]
    fn waiting_counts_where_it_is_more_than_the_cells_own() {
        let plan = plan(&PULL);
        let mut samples = samples(&plan, 6, typical);
        samples.iter_mut().for_each(|sample| sample.noise = waiting(0.5));
        samples[3].noise = waiting(0.76);
        samples[4].noise = waiting(0.74);
        let disturbance = decide(&plan, &samples).disturbance;
        let numbers: Vec<u32> = disturbance.samples.iter().map(|one| one.sample).collect();
        assert_eq!(numbers, [samples[3].sample]);
        assert_eq!(
            disturbance.samples[0].reasons,
            ["waited for a processor 76 % of the time, 50 % are typical of the cell"]
        );
    }

    #[test]
    fn where_too_little_is_left_the_verdict_differs() {
        let plan = plan(&PULL);
        let mut samples = samples(&plan, 6, typical);
        for sample in samples.iter_mut().filter(|sample| sample.round > 3) {
            sample.findings = vec![Finding::new(&finding::CLOCK_MOVED, "3.0 s back")];
        }
        let disturbance = decide(&plan, &samples).disturbance;
        assert!(disturbance.differing().count() > 0);
        for one in disturbance.differing() {
            assert_eq!(one.without.as_ref().unwrap().verdict, Verdict::TooFewRounds);
        }
    }
}

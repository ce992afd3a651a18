//! A strategy still pays off.

use super::Kind;
use crate::decision::Verdict;
use crate::gate::{Evidence, Part, Rule, State, Undecided};

/// The row of `KINDS`.
pub(super) const KIND: Kind = Kind {
    id: "pays-off",
    summary: "the strategy still pays off over the change mix",
    needs: &["strategy"],
    takes: &["workload", "builder", "link", "engine", "undecided"],
    defaults: |rule| Rule { undecided: Some(undecided(rule)), ..rule.clone() },
    check,
};

fn undecided(rule: &Rule) -> Undecided {
    rule.undecided.unwrap_or(Undecided::Skip)
}

fn check(rule: &Rule, evidence: &Evidence<'_>) -> Vec<Part> {
    let decision = evidence.decision;
    let of = decision.weighted.iter().filter(|one| {
        let place = [one.workload.as_str(), &one.link, &one.engine];
        rule.speaks_of_place(place, (&one.strategy, one.builder))
    });
    of.map(|one| {
        let place = format!(
            "{} ({}), workload {}, link {}, engine {}",
            one.strategy, one.builder, one.workload, one.link, one.engine
        );
        let Some(saving) = &one.saving else {
            let said = match one.missing.first() {
                Some(cell) => format!("no saving is known: {cell} has no sample that counts"),
                None => "no saving is known".to_owned(),
            };
            return Part::new(place, State::Skip, said);
        };
        let state = match saving.verdict {
            Verdict::PaysOff => State::Pass,
            Verdict::DoesNotPayOff => State::Fail,
            Verdict::Undecided => undecided(rule).into(),
            Verdict::TooFewRounds => State::Skip,
            Verdict::Baseline => State::Misconfigured,
        };
        let said = match saving.verdict {
            Verdict::Baseline => "this is the baseline, which others are compared with".to_owned(),
            verdict => format!(
                "{verdict}: it saves {:.2} s a build [{:.2}, {:.2}], {:.2} s would matter",
                saving.seconds.point, saving.seconds.low, saving.seconds.high, saving.relevant_s
            ),
        };
        Part::new(place, state, said).with(saving.seconds.point)
    })
    .collect()
}

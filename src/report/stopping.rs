//! How an adaptive run decided when to stop, in words, for every format alike.

use super::model::Model;
use super::text::plural;
use crate::decision::{Sequential, Verdict, Weighted};
use crate::model::Left;
use crate::model::event::Ending;

/// Most strategies that are named one by one.
const MOST_NAMED: usize = 6;

/// Rounds below which it is said what so few can show.
const MANY: usize = 5;

/// When the run stopped and why, with what its verdicts hold, and who was not measured to the end;
/// nothing under the plain protocol. Names stand in backticks.
pub(super) fn sentences(model: &Model<'_>) -> Vec<String> {
    let Some(sequential) = &model.decision.sequential else { return Vec::new() };
    let mut sentences = vec![stopped(model)];
    sentences.extend((sequential.verdicts > 0).then(|| holds(sequential)));
    let rounds = model.decision.rounds;
    sentences.extend((rounds < MANY && model.decision.weighted.iter().any(is_settled)).then(|| {
        format!(
            "{} show large differences only: they tell little of jobs that are slow once in a while, \
             and a saving is known no better than its interval says.",
            plural(rounds, "round")
        )
    }));
    let left = model.left.iter();
    sentences.extend(left.take(MOST_NAMED).map(|left| leaver(model, left)));
    if model.left.len() > MOST_NAMED {
        let more = model.left.len() - MOST_NAMED;
        sentences.push(format!("So it was with {more} more; report.json names all."));
    }
    sentences
}

fn is_settled(one: &Weighted) -> bool {
    let verdict = one.saving.as_ref().map(|saving| saving.verdict);
    matches!(verdict, Some(Verdict::PaysOff | Verdict::DoesNotPayOff))
}

fn stopped(model: &Model<'_>) -> String {
    let (rounds, most) = (plural(model.decision.rounds, "round"), model.plan.rounds);
    let compared = |one: &&Weighted| {
        one.saving.as_ref().is_some_and(|saving| saving.verdict != Verdict::Baseline)
    };
    let verdicts: Vec<&Weighted> = model.decision.weighted.iter().filter(compared).collect();
    let settled = verdicts.iter().filter(|one| is_settled(one)).count();
    if model.run.ending == Some(Ending::Settled) {
        return match model.decision.sequential.as_ref().map_or(0, |s| s.verdicts) {
            0 => format!("The run stopped after {rounds}, since there is nothing to compare."),
            _ if settled < verdicts.len() => format!(
                "The run stopped after {rounds} of at most {most}, since every verdict was settled by \
                 the Breakeven that measured it. By the intervals of this one {settled} of {} are.",
                verdicts.len()
            ),
            _ => format!(
                "The run stopped after {rounds} of at most {most}, since every verdict was settled."
            ),
        };
    }
    if settled == verdicts.len() {
        return format!("After {rounds} of at most {most}, every verdict is settled.");
    }
    format!(
        "After {rounds} of at most {most}, {settled} of {} verdicts are settled; the run would have \
         stopped once all were.",
        verdicts.len()
    )
}

fn holds(sequential: &Sequential) -> String {
    let chance = sequential.error * 100.0;
    match sequential.verdicts {
        1 => format!(
            "Its verdict and interval over the change mix hold at any time: the chance that it is \
             wrong is at most {chance:.0} %, however often it was looked at."
        ),
        verdicts => format!(
            "Verdicts and intervals over the change mix hold at any time: the chance that any of \
             the {verdicts} is wrong is at most {chance:.0} %, however often they were looked at."
        ),
    }
}

/// `` `pull (classic)` was not measured after round 4: … ``
fn leaver(model: &Model<'_>, left: &Left) -> String {
    let Left { round, strategy, builder, leader, leader_builder, .. } = left;
    let is = |one: &&Weighted| {
        (&one.workload, &one.link, &one.engine, &one.strategy, one.builder)
            == (&left.workload, &left.link, &left.engine, strategy, *builder)
    };
    let place = model.decision.weighted.iter().find(is).map(|one| model.scope_suffix(one));
    let place = match place.as_deref().unwrap_or_default().trim_start_matches(": ") {
        "" => String::new(),
        place => format!(" ({place})"),
    };
    format!(
        "`{strategy} ({builder})`{place} was not measured after round {round}: its verdict ({}) was \
         settled, and its builds surely take longer than those of `{leader} ({leader_builder})`, by \
         {:.2} s [{:.2}, {:.2}].",
        left.verdict, left.slower_s, left.low_s, left.high_s
    )
}

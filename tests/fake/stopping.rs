//! Runs that stop by themselves: when all is settled, without those that have nothing to win, and
//! the same after a kill.

use super::fake::Fake;
use super::{Place, plan, run_and, run_into, samples};
use breakeven::decision::Verdict;
use breakeven::model::event::Ending;
use breakeven::model::{Builder, Event, Left, Plan, Sample};
use breakeven::run::journal::{self, Journal};
use breakeven::run::{Published, publish};
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// The classic builder's `cold` and these strategies, under one change.
fn race(place: &Place, strategies: &[&str], rounds: u32) -> Plan {
    let mut plan = Plan { adaptive: true, ..plan(place, rounds) };
    plan.cells.retain(|cell| {
        let strategy = cell.strategy.as_str();
        (strategy == "cold" || strategies.contains(&strategy))
            && cell.change == "app"
            && cell.builder == Builder::Classic
    });
    plan
}

/// `pull` surely loses, `save-load-stages` surely pays off, and what `pull-stages` saves is just
/// what matters, so that it stays undecided.
async fn undecided(rounds: u32) -> (Place, Plan) {
    let place = Place::new();
    let mut plan = race(&place, &["pull", "pull-stages", "save-load-stages"], rounds);
    plan.adaptive = false;
    measure(&place, &plan).await;
    let decision = publish(&place.path("out")).unwrap().decision;
    let one = decision.weighted.iter().find(|one| one.strategy == "pull-stages").unwrap();
    plan.relevance.seconds = one.saving.as_ref().unwrap().seconds.point;
    plan.adaptive = true;
    std::fs::remove_dir_all(place.path("out")).unwrap();
    (place, plan)
}

async fn measure(place: &Place, plan: &Plan) -> super::Outcome {
    let cancel = CancellationToken::new();
    let outcome = run_and(place, plan, Fake::default(), &cancel, &|_| {}).await;
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    outcome
}

async fn go_on(place: &Place) -> super::Outcome {
    let (journal, plan) = Journal::reopen(&place.path("out"), false).unwrap();
    run_into(place, &plan, Fake::default(), journal, &CancellationToken::new(), &|_| {}).await
}

fn left(events: &[Event]) -> Vec<Left> {
    let of = |event: &Event| match event {
        Event::StrategyLeft { left } => Some(Left::clone(left)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn rounds_of(all: &[&Sample], strategy: &str) -> BTreeSet<u32> {
    let of = all.iter().filter(|sample| sample.cell.strategy == strategy);
    of.map(|sample| sample.round).collect()
}

fn report(place: &Place, file: &str) -> String {
    std::fs::read_to_string(place.path("out").join(file)).unwrap()
}

#[tokio::test]
async fn a_run_stops_after_three_rounds_when_all_is_clear() {
    let place = Place::new();
    let plan = race(&place, &["save-load-stages", "article-printed"], 30);
    let outcome = measure(&place, &plan).await;
    assert_eq!((outcome.ending, outcome.not_ok), (Ending::Settled, 0));
    let Published { events, decision, .. } = publish(&place.path("out")).unwrap();
    assert_eq!(samples(&events).len(), plan.cells.len() * 4);
    let verdicts: Vec<Verdict> =
        decision.weighted.iter().map(|one| one.saving.as_ref().unwrap().verdict).collect();
    assert_eq!(verdicts, [Verdict::Baseline, Verdict::DoesNotPayOff, Verdict::PaysOff]);
    let expected = "stopped after 3 rounds of at most 30, since every verdict was settled";
    for file in ["report.md", "report.html", "report.json"] {
        assert!(report(&place, file).contains(expected), "{file}");
    }
    let markdown = report(&place, "report.md");
    assert!(markdown.contains("3 rounds show large differences only"), "{markdown}");
    assert!(!markdown.contains("partial"), "{markdown}");

    // Nothing is left to do for a run that goes on.
    let (journal, plan) = Journal::reopen(&place.path("out"), false).unwrap();
    assert!(journal.earlier().is_complete(&plan));
}

/// What settles a verdict can be another rule in the next version, for which a saving that is just
/// what matters stands here.
#[tokio::test]
async fn a_verdict_that_is_not_settled_any_more_is_not_said_to_be() {
    let place = Place::new();
    let mut plan = race(&place, &["save-load-stages", "article-printed"], 30);
    assert_eq!(measure(&place, &plan).await.ending, Ending::Settled);
    let decision = publish(&place.path("out")).unwrap().decision;
    let one = decision.weighted.iter().find(|one| one.strategy == "save-load-stages").unwrap();
    plan.relevance.seconds = one.saving.as_ref().unwrap().seconds.point;
    std::fs::write(place.path("out/plan.json"), serde_json::to_string(&plan).unwrap()).unwrap();
    publish(&place.path("out")).unwrap();
    let markdown = report(&place, "report.md");
    let expected =
        "settled by the Breakeven that measured it. By the intervals of this one 1 of 2 are.";
    assert!(markdown.contains(expected), "{markdown}");
}

#[tokio::test]
async fn the_plain_protocol_measures_every_round_however_clear() {
    let place = Place::new();
    let plan = Plan { adaptive: false, ..race(&place, &["save-load-stages"], 6) };
    assert_eq!(measure(&place, &plan).await.ending, Ending::Complete);
    let published = publish(&place.path("out")).unwrap();
    assert_eq!(samples(&published.events).len(), plan.cells.len() * 7);
    assert!(published.decision.sequential.is_none());
    assert!(!report(&place, "report.md").contains("settled"));
}

#[tokio::test]
async fn who_is_settled_and_surely_slower_than_the_leader_leaves_the_race() {
    let (place, plan) = undecided(6).await;
    assert_eq!(measure(&place, &plan).await.ending, Ending::Complete);
    let Published { events, decision, .. } = publish(&place.path("out")).unwrap();
    let left = left(&events);
    assert_eq!(left.len(), 1, "{left:?}");
    let Left { round, strategy, leader, verdict, low_s, .. } = &left[0];
    assert_eq!(
        (strategy.as_str(), leader.as_str(), verdict.as_str()),
        ("pull", "save-load-stages", "does not pay off")
    );
    assert!((3..6).contains(round) && *low_s > 0.0, "{left:?}");
    let all = samples(&events);
    assert_eq!(rounds_of(&all, "pull"), (0..=*round).collect());
    for stays in ["cold", "pull-stages", "save-load-stages"] {
        assert_eq!(rounds_of(&all, stays), (0..=6).collect(), "{stays}");
    }
    // Who leaves keeps the verdict with which it left.
    let pull = decision.weighted.iter().find(|one| one.strategy == "pull").unwrap();
    let saving = pull.saving.as_ref().unwrap();
    assert_eq!((saving.verdict.label(), saving.pairs), (verdict.as_str(), *round as usize));
    for file in ["report.md", "report.html", "report.json"] {
        let expected = format!("was not measured after round {round}");
        assert!(report(&place, file).contains(&expected), "{file}");
    }
    let json: serde_json::Value = serde_json::from_str(&report(&place, "report.json")).unwrap();
    assert_eq!(json["stopping"]["left"][0]["strategy"], "pull");
    // The order of those that stay is that of a run in which nobody leaves.
    let fixed = Plan { adaptive: false, ..plan };
    let places = |all: &[&Sample]| -> Vec<(u32, u32, String)> {
        let stay = all.iter().filter(|sample| sample.cell.strategy != "pull");
        stay.map(|sample| (sample.round, sample.position, sample.cell.key().0)).collect()
    };
    let adaptive = places(&all);
    std::fs::remove_dir_all(place.path("out")).unwrap();
    measure(&place, &fixed).await;
    let events = journal::read(&place.path("out")).unwrap().events;
    assert_eq!(adaptive, places(&samples(&events)));
}

#[tokio::test]
async fn a_run_that_is_cut_off_decides_as_if_it_had_not_been() {
    let (place, plan) = undecided(5).await;
    measure(&place, &plan).await;
    let path = place.path("out/events.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let whole = journal::read(&place.path("out")).unwrap().events;
    let was = left(&whole);
    let round = was[0].round;

    // Cut off between the last sample before the decision and the decision: it is made again.
    let at = text.find("{\"event\":\"strategy-left\"").unwrap();
    std::fs::write(&path, &text[..at]).unwrap();
    assert_eq!(go_on(&place).await.ending, Ending::Complete);
    let events = journal::read(&place.path("out")).unwrap().events;
    assert_eq!(left(&events), was);
    assert_eq!(rounds_of(&samples(&events), "pull"), (0..=round).collect());

    // Cut off in the round after it: the decision stands, and is not made twice.
    let next = text[at..].match_indices('\n').nth(2).unwrap().0 + at + 1;
    std::fs::write(&path, &text[..next]).unwrap();
    assert_eq!(go_on(&place).await.ending, Ending::Complete);
    let events = journal::read(&place.path("out")).unwrap().events;
    assert_eq!(left(&events), was);
    assert_eq!(rounds_of(&samples(&events), "pull"), (0..=round).collect());
    let numbers: Vec<u32> = samples(&events).iter().map(|sample| sample.sample).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[tokio::test]
async fn a_settled_run_that_was_cut_off_before_its_end_only_ends() {
    let place = Place::new();
    let plan = race(&place, &["save-load-stages"], 30);
    assert_eq!(measure(&place, &plan).await.ending, Ending::Settled);
    let path = place.path("out/events.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let end = text.find("{\"event\":\"run-ended\"").unwrap();
    std::fs::write(&path, &text[..end]).unwrap();
    let before = samples(&journal::read(&place.path("out")).unwrap().events).len();
    assert_eq!(go_on(&place).await.ending, Ending::Settled);
    let events = journal::read(&place.path("out")).unwrap().events;
    assert_eq!(samples(&events).len(), before);
}

#[tokio::test]
async fn time_that_is_used_up_ends_a_run_undecided() {
    let (place, mut plan) = undecided(30).await;
    plan.max_time_s = Some(500.0);
    assert_eq!(measure(&place, &plan).await.ending, Ending::OutOfTime);
    let published = publish(&place.path("out")).unwrap();
    let verdict = |strategy: &str| {
        let one = published.decision.weighted.iter().find(|one| one.strategy == strategy).unwrap();
        one.saving.as_ref().unwrap().verdict
    };
    assert_eq!(verdict("pull-stages"), Verdict::Undecided);
    assert_eq!(verdict("pull"), Verdict::DoesNotPayOff);
    let markdown = report(&place, "report.md");
    assert!(markdown.contains("time budget was used up"), "{markdown}");
    assert!(markdown.contains("of 3 verdicts are settled"), "{markdown}");
}

#[tokio::test]
async fn without_anything_to_compare_ten_rounds_are_measured() {
    let place = Place::new();
    let plan = race(&place, &[], 30);
    assert_eq!(measure(&place, &plan).await.ending, Ending::Settled);
    let events = publish(&place.path("out")).unwrap().events;
    assert_eq!(rounds_of(&samples(&events), "cold"), (0..=10).collect());
    assert!(report(&place, "report.md").contains("there is nothing to compare"));
}

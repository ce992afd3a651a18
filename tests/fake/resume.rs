//! Runs that are stopped anywhere and go on: nothing is lost, nothing is measured twice.

use super::fake::Fake;
use super::{Place, plan, run_and, run_into, samples};
use breakeven::model::event::Ending;
use breakeven::model::sample::standing;
use breakeven::model::{CellKey, Event, Plan, Sample, Status};
use breakeven::run::journal::{self, Journal};
use breakeven::run::publish;
use breakeven::run::resume::{Earlier, written_since};
use breakeven::workspace;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// A plan of few cells.
fn small(place: &Place, rounds: u32) -> Plan {
    let mut plan = plan(place, rounds);
    plan.cells.retain(|cell| {
        ["cold", "pull", "registry-max"].contains(&cell.strategy.as_str()) && cell.change == "app"
    });
    plan
}

async fn go_on(place: &Place, fake: Fake, retry_failed: bool) -> super::Outcome {
    let (journal, plan) = Journal::reopen(&place.path("out"), retry_failed).unwrap();
    run_into(place, &plan, fake, journal, &CancellationToken::new(), &|_| {}).await
}

fn recorded(place: &Place) -> Vec<Event> {
    journal::read(&place.path("out")).unwrap().events
}

/// Where each sample that stands lies in the order.
fn order(samples: &[&Sample]) -> Vec<(u32, u32, CellKey)> {
    let of = |sample: &&Sample| (sample.round, sample.position, sample.cell.key());
    standing(samples.iter().copied()).iter().map(of).collect()
}

#[track_caller]
fn assert_whole(events: &[Event], whole: &[(u32, u32, CellKey)]) {
    let all = samples(events);
    let numbers: BTreeSet<u32> = all.iter().map(|sample| sample.sample).collect();
    assert_eq!(numbers.len(), all.len(), "numbers are unique");
    assert_eq!(order(&all), whole);
    let finished: Vec<_> = all.iter().filter(|s| s.status != Status::Interrupted).collect();
    assert_eq!(finished.len(), whole.len(), "no finished sample is measured again");
}

#[tokio::test]
async fn a_run_that_is_cut_off_anywhere_goes_on_and_is_whole() {
    let place = Place::new();
    let plan = small(&place, 2);
    let uncut = run_and(&place, &plan, Fake::default(), &CancellationToken::new(), &|_| {}).await;
    assert_eq!((uncut.ending, uncut.not_ok), (Ending::Complete, 0));
    let whole = order(&samples(&recorded(&place)));
    assert_eq!(whole.len(), plan.cells.len() * 3);
    let path = place.path("out/events.jsonl");
    let bytes = std::fs::read(&path).unwrap();
    let mut generator = ChaCha8Rng::seed_from_u64(20261124);
    for _ in 0..40 {
        let at = generator.random_range(0..bytes.len());
        std::fs::write(&path, &bytes[..at]).unwrap();
        let before = recorded(&place);
        let torn = at > 0 && bytes[at - 1] != b'\n';
        let outcome = go_on(&place, Fake::default(), false).await;
        assert!(outcome.error.is_none(), "cut at {at}: {:?}", outcome.error);
        assert_eq!((outcome.ending, outcome.not_ok), (Ending::Complete, 0), "cut at {at}");
        let after = recorded(&place);
        assert_eq!(after[..before.len()], before, "cut at {at}");
        let noted = after.iter().any(|e| matches!(e, Event::RunResumed { torn: true, .. }));
        assert_eq!(noted, torn && !before.is_empty(), "cut at {at}");
        assert_whole(&after, &whole);
        publish(&place.path("out")).unwrap();
    }
}

#[tokio::test]
async fn an_interrupted_run_goes_on_with_the_sample_in_hand_and_says_that_it_was_resumed() {
    let place = Place::new();
    let plan = small(&place, 6);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let listener = move |event: &Event| {
        if matches!(event, Event::SampleStarted { sample, .. } if *sample == 20) {
            stop.cancel();
        }
    };
    let outcome = run_and(&place, &plan, Fake::default(), &cancel, &listener).await;
    assert_eq!(outcome.ending, Ending::Interrupted);
    // The fake's steps take no real time, so that no sample is ever in hand when it is stopped.
    let path = place.path("out/events.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let (finished, ended) = text.trim_end().rsplit_once('\n').unwrap();
    let (before, last) = finished.rsplit_once('\n').unwrap();
    let last = last.replace("\"status\":\"ok\"", "\"status\":\"interrupted\"");
    std::fs::write(&path, format!("{before}\n{last}\n{ended}\n")).unwrap();
    let events = recorded(&place);
    let last = samples(&events).last().copied().unwrap().clone();
    assert_eq!((last.sample, last.status), (20, Status::Interrupted));

    let outcome = go_on(&place, Fake::default(), false).await;
    assert_eq!((outcome.ending, outcome.not_ok), (Ending::Complete, 0));
    let published = publish(&place.path("out")).unwrap();
    let all = samples(&published.events);
    let again = all[20];
    assert_eq!((again.sample, again.status), (21, Status::Ok));
    assert_eq!(
        (again.round, again.position, again.cell.key()),
        (last.round, last.position, last.cell.key())
    );
    assert_ne!(again.workspace_hash, last.workspace_hash);
    let report = std::fs::read_to_string(place.path("out/report.md")).unwrap();
    assert!(report.contains("resumed once"), "{report}");
    assert!(report.contains("run-resumed"), "{report}");
    assert!(report.contains("20 samples before and"), "{report}");
    assert!(!report.contains("interrupted"), "what was measured again is not lost: {report}");
    let json = std::fs::read_to_string(place.path("out/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["run"]["resumed"], 1);
}

#[tokio::test]
async fn failed_samples_are_measured_again_only_when_asked_and_the_later_one_counts() {
    let place = Place::new();
    let plan = small(&place, 1);
    // Some operation of a counted sample.
    let mut failed = None;
    for at in 20..60 {
        let _ = std::fs::remove_dir_all(place.path("out"));
        let fake = Fake::default().fail_at(at);
        run_and(&place, &plan, fake, &CancellationToken::new(), &|_| {}).await;
        let events = recorded(&place);
        let lost = |sample: &&Sample| sample.status == Status::Failed && sample.round > 0;
        failed = samples(&events).into_iter().find(lost).cloned();
        if failed.is_some() {
            break;
        }
    }
    let failed = failed.unwrap();
    let place_of = |sample: &Sample| (sample.round, sample.cell.key());

    let outcome = go_on(&place, Fake::default(), false).await;
    assert_eq!((outcome.ending, outcome.not_ok), (Ending::Complete, 1));
    let events = recorded(&place);
    assert_eq!(samples(&events).len(), plan.cells.len() * 2, "nothing is measured again");

    let (journal, _) = Journal::reopen(&place.path("out"), false).unwrap();
    assert!(journal.earlier().is_complete(&plan));
    drop(journal);
    let (journal, _) = Journal::reopen(&place.path("out"), true).unwrap();
    assert!(!journal.earlier().is_complete(&plan));
    drop(journal);
    let outcome = go_on(&place, Fake::default(), true).await;
    assert_eq!((outcome.ending, outcome.not_ok), (Ending::Complete, 0));
    let published = publish(&place.path("out")).unwrap();
    let all = samples(&published.events);
    let again = all.last().unwrap();
    assert_eq!(all.len(), plan.cells.len() * 2 + 1);
    assert_eq!((place_of(again), again.status), (place_of(&failed), Status::Ok));
    let report = std::fs::read_to_string(place.path("out/report.md")).unwrap();
    assert!(!report.contains("1 failed"), "{report}");
}

#[tokio::test]
async fn a_clock_that_is_set_back_changes_no_duration() {
    let mut lasted = Vec::new();
    for fake in [Fake::default(), Fake::default().set_back_at(120)] {
        let place = Place::new();
        let plan = small(&place, 6);
        let outcome = run_and(&place, &plan, fake, &CancellationToken::new(), &|_| {}).await;
        assert_eq!((outcome.ending, outcome.not_ok), (Ending::Complete, 0));
        let published = publish(&place.path("out")).unwrap();
        let totals: Vec<f64> = samples(&published.events).iter().map(|s| s.total_s()).collect();
        let started: Vec<String> =
            samples(&published.events).iter().map(|s| s.started_at.clone()).collect();
        let Some(Event::RunEnded { duration_s, .. }) =
            published.events.iter().rfind(|event| matches!(event, Event::RunEnded { .. }))
        else {
            panic!("no end")
        };
        lasted.push((totals, *duration_s));
        assert_eq!(lasted.len() == 1, started.is_sorted(), "the clock was set back");
    }
    assert_eq!(lasted[0], lasted[1]);
}

#[tokio::test]
async fn two_processes_never_write_the_same_journal() {
    let place = Place::new();
    let plan = small(&place, 1);
    let out = place.path("out");
    let journal = Journal::create(&out, &plan).unwrap();
    let error = Journal::reopen(&out, false).unwrap_err().to_string();
    assert!(error.contains("another process"), "{error}");
    drop(journal);
    let (first, _) = Journal::reopen(&out, false).unwrap();
    assert!(Journal::reopen(&out, false).is_err());
    drop(first);
    Journal::reopen(&out, false).unwrap();
}

#[test]
fn damage_before_the_last_line_is_refused_by_its_number_and_nothing_is_changed() {
    let place = Place::new();
    let out = place.path("out");
    drop(Journal::create(&out, &small(&place, 1)).unwrap());
    let path = out.join("events.jsonl");
    let line = r#"{"event":"run-started","version":1,"run":"r1","at":""}"#;
    let text = format!("{line}\n{{\"event\":\"sample-fin\n{line}\n{{\"event\":\"run");
    std::fs::write(&path, &text).unwrap();
    let error = Journal::reopen(&out, false).unwrap_err().to_string();
    assert!(error.contains("events.jsonl, line 2"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert!(Journal::reopen(Path::new("/nonexistent"), false).is_err());
}

#[tokio::test]
async fn a_run_directory_in_the_context_is_no_part_of_what_is_built() {
    let place = Place::new();
    let plan = small(&place, 1);
    let workload = &plan.workloads["web"];
    for file in ["Dockerfile", "Gemfile", "app/main.rb"] {
        let file = std::fs::File::options().append(true).open(workload.context.join(file)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let before = workspace::content(workload).unwrap();
    let within = place.path("context/reports/one");
    std::fs::create_dir_all(&within).unwrap();
    std::os::unix::fs::symlink(&within, place.path("out")).unwrap();
    run_and(&place, &plan, Fake::default(), &CancellationToken::new(), &|_| {}).await;
    publish(&place.path("out")).unwrap();

    let events = recorded(&place);
    let mut hashes = events.iter().filter_map(|event| match event {
        Event::Contents { hashes } => Some(&hashes["workload web"]),
        _ => None,
    });
    assert_eq!(hashes.next(), Some(&before));
    let all = samples(&events);
    let mut findings = all.iter().flat_map(|sample| &sample.findings);
    assert!(!findings.any(|finding| finding.id == "context-differs"));

    // The run would go on, unless the user's own files changed; then they are named.
    let now = || BTreeMap::from([("workload web".into(), workspace::content(workload).unwrap())]);
    let earlier = Earlier::new(events, false, false);
    assert_eq!(now()["workload web"], before);
    assert_eq!(written_since(&plan, &earlier, &now()).unwrap(), [""; 0]);
    std::fs::write(place.path("context/app/main.rb"), "puts 2\n").unwrap();
    assert_eq!(
        written_since(&plan, &earlier, &now()).unwrap(),
        ["workload web: written since the run started: app/main.rb"]
    );
}

//! A run that stops by itself on the real engine.

use super::harness::{Bed, assert_as_before, holdings, text};
use super::lab::{TINY, tiny};
use breakeven::model::Event;
use breakeven::model::event::Ending;
use breakeven::run::journal;

/// No saving of half a minute is possible where a job takes a second, so that three rounds settle it
/// on any machine.
#[test]
fn a_run_stops_once_every_verdict_is_settled() {
    let bed = Bed::new();
    let before = holdings();
    let dockerfile = "FROM breakeven-fixture-base:1\nCOPY app ./\nRUN echo SALT > /salt\n";
    tiny(&bed, &[("Dockerfile", dockerfile), ("app", "SALT\n")]);
    let config = format!("{TINY}\n[relevance]\nseconds = 30\n");
    let only = "*/app/*/cold/classic/*/*,*/app/*/pull/classic/*/*";
    let output = bed.run(&config, &["--max-rounds", "6", "--no-aa", "--only", only]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let rounds = bed.samples().iter().map(|sample| sample.round).max();
    assert_eq!((bed.samples().len(), rounds), (2 * 4, Some(3)), "warm-up and three rounds");
    let events = journal::read(&bed.path("out")).unwrap().events;
    let ended = |event: &Event| matches!(event, Event::RunEnded { ending: Ending::Settled, .. });
    assert!(events.last().is_some_and(ended), "{:?}", events.last());
    let stdout = text(&output.stdout);
    assert!(stdout.contains("stopped after 3 rounds of at most 6"), "{stdout}");
    assert!(stdout.contains("does not pay off"), "{stdout}");
    assert!(
        text(&output.stderr).contains("1 of 1 verdicts are settled"),
        "{}",
        text(&output.stderr)
    );
    assert_as_before(&before, "after the run");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

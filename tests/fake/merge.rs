//! A run that is split over machines: every round is measured once, and merged it is the run that
//! was not split.

use super::fake::Fake;
use super::{Place, plan, run, samples};
use breakeven::model::event::Ending;
use breakeven::model::{CellKey, Event, Plan, Shard};
use breakeven::run::journal;
use breakeven::run::merge::{MergeError, merge};
use breakeven::run::publish;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

const ROUNDS: u32 = 7;
const PARTS: u32 = 3;

fn small(place: &Place) -> Plan {
    let mut plan = plan(place, ROUNDS);
    plan.cells.retain(|cell| {
        ["cold", "pull", "registry-max"].contains(&cell.strategy.as_str()) && cell.change == "app"
    });
    plan
}

/// The parts, each as on a machine of its own: another folder, another id, another processor.
async fn parts() -> Vec<Place> {
    let mut places = Vec::new();
    for index in 1..=PARTS {
        let place = Place::new();
        let mut plan = small(&place);
        plan.run = format!("part{index}");
        plan.shard = Shard::new(index, PARTS);
        let processor = if index == 2 { "slow" } else { "fast" };
        plan.facts = [
            ("machine processor".to_owned(), processor.to_owned()),
            ("engine version".to_owned(), "20.10".to_owned()),
        ]
        .into();
        let outcome = run(&place, &plan, Fake::default(), &CancellationToken::new()).await;
        assert_eq!((outcome.ending, outcome.not_ok), (Ending::Complete, 0));
        places.push(place);
    }
    places
}

fn dirs(parts: &[Place]) -> Vec<PathBuf> {
    parts.iter().map(|place| place.path("out")).collect()
}

/// Every place in the order of a run, the warm-up's left out.
fn places(events: &[Event]) -> Vec<(u32, u32, CellKey)> {
    let counted = samples(events).into_iter().filter(|sample| sample.round > 0);
    let mut places: Vec<_> =
        counted.map(|sample| (sample.round, sample.position, sample.cell.key())).collect();
    places.sort();
    places
}

#[tokio::test]
async fn parts_measure_every_round_once_and_merge_to_the_run_that_was_not_split() {
    let place = Place::new();
    let unsplit = small(&place);
    run(&place, &unsplit, Fake::default(), &CancellationToken::new()).await;
    let unsplit = journal::read(&place.path("out")).unwrap().events;
    let parts = parts().await;
    for (part, index) in parts.iter().zip(1..) {
        let recorded = journal::read(&part.path("out")).unwrap();
        let own = samples(&recorded.events);
        let is_own = |round| round == 0 || (round - 1) % PARTS + 1 == index;
        assert!(own.iter().all(|sample| is_own(sample.round)));
        assert!(own.iter().any(|sample| sample.round == 0), "each has its own warm-up");
        let published = publish(&part.path("out")).unwrap();
        assert!(published.decision.machines.is_empty());
    }
    let whole = place.path("whole");
    let mut shuffled = dirs(&parts);
    shuffled.rotate_left(1);
    merge(&shuffled, &whole, "whole", false).unwrap();
    let published = publish(&whole).unwrap();
    assert_eq!(places(&published.events), places(&unsplit));
    let merged = samples(&published.events);
    let numbers: Vec<u32> = merged.iter().map(|sample| sample.sample).collect();
    assert_eq!(numbers, (1..=merged.len() as u32).collect::<Vec<_>>());
    for sample in &merged {
        let machine = sample.machine.unwrap();
        assert!(sample.round == 0 || (sample.round - 1) % PARTS + 1 == machine);
        assert!(whole.join(format!("logs/{:04}.log", sample.sample)).exists());
    }
    assert_eq!(published.plan.facts.get("machine processor"), None);
    assert_eq!(published.plan.facts["engine version"], "20.10");
    let differ = published.events.iter().find_map(|event| match event {
        Event::RunFinding { finding } if finding.id == "machines-differ" => Some(&finding.detail),
        _ => None,
    });
    let expected = "machine processor: fast (machines 1, 3); slow (machine 2)";
    assert_eq!(differ.map(String::as_str), Some(expected));
    let rounds: Vec<usize> =
        published.decision.machines.machines.iter().map(|one| one.rounds).collect();
    assert_eq!(rounds, [3, 2, 2]);
    // What `report` makes of it again is the same.
    let before = std::fs::read(whole.join("report.json")).unwrap();
    publish(&whole).unwrap();
    assert_eq!(std::fs::read(whole.join("report.json")).unwrap(), before);
    let refused = merge(&[whole], &place.path("again"), "again", false).unwrap_err();
    assert!(refused.to_string().contains("merged from parts already"), "{refused}");
}

#[tokio::test]
async fn what_is_not_whole_or_not_the_same_is_refused_and_partial_says_what_it_lacks() {
    let parts = parts().await;
    let place = Place::new();
    let out = place.path("whole");
    let some = vec![parts[0].path("out"), parts[2].path("out"), parts[2].path("out")];
    let MergeError::NotWhole { lacks } = merge(&some, &out, "whole", false).unwrap_err() else {
        panic!("refused as not whole")
    };
    let [missing, twice] = lacks.as_slice() else { panic!("{lacks:?}") };
    assert_eq!(missing, "part 2/3 is missing, with round 2, 5");
    assert!(twice.starts_with("part 3/3 is there twice: "), "{twice}");
    assert!(!out.exists(), "nothing is written");

    // A part that was stopped: its journal ends in the middle.
    let path = parts[0].path("out/events.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    std::fs::write(&path, lines[..lines.len() - 3].join("\n") + "\n").unwrap();
    let refused = merge(&dirs(&parts), &out, "whole", false).unwrap_err().to_string();
    assert!(refused.contains("is not complete: it was killed or is not over"), "{refused}");
    merge(&some, &out, "whole", true).unwrap();
    let published = publish(&out).unwrap();
    let ended = published.events.iter().find_map(|event| match event {
        Event::RunEnded { ending, reason, .. } => Some((*ending, reason.clone())),
        _ => None,
    });
    let (ending, reason) = ended.unwrap();
    assert_eq!(ending, Ending::NotWhole);
    assert!(reason.starts_with("part 2/3 is missing"), "{reason}");
    let lacking = published.events.iter().filter(
        |event| matches!(event, Event::RunFinding { finding } if finding.id == "parts-missing"),
    );
    assert_eq!(lacking.count(), 3);
    std::fs::write(&path, whole).unwrap();

    // Another seed, another content and another engine.
    let plan = parts[1].path("out/plan.json");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace("\"seed\": 7", "\"seed\": 8").replace("20.10", "24.0"))
        .unwrap();
    let path = parts[1].path("out/events.jsonl");
    let events = std::fs::read_to_string(&path).unwrap();
    let hash = events.split("\"workload web\":\"").nth(1).unwrap().split('"').next().unwrap();
    std::fs::write(&path, events.replace(hash, "0000")).unwrap();
    let MergeError::Differ { differences, .. } =
        merge(&dirs(&parts), &place.path("other"), "other", true).unwrap_err()
    else {
        panic!("refused as not the same")
    };
    assert_eq!(differences[..2], ["seed: was 7, is 8", "engine version: was 20.10, is 24.0"]);
    assert!(differences[2].starts_with("workload web: was "), "{differences:?}");
    assert_eq!(differences.len(), 3);
}

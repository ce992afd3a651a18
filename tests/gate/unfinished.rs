//! `breakeven check` on runs that did not come to their end.

use crate::report_support::Run;
use crate::support::{breakeven, made, of_app, only, printed, write};
use breakeven::model::event::{Ending, JOURNAL_VERSION};
use breakeven::model::{Event, Status};
use quick_junit::Report;
use std::fs;

/// Ends a run in this way; `None`: it is killed.
fn ended(rounds: u32, ending: Option<Ending>) -> Run {
    let mut run = only(made(rounds, "20260302-base", |_| ()), of_app);
    run.events.pop();
    if let Some(ending) = ending {
        run.end(ending, "as the test says");
    }
    run
}

const PASSES: &str = "[[rule]]\nkind = \"longest-job\"\nlimit = \"1h\"\n";
const FAILS: &str = "[[rule]]\nkind = \"longest-job\"\nlimit = \"1ms\"\n";
const SKIPS: &str = "[[rule]]\nkind = \"pays-off\"\nstrategy = \"inline\"\n";
const MISNAMED: &str = "[[rule]]\nkind = \"no-finding\"\nid = \"none-such\"\n";

/// Rounds, ending, rules, exit code, and whether anything is said of the ending.
const CASES: [(u32, Option<Ending>, &str, i32, bool); 12] = [
    (6, Some(Ending::Complete), PASSES, 0, false),
    (6, Some(Ending::Settled), PASSES, 0, false),
    // The first nights of a gate: nothing can be asked yet, and nothing is wrong.
    (2, Some(Ending::Complete), SKIPS, 0, false),
    (6, Some(Ending::OutOfTime), PASSES, 0, true),
    (2, Some(Ending::OutOfTime), SKIPS, 4, true),
    (6, Some(Ending::NotWhole), PASSES, 0, true),
    (6, Some(Ending::Interrupted), PASSES, 4, true),
    (6, Some(Ending::Aborted), PASSES, 4, true),
    (6, None, PASSES, 4, true),
    (2, None, SKIPS, 4, true),
    (6, None, FAILS, 5, true),
    (6, None, MISNAMED, 2, true),
];

#[test]
fn a_run_that_did_not_finish_never_passes_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let outputs = [
        "--junit",
        "junit.xml",
        "--summary",
        "summary.md",
        "--metrics",
        "metrics.txt",
        "--gitlab-codequality",
        "quality.json",
        "--github-annotations",
    ];
    for (rounds, ending, rules, code, said) in CASES {
        let at = |name: &str| dir.path().join(name);
        write(&ended(rounds, ending), &at("run"));
        fs::write(at("rules.toml"), rules).unwrap();
        fs::remove_file(at("summary.md")).ok();
        let args = [&["check", "run"], &outputs[..]].concat();
        let text = printed(dir.path(), &args, code);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let file = |name: &str| fs::read_to_string(at(name)).unwrap();
        let which = format!("{ending:?} {rules}{text}");
        let advice = if ending == Some(Ending::NotWhole) { "merge" } else { "run --resume" };
        assert_eq!(words.contains(advice), said, "{which}");
        assert_eq!(text.contains("title=the run is not whole::"), said, "{which}");
        assert_eq!(file("summary.md").contains(advice), said, "{which}");
        assert_eq!(file("metrics.txt").contains("breakeven_run_whole 0\n"), said, "{which}");
        let junit = Report::deserialize_from_str(&file("junit.xml")).unwrap();
        assert_eq!(junit.tests, 1 + usize::from(said), "{which}");
        // GitLab shows the text of a failure, not its attribute.
        let texts = file("junit.xml")
            .lines()
            .filter(|line| line.contains(r#"type="not whole">the run is"#))
            .count();
        assert_eq!(texts, usize::from(said), "{which}");
        let bad = junit.errors + junit.failures;
        assert_eq!(bad > 0, code > 0, "{which}");
        let issues: serde_json::Value = serde_json::from_str(&file("quality.json")).unwrap();
        assert_eq!(!issues.as_array().unwrap().is_empty(), code > 0, "{which}");
    }
}

#[test]
fn a_run_with_nothing_left_is_ended_and_its_failures_are_in_its_exit_code() {
    for (killed, failures, code) in [(false, 0, 0), (false, 2, 4), (true, 0, 0), (true, 2, 4)] {
        let dir = tempfile::tempdir().unwrap();
        let mut run = ended(6, (!killed).then_some(Ending::Complete));
        let samples = run.events.iter_mut().filter_map(|event| match event {
            Event::SampleFinished { sample } => Some(sample),
            _ => None,
        });
        for sample in samples.filter(|sample| sample.round > 0).take(failures) {
            sample.status = Status::Failed;
            sample.reason = "as the test says".to_owned();
        }
        write(&run, &dir.path().join("run"));
        let output = breakeven(dir.path(), &["run", "--resume", "run"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{killed} {failures} {said}");
        assert!(said.contains("nothing is left to do"), "{said}");
        assert_eq!(said.contains("2 of them failed; --retry-failed"), failures > 0, "{said}");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.lines().next().unwrap().ends_with("complete"), "{shown}");
        assert_eq!(shown.contains("resumed once"), killed, "{shown}");
        fs::write(dir.path().join("rules.toml"), PASSES).unwrap();
        printed(dir.path(), &["check", "run"], 0);
    }
}

#[test]
fn a_run_that_goes_on_has_not_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = ended(6, Some(Ending::Complete));
    run.events.push(Event::RunResumed {
        version: JOURNAL_VERSION,
        at: "2026-03-02T12:00:00Z".to_owned(),
        torn: false,
        retry_failed: false,
    });
    write(&run, &dir.path().join("run"));
    fs::write(dir.path().join("rules.toml"), PASSES).unwrap();
    assert_eq!(breakeven(dir.path(), &["check", "run"]).status.code(), Some(4));
    let compared = printed(dir.path(), &["compare", "run", "run"], 0);
    assert!(compared.contains("NEW is partial"), "{compared}");
}

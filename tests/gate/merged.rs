//! `breakeven merge` as a person sees it.

use crate::parts::{breakeven, split};
use crate::report_support::Run;
use breakeven::model::Event;
use std::fs;
use std::path::Path;

/// What the merge printed, without what is another thing each time.
fn printed(dir: &Path, args: &[&str]) -> String {
    let output = breakeven(dir, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!([Some(0), Some(4)].contains(&output.status.code()), "{output:?} {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let run = text.split_whitespace().nth(1).unwrap().to_owned();
    text.replace(&run, "[run]")
}

/// The part of a report that begins with a line and ends before an empty one and a line that begins
/// with another.
fn section<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let at = text.find(from).unwrap_or_else(|| panic!("no {from:?} in {text}"));
    let end = text[at..].find(to).map_or(text.len(), |end| at + end);
    text[at..end].trim_end()
}

#[test]
fn every_format_shows_each_machine_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::new(12, |_| {});
    split(&run, 3, &dir.path().join("parts"), |event, machine| {
        // One machine on which a cache that is built in is slow.
        if let Event::SampleFinished { sample } = event
            && machine == 2
            && sample.cell.strategy == "inline"
        {
            sample.phases.edit(|rows| rows[0].duration_s += 60.0);
        }
    });
    let args = ["merge", "parts/1", "parts/2", "parts/3", "--out", "whole"];
    let terminal = printed(dir.path(), &args);
    insta::assert_snapshot!("terminal", section(&terminal, "Machines", "\nFindings"));
    let read = |file: &str| fs::read_to_string(dir.path().join("whole").join(file)).unwrap();
    insta::assert_snapshot!("markdown", section(&read("report.md"), "## Machines", "\n##"));
    let json: serde_json::Value = serde_json::from_str(&read("report.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(
        &fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.schema.json"))
            .unwrap(),
    )
    .unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(json["machines"].as_array().unwrap().len(), 3);
    let on = json["on_machines"].as_array().unwrap();
    let pull = on.iter().find(|one| one["strategy"] == "inline").unwrap();
    assert_eq!(pull["differs"], true);
    assert_eq!(pull["savings"].as_array().unwrap().len(), 3);
    let html = read("report.html");
    let page = section(&html, "<section id=machines", "</section>");
    assert_eq!(page.matches("scope=col class=n>machine ").count(), 3, "{page}");
    let csv = read("samples.csv");
    assert!(csv.lines().next().unwrap().ends_with(",machine"), "{csv}");
    let ids: Vec<&str> =
        json["findings"].as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
    assert!(ids.contains(&"saving-depends-on-machine") && ids.contains(&"machines-differ"));
    // It is a run as any other: it can be reported on, and held against itself.
    let again = breakeven(dir.path(), &["report", "whole"]);
    assert_eq!(String::from_utf8_lossy(&again.stdout).lines().count(), terminal.lines().count());
    assert!(breakeven(dir.path(), &["compare", "whole", "whole"]).status.success());
    let resumed = breakeven(dir.path(), &["run", "--resume", "whole"]);
    assert_eq!(resumed.status.code(), Some(2), "{resumed:?}");
    let said = String::from_utf8_lossy(&resumed.stderr);
    assert!(said.contains("was merged from parts"), "{said}");
}

#[test]
fn alike_machines_decide_what_the_run_on_one_decides() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::new(12, |_| {});
    let unsplit = run.decision();
    for (of, name) in [(2, "few"), (6, "many")] {
        let parts = split(&run, of, &dir.path().join(name), |_, _| {});
        let mut args: Vec<&str> =
            vec!["merge", "--out", if of == 2 { "whole-few" } else { "whole-many" }];
        args.extend(parts.iter().map(|part| part.to_str().unwrap()));
        printed(dir.path(), &args);
        let out = dir.path().join(format!("whole-{name}"));
        let merged = breakeven::run::recorded(&out).unwrap().decision;
        assert!(merged.machines.differing().is_empty());
        for (one, other) in unsplit.weighted.iter().zip(&merged.weighted) {
            let (Some(before), Some(after)) = (&one.saving, &other.saving) else { continue };
            let (was, is) = (before.seconds, after.seconds);
            assert!((was.point - is.point).abs() < 1e-9, "{one:?}");
            assert_eq!(before.verdict, after.verdict, "{}", one.strategy);
        }
    }
}

//! What `plan` says of a configuration.

use super::{GOOD, article, refusal, success};
use std::path::Path;
use std::process::Command;

#[test]
fn a_run_stops_by_itself_unless_its_rounds_are_fixed() {
    // Rounds and whether the run may stop before the last one.
    let planned = |config: &str, args: &[&str]| {
        let dir = article(config);
        let text = success(dir.path(), &[&["plan", "--format", "json"], args].concat());
        let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
        (plan["rounds"].as_u64().unwrap(), plan["adaptive"] == true)
    };
    let silent = GOOD.replace("rounds = 5\n", "");
    assert_ne!(silent, GOOD);
    assert_eq!(planned(&silent, &[]), (30, true));
    assert_eq!(planned(&format!("max_rounds = 7\n{silent}"), &[]), (7, true));
    assert_eq!(planned(GOOD, &[]), (5, false));
    assert_eq!(planned(GOOD, &["--max-rounds", "9"]), (9, true));
    assert_eq!(planned(&silent, &["--fixed", "4"]), (4, false));
    assert_eq!(planned(&silent, &["--rounds", "4"]), (4, false));
    let dir = article(GOOD);
    refusal(dir.path(), &["plan", "--fixed", "4", "--max-rounds", "5"]);
    refusal(dir.path(), &["plan", "--max-rounds", "2"]);
    let both = article(&format!("max_rounds = 7\n{GOOD}"));
    assert!(refusal(both.path(), &["plan"]).contains("both `rounds` and `max_rounds`"));
}

#[test]
fn a_part_is_planned_as_it_is_run() {
    let dir = article(GOOD);
    let part = ["plan", "--only", "cold", "--fixed", "10", "--shard", "2/4"];
    let text = success(dir.path(), &part);
    // Two changes, two availabilities, two builders, and the A/A cell.
    let first = "8 cells and an A/A cell, 3 of 10 counted rounds: 27 samples, and 9 in the warm-up";
    assert!(text.starts_with(first), "{text}");
    assert!(text.contains("\npart          2/4: rounds 2, 6, 10\n"), "{text}");
    assert!(text.contains("as a node pulls it, in 1 rounds"), "round 2 of the first five: {text}");
    let plan = |args: &[&str]| -> breakeven::model::Plan {
        let args = [args, &["--format", "json"]].concat();
        serde_json::from_str(&success(dir.path(), &args)).unwrap()
    };
    let (planned, whole) = (plan(&part), plan(&part[..5]));
    assert_eq!(planned.shard.unwrap().to_string(), "2/4");
    assert_eq!((planned.rounds, planned.own_rounds(), &planned.cells), (10, 3, &whole.cells));
    // As a system's variables say, and what cannot be is refused as `run` refuses it.
    let mut auto = Command::new(env!("CARGO_BIN_EXE_breakeven"));
    auto.current_dir(dir.path()).args(["plan", "--fixed", "60", "--shard", "auto"]);
    let output = auto.envs([("CI_NODE_INDEX", "3"), ("CI_NODE_TOTAL", "3")]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = "\npart          3/3: rounds 3, 6, 9, 12, 15, 18, 21, 24, 27, … 60\n";
    assert!(text.contains(line), "{text}");
    refusal(dir.path(), &["plan", "--max-rounds", "9", "--shard", "1/2"]);
    let said = refusal(dir.path(), &["plan", "--fixed", "2", "--shard", "3/3"]);
    assert!(said.contains("part 3/3 has no round to measure"), "{said}");
}

/// Keys of the cells of a plan.
fn cells(dir: &Path, args: &[&str]) -> Vec<String> {
    let args = [&["plan", "--format", "json"], args].concat();
    let plan: serde_json::Value =
        serde_json::from_str(&success(dir, &args)).expect("the test's own set-up works");
    plan["cells"]
        .as_array()
        .expect("the test's own set-up works")
        .iter()
        .map(|cell| {
            let part =
                |name: &str| cell[name].as_str().expect("the test's own set-up works").to_owned();
            ["change", "availability", "strategy", "builder", "state"].map(part).join("/")
        })
        .collect()
}

#[test]
fn a_plan_has_every_combination_that_the_filters_take() {
    let dir = article(GOOD);
    // Two changes, two availabilities; four strategies of fourteen work with both builders.
    assert_eq!(cells(dir.path(), &[]).len(), 2 * 2 * 18);
    assert_eq!(
        cells(dir.path(), &["--only", "*/deps/*/pull/*, article-printed"]),
        [
            "app/branch+main/article-printed/classic/steady",
            "app/none/article-printed/classic/populate",
            "deps/branch+main/article-printed/classic/steady",
            "deps/branch+main/pull/classic/steady",
            "deps/none/article-printed/classic/populate",
            "deps/none/pull/classic/populate",
        ]
    );
}

#[test]
fn a_plan_says_everything_that_decides_what_is_measured() {
    let dir = article(GOOD);
    let args = ["plan", "--format", "json", "--only", "cold", "--rounds", "6", "--max-time", "5m"];
    let text = success(dir.path(), &args);
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    let real = dir.path().canonicalize().unwrap();
    insta::assert_snapshot!(
        text.replace(plan["run"].as_str().unwrap(), "[run]")
            .replace(env!("CARGO_PKG_VERSION"), "[version]")
            .replace(real.to_str().unwrap(), "[dir]")
    );
    let again: serde_json::Value = serde_json::from_str(&success(dir.path(), &args)).unwrap();
    assert_ne!(plan["run"], again["run"], "every run has its own id");
}

/// Keys of a plan's A/A cells.
fn again(dir: &Path, args: &[&str]) -> Vec<String> {
    let args = [&["plan", "--format", "json"], args].concat();
    let plan: breakeven::model::Plan =
        serde_json::from_str(&success(dir, &args)).expect("the test's own set-up works");
    plan.again.iter().map(|cell| cell.key().0).collect()
}

#[test]
fn every_workload_link_and_engine_has_an_a_a_cell_of_the_baseline() {
    let dir = article(&format!("{GOOD}[link.slow]\nup = \"5Mbit\"\n[link.fast]\n"));
    // The heaviest change and availability, and the builder with more strategies.
    let key = |link: &str| format!("web/app/branch+main/cold+again/buildkit/{link}/shared");
    assert_eq!(again(dir.path(), &[]), [key("fast"), key("slow")]);
    // It is chosen among what a filter leaves.
    let only = ["--only", "*/deps/none/*/classic/slow/*"];
    assert_eq!(again(dir.path(), &only), ["web/deps/none/cold+again/classic/slow/shared"]);
    assert_eq!(again(dir.path(), &["--only", "pull"]), Vec::<String>::new());
    // Two rounds have too few pairs, and it can be left out.
    assert_eq!(again(dir.path(), &["--rounds", "2"]), Vec::<String>::new());
    assert_eq!(again(dir.path(), &["--rounds", "3"]).len(), 2);
    assert_eq!(again(dir.path(), &["--no-aa"]), Vec::<String>::new());
    let text = success(dir.path(), &["plan", "--no-aa"]);
    assert!(text.contains("A/A cell      none"), "{text}");
    let dir = article(&format!("aa = false\n{GOOD}"));
    assert_eq!(again(dir.path(), &[]), Vec::<String>::new());
}

#[test]
fn a_plan_of_a_version_without_a_a_cells_is_read() {
    let dir = article(GOOD);
    let plan = |args: &[&str]| success(dir.path(), &[&["plan", "--format", "json"], args].concat());
    let old = plan(&["--no-aa"]);
    assert!(!old.contains("again"), "{old}");
    let read: breakeven::model::Plan = serde_json::from_str(&old).unwrap();
    assert_eq!((read.again.len(), read.measured().count()), (0, read.cells.len()));
    let new: breakeven::model::Plan = serde_json::from_str(&plan(&[])).unwrap();
    assert_eq!(new.measured().count(), new.cells.len() + 1);
}

#[test]
fn a_plan_for_people() {
    let dir = article(GOOD);
    let real = dir.path().canonicalize().unwrap();
    let text = success(dir.path(), &["plan", "--only", "cold,pull,save-load"]);
    insta::assert_snapshot!(text.replace(real.to_str().unwrap(), "[dir]"));
}

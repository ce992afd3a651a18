//! What a history shows.

use crate::made::{command, night, run, said, write};
use breakeven::report::trend;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Thirty nights; from the twentieth on everything takes a fifth longer, with another engine.
async fn nights(place: &str) {
    for number in 0..30 {
        let shifted = number >= 20;
        night(place, number, if shifted { 1.25 } else { 1.0 }, |summary| {
            let version = if shifted { "26.1.5" } else { "20.10.24" };
            summary.conditions.insert("engine version".to_owned(), version.to_owned());
            if number == 7 {
                summary.machine = "Intel Xeon, 4 cores".to_owned();
            }
        })
        .await;
    }
}

fn shown(dir: &Path, args: &[&str]) -> String {
    let args = [&["history"], args].concat();
    said(command(dir, &args).output().unwrap(), 0)[0].clone()
}

#[tokio::test]
async fn a_shift_is_told_with_what_changed_by_machine_model() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    nights(place).await;
    let text = shown(dir.path(), &[place]).replace(place, "/mnt/history");
    insta::assert_snapshot!("terminal", text);
    let text = shown(dir.path(), &[place, "--format", "json", "--only", "inline"]);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_valid(&value);
    let cells = value["machines"][0]["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 1);
    let shifts = cells[0]["time"]["shifts"].as_array().unwrap();
    assert_eq!(shifts.len(), 1);
    assert_eq!(shifts[0]["run"], "20260121-night");
    assert_eq!(shifts[0]["changed"][0], "engine version: was 20.10.24, is 26.1.5");
    let text = shown(dir.path(), &[place, "--last", "9"]);
    assert!(text.contains("too few runs") && text.contains("9 runs"), "{text}");
}

#[tokio::test]
async fn the_page_needs_nothing_else_and_no_name_breaks_it() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    nights(place).await;
    let script = "<script>alert(1)</script>\u{1b}[31m";
    for number in 40..52 {
        night(place, number, 1.0, |summary| {
            summary.machine += script;
            summary.cells.iter_mut().for_each(|cell| cell.workload += script);
            summary.conditions.insert(script.to_owned(), format!("{script}{number}"));
        })
        .await;
    }
    let text = shown(dir.path(), &[place, "--html", "trends.html"]);
    assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}"), "{text}");
    let page = fs::read_to_string(dir.path().join("trends.html")).unwrap();
    assert!(!page.contains("<script>alert") && !page.contains('\u{1b}'));
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("default-src 'none'") && !page.contains("src=\"http"));
    assert_eq!(page.matches("<svg").count(), page.matches("<desc>").count());
    assert!(page.matches("<svg").count() >= 6, "time and saving on two machines and of one name");
}

#[test]
fn nothing_and_one_run_are_shown_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("h")).unwrap();
    assert!(shown(dir, &["h"]).contains("0 runs"));
    write(&run("only", |_| ()), &dir.join("run"));
    shown(dir, &["add", "run", "--to", "h"]);
    fs::write(dir.join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
    let config = "history = \"h\"\nchanges = [\"none\"]\n[workload.w]\ncontext = \".\"\n[strategies]\nuse = [\"cold\"]\nbuilders = [\"classic\"]\n";
    fs::write(dir.join("breakeven.toml"), config).unwrap();
    let text = shown(dir, &[]);
    assert!(text.contains("1 run on 1 machine model") && text.contains("too few runs"), "{text}");
    assert!(shown(dir, &["--html", "page.html"]).contains("inline"));
}

fn assert_valid(value: &Value) {
    let schema = serde_json::to_value(trend::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<String> = validator.iter_errors(value).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(value["version"], trend::TREND_VERSION);
}

/// `BREAKEVEN_UPDATE_SCHEMA=1 cargo test` writes the schema anew.
#[test]
fn the_committed_schema_is_the_generated_one() {
    const FILE: &str = "docs/history.schema.json";
    let generated = serde_json::to_string_pretty(&trend::schema()).unwrap() + "\n";
    if std::env::var_os("BREAKEVEN_UPDATE_SCHEMA").is_some() {
        fs::write(FILE, &generated).unwrap();
    }
    assert!(fs::read_to_string(FILE).unwrap() == generated, "{FILE} is old");
}

#[test]
fn what_shows_nothing_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("h")).unwrap();
    let told =
        |args: &[&str], code: i32| said(command(dir, args).output().unwrap(), code)[1].clone();
    assert!(told(&["history", "h"], 0).contains("no run is in this history yet"));
    write(&run("a", |_| ()), &dir.join("a"));
    told(&["history", "add", "a", "--to", "h"], 0);
    assert_eq!(told(&["history", "h", "--only", "inline"], 0), "");
    let none = told(&["history", "h", "--only", "inlin", "--html", "page.html"], 2);
    assert!(none.contains("--only inlin takes no cell of this history's 1 run"), "{none}");
    assert!(!dir.join("page.html").exists());
    told(&["history", "h", "--last", "0"], 2);
    let place = told(&["history", "nowhere"], 2);
    assert!(place.contains("there is no folder and no configuration file of that name"), "{place}");
    let both = told(&["history", "prune", "h"], 2);
    assert!(both.contains("--keep") && both.contains("--older-than"), "{both}");
}

//! What a history keeps, whatever happens to it.

use crate::made::{all_done, command, files, night, objects, run, s3, said, write};
use crate::parts::split;
use crate::report_support::Run;
use breakeven::history::{self, Kept};
use breakeven::model::Event;
use breakeven::model::event::Ending;
use breakeven::storage::Access;
use breakeven::trend::Summary;
use serde_json::Value;
use std::fs;
use std::path::Path;

const INDEX: &str = "breakeven-history/index-1.json.zst";

/// `breakeven history PLACE --format json` in a folder.
fn json(dir: &Path, place: &str, code: i32) -> Value {
    let [out, _] =
        said(command(dir, &["history", place, "--format", "json"]).output().unwrap(), code);
    serde_json::from_str(&out).unwrap()
}

/// So many run directories in a folder.
fn dirs(dir: &Path, count: usize) -> Vec<String> {
    let one = |number: usize| {
        let name = format!("run-{number}");
        write(&run(&name, |_| ()), &dir.join(&name));
        name
    };
    (0..count).map(one).collect()
}

#[test]
fn jobs_that_write_into_a_folder_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("h")).unwrap();
    let runs = dirs(dir, 6);
    let before = files(&dir.join("run-0"));
    // Each of them twice at the same time, and readers that write the index between them.
    let add = |run: &String| command(dir, &["history", "add", run, "--to", "h"]).spawn().unwrap();
    let mut children: Vec<_> = runs.iter().chain(&runs).map(add).collect();
    children.extend((0..2).map(|_| command(dir, &["history", "h"]).spawn().unwrap()));
    all_done(children);
    assert_eq!(json(dir, "h", 0)["runs"], 6);
    assert_eq!(objects(&dir.join("h")).len(), 6);
    assert_eq!(files(&dir.join("run-0")), before, "the run directory is only read");
    let [out, _] =
        said(command(dir, &["history", "add", "run-0", "--to", "h"]).output().unwrap(), 0);
    assert!(out.starts_with("there already: run-0."), "{out}");
}

#[test]
fn jobs_that_write_into_a_bucket_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let root = tempfile::tempdir().unwrap();
    let environment = s3(root.path());
    let runs = dirs(dir, 4);
    let call = |args: &[&str]| {
        let mut command = command(dir, args);
        command.envs(environment.iter().cloned()).spawn().unwrap()
    };
    let at = "s3://shared/ci";
    let add = |run: &String| call(&["history", "add", run, "--to", at]);
    let mut children: Vec<_> = runs.iter().chain(&runs).map(add).collect();
    children.push(call(&["history", at]));
    all_done(children);
    let printed = |args: &[&str]| said(call(args).wait_with_output().unwrap(), 0)[0].clone();
    let shown = printed(&["history", at, "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["runs"], 4);
    let theirs = root.path().join("shared/ci/theirs");
    fs::write(&theirs, "x").unwrap();
    let out = printed(&["history", "prune", at, "--keep", "1", "--yes"]);
    assert!(out.contains("removed 3 objects"), "{out}");
    assert!(printed(&["history", "rebuild", at]).starts_with("1 runs"));
    assert!(theirs.exists());
    // Whoever may not write is told so, and how to do it later.
    let mut refused = command(dir, &["history", "add", "run-0", "--to", at]);
    refused.envs(environment.iter().cloned()).env("AWS_SECRET_ACCESS_KEY", "another-secret");
    let [_, told] = said(refused.output().unwrap(), 3);
    assert!(told.contains("403") && !told.contains("another-secret"), "{told}");
}

#[tokio::test]
async fn an_index_that_is_lost_old_or_damaged_costs_nothing_but_time() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let place = dir.to_str().unwrap();
    for number in 0..3 {
        night(place, number, 1.0, |_| ()).await;
    }
    let index = dir.join(INDEX);
    let first = json(dir, place, 0);
    let old = fs::read(&index).unwrap();
    night(place, 3, 1.0, |_| ()).await;
    assert_eq!(json(dir, place, 0)["runs"], 4, "what an old index lacks is read");
    let whole = json(dir, place, 0);
    // As another job would leave it that listed the objects a moment ago.
    fs::write(&index, &old).unwrap();
    assert_eq!(json(dir, place, 0), whole);
    fs::write(&index, b"no index").unwrap();
    assert_eq!(json(dir, place, 0), whole);
    fs::remove_file(&index).unwrap();
    assert_eq!(json(dir, place, 0), whole);
    assert!(index.exists(), "and is made again");
    let newest = objects(dir).pop().unwrap();
    fs::remove_file(newest).unwrap();
    assert_eq!(json(dir, place, 0), first, "what the index has too much is not shown");
}

#[tokio::test]
async fn a_damaged_object_is_named_and_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let place = dir.to_str().unwrap();
    for number in 0..5 {
        night(place, number, 1.0, |_| ()).await;
    }
    let all = objects(dir);
    let bytes = fs::read(&all[0]).unwrap();
    fs::write(&all[0], &bytes[..bytes.len() - 9]).unwrap();
    // Another run's content under this one's name.
    fs::write(&all[1], fs::read(&all[2]).unwrap()).unwrap();
    let mut newer = fs::read(&all[3]).unwrap();
    let at = newer.windows(11).position(|window| window == b"\"version\":1").unwrap();
    newer[at + 10] = b'7';
    fs::write(&all[3], newer).unwrap();
    fs::write(dir.join("breakeven-history/runs/notes.txt"), "mine").unwrap();
    let [out, told] = said(command(dir, &["history", place]).output().unwrap(), 4);
    assert!(out.contains("2 runs on 1 machine model") && out.contains("3 damaged"), "{out}");
    for damaged in [&all[0], &all[1], &all[3]] {
        assert!(told.contains(damaged.file_name().unwrap().to_str().unwrap()), "{told}");
    }
    assert!(told.contains("format version 7") && told.contains("notes.txt is none of ours"));
    // Neither is removed, since nothing says that they are what their names say, but the newer one
    // does: its run is not known, so it is not old.
    let args = ["history", "prune", place, "--keep", "0", "--yes"];
    let [out, _] = said(command(dir, &args).output().unwrap(), 4);
    assert!(out.contains("removed 2 objects"), "{out}");
    assert_eq!(objects(dir).len(), 4);
}

/// What is known in short is read without taking the journal apart, and never of an object that
/// would be refused as a whole.
#[test]
fn the_short_way_of_reading_an_object_knows_and_refuses_what_the_long_one_does() {
    let made = run("one", |_| ());
    let summary = Summary::of(&made.plan, &made.events, made.decision());
    let lines = |run: &Run| -> Vec<String> {
        run.events.iter().map(|event| serde_json::to_string(event).unwrap()).collect()
    };
    let packed = |run: &Run, summary: &Summary| {
        history::pack(&Kept { summary, plan: &run.plan, lines: &lines(run) }).unwrap()
    };
    let (name, bytes) = packed(&made, &summary);
    let whole = history::unpack(&name, &bytes).unwrap();
    assert_eq!(history::summary(&name, &bytes).unwrap(), whole.summary);
    assert_eq!((&whole.summary, &whole.plan), (&summary, &made.plan));
    assert_eq!(whole.events, made.events);

    let mut refused = vec![(name.clone(), bytes[..bytes.len() - 9].to_vec())];
    // Of these everything is whole, but for what they are.
    let other = Summary { run: "other".to_owned(), ..summary.clone() };
    refused.push(packed(&made, &other));
    let mut newer = run("one", |_| ());
    newer.plan.version += 1;
    refused.push(packed(&newer, &summary));
    let mut newer = run("one", |_| ());
    for event in &mut newer.events {
        if let Event::RunStarted { version, .. } = event {
            *version += 1;
        }
    }
    let (newer, of_newer) = packed(&newer, &summary);
    // Whole objects, each under the name of another.
    refused.push((newer.clone(), bytes));
    refused.push((name, of_newer.clone()));
    refused.push((newer, of_newer));
    for (name, bytes) in refused {
        let long = history::unpack(&name, &bytes).unwrap_err();
        assert_eq!(history::summary(&name, &bytes).unwrap_err(), long);
    }
}

#[tokio::test]
async fn pruning_says_what_it_would_remove_and_keeps_what_either_option_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let place = dir.to_str().unwrap();
    for number in 0..6 {
        night(place, number, 1.0, |_| ()).await;
    }
    let call = |args: &[&str]| {
        let args = [&["history", "prune", place], args].concat();
        said(command(dir, &args).output().unwrap(), 0)[0].clone()
    };
    let out = call(&["--keep", "4"]);
    assert!(out.contains("would remove 2 objects") && out.contains("20260101-night."), "{out}");
    assert_eq!(objects(dir).len(), 6);
    assert!(call(&["--keep", "4", "--older-than", "1000years"]).contains("would remove 0"));
    assert!(call(&["--older-than", "1s", "--keep", "5"]).contains("would remove 1"));
    assert!(call(&["--keep", "4", "--yes"]).contains("removed 2 objects"));
    let left = objects(dir);
    assert_eq!(left.len(), 4);
    assert!(left[0].to_str().unwrap().contains("20260103-night."), "{left:?}");
    let [_, told] = said(command(dir, &["history", "prune", place]).output().unwrap(), 2);
    assert!(told.contains("--keep"), "{told}");
}

#[test]
fn of_a_run_that_went_on_the_longer_journal_counts() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("h")).unwrap();
    let whole = run("one", |_| ());
    let mut part = run("one", |_| ());
    part.events.truncate(8);
    part.end(Ending::OutOfTime, "");
    write(&part, &dir.join("part"));
    write(&whole, &dir.join("whole"));
    for name in ["whole", "part"] {
        said(command(dir, &["history", "add", name, "--to", "h"]).output().unwrap(), 0);
    }
    assert_eq!(objects(&dir.join("h")).len(), 2);
    let shown = json(dir, "h", 0);
    assert_eq!(shown["runs"], 1);
    assert!(shown["machines"][0]["cells"][0]["time"]["points"][0]["value"].is_number());
}

#[test]
fn a_history_that_cannot_be_written_takes_nothing_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut named = run("named", |_| ());
    named.plan.history = Some(dir.join("gone").to_str().unwrap().to_owned());
    write(&named, &dir.join("run"));
    let before = files(&dir.join("run"));
    let [out, told] = said(command(dir, &["history", "add", "run"]).output().unwrap(), 3);
    assert!(out.is_empty() && told.contains("there is no such folder"), "{told}");
    assert_eq!(files(&dir.join("run")), before);
    fs::create_dir(dir.join("gone")).unwrap();
    said(command(dir, &["history", "add", "run"]).output().unwrap(), 0);
    let [_, told] = said(command(dir, &["history", "nowhere"]).output().unwrap(), 2);
    assert!(told.contains("nowhere"), "{told}");
    let odd = run("../odd", |_| ());
    write(&odd, &dir.join("odd"));
    let [_, told] =
        said(command(dir, &["history", "add", "odd", "--to", "gone"]).output().unwrap(), 2);
    assert!(told.contains("letters, digits"), "{told}");
}

#[test]
fn what_is_no_run_is_refused_by_every_command_that_reads_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("h")).unwrap();
    dirs(dir, 2);
    write(&run("empty", |_| ()), &dir.join("empty"));
    fs::write(dir.join("empty/events.jsonl"), "").unwrap();
    write(&run("mixed", |_| ()), &dir.join("mixed"));
    fs::copy(dir.join("run-1/events.jsonl"), dir.join("mixed/events.jsonl")).unwrap();
    let rule = "[[rule]]\nkind = \"no-finding\"\nid = \"foreign-cache\"\n";
    fs::write(dir.join("rules.toml"), rule).unwrap();
    for (one, why) in [("empty", "nothing was measured"), ("mixed", "is of run mixed")] {
        for args in [
            &["report", one][..],
            &["compare", "run-0", one],
            &["compare", one, "run-0"],
            &["check", one],
            &["history", "add", one, "--to", "h"],
            &["merge", one, "--out", "whole"],
            &["export", "winner", "--run", one, "--as", "shell"],
        ] {
            let [out, told] = said(command(dir, args).output().unwrap(), 2);
            assert!(out.is_empty() && told.contains(why), "{args:?}: {out}{told}");
        }
    }
    assert!(files(&dir.join("h")).is_empty() && !dir.join("whole").exists());
}

#[test]
fn a_merged_run_counts_in_place_of_its_parts_whichever_came_first() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let parts = split(&run("one", |_| ()), 2, &dir.join("parts"), |_, _| {});
    let parts: Vec<&str> = parts.iter().map(|part| part.to_str().unwrap()).collect();
    let merge = [&["merge", "--out", "whole"], &parts[..]].concat();
    said(command(dir, &merge).output().unwrap(), 0);
    for order in [[parts[0], "whole", parts[1]], ["whole", parts[1], parts[0]]] {
        fs::create_dir(dir.join("h")).unwrap();
        for name in order {
            let add = command(dir, &["history", "add", name, "--to", "h"]).output().unwrap();
            let [_, told] = said(add, 0);
            assert_eq!(told.contains("part of a run"), name != "whole", "{told}");
        }
        // From the objects, and then by the index, which knows all three.
        for from in ["objects", "index"] {
            let shown = command(dir, &["history", "h", "--format", "json"]).output().unwrap();
            let [out, told] = said(shown, 0);
            let shown: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(shown["runs"], 1, "{from} {order:?}");
            assert!(told.contains("2 parts of merged runs are left out"), "{told}");
        }
        let kept = history::History::open(dir.join("h").to_str().unwrap(), &Access::of_process());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let loaded = runtime.block_on(kept.unwrap().load()).unwrap();
        assert_eq!(loaded.read, 0, "the index knows the parts as well");
        let prune = ["history", "prune", "h", "--keep", "0", "--yes"];
        let [out, _] = said(command(dir, &prune).output().unwrap(), 0);
        assert!(out.contains("removed 3 objects"), "parts go with their whole: {out}");
        fs::remove_dir_all(dir.join("h")).unwrap();
    }
}

//! An exported strategy, run as a CI system would run it.

use super::harness::{ARTICLE, Bed, docker, not_ok, text};
use super::runs::{UsersRegistry, image_ids};
use breakeven::model::Status;
use std::collections::BTreeSet;

/// COPY and RUN instructions of the last build in a classic builder's log: all, and those that
/// were taken from a cache.
fn steps(log: &str) -> (Vec<&str>, Vec<&str>) {
    let last = log.rfind("\nStep 1/").map_or(log, |start| &log[start + 1..]);
    let (mut all, mut hits) = (Vec::new(), Vec::new());
    for line in last.lines() {
        if let Some((_, instruction)) = line.strip_prefix("Step ").and_then(|l| l.split_once(" : "))
        {
            all.push(instruction);
        } else if line.trim() == "---> Using cache" {
            hits.extend(all.last());
        }
    }
    let content = |line: &&str| line.starts_with("COPY") || line.starts_with("RUN");
    (all.into_iter().filter(content).collect(), hits.into_iter().filter(content).collect())
}

/// Removes what a job left on the engine, as a runner that is thrown away does.
fn throw_away(before: &BTreeSet<String>, repository: &str) {
    let tags = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", repository]);
    for tag in tags.lines().filter(|tag| !tag.ends_with(":<none>")) {
        docker(&["rmi", tag]);
    }
    // Children first: an image with children is refused.
    for _ in 0..30 {
        for id in image_ids().difference(before) {
            let _ = std::process::Command::new("docker").args(["rmi", id]).output();
        }
    }
    assert_eq!(&image_ids(), before, "what the script made is gone");
}

#[test]
fn an_exported_script_hits_the_steps_that_were_measured() {
    let bed = Bed::new();
    let registry = UsersRegistry::start(&bed);
    let config =
        format!("{ARTICLE}\n[registry]\naddress = \"{}\"\nprefix = \"team\"\n", registry.address);
    let only = "*/app/*/pull-stages/classic/*/*";
    let output = bed.run(&config, &["--rounds", "1", "--only", only]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    let samples = bed.samples();
    let sample = samples.last().unwrap();
    assert_eq!(sample.status, Status::Ok, "{}", sample.reason);
    let mut measured = BTreeSet::new();
    let mut missed = BTreeSet::new();
    for step in sample.steps.iter().filter(|step| step.makes_content()) {
        let key = (step.stage, step.step);
        if step.hit {
            measured.insert(key)
        } else {
            missed.insert(key)
        };
    }
    let hits = measured.difference(&missed).count();
    assert!(hits > 0 && !missed.is_empty());

    let before = image_ids();
    let exported =
        bed.breakeven().args(["export", "pull-stages", "--as", "shell"]).output().unwrap();
    assert_eq!(exported.status.code(), Some(0), "{}", text(&exported.stderr));
    let script = bed.path("job.sh");
    std::fs::write(&script, &exported.stdout).unwrap();
    // Of a repository of its own: the run's images are still in the registry.
    let changed = text(&exported.stdout).replace("/team/article", "/scripted/article");
    std::fs::write(&script, changed).unwrap();
    let repository = format!("{}/scripted/article", registry.address);
    let job = || {
        let job = std::process::Command::new("bash")
            .arg(&script)
            .current_dir(bed.path("."))
            .env("BRANCH", "topic/one")
            .output()
            .unwrap();
        assert!(job.status.success(), "{}\n{}", text(&job.stdout), text(&job.stderr));
        text(&job.stdout)
    };
    let first = job();
    assert_eq!(steps(&first).1.len(), 3, "the first job finds its own stage only: {first}");
    throw_away(&before, &repository);
    let served = bed.path("fixtures/article/app/serve.sh");
    let old = std::fs::read_to_string(&served).unwrap();
    std::fs::write(&served, old + "# a change\n").unwrap();
    let second = job();
    throw_away(&before, &repository);
    let (all, found) = steps(&second);
    assert_eq!(all.len(), measured.union(&missed).count(), "{second}");
    assert_eq!(found.len(), hits, "{found:?}\n{second}");
}

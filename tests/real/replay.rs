//! The last commits of a repository, replayed.

use super::harness::{ARTICLE, Bed, assert_as_before, holdings, not_ok, text};
use super::runs::hits_per_stage;
use breakeven::model::Status;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workload of the fixture, without its changes.
fn workload() -> &'static str {
    ARTICLE.split("[change.app]").next().unwrap()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.invalid"])
        .args(arguments)
        .output()
        .expect("this test needs git, as whoever cloned the project has");
    assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

/// Commits of a copy of the fixture, packed as a clone's are: the first, one of the application,
/// one of the dependencies, one that the build does not see.
fn repository(folder: &Path) -> Vec<String> {
    git(folder, &["init", "-q"]);
    let commit = |message: &str, path: &str, line: &str| {
        let path = folder.join(path);
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, old + line).unwrap();
        git(folder, &["add", "-A"]);
        git(folder, &["commit", "-q", "-m", message]);
        git(folder, &["rev-parse", "HEAD"])
    };
    let commits = vec![
        commit("first", "NOTES", "nothing that is built\n"),
        commit("app", "app/serve.sh", "# a fix\n"),
        commit("deps", "Gemfile", "# another gem\n"),
        commit("none", "NOTES", "more of it\n"),
    ];
    git(folder, &["gc", "-q"]);
    commits
}

/// Every file of a folder with content, mode and time.
fn everything(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, std::time::SystemTime)> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .map(|entry| {
            let metadata = entry.path().symlink_metadata().unwrap();
            let content =
                if metadata.is_file() { std::fs::read(entry.path()).unwrap() } else { Vec::new() };
            let facts = (content, metadata.permissions().mode(), metadata.modified().unwrap());
            (entry.path().to_path_buf(), facts)
        })
        .collect()
}

#[test]
fn each_commit_is_built_with_what_the_one_before_left() {
    let bed = Bed::new();
    bed.config("");
    let checkout = bed.path("fixtures/article");
    let commits = repository(&checkout);
    // Changes and files that nobody has committed.
    std::fs::write(checkout.join("app/serve.sh"), "dirty\n").unwrap();
    std::fs::write(checkout.join("untracked"), "mine\n").unwrap();
    let files = everything(&checkout);
    let before = holdings();
    let config = format!(
        "changes = {{ replay = 3 }}\n{}[candidate.branch]\n[strategies]\n\
         use = [\"cold\", \"inline-stages\"]\n",
        workload()
    );
    let output = bed.run(&config, &["--rounds", "1", "--seed", "7"]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    let mut lines = BTreeMap::new();
    for sample in bed.samples() {
        assert_eq!(sample.status, Status::Ok, "{}: {}", sample.cell.key(), sample.reason);
        let mut change = sample.cell.change.clone();
        for (commit, name) in commits.iter().zip(["first", "app", "deps", "none"]) {
            change = change.replace(&commit[..8], name);
        }
        let key = format!("{change} {} {}", sample.cell.strategy, sample.cell.builder);
        let line = format!("{} from {:?}", hits_per_stage(&sample), sample.cache_source);
        let known = lines.entry(key.clone()).or_insert_with(|| line.clone());
        assert_eq!(*known, line, "{key} differs between rounds");
    }
    let shown: String = lines.iter().map(|(key, line)| format!("{key}: {line}\n")).collect();
    insta::assert_snapshot!("hits_of_replayed_commits", shown);
    assert_eq!(everything(&checkout), files, "the checkout is as it was, byte by byte");
    assert_as_before(&before, "after the replay");
    assert_eq!(bed.leavings(), Vec::<String>::new());
    assert!(text(&output.stdout).contains("commit-03-"), "{}", text(&output.stdout));
}

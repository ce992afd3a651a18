//! The change mix of repositories that are made here.

mod git_support;

use breakeven::config::{self, Overrides};
use breakeven::model::{MixPlan, Plan};
use breakeven::workspace::history::{Commit, History, HistoryError};
use git_support::{Node, Repository};
use std::path::Path;

const DOCKERFILE: &str = "FROM base AS builder\nCOPY Gemfile Gemfile.lock ./\nRUN bundle\n\
                          FROM base\nCOPY --from=builder /b /b\nCOPY app lib ./\n";

const CONFIG: &str = r##"
[mix]
from = "git"

[workload.web]
context = "service"

[change.none]

[change.app]
edits = [{ append = "app/main.rb", text = "# {nonce}\n" }]

[change.deps]
edits = [{ append = "Gemfile", text = "# {nonce}\n" }]

[change.image]
edits = [{ append = "Dockerfile", text = "# {nonce}\n" }]
"##;

/// A repository with a service in a folder of it, one commit old.
fn service(folder: &Path) -> (Repository, gix::ObjectId) {
    let mut repository = Repository::init(folder);
    repository
        .file("service/Dockerfile", DOCKERFILE)
        .file("service/.dockerignore", "spec\n")
        .file("service/Gemfile", "rack\n")
        .file("service/Gemfile.lock", "rack 1\n")
        .file("service/app/main.rb", "1\n")
        .file("service/app/other.rb", "1\n")
        .file("service/lib/a.rb", "1\n")
        .file("service/spec/a.rb", "1\n")
        .file("service/notes", "1\n")
        .file("README", "1\n");
    let first = repository.commit("first", &[]);
    repository.check_out();
    (repository, first)
}

fn load(folder: &Path, text: &str) -> Result<(Plan, Vec<String>), String> {
    let path = folder.join("breakeven.toml");
    std::fs::write(&path, text).unwrap();
    let shown = |text: String| text.replace(&folder.to_string_lossy().into_owned(), "[dir]");
    let config = config::load(&path).map_err(|error| shown(error.to_string()))?;
    let plan = config.resolve(&Overrides::default()).unwrap();
    let notes = config.notes(&plan).into_iter().map(shown).collect();
    Ok((plan, notes))
}

fn counts(mix: &MixPlan) -> Vec<(&str, u32)> {
    mix.changes.iter().map(|count| (count.change.as_str(), count.commits)).collect()
}

/// Commits one file after another, from `parent` on.
fn touch(repository: &mut Repository, mut parent: gix::ObjectId, paths: &[&str]) -> gix::ObjectId {
    for (index, path) in paths.iter().enumerate() {
        for path in path.split('+') {
            repository.file(path, &format!("{index} of {}\n", paths.len()));
        }
        parent = repository.commit(path, &[parent]);
    }
    parent
}

#[test]
fn each_commit_is_the_dearest_change_that_it_touches() {
    let folder = tempfile::tempdir().unwrap();
    let (mut repository, first) = service(folder.path());
    let side = touch(&mut repository, first, &["service/app/side.rb"]);
    let head = touch(
        &mut repository,
        side,
        &[
            // The instruction that takes main.rb takes these as well.
            "service/app/other.rb",
            "service/lib/a.rb",
            "service/app/new.rb",
            // Dearer than the application.
            "service/Gemfile.lock",
            "service/app/main.rb+service/Gemfile",
            "service/Dockerfile+service/Gemfile",
            // Nothing that the build takes: ignored, outside, taken by no instruction.
            "service/spec/a.rb",
            "README",
            "service/notes",
        ],
    );
    let merge = repository.commit("merge", &[head, side]);
    repository.branch("main", merge);

    let (plan, notes) = load(folder.path(), CONFIG).unwrap();
    let mix = plan.mix.clone().unwrap();
    // The first commit of all touches everything, the Dockerfile too.
    assert_eq!(counts(&mix), [("image", 2), ("deps", 2), ("app", 4), ("none", 3)]);
    assert_eq!((mix.commits, mix.merges, mix.unmatched, mix.shallow), (12, 1, 0, false));
    assert_eq!(mix.head, merge.to_string());
    assert_eq!(mix.repository, folder.path().canonicalize().unwrap());
    assert!((plan.change_weight("app") - 4.0 / 11.0).abs() < 1e-12);
    assert_eq!(notes, Vec::<String>::new());

    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_breakeven"))
        .current_dir(folder.path())
        .arg("plan")
        .output()
        .unwrap();
    let line = format!("mix           12 commits of HEAD up to {}: image 2, ", mix.short_head());
    assert!(String::from_utf8(printed.stdout).unwrap().contains(&line), "{line}");

    // Only so many, of another revision.
    let text = CONFIG.replace("\"git\"", "\"git\"\ncommits = 4\nrev = \"main^1\"");
    let (plan, _) = load(folder.path(), &text).unwrap();
    let mix = plan.mix.unwrap();
    assert_eq!(counts(&mix), [("image", 1), ("deps", 0), ("app", 0), ("none", 3)]);
    assert_eq!((mix.commits, mix.head), (4, head.to_string()));
}

#[test]
fn paths_say_what_belongs_to_a_change_and_the_rest_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (mut repository, first) = service(folder.path());
    let paths = ["service/lib/a.rb", "service/app/main.rb", "service/lib/a.rb", "README"];
    let head = touch(&mut repository, first, &paths);
    repository.branch("main", head);
    let text = CONFIG
        .replace("[change.none]\n", "")
        .replace("[change.app]", "[change.app]\npaths = [\"app/**\"]")
        .replace("\"git\"", "\"git\"\ncommits = 4");
    let (plan, notes) = load(folder.path(), &text).unwrap();
    let mix = plan.mix.unwrap();
    assert_eq!(counts(&mix), [("image", 0), ("deps", 0), ("app", 1), ("none", 1)]);
    assert_eq!(mix.unmatched, 2);
    insta::assert_snapshot!(notes.join("\n"));
}

#[test]
fn links_modes_submodules_and_deleted_files_count() {
    let folder = tempfile::tempdir().unwrap();
    let (mut repository, first) = service(folder.path());
    repository.files.remove("service/app/other.rb");
    let second = repository.commit("delete", &[first]);
    repository.files.insert("service/Gemfile".to_owned(), Node::Link("Gemfile.lock".to_owned()));
    let third = repository.commit("file to link", &[second]);
    repository.files.insert("service/lib/a.rb".to_owned(), Node::Script("1\n".to_owned()));
    let fourth = repository.commit("mode alone", &[third]);
    repository.files.insert("service/vendor/x".to_owned(), Node::Submodule(first));
    let fifth = repository.commit("submodule", &[fourth]);
    let history = History::open(&folder.path().canonicalize().unwrap()).unwrap();
    let recent = history.recent(&fifth.to_string(), 4).unwrap();
    let touches = |path: &str| Commit::Touches(vec![path.to_owned()]);
    assert_eq!(
        recent.commits,
        [
            touches("service/vendor/x"),
            touches("service/lib/a.rb"),
            touches("service/Gemfile"),
            touches("service/app/other.rb")
        ]
    );
}

#[test]
fn a_shallow_clone_gives_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let (mut repository, first) = service(folder.path());
    let second = touch(&mut repository, first, &["service/Gemfile"]);
    let third = touch(&mut repository, second, &["service/app/main.rb"]);
    repository.branch("main", third);
    repository.cut(second);
    let (plan, notes) = load(folder.path(), CONFIG).unwrap();
    let mix = plan.mix.unwrap();
    assert_eq!(counts(&mix), [("image", 0), ("deps", 0), ("app", 1), ("none", 0)]);
    assert!(mix.shallow && mix.commits == 1);
    assert!(notes[0].contains("shallow"), "{notes:?}");

    // What the last commit of such a clone touched cannot be told.
    repository.branch("main", second);
    insta::assert_snapshot!(load(folder.path(), CONFIG).unwrap_err());
}

#[test]
fn a_history_that_cannot_serve_is_a_problem_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let (repository, first) = service(folder.path());
    let mut said = Vec::new();
    said.push(load(folder.path(), CONFIG).unwrap_err());
    repository.branch("main", first);
    let text = CONFIG
        .replace("\"git\"", "\"git\"\nrev = \"release\"")
        .replace("[change.none]", "[change.none]\npaths = [\"x\"]")
        .replace("[change.app]", "[change.app]\nweight = 3\npaths = [\"[\", \"absent/**\"]");
    said.push(load(folder.path(), &text).unwrap_err());
    let only = format!("changes = [\"app\"]\n{CONFIG}");
    said.push(load(folder.path(), &only).unwrap_err());
    std::fs::remove_dir_all(folder.path().join(".git")).unwrap();
    said.push(load(folder.path(), CONFIG).unwrap_err());
    insta::assert_snapshot!(said.join("\n\n").replace(&first.to_string()[..10], "[commit]"));
}

#[test]
fn broken_objects_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (mut repository, first) = service(folder.path());
    let second = touch(&mut repository, first, &["service/Gemfile"]);
    repository.branch("main", second);
    let hex = first.to_string();
    let object = folder.path().join(".git/objects").join(&hex[..2]).join(&hex[2..]);
    std::fs::remove_file(object).unwrap();
    let history = History::open(&folder.path().canonicalize().unwrap()).unwrap();
    let error = history.recent("HEAD", 10).unwrap_err();
    assert!(matches!(error, HistoryError::Object { .. }), "{error}");
    assert!(error.to_string().contains(&hex), "{error}");
    assert!(error.advice().contains("partial clone"));
}

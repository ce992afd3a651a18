//! The change mix of repositories that are made here.

mod git_support;

use breakeven::config::{self, Overrides};
use breakeven::model::plan::Workload;
use breakeven::model::{MixPlan, Plan};
use breakeven::workspace::history::{Commit, Elsewhere, History, HistoryError};
use breakeven::workspace::{self, WorkspaceError};
use git_support::{Node, Repository};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

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

fn workload(folder: &Path, dockerfile: &str) -> Workload {
    let top = folder.canonicalize().unwrap();
    Workload {
        context: top.join("service"),
        dockerfile: top.join(dockerfile),
        target: None,
        build_args: BTreeMap::new(),
        secret_args: BTreeMap::new(),
        stages: Vec::new(),
        bases: Vec::new(),
        layout: Vec::new(),
    }
}

/// Every file below a folder, with its content, mode and time.
fn everything(folder: &Path) -> BTreeMap<PathBuf, String> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    entries
        .map(|entry| {
            let metadata = entry.path().symlink_metadata().unwrap();
            let content = match metadata.file_type() {
                kind if kind.is_file() => std::fs::read(entry.path()).unwrap(),
                kind if kind.is_symlink() => {
                    std::fs::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes()
                }
                _ => Vec::new(),
            };
            let facts = (metadata.permissions().mode(), metadata.modified().unwrap());
            (entry.path().to_path_buf(), format!("{facts:?} {content:?}"))
        })
        .collect()
}

#[test]
fn a_commit_is_laid_out_beside_a_dirty_checkout() {
    let folder = tempfile::tempdir().unwrap();
    let (mut repository, first) = service(folder.path());
    repository
        .file("ci/Dockerfile", "FROM base\nCOPY . /\n")
        .file("ci/Dockerfile.dockerignore", "lib\n");
    let add = |repository: &mut Repository, path: &str, node| {
        repository.files.insert(path.to_owned(), node);
    };
    add(&mut repository, "service/app/run.sh", Node::Script("#!/bin/sh\n".to_owned()));
    add(&mut repository, "service/app/link", Node::Link("/etc/passwd".to_owned()));
    add(&mut repository, "service/vendor", Node::Submodule(first));
    let second = repository.commit("more files", &[first]);
    repository.branch("main", second);
    // A checkout of something else, with changes and files that nobody has committed.
    std::fs::write(folder.path().join("service/app/main.rb"), "dirty\n").unwrap();
    std::fs::write(folder.path().join("service/untracked"), "mine\n").unwrap();
    std::fs::remove_file(folder.path().join("service/Gemfile")).unwrap();
    let before = everything(folder.path());

    let scratch = tempfile::tempdir().unwrap();
    let lay = |dockerfile: &str, commit: gix::ObjectId, name: &str| {
        let workload = workload(folder.path(), dockerfile);
        workspace::prepare_commit(&workload, &commit.to_string(), &scratch.path().join(name))
    };
    let made = lay("service/Dockerfile", second, "a").unwrap();
    let read = |path: &str| std::fs::read_to_string(made.context.join(path)).unwrap();
    assert_eq!(read("app/main.rb"), "1\n");
    assert_eq!(read("Gemfile"), "rack\n");
    assert_eq!(std::fs::read_to_string(&made.dockerfile).unwrap(), DOCKERFILE);
    assert!(!made.context.join("untracked").exists() && !made.context.join("spec").exists());
    let mode = |path: &str| {
        made.context.join(path).symlink_metadata().unwrap().permissions().mode() & 0o7777
    };
    assert_eq!((mode("app"), mode("app/run.sh"), mode("app/main.rb")), (0o755, 0o755, 0o644));
    assert_eq!(
        std::fs::read_link(made.context.join("app/link")).unwrap(),
        Path::new("/etc/passwd")
    );
    assert!(made.context.join("vendor").read_dir().unwrap().next().is_none());
    assert_eq!(made.hash, lay("service/Dockerfile", second, "b").unwrap().hash);
    assert_ne!(made.hash, lay("service/Dockerfile", first, "c").unwrap().hash);
    assert!(!scratch.path().join("a/checkout").exists());

    // A Dockerfile outside the context comes along with its own ignore file, or is missed.
    let outside = lay("ci/Dockerfile", second, "d").unwrap();
    assert_eq!(std::fs::read_to_string(&outside.dockerfile).unwrap(), "FROM base\nCOPY . /\n");
    assert!(outside.dockerfile.with_file_name("Dockerfile.dockerignore").exists());
    let error = lay("ci/Dockerfile", first, "e").unwrap_err();
    assert!(matches!(error, WorkspaceError::History(HistoryError::Absent { .. })), "{error}");

    assert_eq!(everything(folder.path()), before, "the checkout is as it was");
}

#[test]
fn names_that_lead_out_of_a_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut repository, _) = service(folder.path());
    let scratch = tempfile::tempdir().unwrap();
    let victim = scratch.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    let link = || Node::Link(victim.to_string_lossy().into_owned());
    let any = || Node::Link(String::new());
    let (dir, context) = (|| Node::File(String::new()), folder.path().canonicalize().unwrap());
    let workload =
        Workload { context: context.clone(), ..workload(folder.path(), "service/Dockerfile") };
    let cases: [&[(&str, Node)]; 5] = [
        &[("..", dir())],
        &[(".git", dir())],
        &[(".GIT", any())],
        &[("a/b", any())],
        &[("same", link()), ("same", dir())],
    ];
    for (index, names) in cases.into_iter().enumerate() {
        let commit = repository.commit_raw(names).to_string();
        let place = scratch.path().join(index.to_string());
        assert!(workspace::prepare_commit(&workload, &commit, &place).is_err(), "{names:?}");
        assert!(victim.read_dir().unwrap().next().is_none(), "{names:?} wrote through a link");
        assert!(!place.join("x").exists() && !scratch.path().join("x").exists());
    }
}

#[test]
fn a_line_follows_first_parents_and_what_is_kept_elsewhere_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (mut repository, first) = service(folder.path());
    let side = touch(&mut repository, first, &["service/app/side.rb"]);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
    repository.file("service/app/model.bin", pointer).file("service/spec/big", pointer);
    repository.files.insert("service/vendor/x".to_owned(), Node::Submodule(first));
    let second = repository.commit("  large things \n\nand why", &[first]);
    let merge = repository.commit("merge", &[second, side]);
    repository.branch("main", merge);
    let history = History::open(&folder.path().canonicalize().unwrap()).unwrap();
    let line = history.line("main", 10).unwrap();
    let ids: Vec<&str> = line.iter().map(|link| link.id.as_str()).collect();
    assert_eq!(ids, [merge, second, first].map(|id| id.to_string()));
    assert_eq!(line[1].title, "large things");
    assert_eq!(history.line("main", 2).unwrap().len(), 2);

    let ignored = workspace::Ignore::load(
        &folder.path().join("service"),
        &folder.path().join("service/Dockerfile"),
        breakeven::model::Builder::Classic,
    )
    .unwrap();
    let mut seen = BTreeSet::new();
    let mut elsewhere = |commit: gix::ObjectId| {
        let rules = std::slice::from_ref(&ignored);
        history.elsewhere(&commit.to_string(), Path::new("service"), rules, &mut seen).unwrap()
    };
    let mut found: Vec<String> = elsewhere(second).iter().map(Elsewhere::to_string).collect();
    found.sort();
    assert_eq!(
        found,
        ["service/app/model.bin is kept by Git LFS", "service/vendor/x is a submodule"],
        "what is ignored does not count"
    );
    assert_eq!(elsewhere(merge), [], "the same folder is not looked at twice");
}

#[test]
fn the_last_commits_are_changes_with_what_their_parents_left() {
    let folder = tempfile::tempdir().unwrap();
    let (mut repository, first) = service(folder.path());
    let app = touch(&mut repository, first, &["service/app/main.rb"]);
    repository.file("service/Dockerfile", "FROM base AS other\nCOPY . /\nFROM other\n");
    let image = repository.commit("another image\n\nbecause", &[app]);
    repository.branch("main", image);
    let replay = |count: &str, rest: &str| {
        format!(
            "changes = {{ replay = {count} }}\n[workload.web]\ncontext = \"service\"\n\
             [strategies]\nuse = [\"cold\", \"pull-stages\"]\nbuilders = [\"classic\"]\n{rest}"
        )
    };
    let (plan, notes) = load(folder.path(), &replay("2", "")).unwrap();
    assert_eq!(plan.replayed, Some(2));
    assert_eq!(notes, Vec::<String>::new());
    let measured: BTreeSet<&str> = plan.cells.iter().map(|cell| cell.change.as_str()).collect();
    let names =
        [(1, app), (2, image)].map(|(n, id)| format!("commit-0{n}-{}", &id.to_string()[..8]));
    assert_eq!(measured, names.iter().map(String::as_str).collect());
    assert!((plan.change_weight(&names[0]) - 0.5).abs() < 1e-12);
    let commit = plan.commit(&names[1]).unwrap();
    assert_eq!(commit.title, "another image");
    assert_eq!(
        (&commit.built.commit, &commit.before.commit),
        (&image.to_string(), &app.to_string())
    );
    // Each commit has its own Dockerfile.
    assert_eq!(plan.workload("web", &names[1]).stages, ["other"]);
    assert_eq!(commit.before.workloads["web"].stages, ["builder"]);
    assert_eq!(plan.workloads["web"].stages, ["builder"]);

    let (plan, notes) = load(folder.path(), &replay("20", "")).unwrap();
    assert_eq!(plan.replayed, Some(2));
    let mut said = vec![notes.join("\n")];
    repository.files.insert("service/vendor/x".to_owned(), Node::Submodule(first));
    let pointer = "version https://git-lfs.github.com/spec/v1\n";
    repository.file("service/app/big", pointer).file("service/spec/ignored", pointer);
    let away = repository.commit("away", &[image]);
    repository.branch("main", away);
    said.push(load(folder.path(), &replay("1", "")).unwrap_err());
    let rest = "[mix]\nfrom = \"git\"\n[change.a]\nedits = [{ append = \"Gemfile\", text = \"x\" }]\n\
                [candidate.main]\nlacks = [\"a\"]\n";
    repository.branch("main", image);
    said.push(load(folder.path(), &replay("1", rest)).unwrap_err());
    repository.branch("main", first);
    said.push(load(folder.path(), &replay("3", "")).unwrap_err());
    said.push(load(folder.path(), &replay("0", "")).unwrap_err());
    repository.files.retain(|path, _| path == "README");
    let bare = repository.commit("nothing yet", &[]);
    repository.file("README", "2");
    let still = repository.commit("still nothing", &[bare]);
    repository.branch("main", still);
    let named = still.to_string();
    said.push(load(folder.path(), &replay("1", "")).unwrap_err().replace(&named[..8], "[commit]"));
    insta::assert_snapshot!(said.join("\n\n"));
}

//! Reading the change mix of a repository of 50,000 commits: the aim is under 5 s.
//!
//! The repository is made with `git fast-import`, which packs it as a clone is packed. The program
//! itself needs no git.

use breakeven::config::{self, Overrides};
use criterion::{Criterion, criterion_group, criterion_main};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const COMMITS: usize = 50_000;
const FOLDERS: usize = 40;
const FILES: usize = 25;

/// One commit in ten merges a commit beside it; the others touch one to three of 1,000 files in
/// 40 folders, now and then the manifest.
fn history() -> String {
    let mut stream = String::new();
    let data = |text: &str| format!("data {}\n{text}\n", text.len());
    let signature = |mark: usize| {
        format!("committer T <t@example.invalid> {} +0000\n", 1_500_000_000 + mark * 60)
    };
    let _ = write!(stream, "commit refs/heads/main\nmark :1\n{}{}", signature(1), data("first"));
    for path in ["Dockerfile", "Gemfile"].map(str::to_owned).into_iter().chain(
        (0..FOLDERS).flat_map(|folder| (0..FILES).map(move |file| format!("app/{folder}/{file}"))),
    ) {
        let _ = write!(stream, "M 100644 inline {path}\n{}", data("first"));
    }
    for mark in 2..=COMMITS {
        let header = format!("mark :{mark}\n{}", signature(mark));
        if mark % 10 == 0 {
            let _ = write!(
                stream,
                "commit refs/heads/main\n{header}{}from :{}\nmerge :{}\n",
                data("merge"),
                mark - 2,
                mark - 1
            );
            continue;
        }
        // The one before a merge is on a branch beside; the next goes on from the merge.
        let (branch, from) = match mark % 10 {
            9 => ("side", mark - 1),
            _ => ("main", mark - 1),
        };
        let _ =
            write!(stream, "commit refs/heads/{branch}\n{header}{}from :{from}\n", data("work"));
        for step in 0..=mark % 3 {
            let (folder, file) = ((mark * 7 + step) % FOLDERS, (mark * 13 + step) % FILES);
            let _ =
                write!(stream, "M 100644 inline app/{folder}/{file}\n{}", data(&mark.to_string()));
        }
        if mark % 25 == 1 {
            let _ = write!(stream, "M 100644 inline Gemfile\n{}", data(&mark.to_string()));
        }
    }
    stream
}

fn git(folder: &Path, arguments: &[&str], input: &str) {
    let mut child = Command::new("git")
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("this bench needs git");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("git reads it");
    assert!(child.wait().expect("it ends").success(), "git {arguments:?}");
}

fn configuration(folder: &Path, commits: usize) -> PathBuf {
    let path = folder.join(format!("breakeven-{commits}.toml"));
    let text = format!(
        "[mix]\nfrom = \"git\"\ncommits = {commits}\n[workload.web]\n\
         [change.app]\nedits = [{{ append = \"app/0/0\", text = \"{{nonce}}\" }}]\n\
         [change.deps]\nedits = [{{ append = \"Gemfile\", text = \"{{nonce}}\" }}]\n"
    );
    std::fs::write(&path, text).expect("the bench's own set-up works");
    path
}

fn mix(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("the bench's own set-up works");
    git(folder.path(), &["init", "-q", "-b", "main"], "");
    git(folder.path(), &["fast-import", "--quiet"], &history());
    git(folder.path(), &["reset", "-q", "--hard"], "");
    std::fs::write(
        folder.path().join("Dockerfile"),
        "FROM base\nCOPY Gemfile .\nRUN bundle\nCOPY app app\n",
    )
    .expect("the bench's own set-up works");
    let mut group = criterion.benchmark_group("mix");
    group.sample_size(10);
    for commits in [200, COMMITS] {
        let path = configuration(folder.path(), commits);
        group.bench_function(format!("{commits} of {COMMITS} commits"), |bencher| {
            bencher.iter(|| {
                let config = config::load(&path).expect("a sound configuration");
                let plan = config.resolve(&Overrides::default()).expect("a sound plan");
                let mix = plan.mix.expect("a mix");
                assert_eq!(mix.commits as usize, commits);
                mix
            });
        });
    }
    group.finish();
}

criterion_group!(benches, mix);
criterion_main!(benches);

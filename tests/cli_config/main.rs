//! The command as a user calls it: bad configurations, `init` and `plan`.

mod committed;
mod init;
mod planned;
mod refused;
mod script;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn breakeven(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_breakeven"))
        .current_dir(dir)
        .args(args)
        .output()
        .expect("the test's own set-up works")
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("the test's own set-up works");
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("the test's own set-up works"))
            .expect("the test's own set-up works");
        fs::write(path, content).expect("the test's own set-up works");
    }
    dir
}

const TWO_STAGES: &str = "FROM base AS builder\nCOPY Gemfile ./\nRUN bundle install\n\
                          FROM base\nCOPY --from=builder /bundle /bundle\nCOPY app ./\n";

fn article(config: &str) -> tempfile::TempDir {
    folder(&[
        ("Dockerfile", TWO_STAGES),
        ("Gemfile", "gem \"rack\"\n"),
        ("app/main.rb", "puts 1\n"),
        ("breakeven.toml", config),
    ])
}

/// What is said of a configuration that is not right: all on stderr, exit 2.
fn refusal(dir: &Path, args: &[&str]) -> String {
    let output = breakeven(dir, args);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).expect("the test's own set-up works");
    let real = dir.canonicalize().expect("the test's own set-up works");
    said.replace(real.to_str().expect("the test's own set-up works"), "[dir]")
        .replace(dir.to_str().expect("the test's own set-up works"), "[dir]")
}

/// What is printed when all is well.
fn success(dir: &Path, args: &[&str]) -> String {
    let output = breakeven(dir, args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).expect("the test's own set-up works")
}

const GOOD: &str = r##"seed = 7
rounds = 5

[workload.web]

[change.app]
weight = 8
edits = [{ append = "app/**", text = "# {nonce}\n" }]

[change.deps]
weight = 2
edits = [{ append = "Gemfile", text = "# {nonce}\n" }]

[candidate.branch]

[candidate.main]
lacks = ["app"]

[[availability]]
have = ["main", "branch"]
weight = 9

[[availability]]
have = []
weight = 1
"##;

//! The repository, the sample run, and other programs.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's top.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program as it was built for the tests.
pub fn breakeven() -> Command {
    Command::new(env!("CARGO_BIN_EXE_breakeven"))
}

/// What a command prints that has to succeed.
pub fn printed(command: &mut Command) -> String {
    let output = done(command);
    String::from_utf8(output.stdout).expect("what is printed is text")
}

/// A command that has to succeed.
pub fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// A copy of the sample run's plan and journal, from which everything else is made again.
pub fn sample_run(dir: &Path) -> PathBuf {
    let run = dir.join("run");
    fs::create_dir_all(&run).expect("room for a run");
    for name in ["plan.json", "events.jsonl"] {
        fs::copy(top().join("reports/sample").join(name), run.join(name)).expect("a sample run");
    }
    run
}

/// What `scripts/test-tools.sh` installed for Python.
pub fn python() -> PathBuf {
    let home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or("/root".into())).join(".local/share")
    });
    home.join("breakeven/schemas/bin/python")
}

/// `PATH` with a folder before all others.
pub fn path_with(folder: &Path) -> impl AsRef<OsStr> {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&old));
    std::env::join_paths(all).expect("no folder has a colon")
}

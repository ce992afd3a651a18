//! The program `buildah`, and how it is run.

use super::leftovers;
use super::place::Place;
use crate::engine::EngineError;
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Where Buildah, run by root, notes which registry has which layer. It has no option for that.
const NOTES: &str = "/var/lib/containers/cache";
/// A line of output that is longer is cut into pieces, in bytes.
const LONGEST_LINE: usize = 64 << 10;

/// Arguments of `unshare`: namespaces of its own, and nothing in them outlives the command.
const CAGE: [&str; 7] =
    ["--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--", "sh"];
/// What the cage does first: the notes are the sample's own.
const ENTER: &str = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";

/// The program.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) version: String,
    /// Whether commands run in namespaces of their own.
    caged: bool,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: ExitStatus,
    /// Standard output, line by line, as far as nobody listened.
    pub(super) out: Vec<String>,
    /// The last lines of standard error.
    pub(super) err: Vec<String>,
}

impl Answer {
    /// Buildah's own message.
    pub(super) fn cause(&self) -> String {
        let said = self.err.iter().rev().map(|line| line.trim()).filter(|line| !line.is_empty());
        let mut said = said.map(|line| line.strip_prefix("Error: ").unwrap_or(line));
        match said.next() {
            Some(line) => line.to_owned(),
            None => format!("buildah ended with {} and said nothing", self.status),
        }
    }
}

/// The program that the user names in `BREAKEVEN_BUILDAH`, else `buildah` on PATH.
pub(super) fn path() -> PathBuf {
    let named = std::env::var_os("BREAKEVEN_BUILDAH").filter(|value| !value.is_empty());
    named.map_or_else(|| PathBuf::from("buildah"), PathBuf::from)
}

impl Program {
    /// Finds it and asks its version.
    pub(super) async fn find() -> Result<Self, EngineError> {
        let path = path();
        let missing = |cause: String| EngineError::Unavailable {
            address: path.display().to_string(),
            cause,
            advice:
                "Run scripts/daemonless.sh, install the package buildah, or name the program in \
                     BREAKEVEN_BUILDAH"
                    .to_owned(),
        };
        let asked = Command::new(&path).arg("--version").stdin(Stdio::null()).output().await;
        let answer = asked.map_err(|error| missing(error.to_string()))?;
        if !answer.status.success() {
            return Err(missing(String::from_utf8_lossy(&answer.stderr).trim().to_owned()));
        }
        let text = String::from_utf8_lossy(&answer.stdout);
        let version = text.split_whitespace().nth(2).unwrap_or("of no version").to_owned();
        Ok(Self { path, version, caged: false })
    }

    /// Sees whether commands can have namespaces of their own here; without, they run as they are.
    pub(super) async fn cage(&mut self, place: &Place) {
        // Others have the folder of notes in their own home, which is the sample's.
        let root = rustix::process::geteuid().is_root();
        let possible = root && std::fs::create_dir_all(NOTES).is_ok();
        self.caged = possible;
        let asked = self.command(place, [OsStr::new("--version")]).output().await;
        self.caged = possible && asked.is_ok_and(|answer| answer.status.success());
    }

    /// A command of Buildah's on the storage of a place.
    pub(super) fn command<A: AsRef<OsStr>>(
        &self,
        place: &Place,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut all: Vec<OsString> = Vec::new();
        let program = if self.caged && place.is_own() {
            all.extend(CAGE.map(OsString::from));
            all.extend(["-c".into(), ENTER.into(), place.notes().into(), NOTES.into()]);
            all.push(self.path.clone().into());
            Path::new("unshare")
        } else {
            &self.path
        };
        all.extend(place.options());
        all.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        let mut command = Command::new(program);
        command.args(all).stdin(Stdio::null());
        place.environment(&mut command);
        command
    }

    /// Runs a command to its end. Each line of its standard output is handed to `line` as it comes;
    /// so is standard error, as not its own. Dropping the future ends it, with all that it started.
    pub(super) async fn run(
        &self,
        mut command: Command,
        place: &Place,
        mut line: impl FnMut(&str, bool, Instant),
    ) -> io::Result<Answer> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Ctrl-C is for us to handle; and what it starts can be ended with it.
            .process_group(0)
            .spawn()?;
        let group = Group::of(child.id());
        leftovers::note(place, child.id());
        let (mut out, mut err) = (Lines::default(), Lines::default());
        let mut answer_err: Vec<String> = Vec::new();
        let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
        while stdout.is_some() || stderr.is_some() {
            let (from_out, read) = tokio::select! {
                read = piece(&mut stdout) => (true, read?),
                read = piece(&mut stderr) => (false, read?),
            };
            let now = Instant::now();
            let lines = if from_out { &mut out } else { &mut err };
            let ended = read.is_empty();
            lines.take(&read, ended, &mut |text| {
                line(text, from_out, now);
                if !from_out {
                    answer_err.push(text.to_owned());
                    if answer_err.len() > 40 {
                        answer_err.remove(0);
                    }
                }
            });
            match (ended, from_out) {
                (true, true) => stdout = None,
                (true, false) => stderr = None,
                _ => {}
            }
        }
        let status = child.wait().await?;
        group.ended();
        Ok(Answer { status, out: Vec::new(), err: answer_err })
    }

    /// Runs a command whose output is its answer.
    pub(super) async fn ask<A: AsRef<OsStr>>(
        &self,
        place: &Place,
        arguments: impl IntoIterator<Item = A>,
    ) -> io::Result<Answer> {
        let mut lines = Vec::new();
        let command = self.command(place, arguments);
        let keep = |text: &str, own: bool, _: Instant| {
            if own {
                lines.push(text.to_owned());
            }
        };
        let answer = self.run(command, place, keep).await?;
        Ok(Answer { out: lines, ..answer })
    }
}

/// The next piece of a stream; empty at its end. Never, if there is no stream.
async fn piece(stream: &mut Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let Some(stream) = stream else { return std::future::pending().await };
    let mut buffer = vec![0; 16 << 10];
    let read = stream.read(&mut buffer).await?;
    buffer.truncate(read);
    Ok(buffer)
}

/// Lines out of pieces.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn take(&mut self, piece: &[u8], ended: bool, line: &mut dyn FnMut(&str)) {
        self.0.extend_from_slice(piece);
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            line(String::from_utf8_lossy(&self.0[..end]).trim_end_matches('\r'));
            self.0.drain(..=end);
        }
        if !self.0.is_empty() && (ended || self.0.len() > LONGEST_LINE) {
            line(&String::from_utf8_lossy(&std::mem::take(&mut self.0)));
        }
    }
}

/// The process group of a command that runs. Dropped before its end, all of it is ended.
struct Group(Option<Pid>);

impl Group {
    fn of(id: Option<u32>) -> Self {
        Self(id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // Gone already is as good.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_of_pieces_whole_and_never_grow_without_end() {
        let mut lines = Lines::default();
        let mut got = Vec::new();
        for (piece, ended) in [("a", false), ("b\nc\r\n", false), ("d", false), ("", true)] {
            lines.take(piece.as_bytes(), ended, &mut |line| got.push(line.to_owned()));
        }
        assert_eq!(got, ["ab", "c", "d"]);
        got.clear();
        let long = vec![b'x'; LONGEST_LINE + 1];
        lines.take(&long, false, &mut |line| got.push(line.to_owned()));
        assert_eq!(got.len(), 1);
        assert!(lines.0.is_empty());
    }
}

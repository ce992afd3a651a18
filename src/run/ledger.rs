//! The ledger: what a run makes outside its own folder, written down before or as it is made, so
//! that `breakeven clean` can remove what a killed run left, and only that.

use crate::engine::{GivenUp, Owned, Snapshot, Trace};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use time::OffsetDateTime;

/// Why a ledger could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {source}. Without this file a killed run could not be cleaned up; make the folder writable, or set XDG_STATE_HOME to one that is", path.display())]
pub struct LedgerError {
    /// What was tried.
    pub operation: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// The operating system's message.
    pub source: io::Error,
}

/// What a ledger begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Id of the run.
    pub run: String,
    /// Addresses of the user's engines that private ones of this run may be on.
    #[serde(default)]
    pub private: Vec<String>,
    /// Folder of workspaces, archives and the managed registry; ours alone.
    pub scratch: PathBuf,
    /// Address of the shared storage, if it is the user's.
    pub storage: Option<String>,
}

/// One line after the header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// A session begins: what was on the engine before.
    Begin {
        /// Address of the engine; absent if it is this run's alone.
        engine: Option<String>,
        before: Snapshot,
        at: i64,
    },
    /// The session made this tag.
    Tag(String),
    /// The session's builder named this image.
    Image(String),
    /// The session builds this Dockerfile.
    Dockerfile(String),
    /// A build was given up on an engine, which still uses records of it.
    GivenUp { engine: String, build: GivenUp },
    /// The clock was set back: the last moment that was known before, and the first one after.
    SetBack { from: i64, to: i64 },
}

/// What a ledger tells of a session that was not put back.
#[derive(Debug, Clone)]
pub struct Open {
    /// Address of the engine.
    pub engine: String,
    /// What the session made.
    pub owned: Owned,
    /// What was on the engine before.
    pub before: Snapshot,
    /// When the session was building, and what.
    pub trace: Trace,
}

/// How long after the last sign of life a builder may still have finished what it was doing.
pub(super) const GRACE: time::Duration = time::Duration::seconds(3);

/// The ledger of a living run. Its lock is held until it is dropped.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    header: String,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    owned: Owned,
    /// Whether a session began that has not been put back.
    open: bool,
    /// Builds that were given up, by the engine's address, and whose records are still in use.
    given_up: Vec<(String, GivenUp)>,
    /// The last sign of life.
    beat: OffsetDateTime,
}

/// The folder that ledgers lie in: `$XDG_STATE_HOME/breakeven`, else `~/.local/state/breakeven`.
pub fn folder() -> PathBuf {
    let from = |key: &str| std::env::var_os(key).filter(|value| !value.is_empty());
    from("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| from("HOME").map(|home| Path::new(&home).join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("breakeven")
}

impl Ledger {
    /// Opens the ledger of a run that begins.
    pub fn create(folder: &Path, header: &Header) -> Result<Self, LedgerError> {
        let path = folder.join(format!("{}.jsonl", header.run));
        let failed = |operation| {
            let path = path.clone();
            move |source| LedgerError { operation, path, source }
        };
        fs::create_dir_all(folder).map_err(failed("making the folder of"))?;
        let mut file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed("making"))?;
        file.lock().map_err(failed("locking"))?;
        let line = serde_json::to_string(header).map_err(io::Error::other);
        let line = line.map_err(failed("writing"))? + "\n";
        file.write_all(line.as_bytes()).map_err(failed("writing"))?;
        let beat = OffsetDateTime::now_utc();
        let (owned, given_up) = (Owned::default(), Vec::new());
        let inner = Mutex::new(Inner { file, owned, open: false, given_up, beat });
        Ok(Self { path, header: line, inner })
    }

    /// A session begins on an engine, named by its address unless it is this run's alone: forgets
    /// the earlier one, which has been put back.
    pub fn begin(&self, engine: Option<&str>, before: &Snapshot) -> Result<(), LedgerError> {
        let engine = engine.map(str::to_owned);
        let at = OffsetDateTime::now_utc().unix_timestamp();
        self.write(|inner, header| {
            inner.owned = Owned::default();
            inner.open = true;
            inner.file.set_len(0)?;
            io::Seek::rewind(&mut inner.file)?;
            inner.file.write_all(header.as_bytes())?;
            for (engine, build) in inner.given_up.clone() {
                put(&mut inner.file, &Line::GivenUp { engine, build })?;
            }
            put(&mut inner.file, &Line::Begin { engine, before: before.clone(), at })
        })
    }

    /// The session makes a tag.
    pub fn tag(&self, tag: &str) -> Result<(), LedgerError> {
        self.write(|inner, _| {
            if inner.owned.tags.insert(tag.to_owned()) {
                put(&mut inner.file, &Line::Tag(tag.to_owned()))?;
            }
            Ok(())
        })
    }

    /// The session's builder named an image.
    pub fn image(&self, id: &str) -> Result<(), LedgerError> {
        self.write(|inner, _| {
            if inner.owned.images.insert(id.to_owned()) {
                put(&mut inner.file, &Line::Image(id.to_owned()))?;
            }
            Ok(())
        })
    }

    /// The session is going to build this Dockerfile.
    pub fn dockerfile(&self, text: &str) -> Result<(), LedgerError> {
        self.write(|inner, _| put(&mut inner.file, &Line::Dockerfile(text.to_owned())))
    }

    /// Builds of this run that were given up on an engine, and whose records it still uses.
    pub fn given_up(&self, engine: &str, builds: Vec<GivenUp>) -> Result<(), LedgerError> {
        self.write(|inner, _| {
            let builds: Vec<_> =
                builds.into_iter().map(|build| (engine.to_owned(), build)).collect();
            for (engine, build) in builds.iter().filter(|one| !inner.given_up.contains(one)) {
                let line = Line::GivenUp { engine: engine.clone(), build: build.clone() };
                put(&mut inner.file, &line)?;
            }
            inner.given_up.retain(|(known, _)| known != engine);
            inner.given_up.extend(builds);
            Ok(())
        })
    }

    /// Whether records of such builds may still be in use.
    pub fn has_given_up(&self) -> bool {
        !self.inner.lock().unwrap_or_else(PoisonError::into_inner).given_up.is_empty()
    }

    /// What the session has made so far.
    pub fn owned(&self) -> Owned {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).owned.clone()
    }

    /// What the session made has been removed again.
    pub fn put_back(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).open = false;
    }

    /// Whether a session began that has not been put back.
    pub fn is_open(&self) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).open
    }

    /// Shows that the run is alive: `clean` takes the file's time as the end of a killed run.
    pub fn heartbeat(&self) {
        self.beat(OffsetDateTime::now_utc());
    }

    fn beat(&self, now: OffsetDateTime) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // A missed beat only makes the window of `clean` shorter, which is the safe side.
        if now < inner.beat {
            let (from, to) = (inner.beat.unix_timestamp(), now.unix_timestamp());
            let _ = put(&mut inner.file, &Line::SetBack { from, to });
        }
        inner.beat = now;
        let _ = inner.file.set_modified(SystemTime::from(now));
    }

    /// The run has put everything back.
    pub fn close(self) -> Result<(), LedgerError> {
        remove(&self.path)
    }

    fn write(
        &self,
        change: impl FnOnce(&mut Inner, &str) -> io::Result<()>,
    ) -> Result<(), LedgerError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut inner, &self.header).map_err(|source| LedgerError {
            operation: "writing",
            path: self.path.clone(),
            source,
        })
    }
}

fn put(file: &mut File, line: &Line) -> io::Result<()> {
    let text = serde_json::to_string(line).map_err(io::Error::other)?;
    file.write_all((text + "\n").as_bytes())
}

fn remove(path: &Path) -> Result<(), LedgerError> {
    fs::remove_file(path).map_err(|source| LedgerError {
        operation: "removing",
        path: path.to_owned(),
        source,
    })
}

/// The ledger of a run that is over without having put everything back.
#[derive(Debug)]
pub struct Leftover {
    /// Its beginning.
    pub header: Header,
    /// The session in hand when the run was killed.
    pub open: Option<Open>,
    /// Builds that were given up, by the engine's address, and whose records were still in use.
    pub given_up: Vec<(String, GivenUp)>,
    path: PathBuf,
    /// Held so that two `clean` do not get in each other's way.
    _lock: File,
}

impl Leftover {
    /// Everything is removed: forgets the run.
    pub fn forget(self) -> Result<(), LedgerError> {
        remove(&self.path)
    }
}

/// Finds the ledgers of runs that no process holds any more, oldest first.
pub fn leftovers(folder: &Path) -> Result<Vec<Leftover>, LedgerError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(LedgerError { operation: "reading", path: folder.to_owned(), source });
        }
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let failed = |source| LedgerError { operation: "reading", path: path.clone(), source };
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        if file.try_lock().is_err() {
            continue; // the run is alive
        }
        let text = fs::read_to_string(&path).map_err(failed)?;
        let modified = file.metadata().and_then(|meta| meta.modified()).map_err(failed)?;
        let mut lines = text.lines();
        // A run that was killed before its header was complete has made nothing yet.
        match lines.next().and_then(|line| serde_json::from_str(line).ok()) {
            Some(header) => {
                let (open, given_up) = read_lines(lines, modified.into());
                found.push(Leftover { header, open, given_up, path, _lock: file });
            }
            None => remove(&path)?,
        }
    }
    Ok(found)
}

fn read_lines<'a>(
    lines: impl Iterator<Item = &'a str>,
    alive_until: OffsetDateTime,
) -> (Option<Open>, Vec<(String, GivenUp)>) {
    let mut open: Option<Open> = None;
    let mut given_up = Vec::new();
    let moment = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok();
    // The last line may be torn; what it would have named is found by the window.
    for line in lines.filter_map(|line| serde_json::from_str(line).ok()) {
        match (line, &mut open) {
            // An engine that is the run's alone goes as a whole.
            (Line::Begin { engine: None, .. }, _) => open = None,
            (Line::GivenUp { engine, build }, _) => given_up.push((engine, build)),
            (Line::Begin { engine: Some(engine), before, at }, _) => {
                let Some(began) = moment(at) else { continue };
                open = Some(Open {
                    engine,
                    owned: Owned::default(),
                    before,
                    trace: Trace {
                        windows: vec![(began, alive_until.max(began) + GRACE)],
                        dockerfiles: Vec::new(),
                    },
                });
            }
            (Line::SetBack { from, to }, Some(open)) => {
                let (Some(from), Some(to)) = (moment(from), moment(to)) else { continue };
                if let Some((_, until)) = open.trace.windows.last_mut() {
                    *until = from + GRACE;
                }
                // As it is known to a second.
                let since = to - time::Duration::seconds(1);
                open.trace.windows.push((since, alive_until.max(since) + GRACE));
            }
            (Line::Tag(tag), Some(open)) => {
                open.owned.tags.insert(tag);
            }
            (Line::Image(id), Some(open)) => {
                open.owned.images.insert(id);
            }
            (Line::Dockerfile(text), Some(open)) => open.trace.dockerfiles.push(text),
            (_, None) => {}
        }
    }
    (open, given_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(run: &str) -> Header {
        Header {
            run: run.to_owned(),
            private: Vec::new(),
            scratch: PathBuf::from("/tmp/x"),
            storage: None,
        }
    }

    #[test]
    fn a_living_run_is_not_a_leftover_and_a_dead_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(dir.path(), &header("r1")).unwrap();
        let before = Snapshot { images: ["sha256:1".to_owned()].into(), ..Snapshot::default() };
        ledger.begin(Some("unix:///x"), &Snapshot::default()).unwrap();
        ledger.tag("old:1").unwrap();
        ledger.begin(Some("unix:///x"), &before).unwrap();
        ledger.tag("a:1").unwrap();
        ledger.image("abc").unwrap();
        ledger.dockerfile("FROM a").unwrap();
        assert!(leftovers(dir.path()).unwrap().is_empty());
        drop(ledger);

        let mut found = leftovers(dir.path()).unwrap();
        let leftover = found.pop().unwrap();
        assert!(found.is_empty());
        assert_eq!(leftover.header, header("r1"));
        let open = leftover.open.as_ref().unwrap();
        assert_eq!(open.engine, "unix:///x");
        assert_eq!(open.before, before);
        assert_eq!(open.owned.tags, ["a:1".to_owned()].into());
        assert_eq!(open.owned.images, ["abc".to_owned()].into());
        assert!(open.trace.covers(OffsetDateTime::now_utc()));
        assert_eq!(open.trace.dockerfiles, ["FROM a"]);
        leftover.forget().unwrap();
        assert!(leftovers(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn builds_that_were_given_up_are_known_until_the_engine_has_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(dir.path(), &header("r1")).unwrap();
        let build = |from_ns| GivenUp { from_ns, to_ns: 9, before: ["a".to_owned()].into() };
        ledger.begin(Some("unix:///x"), &Snapshot::default()).unwrap();
        assert!(!ledger.has_given_up());
        ledger.given_up("unix:///x", vec![build(1), build(2)]).unwrap();
        ledger.given_up("unix:///y", vec![build(3)]).unwrap();
        ledger.begin(Some("unix:///x"), &Snapshot::default()).unwrap();
        ledger.given_up("unix:///x", vec![build(2), build(4)]).unwrap();
        ledger.begin(Some("unix:///x"), &Snapshot::default()).unwrap();
        assert!(ledger.has_given_up());
        drop(ledger);
        let found = leftovers(dir.path()).unwrap();
        let known: Vec<_> =
            found[0].given_up.iter().map(|(engine, build)| (&engine[8..], build.from_ns)).collect();
        assert_eq!(known, [("y", 3), ("x", 2), ("x", 4)]);
        assert!(found[0].open.is_some());
    }

    #[test]
    fn a_clock_that_is_set_back_hides_nothing_of_either_time() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(dir.path(), &header("r1")).unwrap();
        ledger.begin(Some("unix:///x"), &Snapshot::default()).unwrap();
        let began = OffsetDateTime::now_utc();
        let later = began + time::Duration::minutes(5);
        let hour = time::Duration::HOUR;
        let beats = [later, later - hour, later - hour + time::Duration::MINUTE];
        beats.iter().for_each(|at| ledger.beat(*at));
        drop(ledger);
        let found = leftovers(dir.path()).unwrap();
        let trace = &found[0].open.as_ref().unwrap().trace;
        assert_eq!(trace.windows.len(), 2);
        assert!(beats.iter().chain([&began]).all(|at| trace.covers(*at)), "{:?}", trace.windows);
        for outside in [beats[1] - hour, beats[2] + time::Duration::MINUTE, later + hour] {
            assert!(!trace.covers(outside), "{outside} {:?}", trace.windows);
        }
    }

    #[test]
    fn a_closed_ledger_leaves_nothing_and_a_torn_line_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        Ledger::create(dir.path(), &header("r1")).unwrap().close().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

        let ledger = Ledger::create(dir.path(), &header("r2")).unwrap();
        ledger.begin(Some("unix:///x"), &Snapshot::default()).unwrap();
        ledger.tag("a:1").unwrap();
        let path = ledger.path.clone();
        drop(ledger);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"tag\":\"b");
        fs::write(&path, text).unwrap();
        let found = leftovers(dir.path()).unwrap();
        assert_eq!(found[0].open.as_ref().unwrap().owned.tags.len(), 1);
    }
}

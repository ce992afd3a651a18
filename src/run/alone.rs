//! One run at a time on an engine that a user shares with us.
//!
//! Of two at once each finds images of the other, takes them for cache or for the user's, and cannot
//! remove its own while the other has built on them.

use super::ledger::LedgerError;
use super::lifecycle::Hosts;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the names of the locks begin and end with.
const PREFIX: &str = "engine-";
const SUFFIX: &str = ".lock";

/// Why a run may not begin.
#[derive(Debug, thiserror::Error)]
pub enum AloneError {
    /// Another run measures on the engine.
    #[error(
        "another run, {run}, measures on {engine}. Two at once would take each other's images for \
         cache: wait until it has ended, or use engine = \"private\""
    )]
    Busy {
        /// Address of the engine.
        engine: String,
        /// Id of the other run.
        run: String,
    },
    /// The file of the lock could not be used.
    #[error(transparent)]
    File(#[from] LedgerError),
}

/// That no other run of this user begins on these engines. Until it is dropped, or the process dies.
#[derive(Debug)]
pub struct Alone(Vec<(PathBuf, File)>);

impl Alone {
    /// Takes the engines of a run that are not its own. `folder` is that of the ledgers.
    pub fn on(folder: &Path, run: &str, hosts: &Hosts) -> Result<Self, AloneError> {
        let shared = hosts.values().filter(|host| !host.is_private());
        let mut engines: Vec<&str> = shared.filter_map(|host| host.daemon()).collect();
        engines.sort_unstable();
        engines.dedup();
        let mut alone = Self(Vec::new());
        for engine in engines {
            alone.0.push(taken(folder, run, engine)?);
        }
        Ok(alone)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        for (path, _) in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes the files of runs that died. They hold nobody up, so that an error is none.
pub(super) fn forget_dead(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(PREFIX) || !name.ends_with(SUFFIX) {
            continue;
        }
        let path = entry.path();
        let dead = OpenOptions::new().write(true).open(&path).ok();
        if let Some(file) = dead.filter(|file| file.try_lock().is_ok())
            && is_at(&file, &path)
        {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Whether the file is the one of this name. Whoever held it may have removed it in between, and
/// then the lock is on a file that nobody else will find.
fn is_at(file: &File, path: &Path) -> bool {
    match (fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(ours)) => there.ino() == ours.ino(),
        _ => false,
    }
}

fn taken(folder: &Path, run: &str, engine: &str) -> Result<(PathBuf, File), AloneError> {
    let name = hex::encode(&Sha256::digest(engine)[..8]);
    let path = folder.join(format!("{PREFIX}{name}{SUFFIX}"));
    let failed = |operation| {
        let path = path.clone();
        move |source: io::Error| LedgerError { operation, path, source }
    };
    fs::create_dir_all(folder).map_err(failed("making the folder of"))?;
    loop {
        let mut options = OpenOptions::new();
        let open = options.create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = open.map_err(failed("making"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut run = String::new();
                // Who it is only makes the message better.
                let _ = file.read_to_string(&mut run);
                return Err(AloneError::Busy { engine: engine.to_owned(), run });
            }
            Err(TryLockError::Error(source)) => return Err(failed("locking")(source).into()),
        }
        if is_at(&file, &path) {
            file.set_len(0).map_err(failed("writing"))?;
            file.write_all(run.as_bytes()).map_err(failed("writing"))?;
            return Ok((path, file));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_runs_on_one_engine_the_second_is_told_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, other) = ("unix:///var/run/docker.sock", "tcp://127.0.0.1:2375");
        let first = Alone(vec![taken(folder.path(), "first", engine).unwrap()]);
        let error = taken(folder.path(), "second", engine).unwrap_err().to_string();
        assert!(error.contains("first") && error.contains(engine), "{error}");
        drop(Alone(vec![taken(folder.path(), "second", other).unwrap()]));
        drop(first);
        let third = Alone(vec![taken(folder.path(), "third", engine).unwrap()]);
        forget_dead(folder.path());
        let error = taken(folder.path(), "fourth", engine).unwrap_err();
        assert!(matches!(error, AloneError::Busy { run, .. } if run == "third"));
        drop(third);
        // A process that is killed unlocks its file and removes nothing.
        drop(taken(folder.path(), "killed", engine).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        forget_dead(folder.path());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

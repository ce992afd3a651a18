//! What a killed run left of Buildah: a command that goes on, and what it mounted.

use super::place::Place;
use super::program;
use crate::engine::EngineError;
use crate::registry::Identity;
use rustix::mount::{UnmountFlags, unmount};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The file that names the command in hand.
const PROCESS: &str = "process.json";
/// How the folders of engines in a run's folder begin.
pub(super) const FOLDER: &str = "buildah-";
/// Longest time until what was ended has let go of a folder.
const LET_GO: Duration = Duration::from_secs(10);

/// Notes the command in hand. Without the note a killed run's command would only go on to its end.
pub(super) fn note(place: &Place, id: Option<u32>) {
    let Some((folder, identity)) = place.folder().zip(id.and_then(Identity::of)) else { return };
    let text = serde_json::to_string(&identity).unwrap_or_default();
    let new = folder.join("process.new");
    let written =
        std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, folder.join(PROCESS)));
    if let Err(error) = written {
        tracing::warn!("note {}: {error}", folder.display());
    }
}

/// Ends the commands that a run which was killed left running with their files in this run's
/// folder, unmounts what they mounted there, and removes the storages. Returns how many commands
/// there were.
///
/// Blocking; up to a few seconds. Not for a run that lives.
pub fn remove_leftovers(scratch: &Path) -> Result<usize, EngineError> {
    let mut ended = 0;
    for folder in folders(scratch) {
        let file = folder.join(PROCESS);
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let Ok(identity) = serde_json::from_str::<Identity>(&text) else { continue };
        let killed = identity.kill_group().map_err(|source| EngineError::Io {
            operation: "end the command noted in".to_owned(),
            reference: file.display().to_string(),
            source,
        })?;
        ended += usize::from(killed);
    }
    unmount_below(scratch);
    for folder in folders(scratch) {
        remove(&folder).map_err(|source| EngineError::Io {
            operation: "remove".to_owned(),
            reference: folder.display().to_string(),
            source,
        })?;
    }
    Ok(ended)
}

/// Folders of storages: `buildah-ENGINE/NUMBER`.
fn folders(scratch: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>()
    };
    let ours = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FOLDER))
    };
    let engines = list(scratch).into_iter().filter(ours);
    engines.flat_map(|engine| list(&engine)).filter(|path| path.is_dir()).collect()
}

/// Removes a folder of ours with what is mounted in it, once everything that was ended there has
/// let go of it.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    let since = Instant::now();
    let mut tried = false;
    loop {
        unmount_below(folder);
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !tried => {
                tried = true;
                remove_as_others(folder);
            }
            Err(_) if since.elapsed() < LET_GO => std::thread::sleep(Duration::from_millis(20)),
            done => return done,
        }
    }
}

/// Removes what is in a folder, as far as it goes, as the root of the user namespace that Buildah
/// works in where it is not root: layers hold files of that namespace's other users, and folders
/// that nobody but root may change.
fn remove_as_others(folder: &Path) {
    let mut command = Command::new(program::path());
    command.args(["unshare", "rm", "-rf", "--one-file-system", "--"]).arg(folder);
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).output();
    match done {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            tracing::warn!("buildah unshare rm {}: {}", folder.display(), said.trim());
        }
        Err(error) => tracing::warn!("buildah unshare rm {}: {error}", folder.display()),
    }
}

/// Unmounts everything below a folder, the innermost first.
fn unmount_below(folder: &Path) {
    let Ok(folder) = folder.canonicalize() else { return };
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for point in mounted_below(&table, &folder).into_iter().rev() {
        if let Err(error) = unmount(&point, UnmountFlags::DETACH) {
            tracing::warn!("unmount {}: {error}", point.display());
        }
    }
}

/// Mount points below a folder, in the order of the table.
fn mounted_below(table: &str, folder: &Path) -> Vec<PathBuf> {
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    points.map(PathBuf::from).filter(|point| point != folder && point.starts_with(folder)).collect()
}

/// A path as the kernel writes it: what would end a field is written as its octal number.
fn unescaped(text: &str) -> String {
    ["\\040", "\\011", "\\012"]
        .into_iter()
        .zip([" ", "\t", "\n"])
        .fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_mounted_below_the_folder_is_found() {
        let table = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
                     2 1 0:5 / /tmp/run\\040x/root/merged rw - overlay overlay rw\n\
                     3 2 0:6 / /tmp/run\\040x/root/merged/proc rw - proc proc rw\n\
                     4 1 0:7 / /tmp/run\\040xy rw - tmpfs tmpfs rw\n\
                     5 1 0:8 / /tmp/run\\040x rw - tmpfs tmpfs rw\n";
        assert_eq!(
            mounted_below(table, Path::new("/tmp/run x")),
            ["/tmp/run x/root/merged", "/tmp/run x/root/merged/proc"].map(PathBuf::from)
        );
    }

    #[test]
    fn a_command_that_goes_on_is_ended_and_no_other_one() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("buildah-x/1");
        let place = Place::make(&folder, crate::model::plan::Driver::Vfs, None).unwrap();
        let mut command = Command::new("sleep");
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.arg("600").spawn().unwrap();
        note(&place, Some(child.id()));
        assert_eq!(remove_leftovers(scratch.path()).unwrap(), 1);
        assert!(!child.wait().unwrap().success());
        assert_eq!(remove_leftovers(scratch.path()).unwrap(), 0);
        remove(&folder).unwrap();
        remove(&folder).unwrap();
    }
}

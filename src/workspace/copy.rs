//! Copying a context into a folder of ours.
//!
//! Copies have fresh times, as the files of a CI job's checkout have.

use super::WorkspaceError;
use super::walk::{Entry, EntryKind};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Folders of a copy whose permission bits are still to be set, deepest last.
///
/// They are set last of all: a folder that its owner may not write to could not be filled or
/// edited any more.
#[must_use]
#[derive(Debug, Default)]
pub(super) struct FolderModes(Vec<(PathBuf, u32)>);

impl FolderModes {
    /// Gives the folders their permission bits.
    pub(super) fn settle(self) -> Result<(), WorkspaceError> {
        for (folder, mode) in self.0.into_iter().rev() {
            fs::set_permissions(&folder, Permissions::from_mode(mode))
                .map_err(|source| WorkspaceError::io("set the mode of", &folder, source))?;
        }
        Ok(())
    }
}

/// Copies these entries of `from` into the new folder `to`: content and permission bits, links as
/// links.
pub(super) fn copy(
    from: &Path,
    entries: &[Entry],
    to: &Path,
) -> Result<FolderModes, WorkspaceError> {
    make_folder(to)?;
    let mut modes = FolderModes::default();
    for entry in entries {
        let (source, target) = (from.join(&entry.path), to.join(&entry.path));
        make_parents(from, &entry.path, to, &mut modes)?;
        let io = |error| WorkspaceError::io("copy", &source, error);
        match &entry.kind {
            EntryKind::Directory => {
                make_folder(&target)?;
                modes.0.push((target, entry.mode));
            }
            EntryKind::File { .. } => {
                fs::copy(&source, &target).map_err(io)?;
            }
            EntryKind::Symlink { target: named } => symlink(named, &target).map_err(io)?,
        }
    }
    Ok(modes)
}

/// Makes the folders above an entry that are not entries themselves: ignored ones of which a file
/// is sent all the same.
fn make_parents(
    from: &Path,
    path: &Path,
    to: &Path,
    modes: &mut FolderModes,
) -> Result<(), WorkspaceError> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    let target = to.join(parent);
    if target.is_dir() {
        return Ok(());
    }
    make_parents(from, parent, to, modes)?;
    make_folder(&target)?;
    let source = from.join(parent);
    let metadata = fs::symlink_metadata(&source)
        .map_err(|error| WorkspaceError::io("read", &source, error))?;
    modes.0.push((target, metadata.mode() & 0o7777));
    Ok(())
}

/// Makes one folder with the usual permission bits, whatever the process's mask is.
pub(super) fn make_folder(path: &Path) -> Result<(), WorkspaceError> {
    fs::create_dir(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .map_err(|source| WorkspaceError::io("create", path, source))
}

/// Removes a workspace, folders included that their owner may not write to. Links are not
/// followed. No error if it does not exist.
pub fn remove(dir: &Path) -> Result<(), WorkspaceError> {
    for found in walkdir::WalkDir::new(dir).into_iter().filter_map(Result::ok) {
        if found.file_type().is_dir() {
            // Where this fails, removing says why. Before descending: children come later.
            let _ = fs::set_permissions(found.path(), Permissions::from_mode(0o700));
        }
    }
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(WorkspaceError::io("remove", dir, error))
        }
        _ => Ok(()),
    }
}

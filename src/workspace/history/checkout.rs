//! A commit's files, written into a folder of ours straight from the object store.
//!
//! Files are as the store has them: no filter of `.gitattributes` runs, line ends stay as they
//! are, submodules are empty folders, as in a checkout without them.

use super::{History, HistoryError, one_line};
use crate::model::plan::Workload;
use crate::workspace::copy::make_folder;
use crate::workspace::ignore::own_ignore_file;
use crate::workspace::{Ignore, WorkspaceError};
use gix::bstr::ByteSlice;
use gix::objs::tree::EntryKind;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

/// What a file begins with that Git LFS keeps elsewhere.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Bytes that no such pointer has.
const LFS_POINTER_LIMIT: u64 = 1024;

/// Something that a commit names and the object store does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// A submodule, at this path from the top of the repository.
    Submodule(PathBuf),
    /// A file that Git LFS keeps.
    Lfs(PathBuf),
}

impl std::fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Submodule(path) => write!(f, "{} is a submodule", path.display()),
            Self::Lfs(path) => write!(f, "{} is kept by Git LFS", path.display()),
        }
    }
}

impl History {
    /// Writes a workload's context, and its Dockerfile with the ignore file that is its own, as a
    /// commit has them, into the new folder `to`: contents, executable bits, links as links. Gives
    /// the workload as it lies there.
    pub(in crate::workspace) fn check_out_workload(
        &self,
        workload: &Workload,
        commit: &str,
        to: &Path,
    ) -> Result<Workload, WorkspaceError> {
        let context = self.within(&workload.context).map_err(WorkspaceError::History)?;
        let dockerfile = self.within(&workload.dockerfile).map_err(WorkspaceError::History)?;
        let there = Workload {
            context: to.join(&context),
            dockerfile: to.join(&dockerfile),
            ..workload.clone()
        };
        make_folders(&there.context)?;
        let tree = self.folder(commit, &context).map_err(WorkspaceError::History)?;
        self.write_tree(tree, &there.context)?;
        if !dockerfile.starts_with(&context) {
            make_folders(there.dockerfile.parent().unwrap_or(to))?;
            for path in [dockerfile.clone(), own_ignore_file(&dockerfile)] {
                match self.file(commit, &path).map_err(WorkspaceError::History)? {
                    Some(content) => write_new(&to.join(&path), &content, 0o644)?,
                    None if path == dockerfile => {
                        let absent = self.absent(commit, &path);
                        return Err(WorkspaceError::History(absent));
                    }
                    None => {}
                }
            }
        }
        Ok(there)
    }

    /// A path of the work tree from its top.
    pub fn within(&self, path: &Path) -> Result<PathBuf, HistoryError> {
        let within = path.strip_prefix(&self.root).map(Path::to_path_buf);
        within.map_err(|_| HistoryError::NoRepository { from: path.to_path_buf() })
    }

    /// The content of one file of a commit, if the commit has it as a file.
    pub fn file(&self, commit: &str, path: &Path) -> Result<Option<Vec<u8>>, HistoryError> {
        let Some((kind, id)) = self.entry(commit, path)? else { return Ok(None) };
        match kind {
            EntryKind::Blob | EntryKind::BlobExecutable => self.blob(id).map(Some),
            EntryKind::Tree | EntryKind::Link | EntryKind::Commit => Ok(None),
        }
    }

    /// Whether a commit has a folder at a path.
    pub fn has_folder(&self, commit: &str, path: &Path) -> Result<bool, HistoryError> {
        if path.as_os_str().is_empty() {
            return Ok(true);
        }
        Ok(matches!(self.entry(commit, path)?, Some((EntryKind::Tree, _))))
    }

    /// What a commit has below a folder only by name, because it is kept elsewhere, and none of
    /// the ignore rules of the folder excludes. Folders that were looked at before are skipped.
    pub fn elsewhere(
        &self,
        commit: &str,
        folder: &Path,
        ignored: &[Ignore],
        seen: &mut std::collections::BTreeSet<(PathBuf, gix::ObjectId)>,
    ) -> Result<Vec<Elsewhere>, HistoryError> {
        let mut found = Vec::new();
        let mut waiting = vec![(PathBuf::new(), self.folder(commit, folder)?)];
        while let Some((within, id)) = waiting.pop() {
            if !seen.insert((folder.join(&within), id)) {
                continue;
            }
            for (name, kind, id) in self.entries(id)? {
                let path = within.join(&name);
                match kind {
                    EntryKind::Tree => waiting.push((path, id)),
                    _ if ignored.iter().all(|rules| rules.excludes(&path)) => {}
                    EntryKind::Commit => found.push(Elsewhere::Submodule(folder.join(path))),
                    EntryKind::Blob | EntryKind::BlobExecutable if self.is_pointer(id)? => {
                        found.push(Elsewhere::Lfs(folder.join(path)));
                    }
                    EntryKind::Blob | EntryKind::BlobExecutable | EntryKind::Link => {}
                }
            }
        }
        Ok(found)
    }

    fn is_pointer(&self, id: gix::ObjectId) -> Result<bool, HistoryError> {
        let header = self.repository.find_header(id).map_err(|error| self.broken(&id, &error))?;
        Ok(header.size() < LFS_POINTER_LIMIT && self.blob(id)?.starts_with(LFS_POINTER))
    }

    /// Fills a folder that exists and is empty.
    fn write_tree(&self, tree: gix::ObjectId, to: &Path) -> Result<(), WorkspaceError> {
        for (name, kind, id) in self.entries(tree).map_err(WorkspaceError::History)? {
            let target = to.join(name);
            let content = || self.blob(id).map_err(WorkspaceError::History);
            match kind {
                // Made anew, or not at all: never through a link of the same name.
                EntryKind::Tree => {
                    make_folder(&target)?;
                    self.write_tree(id, &target)?;
                }
                EntryKind::Commit => make_folder(&target)?,
                EntryKind::Link => symlink(OsStr::from_bytes(&content()?), &target)
                    .map_err(|source| WorkspaceError::io("write", &target, source))?,
                EntryKind::Blob => write_new(&target, &content()?, 0o644)?,
                EntryKind::BlobExecutable => write_new(&target, &content()?, 0o755)?,
            }
        }
        Ok(())
    }

    fn blob(&self, id: gix::ObjectId) -> Result<Vec<u8>, HistoryError> {
        let mut blob = self.repository.find_blob(id).map_err(|error| self.broken(&id, &error))?;
        Ok(blob.take_data())
    }

    /// Names, kinds and ids of a folder. A name that leads out of it is an error.
    fn entries(
        &self,
        tree: gix::ObjectId,
    ) -> Result<Vec<(PathBuf, EntryKind, gix::ObjectId)>, HistoryError> {
        let found = self.repository.find_tree(tree).map_err(|error| self.broken(&tree, &error))?;
        let mut entries = Vec::new();
        for entry in found.iter() {
            let entry = entry.map_err(|error| self.broken(&tree, &error))?;
            let name = PathBuf::from(OsStr::from_bytes(entry.filename().as_bytes()));
            let plain = matches!(
                name.components().collect::<Vec<_>>()[..],
                [Component::Normal(only)] if only == name.as_os_str()
            );
            if !plain || name.as_os_str().eq_ignore_ascii_case(".git") {
                return Err(HistoryError::Object {
                    repository: self.root.clone(),
                    at: tree.to_string(),
                    cause: format!("a folder has an entry {name:?}, which no checkout may write"),
                });
            }
            entries.push((name, entry.mode().kind(), entry.object_id()));
        }
        Ok(entries)
    }

    fn folder(&self, commit: &str, folder: &Path) -> Result<gix::ObjectId, HistoryError> {
        if folder.as_os_str().is_empty() {
            return self.tree(commit);
        }
        match self.entry(commit, folder)? {
            Some((EntryKind::Tree, id)) => Ok(id),
            _ => Err(self.absent(commit, folder)),
        }
    }

    fn absent(&self, commit: &str, path: &Path) -> HistoryError {
        HistoryError::Absent {
            repository: self.root.clone(),
            commit: commit.to_owned(),
            path: path.to_path_buf(),
        }
    }

    fn entry(
        &self,
        commit: &str,
        path: &Path,
    ) -> Result<Option<(EntryKind, gix::ObjectId)>, HistoryError> {
        let tree = self.tree(commit)?;
        let found =
            self.repository.find_tree(tree).and_then(|tree| tree.lookup_entry_by_path(path));
        let entry = found.map_err(|error| self.broken(&commit, &error))?;
        Ok(entry.map(|entry| (entry.mode().kind(), entry.object_id())))
    }

    fn tree(&self, commit: &str) -> Result<gix::ObjectId, HistoryError> {
        let id = gix::ObjectId::from_hex(commit.as_bytes()).map_err(|error| {
            HistoryError::UnknownRev {
                repository: self.root.clone(),
                rev: commit.to_owned(),
                cause: one_line(&error),
            }
        })?;
        let commit = self.repository.find_commit(id).map_err(|error| self.broken(&id, &error))?;
        Ok(commit.tree_id().map_err(|error| self.broken(&id, &error))?.detach())
    }
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), WorkspaceError> {
    let io = |source| WorkspaceError::io("write", path, source);
    let mut file = fs::File::create_new(path).map_err(io)?;
    file.write_all(content).map_err(io)?;
    file.set_permissions(Permissions::from_mode(mode)).map_err(io)
}

fn make_folders(path: &Path) -> Result<(), WorkspaceError> {
    fs::create_dir_all(path).map_err(|source| WorkspaceError::io("create", path, source))
}

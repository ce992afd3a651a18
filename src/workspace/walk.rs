//! The files of a context in a fixed order.

use super::WorkspaceError;
use super::ignore::Ignore;
use super::own;
use crate::model::Builder;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Directory,
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
    },
    /// A symbolic link, never followed.
    Symlink {
        /// What it names.
        target: PathBuf,
    },
}

/// One file, folder or link that is sent to a builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path relative to the context.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, setuid, setgid and sticky included.
    pub mode: u32,
}

/// Everything of a context that this builder is sent, sorted by name within each folder, a folder
/// before what it holds. Run directories of this context are left out. A folder that is itself
/// ignored is absent even if a file in it is sent, as in the docker client's archive.
pub fn walk(
    context: &Path,
    dockerfile: &Path,
    builder: Builder,
) -> Result<Vec<Entry>, WorkspaceError> {
    walk_kept(context, &[Ignore::load(context, dockerfile, builder)?])
}

/// Everything of a context that any of the builders is sent.
pub(super) fn walk_for_all(
    context: &Path,
    dockerfile: &Path,
) -> Result<Vec<Entry>, WorkspaceError> {
    let rules = Builder::ALL
        .into_iter()
        .map(|builder| Ignore::load(context, dockerfile, builder))
        .collect::<Result<Vec<_>, _>>()?;
    walk_kept(context, &rules)
}

fn walk_kept(context: &Path, rules: &[Ignore]) -> Result<Vec<Entry>, WorkspaceError> {
    let mut entries = Vec::new();
    // With a trailing `.`, so that a context that is itself a link is entered.
    let root = context.join(".");
    let mut walker = WalkDir::new(&root).min_depth(1).sort_by_file_name().into_iter();
    while let Some(found) = walker.next() {
        let found = found.map_err(|error| {
            let path = error.path().unwrap_or(context).to_path_buf();
            WorkspaceError::io("read", &path, error.into())
        })?;
        let relative = found.path().strip_prefix(&root).unwrap_or(found.path());
        let kept = rules.iter().any(|rule| !rule.excludes(relative));
        if found.file_type().is_dir() {
            if !kept && !rules.iter().any(|rule| rule.must_enter(relative)) {
                walker.skip_current_dir();
            } else if own::is_ours(found.path(), context) {
                walker.skip_current_dir();
                continue;
            }
        }
        if kept {
            entries.push(entry(context, relative)?);
        }
    }
    Ok(entries)
}

fn entry(context: &Path, relative: &Path) -> Result<Entry, WorkspaceError> {
    let path = context.join(relative);
    let io = |source| WorkspaceError::io("read", &path, source);
    let metadata = std::fs::symlink_metadata(&path).map_err(io)?;
    let file_type = metadata.file_type();
    let kind = if file_type.is_dir() {
        EntryKind::Directory
    } else if file_type.is_file() {
        EntryKind::File { size: metadata.len() }
    } else if file_type.is_symlink() {
        EntryKind::Symlink { target: std::fs::read_link(&path).map_err(io)? }
    } else {
        let what = if file_type.is_socket() {
            "a socket"
        } else if file_type.is_fifo() {
            "a named pipe"
        } else {
            "a device"
        };
        return Err(WorkspaceError::SpecialFile { path, what });
    };
    Ok(Entry { path: relative.to_path_buf(), kind, mode: metadata.mode() & 0o7777 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/deep")).unwrap();
        fs::write(root.join("Dockerfile"), "FROM scratch\n").unwrap();
        fs::write(root.join("b/deep/x"), "x").unwrap();
        fs::write(root.join("b-file"), "1").unwrap();
        fs::write(root.join("a"), "2").unwrap();
        symlink("/etc/passwd", root.join("link")).unwrap();
        folder
    }

    fn paths(root: &Path, builder: Builder) -> Vec<String> {
        walk(root, &root.join("Dockerfile"), builder)
            .unwrap()
            .iter()
            .map(|entry| entry.path.display().to_string())
            .collect()
    }

    #[test]
    fn the_order_is_fixed_and_links_are_not_followed() {
        let folder = tree();
        let root = folder.path();
        let expected = ["Dockerfile", "a", "b", "b/deep", "b/deep/x", "b-file", "link"];
        assert_eq!(paths(root, Builder::Classic), expected);
        let entries = walk(root, &root.join("Dockerfile"), Builder::Classic).unwrap();
        let target = PathBuf::from("/etc/passwd");
        assert_eq!(entries[6].kind, EntryKind::Symlink { target });
    }

    #[test]
    fn an_ignored_folder_is_absent_while_its_exception_is_sent() {
        let folder = tree();
        let root = folder.path();
        fs::write(root.join(".dockerignore"), "*\n!b/deep/x\n").unwrap();
        for builder in Builder::ALL {
            assert_eq!(paths(root, builder), [".dockerignore", "Dockerfile", "b/deep/x"]);
        }
    }

    #[test]
    fn a_context_that_is_a_link_is_entered() {
        let folder = tree();
        let holder = tempfile::tempdir().unwrap();
        let link = holder.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert_eq!(paths(&link, Builder::Classic), paths(folder.path(), Builder::Classic));
    }

    #[test]
    fn a_named_pipe_is_refused_unless_it_is_ignored() {
        let folder = tree();
        let root = folder.path();
        let made = std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap();
        assert!(made.success());
        let error = walk(root, &root.join("Dockerfile"), Builder::Classic).unwrap_err().to_string();
        assert!(error.contains("named pipe") && error.contains(".dockerignore"), "{error}");
        fs::write(root.join(".dockerignore"), "pipe\n").unwrap();
        assert!(!paths(root, Builder::Classic).contains(&"pipe".to_owned()));
    }
}

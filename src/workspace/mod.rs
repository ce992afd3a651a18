//! Copies of a workload's context with a change applied. The user's own files are only read.

mod copy;
mod edit;
mod fingerprint;
pub mod history;
mod ignore;
mod own;
mod pattern;
mod walk;

pub use copy::remove;
pub use fingerprint::{Fingerprint, fingerprint};
pub use ignore::Ignore;
pub use walk::{Entry, EntryKind, walk};

use crate::model::Builder;
use crate::model::plan::{Edit, Workload};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why a workspace could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// A file could not be read or written.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The operating system's message.
        source: std::io::Error,
    },
    /// An ignore file has a line that Docker would refuse.
    #[error("{} line {line}: {cause}; correct the pattern, Docker refuses it too", file.display())]
    Ignore {
        /// The ignore file.
        file: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        cause: String,
    },
    /// The context holds something that is neither file, folder nor link.
    #[error(
        "{} is {what}, which no image can hold; remove it or name it in .dockerignore",
        path.display()
    )]
    SpecialFile {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A glob of an edit is not one.
    #[error("the edit's glob {glob:?} cannot be read: {cause}")]
    Glob {
        /// The glob.
        glob: String,
        /// What is wrong.
        cause: String,
    },
    /// An edit matches no file.
    #[error("the edit's glob {glob:?} matches no file in {}: {advice}", context.display())]
    NoMatch {
        /// The glob.
        glob: String,
        /// The context.
        context: PathBuf,
        /// What to do.
        advice: String,
    },
    /// A text to replace does not occur, so that the edit would change nothing.
    #[error("{find:?} occurs in no file that {files:?} matches in {}", context.display())]
    NothingToReplace {
        /// The glob.
        files: String,
        /// The text.
        find: String,
        /// The context.
        context: PathBuf,
    },
    /// An edit names a path that may not be written.
    #[error("the edit's path {path:?} is refused: {cause}")]
    Path {
        /// The path.
        path: String,
        /// Why.
        cause: &'static str,
    },
    /// A commit's files could not be read.
    #[error("{0}; {advice}", advice = .0.advice())]
    History(history::HistoryError),
    /// A workspace is to be made where something is.
    #[error("{} is not empty; a workspace needs a folder of its own", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
}

impl WorkspaceError {
    fn io(operation: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { operation, path: path.to_path_buf(), source }
    }
}

/// Where a prepared workspace lies.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Folder of the context copy.
    pub context: PathBuf,
    /// The Dockerfile within or beside it.
    pub dockerfile: PathBuf,
    /// SHA-256 (hex) over paths, modes and contents of the context, `.dockerignore` respected.
    pub hash: String,
    /// SHA-256 (hex) of every file of the context by its path with `/`, `.dockerignore`
    /// respected.
    pub files: BTreeMap<String, String>,
    /// SHA-256 (hex) of the Dockerfile.
    pub dockerfile_hash: String,
}

/// Copies a workload's context and Dockerfile into `dir`, which must be empty or absent, and
/// applies the edits in order. `{nonce}` in their texts becomes `nonce`.
///
/// Only what a builder is sent is copied. The same workload, edits and nonce give the same hash.
/// Remove it with [`remove`].
pub fn prepare(
    workload: &Workload,
    edits: &[&Edit],
    nonce: &str,
    dir: &Path,
) -> Result<Prepared, WorkspaceError> {
    make_dir(dir)?;
    let context = dir.join("context");
    let entries = walk::walk_for_all(&workload.context, &workload.dockerfile)?;
    let modes = copy::copy(&workload.context, &entries, &context)?;
    let (dockerfile, outside) = match workload.dockerfile.strip_prefix(&workload.context) {
        Ok(relative) => (context.join(relative), None),
        Err(_) => {
            let beside = copy_dockerfile(&workload.dockerfile, &dir.join("dockerfile"))?;
            (beside, Some(relative_to(&workload.dockerfile, &workload.context)))
        }
    };
    let tree =
        edit::Tree { context: &context, dockerfile: &dockerfile, outside: outside.as_deref() };
    for edit in edits {
        tree.apply(edit, nonce)?;
    }
    modes.settle()?;
    let entries = walk::walk_for_all(&context, &dockerfile)?;
    let Fingerprint { hash, files, dockerfile_hash } =
        fingerprint(&context, &dockerfile, &entries)?;
    Ok(Prepared { context, dockerfile, hash, files, dockerfile_hash })
}

/// Like [`prepare`], with a commit's files in place of the user's, which are not looked at. The
/// workload's context lies in the work tree of a repository; the commit's id is a full one.
pub fn prepare_commit(
    workload: &Workload,
    commit: &str,
    dir: &Path,
) -> Result<Prepared, WorkspaceError> {
    make_dir(dir)?;
    let history = history::History::open(&workload.context).map_err(WorkspaceError::History)?;
    let checkout = dir.join("checkout");
    let there = history.check_out_workload(workload, commit, &checkout)?;
    let prepared = prepare(&there, &[], "", &dir.join("workspace"))?;
    remove(&checkout)?;
    Ok(prepared)
}

/// SHA-256 (hex) of a workload as the user has it: what [`prepare`] gives without an edit, without
/// copying anything.
pub fn content(workload: &Workload) -> Result<String, WorkspaceError> {
    let entries = walk::walk_for_all(&workload.context, &workload.dockerfile)?;
    Ok(fingerprint(&workload.context, &workload.dockerfile, &entries)?.hash)
}

/// SHA-256 (hex) of a file's content.
pub fn file_content(path: &Path) -> Result<String, WorkspaceError> {
    fingerprint::content(path)
}

/// The files that an edit would change, delete or create in a workload's context, without doing
/// it; the error is the one that [`prepare`] would give. A Dockerfile outside the context is named
/// by its path from there, such as `../Dockerfile`.
pub fn matches(workload: &Workload, edit: &Edit) -> Result<Vec<PathBuf>, WorkspaceError> {
    let outside = (!workload.dockerfile.starts_with(&workload.context))
        .then(|| relative_to(&workload.dockerfile, &workload.context));
    edit::Tree {
        context: &workload.context,
        dockerfile: &workload.dockerfile,
        outside: outside.as_deref(),
    }
    .touched(edit)
}

/// How edits name a workload's Dockerfile: its path from the context, such as `../Dockerfile`.
pub fn dockerfile_name(workload: &Workload) -> PathBuf {
    relative_to(&workload.dockerfile, &workload.context)
}

/// Files and links of a workload's context that a builder is sent, by their paths from there.
pub fn sent(workload: &Workload) -> Result<Vec<PathBuf>, WorkspaceError> {
    let entries = walk::walk_for_all(&workload.context, &workload.dockerfile)?;
    let files = entries.into_iter().filter(|entry| entry.kind != EntryKind::Directory);
    Ok(files.map(|entry| entry.path).collect())
}

/// Whether a builder is sent what lies in this folder: it is in the workload's context, and
/// `.dockerignore` does not exclude a file of this name there. Not if there is no such folder.
pub fn sends(workload: &Workload, folder: &Path, name: &str) -> Result<bool, WorkspaceError> {
    let context = &workload.context;
    let Ok(real) = std::fs::canonicalize(folder) else { return Ok(false) };
    let relative = std::fs::canonicalize(context)
        .ok()
        .and_then(|context| real.strip_prefix(context).map(Path::to_path_buf).ok());
    let Some(relative) = relative else { return Ok(false) };
    for builder in Builder::ALL {
        let rules = Ignore::load(context, &workload.dockerfile, builder)?;
        if !rules.excludes(&relative.join(name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The text of a regular file. Anything else (a device, a pipe) may never end.
pub fn read_regular(path: &Path) -> std::io::Result<String> {
    let content = read_bytes(path)?;
    String::from_utf8(content).map_err(|error| std::io::Error::other(error.utf8_error()))
}

fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    std::fs::read(path)
}

fn make_dir(dir: &Path) -> Result<(), WorkspaceError> {
    let io = |source| WorkspaceError::io("create", dir, source);
    std::fs::create_dir_all(dir).map_err(io)?;
    match std::fs::read_dir(dir).map_err(io)?.next() {
        None => Ok(()),
        Some(_) => Err(WorkspaceError::NotEmpty { dir: dir.to_path_buf() }),
    }
}

/// Copies a Dockerfile, and the ignore file that is its own, into a new folder.
fn copy_dockerfile(dockerfile: &Path, folder: &Path) -> Result<PathBuf, WorkspaceError> {
    copy::make_folder(folder)?;
    let copied = folder.join(dockerfile.file_name().unwrap_or_default());
    let pairs = [
        (dockerfile.to_path_buf(), copied.clone()),
        (ignore::own_ignore_file(dockerfile), ignore::own_ignore_file(&copied)),
    ];
    for (index, (from, to)) in pairs.iter().enumerate() {
        match std::fs::copy(from, to) {
            Err(error) if index > 0 && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(WorkspaceError::io("copy", from, source)),
            Ok(_) => {}
        }
    }
    Ok(copied)
}

/// The path that leads from the folder `base` to `path`; both absolute.
fn relative_to(path: &Path, base: &Path) -> PathBuf {
    let shared =
        path.components().zip(base.components()).take_while(|(one, other)| one == other).count();
    let up = base.components().skip(shared).map(|_| std::path::Component::ParentDir);
    up.chain(path.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn user() -> (tempfile::TempDir, Workload) {
        let home = tempfile::tempdir().unwrap();
        let context = home.path().join("service");
        fs::create_dir_all(context.join("app/locked")).unwrap();
        fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
        fs::write(context.join("app/run.sh"), "#!/bin/sh\n").unwrap();
        fs::write(context.join("app/locked/data"), "data").unwrap();
        fs::write(context.join("secret"), "not sent").unwrap();
        fs::write(context.join(".dockerignore"), "secret\n").unwrap();
        symlink("/etc", context.join("etc")).unwrap();
        let mode = |path: &str, mode| {
            fs::set_permissions(context.join(path), fs::Permissions::from_mode(mode)).unwrap();
        };
        mode("app/run.sh", 0o4755);
        mode("app/locked/data", 0o400);
        mode("app/locked", 0o555);
        let workload = Workload {
            dockerfile: context.join("Dockerfile"),
            context,
            target: None,
            build_args: BTreeMap::new(),
            secret_args: BTreeMap::new(),
            stages: Vec::new(),
            bases: Vec::new(),
            layout: Vec::new(),
        };
        (home, workload)
    }

    fn mode(path: PathBuf) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn app_edit() -> Edit {
        Edit::Append { files: "app/locked/data".into(), text: "{nonce}".into() }
    }

    #[test]
    fn a_copy_has_what_is_sent_with_modes_and_links() {
        let (_home, workload) = user();
        let dir = tempfile::tempdir().unwrap();
        let made = prepare(&workload, &[], "n", &dir.path().join("w")).unwrap();
        assert_eq!(mode(made.context.join("app/run.sh")), 0o4755);
        assert_eq!(mode(made.context.join("app/locked")), 0o555);
        assert_eq!(mode(made.context.join("app/locked/data")), 0o400);
        assert_eq!(fs::read_link(made.context.join("etc")).unwrap(), Path::new("/etc"));
        assert!(!made.context.join("secret").exists());
        assert_eq!(made.dockerfile, made.context.join("Dockerfile"));
        assert!(made.files.contains_key("app/run.sh") && !made.files.contains_key("secret"));
        remove(&dir.path().join("w")).unwrap();
        assert!(!dir.path().join("w").exists() && Path::new("/etc/passwd").exists());
        remove(&dir.path().join("w")).unwrap();
    }

    #[test]
    fn the_same_input_gives_the_same_hash_and_another_nonce_another() {
        let (_home, workload) = user();
        let dir = tempfile::tempdir().unwrap();
        let hash = |name: &str, nonce: &str| {
            prepare(&workload, &[&app_edit()], nonce, &dir.path().join(name)).unwrap().hash
        };
        let first = hash("a", "1");
        let plain = prepare(&workload, &[], "", &dir.path().join("plain")).unwrap().hash;
        assert_eq!(content(&workload).unwrap(), plain);
        assert_ne!(first, plain);
        assert_eq!(first, hash("b", "1"));
        assert_ne!(first, hash("c", "2"));
        assert_eq!(fs::read(workload.context.join("app/locked/data")).unwrap(), b"data");
    }

    #[test]
    fn a_dockerfile_outside_comes_along_with_its_own_ignore_file() {
        let (home, mut workload) = user();
        let ci = home.path().join("ci");
        fs::create_dir(&ci).unwrap();
        workload.dockerfile = ci.join("Dockerfile");
        fs::write(&workload.dockerfile, "FROM scratch\n").unwrap();
        fs::write(ci.join("Dockerfile.dockerignore"), "app\n").unwrap();
        let edit = Edit::Append { files: "../ci/Dockerfile".into(), text: "# {nonce}".into() };
        assert_eq!(matches(&workload, &edit).unwrap(), [Path::new("../ci/Dockerfile")]);
        let dir = tempfile::tempdir().unwrap();
        let made = prepare(&workload, &[&edit], "7", &dir.path().join("w")).unwrap();
        assert_eq!(fs::read_to_string(&made.dockerfile).unwrap(), "FROM scratch\n# 7");
        assert_eq!(fs::read_to_string(&workload.dockerfile).unwrap(), "FROM scratch\n");
        assert!(ignore::own_ignore_file(&made.dockerfile).exists());
        // Either builder's files are there: `app` for the classic one, `secret` for BuildKit.
        assert!(made.context.join("app").exists() && made.context.join("secret").exists());
    }

    #[test]
    fn an_absent_context_and_a_folder_in_use_are_named() {
        let (_home, mut workload) = user();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine"), "").unwrap();
        let error = prepare(&workload, &[], "n", dir.path()).unwrap_err();
        assert!(matches!(error, WorkspaceError::NotEmpty { .. }));
        assert!(dir.path().join("mine").exists());
        workload.context = workload.context.join("absent");
        let error = prepare(&workload, &[], "n", &dir.path().join("w")).unwrap_err().to_string();
        assert!(error.contains("absent"), "{error}");
    }

    #[test]
    fn matching_is_told_before_anything_is_copied() {
        let (_home, workload) = user();
        assert_eq!(matches(&workload, &app_edit()).unwrap(), [Path::new("app/locked/data")]);
        let missing = Edit::Append { files: "nowhere/*".into(), text: String::new() };
        assert!(matches!(matches(&workload, &missing), Err(WorkspaceError::NoMatch { .. })));
        let copy = Edit::Copy { from: "/nowhere".into(), file: "x".into() };
        assert!(matches(&workload, &copy).unwrap_err().to_string().contains("/nowhere"));
    }
}

//! The git history of a build context. Only read: the object store is all that is needed, and
//! neither the index nor the user's checkout is looked at. No git program, no network.

mod checkout;

pub use checkout::Elsewhere;

use gix::bstr::ByteSlice;
use gix::objs::TreeRefIter;
use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Bytes of objects that are kept, so that the tree of a commit is not read again as that of its
/// child's parent.
const OBJECT_CACHE: usize = 64 << 20;

/// Commits that one thread takes at a time: neighbours share most of their trees.
const CHUNK: usize = 256;

/// Why a history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No repository holds the folder.
    #[error("no git repository with a work tree holds {}", from.display())]
    NoRepository {
        /// The folder.
        from: PathBuf,
    },
    /// The repository is there but cannot be read.
    #[error("the git repository that holds {} cannot be opened: {cause}", from.display())]
    Open {
        /// The folder.
        from: PathBuf,
        /// What git's library says.
        cause: String,
    },
    /// There is no commit.
    #[error("the git repository {} has no commit yet", repository.display())]
    Empty {
        /// Its work tree.
        repository: PathBuf,
    },
    /// The revision names no commit.
    #[error("the git repository {} has no commit `{rev}`: {cause}", repository.display())]
    UnknownRev {
        /// Its work tree.
        repository: PathBuf,
        /// The revision.
        rev: String,
        /// What git's library says.
        cause: String,
    },
    /// A commit lacks a file or folder.
    #[error("the commit {commit} of {} has no {}", repository.display(), path.display())]
    Absent {
        /// The repository's work tree.
        repository: PathBuf,
        /// The commit.
        commit: String,
        /// Path from the top of the repository.
        path: PathBuf,
    },
    /// An object is missing or broken.
    #[error("the git repository {} cannot be read at {at}: {cause}", repository.display())]
    Object {
        /// Its work tree.
        repository: PathBuf,
        /// The object, or what it was wanted for.
        at: String,
        /// What git's library says.
        cause: String,
    },
}

impl HistoryError {
    /// What to do about it.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::NoRepository { .. } => {
                "the context has to lie in a git repository's work tree; without one, give each \
                 change a `weight`"
            }
            Self::Open { .. } => "`git -C` there says more; otherwise give each change a `weight`",
            Self::Empty { .. } => "commit something first, or give each change a `weight`",
            Self::UnknownRev { .. } => {
                "allowed: what `git rev-parse` takes: a branch, a tag, `origin/main`, an id"
            }
            Self::Absent { .. } => "replay fewer commits: those before had other files",
            Self::Object { .. } => {
                "a partial clone lacks objects: fetch them (`git fetch --refetch`), and let \
                 `git fsck` look for broken ones"
            }
        }
    }
}

/// The repository that holds a build context.
pub struct History {
    repository: gix::Repository,
    root: PathBuf,
}

/// The newest commits of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recent {
    /// Id of the newest commit.
    pub head: String,
    /// The commits, newest first.
    pub commits: Vec<Commit>,
    /// Whether the clone ended before there were enough of them.
    pub shallow: bool,
}

/// A commit of a line of builds: each is the first parent of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: String,
    /// The first line of its message.
    pub title: String,
}

/// What one commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commit {
    /// It joins histories.
    Merge,
    /// It touches these files: paths with `/` from the top of the repository. The first commit
    /// touches every file that it has.
    Touches(Vec<String>),
}

impl History {
    /// Opens the repository whose work tree holds a folder.
    pub fn open(folder: &Path) -> Result<Self, HistoryError> {
        let from = || folder.to_path_buf();
        let options = gix::open::Options::isolated();
        let found = gix::discover::upwards(folder);
        let path = match found {
            Ok((path, _)) => path,
            Err(_) => return Err(HistoryError::NoRepository { from: from() }),
        };
        let (directory, _) = path.into_repository_and_work_tree_directories();
        let mut repository = options
            .open(directory)
            .map_err(|error| HistoryError::Open { from: from(), cause: one_line(&error) })?
            .to_thread_local();
        repository.object_cache_size_if_unset(OBJECT_CACHE);
        let root = repository
            .workdir()
            .and_then(|root| root.canonicalize().ok())
            .filter(|root| folder.starts_with(root))
            .ok_or_else(|| HistoryError::NoRepository { from: from() })?;
        Ok(Self { repository, root })
    }

    /// The top of the work tree, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The newest commits of a revision by the time of their commit, merges among them; the id of
    /// the newest. `HEAD` is where the checkout stands.
    ///
    /// Commits at the end of a shallow clone are left out: what they touched cannot be told.
    pub fn recent(&self, rev: &str, limit: usize) -> Result<Recent, HistoryError> {
        let head = self.commit(rev)?;
        let cut = self
            .repository
            .shallow_commits()
            .map_err(|error| self.broken(&"the end of a shallow clone", &error))?;
        let walk = self
            .repository
            .rev_walk([head])
            .sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst))
            .all()
            .map_err(|error| self.broken(&head, &error))?;
        let mut shallow = false;
        let mut found = Vec::new();
        for commit in walk {
            if found.len() == limit {
                break;
            }
            let commit = commit.map_err(|error| self.broken(&head, &error))?;
            if cut.as_ref().is_some_and(|cut| cut.contains(&commit.id)) {
                shallow = true;
            } else {
                found.push((commit.id, commit.parent_ids));
            }
        }
        let shared = self.repository.clone().into_sync();
        let root = self.root.as_path();
        let reader = || {
            let mut repository = shared.to_thread_local();
            repository.object_cache_size_if_unset(OBJECT_CACHE);
            Reader { repository, root, state: gix::diff::tree::State::default() }
        };
        let commits = found
            .par_iter()
            .with_min_len(CHUNK)
            .map_init(reader, |reader, (id, parents)| {
                Ok(match parents.as_slice() {
                    [] => Commit::Touches(reader.touched(None, *id)?),
                    [parent] => Commit::Touches(reader.touched(Some(*parent), *id)?),
                    _ => Commit::Merge,
                })
            })
            .collect::<Result<Vec<_>, HistoryError>>()?;
        let shallow = shallow && commits.len() < limit;
        Ok(Recent { head: head.to_string(), commits, shallow })
    }

    /// The newest commits of a revision's own line, each followed by its first parent: what a
    /// branch's jobs have built one after the other. Fewer where the history or the clone ends.
    pub fn line(&self, rev: &str, limit: usize) -> Result<Vec<Link>, HistoryError> {
        let head = self.commit(rev)?;
        let walk = self
            .repository
            .rev_walk([head])
            .first_parent_only()
            .all()
            .map_err(|error| self.broken(&head, &error))?;
        let mut line = Vec::new();
        for found in walk.take(limit) {
            let commit = found
                .and_then(|found| found.object())
                .map_err(|error| self.broken(&head, &error))?;
            let title = commit.message_raw_sloppy().lines().next().unwrap_or_default();
            line.push(Link {
                id: commit.id.to_string(),
                title: String::from_utf8_lossy(title).trim().to_owned(),
            });
        }
        Ok(line)
    }

    /// The id of the commit that a revision names.
    fn commit(&self, rev: &str) -> Result<gix::ObjectId, HistoryError> {
        let repository = || self.root.clone();
        if self.repository.head_id().is_err() && rev == "HEAD" {
            return Err(HistoryError::Empty { repository: repository() });
        }
        let unknown = |cause| HistoryError::UnknownRev {
            repository: repository(),
            rev: rev.to_owned(),
            cause,
        };
        let id =
            self.repository.rev_parse_single(rev).map_err(|error| unknown(one_line(&error)))?;
        let object = id.object().map_err(|error| unknown(one_line(&error)))?;
        let commit = object
            .peel_to_kind(gix::objs::Kind::Commit)
            .map_err(|error| unknown(one_line(&error)))?;
        Ok(commit.id)
    }

    fn broken(&self, at: &dyn std::fmt::Display, error: &dyn std::error::Error) -> HistoryError {
        broken(&self.root, at, error)
    }
}

/// Compares commits with their parents, one after another.
struct Reader<'a> {
    repository: gix::Repository,
    root: &'a Path,
    state: gix::diff::tree::State,
}

impl Reader<'_> {
    /// Files that differ between a commit and its parent.
    fn touched(
        &mut self,
        parent: Option<gix::ObjectId>,
        commit: gix::ObjectId,
    ) -> Result<Vec<String>, HistoryError> {
        let tree = |id: gix::ObjectId| {
            self.repository
                .find_commit(id)
                .and_then(|commit| commit.tree())
                .map_err(|error| broken(self.root, &id, &error))
        };
        let new = tree(commit)?;
        let old = parent.map(tree).transpose()?;
        let old_data = old.as_ref().map(|tree| tree.data.as_slice()).unwrap_or_default();
        let kind = self.repository.object_hash();
        let mut recorder = gix::diff::tree::Recorder::default();
        gix::diff::tree(
            TreeRefIter::from_bytes(old_data, kind),
            TreeRefIter::from_bytes(&new.data, kind),
            &mut self.state,
            &self.repository.objects,
            &mut recorder,
        )
        .map_err(|error| broken(self.root, &commit, &error))?;
        Ok(recorder.records.into_iter().filter_map(file).collect())
    }
}

fn broken(root: &Path, at: &dyn std::fmt::Display, error: &dyn std::error::Error) -> HistoryError {
    HistoryError::Object {
        repository: root.to_path_buf(),
        at: at.to_string(),
        cause: one_line(error),
    }
}

/// The path of what is no folder on at least one side.
fn file(change: gix::diff::tree::recorder::Change) -> Option<String> {
    use gix::diff::tree::recorder::Change;
    let (path, folder) = match change {
        Change::Addition { entry_mode, path, .. } | Change::Deletion { entry_mode, path, .. } => {
            (path, entry_mode.is_tree())
        }
        Change::Modification { previous_entry_mode, entry_mode, path, .. } => {
            (path, previous_entry_mode.is_tree() && entry_mode.is_tree())
        }
    };
    (!folder).then(|| String::from_utf8_lossy(&path).into_owned())
}

/// An error with its causes on one line.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

//! Snapshots of the folder in which CNCF distribution keeps a registry.
//!
//! Layers and manifests (`blobs/…/data`) are named by their content and never written again, so
//! they are kept as hard links in one pool. Everything else is tiny and kept in memory:
//! distribution truncates a `link` file and writes it anew in place when a tag moves, which would
//! reach through a hard link.
//!
//! A folder is put back by undoing the differences. Making it anew would take about a millisecond
//! for each layer on a busy disk, nearly all of it for new inodes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// An error with the file that it happened on.
pub(super) type At = (PathBuf, io::Error);

/// What a folder holds, by relative path; a folder comes before what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content(BTreeMap<PathBuf, Node>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Folder,
    /// Its name in the pool.
    Blob(String),
    Text(Vec<u8>),
}

impl Content {
    /// What is in `root` now. Its blobs are linked into `pool`, so that they outlive it.
    pub(super) fn take(root: &Path, pool: &Path) -> Result<Self, At> {
        let mut nodes = BTreeMap::new();
        let mut walker = walk(root);
        while let Some(found) = walker.next() {
            let (found, relative) = entry(found, root)?;
            let failed = |error| (found.path().to_path_buf(), error);
            let node = if found.file_type().is_dir() {
                if found.file_name() == OsStr::new("_uploads") {
                    // What is being uploaded is nobody's yet.
                    walker.skip_current_dir();
                }
                Node::Folder
            } else if let Some(name) = blob(&relative) {
                match fs::hard_link(found.path(), pool.join(&name)) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(failed(error));
                    }
                    _ => Node::Blob(name),
                }
            } else {
                Node::Text(fs::read(found.path()).map_err(failed)?)
            };
            nodes.insert(relative, node);
        }
        Ok(Self(nodes))
    }

    /// Adds what another one holds. A tag that is here already stays as it is.
    pub(super) fn add(&mut self, other: &Self) {
        let present: BTreeSet<PathBuf> =
            self.0.keys().filter_map(|path| tag(path)).map(Path::to_path_buf).collect();
        for (path, node) in &other.0 {
            if !tag(path).is_some_and(|tag| present.contains(tag)) {
                self.0.entry(path.clone()).or_insert_with(|| node.clone());
            }
        }
    }

    /// Makes `root` hold exactly this: what differs is removed, written anew or linked from
    /// `pool`.
    pub(super) fn enforce(&self, root: &Path, pool: &Path) -> Result<(), At> {
        let mut right = BTreeSet::new();
        let mut walker = walk(root);
        while let Some(found) = walker.next() {
            let (found, relative) = entry(found, root)?;
            let failed = |error| (found.path().to_path_buf(), error);
            let is_dir = found.file_type().is_dir();
            let is_right = match self.0.get(&relative) {
                Some(Node::Folder) => is_dir,
                Some(Node::Blob(_)) => !is_dir,
                Some(Node::Text(text)) => {
                    !is_dir && fs::read(found.path()).map_err(failed)? == *text
                }
                None => false,
            };
            if is_right {
                right.insert(relative);
            } else if is_dir {
                walker.skip_current_dir();
                fs::remove_dir_all(found.path()).map_err(failed)?;
            } else {
                fs::remove_file(found.path()).map_err(failed)?;
            }
        }
        for (path, node) in self.0.iter().filter(|(path, _)| !right.contains(*path)) {
            let target = root.join(path);
            match node {
                Node::Folder => fs::create_dir(&target),
                Node::Blob(name) => fs::hard_link(pool.join(name), &target),
                Node::Text(text) => fs::write(&target, text),
            }
            .map_err(|error| (target, error))?;
        }
        Ok(())
    }
}

fn walk(root: &Path) -> walkdir::IntoIter {
    WalkDir::new(root).min_depth(1).into_iter()
}

fn entry(found: walkdir::Result<DirEntry>, root: &Path) -> Result<(DirEntry, PathBuf), At> {
    let found = found
        .map_err(|error| (error.path().unwrap_or(root).to_path_buf(), io::Error::from(error)))?;
    let relative = found.path().strip_prefix(root).unwrap_or(found.path()).to_path_buf();
    Ok((found, relative))
}

/// The name in the pool of `docker/registry/v2/blobs/ALGORITHM/xx/DIGEST/data`.
fn blob(relative: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = relative.iter().map(OsStr::to_str).collect();
    match parts?.as_slice() {
        [_, _, _, "blobs", algorithm, _, digest, "data"] => Some(format!("{algorithm}-{digest}")),
        _ => None,
    }
}

/// The part of a path that ends with `_manifests/tags/TAG`.
fn tag(path: &Path) -> Option<&Path> {
    path.ancestors()
        .find(|part| part.parent().is_some_and(|parent| parent.ends_with("_manifests/tags")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    struct Folders(tempfile::TempDir);

    impl Folders {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for name in ["one", "two", "pool"] {
                fs::create_dir(dir.path().join(name)).unwrap();
            }
            Self(dir)
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn path(&self, root: &str, path: &str) -> PathBuf {
            self.at(root).join("docker/registry/v2").join(path)
        }

        fn put(&self, root: &str, path: &str, content: &str) {
            let path = self.path(root, path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn get(&self, root: &str, path: &str) -> Option<String> {
            fs::read_to_string(self.path(root, path)).ok()
        }

        fn take(&self, root: &str) -> Content {
            Content::take(&self.at(root), &self.at("pool")).unwrap()
        }

        fn enforce(&self, content: &Content, root: &str) {
            content.enforce(&self.at(root), &self.at("pool")).unwrap();
        }
    }

    const TAG: &str = "repositories/a/_manifests/tags/main/current/link";
    const BLOB: &str = "blobs/sha256/ab/abcd/data";

    #[test]
    fn blobs_are_shared_and_links_are_not() {
        let folders = Folders::new();
        folders.put("one", BLOB, "layer");
        folders.put("one", TAG, "sha256:1");
        // A repository may well be named so.
        let odd = "repositories/blobs/_manifests/tags/data";
        folders.put("one", odd, "sha256:2");
        let content = folders.take("one");
        folders.enforce(&content, "two");
        let links = |path: &str| fs::metadata(folders.path("two", path)).unwrap().nlink();
        assert_eq!((links(BLOB), links(TAG), links(odd)), (3, 1, 1));
        assert_eq!(folders.take("two"), content);
    }

    #[test]
    fn whatever_became_of_a_folder_is_undone() {
        let folders = Folders::new();
        folders.put("one", BLOB, "layer");
        folders.put("one", TAG, "sha256:1");
        let content = folders.take("one");
        folders.put("one", TAG, "sha256:9");
        folders.put("one", "blobs/sha256/cd/cdef/data", "another layer");
        folders.put("one", "repositories/b/_uploads/1/data", "half");
        fs::remove_dir_all(folders.path("one", "blobs/sha256/ab")).unwrap();
        let index = folders.path("one", "repositories/a/_manifests/tags/main/index");
        fs::write(index, "a file in the place of a folder").unwrap();
        folders.enforce(&content, "one");
        assert_eq!(folders.take("one"), content);
        assert_eq!(folders.get("one", TAG).unwrap(), "sha256:1");
        assert_eq!(folders.get("one", BLOB).unwrap(), "layer");
        folders.enforce(&Content::default(), "one");
        assert_eq!(fs::read_dir(folders.at("one")).unwrap().count(), 0);
    }

    #[test]
    fn the_first_of_two_keeps_its_tag_and_both_give_theirs() {
        let folders = Folders::new();
        let index = "repositories/a/_manifests/tags/main/index/sha256/2/link";
        let release = "repositories/a/_manifests/tags/release/current/link";
        let upload = "repositories/a/_uploads/1/data";
        folders.put("one", TAG, "sha256:1");
        folders.put("two", TAG, "sha256:2");
        folders.put("two", index, "sha256:2");
        folders.put("two", release, "sha256:2");
        folders.put("two", upload, "half");
        let mut union = folders.take("one");
        union.add(&folders.take("two"));
        folders.enforce(&union, "two");
        assert_eq!(folders.get("two", TAG).unwrap(), "sha256:1");
        assert_eq!(folders.get("two", release).unwrap(), "sha256:2");
        assert_eq!(folders.get("two", index), None);
        assert_eq!(folders.get("two", upload), None);
    }
}

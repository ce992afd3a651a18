//! Snapshots of the folder in which CNCF distribution keeps a registry.
//!
//! Layers and manifests (`blobs/…/data`) are named by their content and never written again, so
//! snapshots share them as hard links. Everything else is tiny and is copied: distribution
//! truncates a `link` file and writes it anew in place when a tag moves, which would reach through
//! a hard link into the snapshot.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Brings what is in `from` into `to`, which may hold something already: what is there stays, so
/// that a tag of an earlier snapshot wins over the same tag of a later one.
///
/// The error names the file.
pub(super) fn merge(from: &Path, to: &Path) -> Result<(), (PathBuf, io::Error)> {
    fs::create_dir_all(to).map_err(|error| (to.to_path_buf(), error))?;
    let mut walker = WalkDir::new(from).min_depth(1).into_iter();
    while let Some(found) = walker.next() {
        let found = found.map_err(|error| {
            (error.path().unwrap_or(from).to_path_buf(), io::Error::from(error))
        })?;
        let relative = found.path().strip_prefix(from).unwrap_or(found.path());
        let target = to.join(relative);
        let made = if found.file_type().is_dir() {
            let present = match fs::create_dir(&target) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => true,
                Err(error) => return Err((target, error)),
                Ok(()) => false,
            };
            // A tag that is there already stays whole; an upload in progress is nobody's.
            if present && is_tag(relative) || found.file_name() == OsStr::new("_uploads") {
                walker.skip_current_dir();
            }
            Ok(())
        } else if is_blob(relative) {
            match fs::hard_link(found.path(), &target) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            }
        } else if target.exists() {
            Ok(())
        } else {
            fs::read(found.path()).and_then(|content| fs::write(&target, content))
        };
        made.map_err(|error| (found.path().to_path_buf(), error))?;
    }
    Ok(())
}

/// `docker/registry/v2/blobs/…/data`.
fn is_blob(relative: &Path) -> bool {
    let mut parts = relative.components().map(|part| part.as_os_str());
    relative.file_name() == Some(OsStr::new("data")) && parts.nth(3) == Some(OsStr::new("blobs"))
}

/// `…/_manifests/tags/TAG`.
fn is_tag(relative: &Path) -> bool {
    relative.parent().is_some_and(|parent| parent.ends_with("_manifests/tags"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn put(root: &Path, path: &str, content: &str) {
        let path = root.join("docker/registry/v2").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn get(root: &Path, path: &str) -> Option<String> {
        fs::read_to_string(root.join("docker/registry/v2").join(path)).ok()
    }

    const TAG: &str = "repositories/a/_manifests/tags/main/current/link";
    const BLOB: &str = "blobs/sha256/ab/abcd/data";

    #[test]
    fn blobs_are_shared_and_links_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        put(&one, BLOB, "layer");
        put(&one, TAG, "sha256:1");
        // A repository may well be named so.
        put(&one, "repositories/blobs/_manifests/tags/data", "sha256:2");
        merge(&one, &two).unwrap();
        let links =
            |path: &str| fs::metadata(two.join("docker/registry/v2").join(path)).unwrap().nlink();
        assert_eq!(links(BLOB), 2);
        assert_eq!(links("repositories/blobs/_manifests/tags/data"), 1);
        put(&two, TAG, "sha256:3");
        assert_eq!(get(&one, TAG).unwrap(), "sha256:1");
    }

    #[test]
    fn the_first_of_two_snapshots_keeps_its_tag_and_both_give_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        put(&path("one"), TAG, "sha256:1");
        put(&path("two"), TAG, "sha256:2");
        put(&path("two"), "repositories/a/_manifests/tags/main/index/sha256/2/link", "sha256:2");
        let release = "repositories/a/_manifests/tags/release/current/link";
        put(&path("two"), release, "sha256:2");
        put(&path("two"), "repositories/a/_uploads/1/data", "half");
        for seed in ["one", "two"] {
            merge(&path(seed), &path("union")).unwrap();
        }
        assert_eq!(get(&path("union"), TAG).unwrap(), "sha256:1");
        assert_eq!(get(&path("union"), release).unwrap(), "sha256:2");
        let index = "repositories/a/_manifests/tags/main/index/sha256/2/link";
        assert_eq!(get(&path("union"), index), None);
        assert_eq!(get(&path("union"), "repositories/a/_uploads/1/data"), None);
    }
}

//! What a context holds, as hashes.

use super::WorkspaceError;
use super::walk::{Entry, EntryKind};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Hashes of a context. The same for the same input, whatever owner and times the files have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// SHA-256 (hex) over paths, modes and contents of all entries and of the Dockerfile.
    pub hash: String,
    /// SHA-256 (hex) of every regular file's content, by its path with `/`.
    pub files: BTreeMap<String, String>,
    /// SHA-256 (hex) of the Dockerfile's content.
    pub dockerfile_hash: String,
}

/// Reads and hashes these entries of a context, and the Dockerfile.
pub fn fingerprint(
    context: &Path,
    dockerfile: &Path,
    entries: &[Entry],
) -> Result<Fingerprint, WorkspaceError> {
    let mut whole = Sha256::new();
    let mut files = BTreeMap::new();
    for entry in entries {
        field(&mut whole, entry.path.as_os_str().as_encoded_bytes());
        match &entry.kind {
            EntryKind::Directory => field(&mut whole, b"d"),
            EntryKind::File { .. } => {
                let digest = content(&context.join(&entry.path))?;
                field(&mut whole, b"f");
                field(&mut whole, digest.as_bytes());
                files.insert(entry.path.to_string_lossy().into_owned(), digest);
            }
            EntryKind::Symlink { target } => {
                field(&mut whole, b"l");
                field(&mut whole, target.as_os_str().as_encoded_bytes());
            }
        }
        // A link's own mode means nothing and differs between file systems.
        if !matches!(entry.kind, EntryKind::Symlink { .. }) {
            whole.update(entry.mode.to_le_bytes());
        }
    }
    let dockerfile_hash = content(dockerfile)?;
    field(&mut whole, dockerfile_hash.as_bytes());
    Ok(Fingerprint { hash: hex::encode(whole.finalize()), files, dockerfile_hash })
}

/// With its length before it, so that two fields never look like one.
fn field(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// SHA-256 (hex) of a file's content.
pub(super) fn content(path: &Path) -> Result<String, WorkspaceError> {
    let io = |source| WorkspaceError::io("read", path, source);
    let mut hasher = Sha256::new();
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::walk::walk_for_all;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("Dockerfile"), "FROM scratch\n").unwrap();
        fs::write(folder.path().join("sub/a"), "abc").unwrap();
        symlink("sub/a", folder.path().join("link")).unwrap();
        folder
    }

    fn of(root: &Path) -> Fingerprint {
        let dockerfile = root.join("Dockerfile");
        fingerprint(root, &dockerfile, &walk_for_all(root, &dockerfile).unwrap()).unwrap()
    }

    #[test]
    fn files_have_their_plain_sha256() {
        let folder = tree();
        let found = of(folder.path());
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(found.files["sub/a"], abc);
        assert_eq!(found.files["Dockerfile"], found.dockerfile_hash);
        assert_eq!(found.files.len(), 2);
    }

    #[test]
    fn content_mode_name_and_link_count_and_times_do_not() {
        let (one, two) = (tree(), tree());
        let mut seen = vec![of(one.path()).hash];
        let file = two.path().join("sub/a");
        let old = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options().append(true).open(&file).unwrap().set_modified(old).unwrap();
        assert_eq!(seen[0], of(two.path()).hash);

        let steps: [&dyn Fn(); 6] = [
            &|| fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap(),
            &|| fs::write(&file, "abd").unwrap(),
            &|| fs::rename(&file, two.path().join("sub/b")).unwrap(),
            &|| fs::create_dir(two.path().join("empty")).unwrap(),
            &|| {
                fs::remove_file(two.path().join("link")).unwrap();
                symlink("sub/b", two.path().join("link")).unwrap();
            },
            &|| fs::write(two.path().join("Dockerfile"), "FROM other\n").unwrap(),
        ];
        for step in steps {
            step();
            let now = of(two.path()).hash;
            assert!(!seen.contains(&now));
            seen.push(now);
        }
    }
}

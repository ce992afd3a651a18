//! What every test needs.

use breakeven::model::ArchiveName;
use breakeven::storage::{self, Access, Storage, StorageError};
use std::fs;
use std::path::{Path, PathBuf};

pub const KEY: &str = "test-key-id";
pub const SECRET: &str = "test-secret-value";

/// What opens the server at this address.
pub fn access(address: &str) -> Access {
    let environment = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", &format!("http://{address}")),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    Access { environment: texts(&environment), ..Access::default() }
}

pub fn texts(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Opens the storage of the run `r1`.
pub async fn open(
    access: &Access,
    address: &str,
    scratch: &Path,
) -> Result<Box<dyn Storage>, StorageError> {
    storage::open(Some(address), "r1", scratch, access).await
}

pub fn name(text: &str) -> ArchiveName {
    ArchiveName(text.to_owned())
}

/// Bytes that differ from place to place.
pub fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8 ^ (at >> 13) as u8).collect()
}

/// A file of so many bytes.
pub fn file(dir: &Path, bytes: usize) -> PathBuf {
    let path = dir.join(format!("{bytes}.bytes"));
    fs::write(&path, content(bytes)).unwrap();
    path
}

pub async fn put(storage: &dyn Storage, archive: &str, content: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    let bytes = storage.store(file.path(), &name(archive)).await.unwrap();
    assert_eq!(bytes, content.len() as u64);
}

pub async fn get(storage: &dyn Storage, archive: &str) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("fetched");
    let bytes = storage.fetch(&name(archive), &to).await.unwrap()?;
    let content = fs::read(to).unwrap();
    assert_eq!(bytes, content.len() as u64);
    Some(content)
}

/// What a fetch fails with; nothing may be left of it.
pub async fn failed_fetch(storage: &dyn Storage, archive: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("fetched");
    let error = storage.fetch(&name(archive), &to).await.unwrap_err().to_string();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{error}");
    error
}

//! A folder as one archive, and back.

use crate::model::plan::ArchivePlan;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Packs a folder into an archive; returns its bytes.
pub async fn pack(folder: &Path, archive: &Path, _packing: ArchivePlan) -> io::Result<u64> {
    let (folder, archive) = (folder.to_owned(), archive.to_owned());
    blocking(move || {
        let mut tar = tar::Builder::new(BufWriter::new(File::create(&archive)?));
        tar.append_dir_all(".", &folder)?;
        tar.into_inner()?.flush()?;
        Ok(archive.metadata()?.len())
    })
    .await
}

/// Unpacks an archive into a folder, which is made.
pub async fn unpack(archive: &Path, folder: &Path) -> io::Result<()> {
    let (archive, folder): (PathBuf, PathBuf) = (archive.to_owned(), folder.to_owned());
    blocking(move || tar::Archive::new(BufReader::new(File::open(archive)?)).unpack(folder)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

//! A folder as one archive, such as a local build cache of BuildKit's.
//!
//! Only folders and regular files go in and come out, in the order of their names; who owns them
//! and when they were written is not kept, so that the same content gives the same archive.

use super::codec::{self, Encoder};
use super::sink::temporary;
use crate::model::plan::ArchivePlan;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Bytes read from an archive at once.
const PIECE: usize = 1 << 20;

/// Packs a folder into one archive, streamed to a temporary name and renamed; returns its bytes.
/// Given up when dropped.
pub async fn pack(folder: &Path, archive: &Path, packing: ArchivePlan) -> io::Result<u64> {
    let (folder, archive) = (folder.to_path_buf(), archive.to_path_buf());
    blocking(move |stop| {
        let file = temporary(&archive)?;
        let to = Stopped { inner: Encoder::new(file, &packing)?, stop };
        let mut tar = tar::Builder::new(to);
        for found in walkdir::WalkDir::new(&folder).min_depth(1).sort_by_file_name() {
            add(&mut tar, &folder, &found.map_err(io::Error::other)?)?;
        }
        let file = tar.into_inner()?.inner.finish()?;
        let bytes = file.as_file().metadata()?.len();
        file.persist(archive).map_err(|error| error.error)?;
        Ok(bytes)
    })
    .await
}

/// Unpacks an archive, however it is packed, into a folder that does not exist yet. Refuses what
/// would lie outside the folder. The folder has its name only when all is there. Given up when
/// dropped.
pub async fn unpack(archive: &Path, folder: &Path) -> io::Result<()> {
    let (folder, archive) = (folder.to_path_buf(), archive.to_path_buf());
    blocking(move |stop| {
        let content = codec::decode(BufReader::with_capacity(PIECE, File::open(archive)?))?;
        let mut tar = tar::Archive::new(Stopped { inner: content, stop });
        let partial = tempfile::Builder::new().prefix(".breakeven-").tempdir_in(beside(&folder))?;
        let root = partial.path().join("content");
        std::fs::create_dir(&root)?;
        for entry in tar.entries()? {
            bring(&mut entry?, &root)?;
        }
        // The end of a packed archive is looked at as well: damage may only show there.
        io::copy(&mut tar.into_inner(), &mut io::sink())?;
        std::fs::rename(root, folder)
    })
    .await
}

/// Runs work on a thread of its own, and tells it to stop when this is dropped.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce(CancellationToken) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let stop = CancellationToken::new();
    let _guard: DropGuard = stop.clone().drop_guard();
    tokio::task::spawn_blocking(move || work(stop)).await?
}

fn add(
    tar: &mut tar::Builder<impl Write>,
    root: &Path,
    found: &walkdir::DirEntry,
) -> io::Result<()> {
    let path = found.path();
    let name = path.strip_prefix(root).map_err(io::Error::other)?;
    let kind = found.file_type();
    let metadata = found.metadata().map_err(io::Error::other)?;
    let mut header = tar::Header::new_gnu();
    // Nobody owns it, and it was written at the beginning of time.
    header.set_metadata_in_mode(&metadata, tar::HeaderMode::Deterministic);
    if kind.is_dir() {
        return tar.append_data(&mut header, name, io::empty());
    }
    if !kind.is_file() {
        return Err(refused(path, "is neither a folder nor a regular file"));
    }
    let content = File::open(path)?;
    // A file that grows meanwhile must not spoil what comes after it.
    let content = content.take(metadata.len());
    tar.append_data(&mut header, name, content)
}

fn bring(entry: &mut tar::Entry<'_, impl Read>, root: &Path) -> io::Result<()> {
    let name = entry.path()?.into_owned();
    let safe =
        name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !safe {
        return Err(refused(&name, "would lie outside the folder"));
    }
    let target = root.join(&name);
    match entry.header().entry_type() {
        tar::EntryType::Directory => std::fs::create_dir_all(target),
        // There are no links, so that nothing that was brought leads anywhere else.
        tar::EntryType::Regular => {
            std::fs::create_dir_all(beside(&target))?;
            io::copy(entry, &mut File::create(target)?).map(drop)
        }
        _ => Err(refused(&name, "is neither a folder nor a regular file")),
    }
}

fn beside(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_path_buf()
}

fn refused(name: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} {why}", name.display()))
}

/// Fails once it is told to stop.
struct Stopped<T> {
    inner: T,
    stop: CancellationToken,
}

impl<T> Stopped<T> {
    fn check(&self) -> io::Result<()> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other("it was given up"));
        }
        Ok(())
    }
}

impl<T: Read> Read for Stopped<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.read(buffer)
    }
}

impl<T: Write> Write for Stopped<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Compression;
    use std::fs;

    /// What BuildKit writes for `type=local`.
    fn cache(dir: &Path) -> PathBuf {
        let folder = dir.join("cache");
        fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        fs::create_dir_all(folder.join("ingest")).unwrap();
        fs::write(folder.join("index.json"), "{}").unwrap();
        fs::write(folder.join("oci-layout"), "").unwrap();
        for name in 0..40_u8 {
            let blob = format!("blobs/sha256/{:064x}", name);
            fs::write(folder.join(blob), vec![name; usize::from(name) * 10_000]).unwrap();
        }
        // Longer than the name field of a tar header.
        fs::write(folder.join(format!("blobs/{}", "n".repeat(200))), "long").unwrap();
        folder
    }

    fn tree(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let found = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
        found
            .map(|found| found.unwrap())
            .map(|found| {
                let name = found.path().strip_prefix(folder).unwrap().to_path_buf();
                (name, found.file_type().is_file().then(|| fs::read(found.path()).unwrap()))
            })
            .collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_folder_comes_back_as_it_was_and_gives_the_same_archive() {
        let dir = tempfile::tempdir().unwrap();
        let folder = cache(dir.path());
        let archive = dir.path().join("cache.tar");
        let back = dir.path().join("back");
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let packing = ArchivePlan { compression, level: None, threads: 1 };
            let bytes = pack(&folder, &archive, packing).await.unwrap();
            let first = fs::read(&archive).unwrap();
            assert_eq!(bytes, first.len() as u64);
            unpack(&archive, &back).await.unwrap();
            assert!(tree(&back) == tree(&folder), "{compression}");
            pack(&back, &archive, packing).await.unwrap();
            assert!(fs::read(&archive).unwrap() == first, "{compression}");
            fs::remove_dir_all(&back).unwrap();
        }
        assert_eq!(names(dir.path()), ["cache", "cache.tar"]);
    }

    #[tokio::test]
    async fn what_leads_outside_is_refused_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("bad.tar");
        let back = dir.path().join("back");
        for (name, kind) in [
            ("../outside", tar::EntryType::Regular),
            ("/tmp/breakeven-outside", tar::EntryType::Regular),
            ("blobs/../../outside", tar::EntryType::Regular),
            ("link", tar::EntryType::Symlink),
            ("link", tar::EntryType::Link),
            ("pipe", tar::EntryType::Fifo),
            ("device", tar::EntryType::Char),
        ] {
            let mut tar = tar::Builder::new(File::create(&archive).unwrap());
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_gnu_mut().unwrap().linkname[..4].copy_from_slice(b"/etc");
            header.set_cksum();
            tar.append(&header, io::empty()).unwrap();
            tar.into_inner().unwrap();
            let error = unpack(&archive, &back).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name} {kind:?}: {error}");
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(names(dir.path()), ["bad.tar"]);
        }
        let folder = cache(dir.path());
        std::os::unix::fs::symlink("/etc", folder.join("link")).unwrap();
        let error = pack(&folder, &archive, ArchivePlan::default()).await.unwrap_err();
        assert!(error.to_string().contains("link is neither"), "{error}");
    }

    #[tokio::test]
    async fn what_is_cut_off_is_an_error_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = cache(dir.path());
        let archive = dir.path().join("cache.tar");
        let packing = ArchivePlan { compression: Compression::Zstd, level: None, threads: 2 };
        let bytes = pack(&folder, &archive, packing).await.unwrap();
        File::options().write(true).open(&archive).unwrap().set_len(bytes - 1).unwrap();
        assert!(unpack(&archive, &dir.path().join("back")).await.is_err());
        assert!(unpack(&dir.path().join("no.tar"), &dir.path().join("back")).await.is_err());
        assert!(pack(&dir.path().join("no"), &archive, packing).await.is_err());
        assert_eq!(names(dir.path()), ["cache", "cache.tar"]);
    }
}

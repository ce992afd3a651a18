//! The build context as the docker client sends it, streamed.
//!
//! The classic builder's key of a COPY has name, mode, owner, size and content of each entry, so
//! an archive that differs in any of these from the docker client's would find none of what the
//! client built, and the reverse.

use crate::model::Builder;
use crate::workspace::{Entry, EntryKind, WorkspaceError, walk};
use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Bytes per piece of the stream.
const PIECE: usize = 256 << 10;
/// Pieces that may wait for the engine.
const WAITING: usize = 4;

/// How file modes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModeForm {
    /// Permission bits only: docker clients from 23.
    Permissions,
    /// With the bits of the file's type: docker clients before 23. The two forms never hit each
    /// other's COPYs (seen: clients 20.10 and 28.2 against one engine).
    WithType,
}

/// A context that is being sent.
pub(super) struct Sending {
    /// The Dockerfile's name within the archive.
    pub dockerfile: String,
    /// The archive.
    pub pieces: mpsc::Receiver<io::Result<Bytes>>,
}

/// Starts to send a context. The archive is made by a thread that ends when the receiver is
/// dropped.
pub(super) async fn send(
    context: &Path,
    dockerfile: &Path,
    form: ModeForm,
) -> Result<Sending, WorkspaceError> {
    let (context, dockerfile) = (context.to_path_buf(), dockerfile.to_path_buf());
    let walked = tokio::task::spawn_blocking(move || {
        let entries = walk(&context, &dockerfile, Builder::Classic)?;
        let outside = Outside::read(&context, &dockerfile)?;
        Ok((context, dockerfile, entries, outside))
    })
    .await;
    let (context, dockerfile, entries, outside) = match walked {
        Ok(walked) => walked?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let name = match &outside {
        Some(outside) => outside.name.clone(),
        None => {
            let within = dockerfile.strip_prefix(&context).unwrap_or(&dockerfile);
            within.to_string_lossy().into_owned()
        }
    };
    let (sender, pieces) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut writer = PieceWriter { sender, piece: BytesMut::with_capacity(PIECE) };
        let written = write(&context, &entries, outside.as_ref(), form, &mut writer)
            .and_then(|()| writer.flush());
        if let Err(error) = written {
            // The engine must not take a cut-off archive for a complete one. If nobody listens
            // any more the build was given up, and nobody wants to know.
            let _ = writer.sender.blocking_send(Err(error));
        }
    });
    Ok(Sending { dockerfile: name, pieces })
}

/// A Dockerfile that does not lie in the context: the client sends it under a name of its own and
/// tells the engine to forget that file after reading it.
struct Outside {
    name: String,
    text: Vec<u8>,
    ignore: Vec<u8>,
}

impl Outside {
    fn read(context: &Path, dockerfile: &Path) -> Result<Option<Self>, WorkspaceError> {
        if dockerfile.starts_with(context) {
            return Ok(None);
        }
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| WorkspaceError::Io {
                operation: "read",
                path: path.to_path_buf(),
                source,
            })
        };
        let text = read(dockerfile)?;
        // The client's name is random; ours follows from the content, so that the same context
        // makes the same archive.
        let id = hex::encode(&Sha256::digest(&text)[..10]);
        let name = format!(".dockerfile.{id}");
        let general = context.join(".dockerignore");
        let mut ignore = if general.exists() { read(&general)? } else { Vec::new() };
        ignore.extend(format!("\n.dockerignore\n{name}\n").bytes());
        Ok(Some(Self { name, text, ignore }))
    }
}

/// Writes the archive.
fn write(
    context: &Path,
    entries: &[Entry],
    outside: Option<&Outside>,
    form: ModeForm,
    to: impl Write,
) -> io::Result<()> {
    let mut archive = tar::Builder::new(to);
    let mut links = HashMap::new();
    for entry in entries {
        if outside.is_some() && entry.path == Path::new(".dockerignore") {
            continue;
        }
        append(&mut archive, context, entry, form, &mut links).map_err(|error| {
            let path = context.join(&entry.path);
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
    }
    if let Some(outside) = outside {
        for (name, text) in
            [(outside.name.as_str(), &outside.text), (".dockerignore", &outside.ignore)]
        {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(0o600);
            header.set_size(text.len() as u64);
            archive.append_data(&mut header, name, text.as_slice())?;
        }
    }
    archive.finish()
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    context: &Path,
    entry: &Entry,
    form: ModeForm,
    links: &mut HashMap<(u64, u64), PathBuf>,
) -> io::Result<()> {
    let path = context.join(&entry.path);
    let metadata = std::fs::symlink_metadata(&path)?;
    let mut header = tar::Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header.set_mode(match form {
        ModeForm::Permissions => entry.mode,
        ModeForm::WithType => entry.mode | (metadata.mode() & 0o170_000),
    });
    match &entry.kind {
        EntryKind::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            let mut name = entry.path.as_os_str().to_owned();
            name.push("/");
            archive.append_data(&mut header, name, io::empty())
        }
        EntryKind::Symlink { target } => {
            header.set_entry_type(tar::EntryType::Symlink);
            append_link(archive, &mut header, &entry.path, target)
        }
        EntryKind::File { size } => {
            // The second name of a file is a link to the first, as in the client's archive.
            if metadata.nlink() > 1 {
                let inode = (metadata.dev(), metadata.ino());
                if let Some(first) = links.get(&inode) {
                    header.set_entry_type(tar::EntryType::Link);
                    return append_link(archive, &mut header, &entry.path, first);
                }
                links.insert(inode, entry.path.clone());
            }
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(*size);
            let content = Exactly { from: File::open(&path)?.take(*size), missing: *size };
            archive.append_data(&mut header, &entry.path, content)
        }
    }
}

/// A link's target byte by byte: the archive crate would tidy `./a` into `a`.
fn append_link(
    archive: &mut tar::Builder<impl Write>,
    header: &mut tar::Header,
    path: &Path,
    target: &Path,
) -> io::Result<()> {
    let bytes = target.as_os_str().as_bytes();
    if header.set_link_name_literal(bytes).is_ok() {
        return archive.append_data(header, path, io::empty());
    }
    archive.append_link(header, path, target)
}

/// A file that must have as many bytes as its header says.
struct Exactly {
    from: io::Take<File>,
    missing: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        if read == 0 && self.missing > 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was sent",
            ));
        }
        self.missing -= read as u64;
        Ok(read)
    }
}

/// Hands what is written on in pieces.
struct PieceWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: BytesMut,
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = self.piece.split().freeze();
        let given_up = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the build was given up");
        self.sender.blocking_send(Ok(piece)).map_err(given_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("app/deep")).unwrap();
        fs::write(at("Dockerfile"), "FROM scratch\n").unwrap();
        fs::write(at("app/run"), "run").unwrap();
        fs::write(at("app/secret.key"), "key").unwrap();
        fs::write(at(".dockerignore"), "**/*.key\n").unwrap();
        fs::hard_link(at("app/run"), at("app/walk")).unwrap();
        fs::set_permissions(at("app/run"), fs::Permissions::from_mode(0o4750)).unwrap();
        symlink("./run", at("app/link")).unwrap();
        symlink(format!("/{}", "x".repeat(150)), at("app/long")).unwrap();
        fs::write(at(&format!("app/{}", "n".repeat(140))), "long name").unwrap();
        folder
    }

    async fn archive(context: &Path, dockerfile: &Path, form: ModeForm) -> Vec<u8> {
        let mut sending = send(context, dockerfile, form).await.unwrap();
        let mut all = Vec::new();
        while let Some(piece) = sending.pieces.recv().await {
            all.extend_from_slice(&piece.unwrap());
        }
        all
    }

    /// Name, kind, mode, link target.
    fn listing(archive: &[u8]) -> Vec<(String, tar::EntryType, u32, String)> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            let target = entry.link_name_bytes().unwrap_or_default();
            (
                String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
                header.entry_type(),
                header.mode().unwrap(),
                String::from_utf8_lossy(&target).into_owned(),
            )
        });
        entries.collect()
    }

    #[tokio::test]
    async fn the_archive_is_what_the_docker_client_sends() {
        let folder = tree();
        let dockerfile = folder.path().join("Dockerfile");
        let all = archive(folder.path(), &dockerfile, ModeForm::Permissions).await;
        let listed = listing(&all);
        let names: Vec<_> = listed.iter().map(|(name, ..)| name.as_str()).collect();
        let long = format!("app/{}", "n".repeat(140));
        let expected = [
            ".dockerignore",
            "Dockerfile",
            "app/",
            "app/deep/",
            "app/link",
            "app/long",
            &long,
            "app/run",
            "app/walk",
        ];
        assert_eq!(names, expected);
        assert_eq!(listed[4].3, "./run");
        assert_eq!(listed[5].3.len(), 151);
        assert_eq!((listed[7].1, listed[7].2), (tar::EntryType::Regular, 0o4750));
        assert_eq!((listed[8].1, listed[8].3.as_str()), (tar::EntryType::Link, "app/run"));
        assert_eq!(all, archive(folder.path(), &dockerfile, ModeForm::Permissions).await);
    }

    #[tokio::test]
    async fn old_clients_write_the_type_into_the_mode() {
        let folder = tree();
        let dockerfile = folder.path().join("Dockerfile");
        let listed = listing(&archive(folder.path(), &dockerfile, ModeForm::WithType).await);
        assert_eq!(listed[2].2 & 0o170_000, 0o040_000);
        assert_eq!(listed[4].2, 0o120_777);
        assert_eq!(listed[7].2, 0o104_750);
    }

    #[tokio::test]
    async fn a_dockerfile_outside_is_sent_and_forgotten() {
        let folder = tree();
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), "FROM scratch\nCOPY . /\n").unwrap();
        let sending = send(folder.path(), outside.path(), ModeForm::Permissions).await.unwrap();
        assert!(sending.dockerfile.starts_with(".dockerfile."));
        let all = archive(folder.path(), outside.path(), ModeForm::Permissions).await;
        let mut archive = tar::Archive::new(all.as_slice());
        let mut texts = HashMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert!(texts.insert(name.clone(), text).is_none(), "{name} is there twice");
        }
        assert_eq!(texts[&sending.dockerfile], "FROM scratch\nCOPY . /\n");
        let ignore = &texts[".dockerignore"];
        assert!(ignore.starts_with("**/*.key\n") && ignore.contains(&sending.dockerfile));
    }

    #[tokio::test]
    async fn a_file_that_becomes_shorter_is_an_error() {
        let folder = tree();
        let mut entries =
            walk(folder.path(), &folder.path().join("Dockerfile"), Builder::Classic).unwrap();
        for entry in &mut entries {
            if let EntryKind::File { size } = &mut entry.kind {
                *size += 1;
            }
        }
        let error = write(folder.path(), &entries, None, ModeForm::Permissions, io::sink())
            .unwrap_err()
            .to_string();
        assert!(error.contains("became shorter") && error.contains(".dockerignore"), "{error}");
    }
}

//! Edits that imitate a change, applied to a copy. Nothing outside the copy is ever written.

use super::WorkspaceError;
use super::copy::make_folder;
use super::ignore::Ignore;
use super::walk::{Entry, EntryKind, walk_for_all};
use crate::model::Builder;
use crate::model::plan::Edit;
use globset::GlobBuilder;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// A context and its Dockerfile, as edits see them.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    /// Folder of the context.
    pub(super) context: &'a Path,
    /// The Dockerfile.
    pub(super) dockerfile: &'a Path,
    /// How an edit names a Dockerfile that lies outside the context: by its path from the user's
    /// context, such as `../Dockerfile`.
    pub(super) outside: Option<&'a Path>,
}

impl Tree<'_> {
    /// Applies one edit.
    pub(super) fn apply(&self, edit: &Edit, nonce: &str) -> Result<(), WorkspaceError> {
        let with_nonce = |text: &str| text.replace("{nonce}", nonce).into_bytes();
        match edit {
            Edit::Append { files, text } => {
                for path in self.matching(files, Links::Skip)? {
                    let mut content = self.read(&path)?;
                    content.extend(with_nonce(text));
                    self.write(&path, &content, 0o644)?;
                }
            }
            Edit::Replace { files, find, with } => self.replace(files, find, &with_nonce(with))?,
            Edit::Create { file, text } => {
                let path = self.new_file(file)?;
                self.write(&path, &with_nonce(text), 0o644)?;
            }
            Edit::Delete { files } => {
                for path in self.matching(files, Links::Take)? {
                    let full = self.full(&path);
                    fs::remove_file(&full)
                        .map_err(|source| WorkspaceError::io("delete", &full, source))?;
                }
            }
            Edit::Copy { from, file } => {
                let path = self.new_file(file)?;
                let (content, mode) = read_source(from)?;
                self.write(&path, &content, mode)?;
            }
        }
        Ok(())
    }

    /// The files that an edit would change, delete or create.
    pub(super) fn touched(&self, edit: &Edit) -> Result<Vec<PathBuf>, WorkspaceError> {
        match edit {
            Edit::Append { files, .. } => self.matching(files, Links::Skip),
            Edit::Delete { files } => self.matching(files, Links::Take),
            Edit::Replace { files, find, .. } => {
                let mut found = Vec::new();
                for path in self.matching(files, Links::Skip)? {
                    if contains(&self.read(&path)?, find.as_bytes()) {
                        found.push(path);
                    }
                }
                if found.is_empty() { Err(self.nothing_found(files, find)) } else { Ok(found) }
            }
            Edit::Create { file, .. } => Ok(vec![self.new_file(file)?]),
            Edit::Copy { from, file } => {
                read_source(from)?;
                Ok(vec![self.new_file(file)?])
            }
        }
    }

    fn replace(&self, files: &str, find: &str, with: &[u8]) -> Result<(), WorkspaceError> {
        let mut replaced = false;
        for path in self.matching(files, Links::Skip)? {
            let content = self.read(&path)?;
            if contains(&content, find.as_bytes()) {
                replaced = true;
                self.write(&path, &replace_all(&content, find.as_bytes(), with), 0o644)?;
            }
        }
        if replaced { Ok(()) } else { Err(self.nothing_found(files, find)) }
    }

    fn nothing_found(&self, files: &str, find: &str) -> WorkspaceError {
        WorkspaceError::NothingToReplace {
            files: files.to_owned(),
            find: find.to_owned(),
            context: self.context.to_path_buf(),
        }
    }

    /// Every file that the glob matches and a builder is sent; at least one.
    fn matching(&self, glob: &str, links: Links) -> Result<Vec<PathBuf>, WorkspaceError> {
        if self.is_outside_dockerfile(glob) {
            return Ok(vec![PathBuf::from(glob)]);
        }
        let relative = inside(glob)?;
        let matcher = relative
            .to_str()
            .ok_or_else(|| "it is not UTF-8".to_owned())
            .and_then(|text| {
                let glob = GlobBuilder::new(text).literal_separator(true).build();
                glob.map_err(|error| error.kind().to_string())
            })
            .map_err(|cause| WorkspaceError::Glob { glob: glob.to_owned(), cause })?
            .compile_matcher();
        let entries = walk_for_all(self.context, self.dockerfile)?;
        let wanted = |entry: &&Entry| match entry.kind {
            EntryKind::File { .. } => true,
            EntryKind::Symlink { .. } => links == Links::Take,
            EntryKind::Directory => false,
        };
        let matched: Vec<PathBuf> = entries
            .iter()
            .filter(wanted)
            .filter(|entry| matcher.is_match(&entry.path))
            .map(|entry| entry.path.clone())
            .collect();
        if !matched.is_empty() {
            return Ok(matched);
        }
        let advice = match entries.iter().find(|entry| matcher.is_match(&entry.path)) {
            Some(Entry { kind: EntryKind::Directory, .. }) => {
                format!("it matches a folder; write {}/** for the files in it", relative.display())
            }
            Some(_) => "it matches a symbolic link, which is never written through".to_owned(),
            None => "`*` stays within a folder and `**` goes below; files that .dockerignore \
                     excludes do not count"
                .to_owned(),
        };
        let context = self.context.to_path_buf();
        Err(WorkspaceError::NoMatch { glob: glob.to_owned(), context, advice })
    }

    /// The path of a file that an edit makes or overwrites: within the context, through no link,
    /// and sent to a builder.
    fn new_file(&self, file: &str) -> Result<PathBuf, WorkspaceError> {
        if self.is_outside_dockerfile(file) {
            return Ok(PathBuf::from(file));
        }
        let relative = inside(file)?;
        let refuse = |cause| WorkspaceError::Path { path: file.to_owned(), cause };
        if relative.as_os_str().is_empty() || file.ends_with('/') {
            return Err(refuse("it names a folder, not a file"));
        }
        let mut so_far = self.context.to_path_buf();
        for (index, part) in relative.components().enumerate() {
            so_far.push(part);
            let last = index + 1 == relative.components().count();
            match fs::symlink_metadata(&so_far) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(source) => return Err(WorkspaceError::io("read", &so_far, source)),
                Ok(found) if found.is_symlink() => {
                    return Err(refuse("it goes through a symbolic link"));
                }
                Ok(found) if last && !found.is_file() => {
                    return Err(refuse("something that is not a regular file is there"));
                }
                Ok(found) if !last && !found.is_dir() => {
                    return Err(refuse("a part of it is a file, not a folder"));
                }
                Ok(_) => {}
            }
        }
        for builder in Builder::ALL {
            if !Ignore::load(self.context, self.dockerfile, builder)?.excludes(&relative) {
                return Ok(relative);
            }
        }
        Err(refuse(".dockerignore excludes it, so the edit would change nothing"))
    }

    fn is_outside_dockerfile(&self, name: &str) -> bool {
        self.outside == Some(Path::new(name))
    }

    fn full(&self, path: &Path) -> PathBuf {
        if self.outside == Some(path) {
            self.dockerfile.to_path_buf()
        } else {
            self.context.join(path)
        }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, WorkspaceError> {
        let full = self.full(path);
        fs::read(&full).map_err(|source| WorkspaceError::io("read", &full, source))
    }

    /// Writes a new file and renames it over the old one, whose permission bits it takes on.
    fn write(&self, path: &Path, content: &[u8], new_mode: u32) -> Result<(), WorkspaceError> {
        let full = self.full(path);
        let mode =
            fs::symlink_metadata(&full).map_or(new_mode, |metadata| metadata.mode() & 0o7777);
        let folder = full.parent().unwrap_or(self.context);
        make_folders(self.context, folder)?;
        let io = |source| WorkspaceError::io("write", &full, source);
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
        file.write_all(content).map_err(io)?;
        file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(io)?;
        file.persist(&full).map_err(|error| io(error.error))?;
        Ok(())
    }
}

/// What a glob does with symbolic links that it matches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Take,
    Skip,
}

/// A path of an edit without `.`, which must lie within the context.
fn inside(path: &str) -> Result<PathBuf, WorkspaceError> {
    let mut relative = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => relative.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                let cause = "it leads out of the context; paths are relative to it, without `..`";
                return Err(WorkspaceError::Path { path: path.to_owned(), cause });
            }
        }
    }
    Ok(relative)
}

/// Makes `folder` and what is missing above it, down from `top`.
fn make_folders(top: &Path, folder: &Path) -> Result<(), WorkspaceError> {
    if folder == top || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(top, parent)?;
    }
    make_folder(folder)
}

fn read_source(from: &Path) -> Result<(Vec<u8>, u32), WorkspaceError> {
    let io = |source| WorkspaceError::io("read", from, source);
    let content = fs::read(from).map_err(io)?;
    let mode = fs::metadata(from).map_err(io)?.mode() & 0o7777;
    Ok((content, mode))
}

fn contains(content: &[u8], find: &[u8]) -> bool {
    !find.is_empty() && content.windows(find.len()).any(|window| window == find)
}

fn replace_all(content: &[u8], find: &[u8], with: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(content.len());
    let mut rest = content;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(find) {
            result.extend_from_slice(with);
            rest = after;
        } else {
            result.push(rest[0]);
            rest = &rest[1..];
        }
    }
    result
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;

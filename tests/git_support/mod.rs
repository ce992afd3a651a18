//! Repositories that tests make, object by object and without a git program.

use gix::objs::Write;
use gix::objs::tree::{Entry, EntryKind};
use std::collections::BTreeMap;
use std::path::Path;

/// A file of a commit.
#[derive(Debug, Clone)]
pub enum Node {
    /// A regular file.
    File(String),
    /// An executable one.
    Script(String),
    /// A symbolic link to this.
    Link(String),
    /// A submodule at this commit.
    Submodule(gix::ObjectId),
}

/// A repository whose commits are made from lists of files.
pub struct Repository {
    git: gix::Repository,
    /// What the next commit has.
    pub files: BTreeMap<String, Node>,
    seconds: i64,
}

impl Repository {
    /// A new one with its work tree in a folder.
    pub fn init(folder: &Path) -> Self {
        let git = gix::init(folder).unwrap();
        std::fs::write(git.git_dir().join("HEAD"), "ref: refs/heads/main\n").unwrap();
        Self { git, files: BTreeMap::new(), seconds: 1_700_000_000 }
    }

    /// Sets a regular file of the next commit.
    pub fn file(&mut self, path: &str, text: &str) -> &mut Self {
        self.files.insert(path.to_owned(), Node::File(text.to_owned()));
        self
    }

    /// Commits the files on top of these parents, without moving a branch.
    pub fn commit(&mut self, message: &str, parents: &[gix::ObjectId]) -> gix::ObjectId {
        let files: Vec<(&str, &Node)> =
            self.files.iter().map(|(path, node)| (path.as_str(), node)).collect();
        let tree = self.tree(&files);
        self.commit_tree(tree, message, parents)
    }

    fn commit_tree(
        &mut self,
        tree: gix::ObjectId,
        message: &str,
        parents: &[gix::ObjectId],
    ) -> gix::ObjectId {
        self.seconds += 60;
        let signature = gix::actor::Signature {
            name: "Test".into(),
            email: "test@example.invalid".into(),
            time: gix::date::Time::new(self.seconds, 0),
        };
        let commit = gix::objs::Commit {
            tree,
            parents: parents.iter().copied().collect(),
            author: signature.clone(),
            committer: signature,
            encoding: None,
            message: message.into(),
            extra_headers: Vec::new(),
        };
        self.git.write_object(&commit).unwrap().detach()
    }

    /// Points a branch at a commit.
    pub fn branch(&self, name: &str, commit: gix::ObjectId) {
        let path = self.git.git_dir().join("refs/heads").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{commit}\n")).unwrap();
    }

    /// Makes the clone shallow: the parents of this commit are not there.
    pub fn cut(&self, commit: gix::ObjectId) {
        std::fs::write(self.git.git_dir().join("shallow"), format!("{commit}\n")).unwrap();
        for parent in self.git.find_commit(commit).unwrap().parent_ids() {
            let hex = parent.to_string();
            std::fs::remove_file(
                self.git.git_dir().join("objects").join(&hex[..2]).join(&hex[2..]),
            )
            .unwrap();
        }
    }

    /// Writes the files into the work tree.
    pub fn check_out(&self) {
        let top = self.git.workdir().unwrap();
        for (path, node) in &self.files {
            let path = top.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match node {
                Node::File(text) | Node::Script(text) => std::fs::write(&path, text).unwrap(),
                Node::Link(target) => std::os::unix::fs::symlink(target, &path).unwrap(),
                Node::Submodule(_) => std::fs::create_dir_all(&path).unwrap(),
            }
            if matches!(node, Node::Script(_)) {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    }

    /// A commit of a tree with exactly these entries, whatever their names are: each a file, or a
    /// folder with the file `x`.
    pub fn commit_raw(&mut self, names: &[(&str, Node)]) -> gix::ObjectId {
        let entries = names.iter().map(|(name, node)| match node {
            Node::Link(target) => {
                (EntryKind::Link, self.git.write_blob(target).unwrap().detach(), name)
            }
            _ => (EntryKind::Tree, self.tree(&[("x", &Node::File("x".to_owned()))]), name),
        });
        let mut data = Vec::new();
        for (kind, id, name) in entries {
            let mode = if kind == EntryKind::Link { "120000" } else { "40000" };
            data.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            data.extend_from_slice(id.as_slice());
        }
        let tree = self.git.write_buf(gix::objs::Kind::Tree, &data).unwrap();
        self.commit_tree(tree, "raw", &[])
    }

    fn tree(&self, files: &[(&str, &Node)]) -> gix::ObjectId {
        let mut entries = Vec::new();
        let mut folders: BTreeMap<&str, Vec<(&str, &Node)>> = BTreeMap::new();
        for (path, node) in files {
            if let Some((folder, rest)) = path.split_once('/') {
                folders.entry(folder).or_default().push((rest, node));
                continue;
            }
            let blob = |text: &str| self.git.write_blob(text).unwrap().detach();
            let (kind, oid) = match node {
                Node::File(text) => (EntryKind::Blob, blob(text)),
                Node::Script(text) => (EntryKind::BlobExecutable, blob(text)),
                Node::Link(target) => (EntryKind::Link, blob(target)),
                Node::Submodule(commit) => (EntryKind::Commit, *commit),
            };
            entries.push(Entry { mode: kind.into(), filename: (*path).into(), oid });
        }
        for (folder, files) in folders {
            let oid = self.tree(&files);
            entries.push(Entry { mode: EntryKind::Tree.into(), filename: folder.into(), oid });
        }
        entries.sort();
        self.git.write_object(&gix::objs::Tree { entries }).unwrap().detach()
    }
}

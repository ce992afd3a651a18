//! What our walk of a context sends, against what docker's own builders take from it.

use super::docker::{docker, try_docker, unique};
use breakeven::model::Builder;
use breakeven::workspace::{EntryKind, walk};
use std::collections::BTreeSet;
use std::path::Path;

/// Paths of files and links in an image that was made by `COPY . /`.
fn copied(tag: &str) -> BTreeSet<String> {
    let container = docker(&["create", tag, "nothing"]);
    let archive = try_docker(&["export", &container]).stdout;
    docker(&["rm", &container]);
    let mut archive = tar::Archive::new(archive.as_slice());
    // Docker puts these into every container.
    let dockers = ["dev/", "etc/", "proc/", "sys/", ".dockerenv"];
    archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.header().entry_type().is_dir())
        .map(|entry| entry.path().unwrap().display().to_string())
        .filter(|path| !dockers.iter().any(|docker| path.starts_with(docker)))
        .collect()
}

fn ours(context: &Path, builder: Builder) -> BTreeSet<String> {
    walk(context, &context.join("Dockerfile"), builder)
        .unwrap()
        .into_iter()
        .filter(|entry| entry.kind != EntryKind::Directory)
        .map(|entry| entry.path.display().to_string())
        // Always sent; whether COPY takes them is the daemon's affair.
        .filter(|path| !matches!(path.as_str(), "Dockerfile" | ".dockerignore"))
        .collect()
}

fn build(context: &Path, builder: Builder, tag: &str) {
    let context = context.display().to_string();
    match builder {
        Builder::Classic => drop(docker(&["build", "--quiet", "--tag", tag, &context])),
        // Buildah is no daemon that is sent a context: it is not asked here.
        Builder::Buildkit | Builder::Buildah => {
            let home = std::env::home_dir().unwrap();
            let ours = home.join(".local/share/breakeven/cli-plugins/docker-buildx");
            let mut command = if ours.exists() {
                std::process::Command::new(ours)
            } else {
                let mut command = std::process::Command::new("docker");
                command.arg("buildx");
                command
            };
            command.args(["build", "--builder", "default", "--quiet", "--tag", tag, &context]);
            let output = command.output().expect("these tests need buildx");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn the_same_files_are_sent_as_by_docker() {
    let dir = tempfile::tempdir().unwrap();
    let context = dir.path();
    for file in [
        "a/foo",
        "a/b/foo",
        "a/b/c/keep.md",
        "a/bar",
        "x/foo",
        "xfoo",
        "foo",
        "README.md",
        "docs/README.md",
        "docs/deep/x.md",
        "docs/deep/y.txt",
        "node_modules/m/i.js",
        "lib/node_modules/j.js",
        ".git/config",
        "build/out.o",
        "build/keep/out.o",
        "[odd]",
        "with space",
    ] {
        let path = context.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file).unwrap();
    }
    std::os::unix::fs::symlink("a/foo", context.join("link")).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
    for rules in [
        "",
        "*\n!a\n",
        "*\n!**/foo\n!a/b\n",
        "**foo\n",
        "**/foo\n",
        "# comment\n\n  *.md  \n!README.md\n",
        "**/*.md\n!docs/deep/x.md\n",
        "/docs/\n!docs/README.md\n",
        "**/node_modules\n.git\n",
        "build/**\n!build/keep\n",
        "a/**/foo\n",
        "?foo\nlink\n",
        "[a-c]\n",
        "\\[odd\\]\nwith space\n",
        "a\n!a/b\na/b/c\n",
        "docs/./deep/../README.md\n",
        "Dockerfile\n.dockerignore\n",
        "**\n!docs/**/*.md\n",
    ] {
        std::fs::write(context.join(".dockerignore"), rules).unwrap();
        for builder in Builder::OF_DAEMONS {
            let tag = format!("breakeven-test-context:{}", unique("t"));
            build(context, builder, &tag);
            let mut theirs = copied(&tag);
            theirs.retain(|path| !matches!(path.as_str(), "Dockerfile" | ".dockerignore"));
            docker(&["rmi", &tag]);
            assert_eq!(ours(context, builder), theirs, "{builder} with {rules:?}");
        }
    }
}

//! Which files of a context are sent to a builder, by `.dockerignore`.

use super::pattern::Pattern;
use super::{WorkspaceError, read_bytes};
use crate::model::Builder;
use std::path::{Path, PathBuf};

/// The rules of one context for one builder.
///
/// The builders differ: only BuildKit knows `NAME.dockerignore` beside the Dockerfile, and only
/// BuildKit looks into an ignored folder for the sake of an exception with a wildcard.
#[derive(Debug, Clone)]
pub struct Ignore {
    patterns: Vec<Pattern>,
    /// Sent although a pattern matches: the builder itself needs them.
    needed: Vec<PathBuf>,
    builder: Builder,
}

impl Ignore {
    /// Reads the rules that the builder would follow for this context and Dockerfile.
    pub fn load(
        context: &Path,
        dockerfile: &Path,
        builder: Builder,
    ) -> Result<Self, WorkspaceError> {
        let own = own_ignore_file(dockerfile);
        let (file, text) = match read(&own)? {
            Some(text) if builder == Builder::Buildkit => (own.clone(), text),
            _ => {
                let general = context.join(".dockerignore");
                let text = read(&general)?.unwrap_or_default();
                (general, text)
            }
        };
        let needed = [dockerfile, &own, &context.join(".dockerignore")]
            .iter()
            .filter_map(|path| path.strip_prefix(context).ok().map(Path::to_path_buf))
            .collect();
        let patterns =
            parse(&text).map_err(|(line, cause)| WorkspaceError::Ignore { file, line, cause })?;
        Ok(Self { patterns, needed, builder })
    }

    /// Whether this path (relative to the context) is kept from the builder.
    ///
    /// A pattern also matches everything below what it matches; the last one that matches decides.
    pub fn excludes(&self, path: &Path) -> bool {
        if self.needed.iter().any(|needed| needed == path) {
            return false;
        }
        let path = path.as_os_str().as_encoded_bytes();
        let mut excluded = false;
        for pattern in &self.patterns {
            // Neither an exception to what is sent nor a second exclusion can change anything.
            if pattern.exception == excluded && self_or_parent(path, |path| pattern.matches(path)) {
                excluded = !pattern.exception;
            }
        }
        excluded
    }

    /// Whether something below this excluded folder may have to be sent all the same.
    pub fn must_enter(&self, folder: &Path) -> bool {
        if self.needed.iter().any(|needed| needed.starts_with(folder)) {
            return true;
        }
        let mut exceptions = self.patterns.iter().filter(|pattern| pattern.exception);
        match self.builder {
            Builder::Buildkit => exceptions.next().is_some(),
            // Buildah looks for exceptions with a wildcard no further than the folder's name either.
            Builder::Classic | Builder::Buildah => {
                exceptions.any(|pattern| Path::new(&pattern.text).starts_with(folder))
            }
        }
    }
}

/// The ignore file that belongs to one Dockerfile alone: `NAME.dockerignore` beside it.
pub(super) fn own_ignore_file(dockerfile: &Path) -> PathBuf {
    let mut name = dockerfile.file_name().unwrap_or_default().to_owned();
    name.push(".dockerignore");
    dockerfile.with_file_name(name)
}

fn read(file: &Path) -> Result<Option<String>, WorkspaceError> {
    match read_bytes(file) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(WorkspaceError::io("read", file, source)),
    }
}

/// All patterns, or the number of the line (from 1) that is wrong and why.
fn parse(text: &str) -> Result<Vec<Pattern>, (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut patterns = Vec::new();
    for (index, line) in text.lines().enumerate() {
        patterns.extend(Pattern::parse(line).map_err(|cause| (index + 1, cause))?);
    }
    Ok(patterns)
}

fn self_or_parent(path: &[u8], matches: impl Fn(&[u8]) -> bool) -> bool {
    let parents = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    matches(path) || parents.map(|(at, _)| &path[..at]).any(matches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(text: &str, builder: Builder) -> Ignore {
        Ignore { patterns: parse(text).unwrap(), needed: Vec::new(), builder }
    }

    fn excluded(text: &str, path: &str) -> bool {
        rules(text, Builder::Classic).excludes(Path::new(path))
    }

    #[test]
    fn a_folder_takes_all_below_it_along() {
        assert!(excluded("node_modules", "node_modules/a/b.js"));
        assert!(!excluded("node_modules", "lib/node_modules/a"));
        assert!(excluded("**/node_modules", "lib/node_modules/a"));
        assert!(!excluded("node_modules", "node_modules2"));
    }

    #[test]
    fn the_last_match_decides() {
        assert!(!excluded("*\n!app", "app/x"));
        assert!(excluded("!app\n*", "app/x"));
        assert!(excluded("*.md\n!README*.md\nREADME-secret.md", "README-secret.md"));
        assert!(!excluded("*.md\n!README*.md\nREADME-secret.md", "README-public.md"));
        assert!(!excluded("*.md\nREADME-secret.md\n!README*.md", "README-secret.md"));
        assert!(excluded("a\n!a/b\na/b/c", "a/b/c/d"));
        assert!(!excluded("a\n!a/b\na/b/c", "a/b/d"));
    }

    #[test]
    fn marks_comments_and_blanks_are_skipped() {
        assert!(excluded("\u{feff}foo\r\n\r\n# bar\r\nbaz\r\n", "foo"));
        assert!(excluded("\u{feff}foo\r\n\r\n# bar\r\nbaz\r\n", "baz"));
        assert!(!excluded("\u{feff}foo\r\n\r\n# bar\r\nbaz\r\n", "bar"));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".dockerignore"), "ok\n\n[x\n").unwrap();
        let error =
            Ignore::load(folder.path(), &folder.path().join("Dockerfile"), Builder::Classic)
                .unwrap_err()
                .to_string();
        assert!(error.contains(".dockerignore") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn the_builders_own_files_are_always_sent() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".dockerignore"), "*\n").unwrap();
        for builder in Builder::ALL {
            let dockerfile = folder.path().join("ci/Dockerfile");
            let ignore = Ignore::load(folder.path(), &dockerfile, builder).unwrap();
            assert!(!ignore.excludes(Path::new("ci/Dockerfile")));
            assert!(!ignore.excludes(Path::new(".dockerignore")));
            assert!(ignore.must_enter(Path::new("ci")));
            assert!(ignore.excludes(Path::new("ci/other")));
        }
    }

    #[test]
    fn only_buildkit_prefers_the_dockerfiles_own_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".dockerignore"), "general\n").unwrap();
        std::fs::write(folder.path().join("my.Dockerfile.dockerignore"), "special\n").unwrap();
        let dockerfile = folder.path().join("my.Dockerfile");
        let of = |builder| Ignore::load(folder.path(), &dockerfile, builder).unwrap();
        assert!(of(Builder::Classic).excludes(Path::new("general")));
        assert!(!of(Builder::Classic).excludes(Path::new("special")));
        assert!(!of(Builder::Buildkit).excludes(Path::new("general")));
        assert!(of(Builder::Buildkit).excludes(Path::new("special")));
    }

    #[test]
    fn exceptions_with_wildcards_open_folders_for_buildkit_only() {
        let text = "*\n!**/keep\n!a/b";
        assert!(rules(text, Builder::Buildkit).must_enter(Path::new("x")));
        assert!(!rules(text, Builder::Classic).must_enter(Path::new("x")));
        assert!(rules(text, Builder::Classic).must_enter(Path::new("a")));
        assert!(!rules("x", Builder::Buildkit).must_enter(Path::new("x")));
    }

    proptest! {
        /// Any text is either read or refused; whatever was read never excludes a needed file,
        /// and what is below an excluded path without exceptions is excluded too.
        #[test]
        fn any_text_is_safe(
            lines in prop::collection::vec("[#!a-c*?/.\\[\\]\\\\^ -]{0,8}", 0..6),
            path in "[a-c]{1,2}(/[a-c]{1,2}){0,3}",
        ) {
            if let Ok(patterns) = parse(&lines.join("\n")) {
                let plain = patterns.iter().all(|pattern| !pattern.exception);
                let needed = vec![PathBuf::from("a/b")];
                let ignore = Ignore { patterns, needed, builder: Builder::Classic };
                prop_assert!(!ignore.excludes(Path::new("a/b")));
                let parent = Path::new(&path);
                if plain && ignore.excludes(parent) {
                    prop_assert!(ignore.excludes(&parent.join("zz")));
                }
            }
        }

        /// A path without special characters excludes itself and its descendants, nothing beside.
        #[test]
        fn a_plain_path_is_itself(path in "[a-z]{1,3}(/[a-z]{1,3}){0,2}", other in "[a-z]{1,4}") {
            let ignore = rules(&path, Builder::Classic);
            prop_assert!(ignore.excludes(Path::new(&path)));
            prop_assert!(ignore.excludes(&Path::new(&path).join(&other)));
            let beside = format!("{path}{other}");
            prop_assert!(!ignore.excludes(Path::new(&beside)));
        }
    }
}

//! An edit of a file that does no harm and yet makes it another file: a comment, where the file
//! type has comments.

use super::inputs::Inputs;
use std::path::Path;

/// A proposed edit of one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    /// The inline table, as TOML.
    pub(super) edit: String,
    /// What it edits, for people.
    pub(super) file: String,
}

/// Names of files that say what a RUN installs; `*` is a beginning or an end.
const MANIFESTS: &[&str] = &[
    "Gemfile",
    "*.gemspec",
    "package.json",
    "requirements*.txt",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "Pipfile",
    "environment.yml",
    "environment.yaml",
    "go.mod",
    "Cargo.toml",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "build.sbt",
    "composer.json",
    "mix.exs",
    "rebar.config",
    "*.csproj",
    "*.fsproj",
    "Package.swift",
    "pubspec.yaml",
    "cpanfile",
    "conanfile.txt",
    "conanfile.py",
    "vcpkg.json",
    "stack.yaml",
    "*.cabal",
    "deno.json",
    "Project.toml",
];

/// How a comment of one line begins and ends.
const COMMENTS: &[(&str, &str, &[&str])] = &[
    (
        "# ",
        "",
        &[
            "rb",
            "py",
            "sh",
            "bash",
            "yml",
            "yaml",
            "toml",
            "conf",
            "pl",
            "pm",
            "ex",
            "exs",
            "r",
            "jl",
            "tf",
            "cfg",
            "ini",
            "properties",
            "txt",
            "gemspec",
            "Gemfile",
            "Pipfile",
            "Rakefile",
            "Makefile",
            "mk",
            "cpanfile",
            "ru",
            "nix",
        ],
    ),
    (
        "// ",
        "",
        &[
            "js", "mjs", "cjs", "jsx", "ts", "tsx", "go", "mod", "rs", "java", "kt", "kts",
            "scala", "sbt", "gradle", "groovy", "c", "h", "cc", "cpp", "hpp", "cs", "fs", "swift",
            "dart", "zig", "scss", "proto",
        ],
    ),
    ("-- ", "", &["sql", "lua", "hs", "elm", "cabal"]),
    ("% ", "", &["erl", "config"]),
    ("/* ", " */", &["css"]),
    ("<!-- ", " -->", &["html", "htm", "xml", "vue", "svelte", "csproj", "fsproj", "md"]),
];

/// Endings of files that are programs: an application change is one of these rather than a text.
const CODE: &[&str] = &[
    "rb", "py", "pl", "ex", "exs", "jl", "r", "js", "mjs", "cjs", "jsx", "ts", "tsx", "go", "rs",
    "java", "kt", "scala", "c", "cc", "cpp", "cs", "fs", "swift", "dart", "zig", "lua", "hs",
    "elm", "erl", "vue", "svelte", "php", "sh",
];

/// The edit of the dependencies: a manifest that is taken before a RUN.
pub(super) fn deps(dir: &Path, inputs: &Inputs) -> Option<Proposal> {
    // If nothing comes later, what comes early is the application itself.
    if inputs.late.is_empty() {
        return None;
    }
    let editable = || inputs.early.iter().filter(|file| !is_lock(file));
    let known = editable().filter(|file| is_manifest(file));
    known.chain(editable()).find_map(|file| edit(dir, file))
}

/// The edit of the application: a source file that is taken late, or else a new file in a folder
/// that is copied.
pub(super) fn app(dir: &Path, inputs: &Inputs) -> Option<Proposal> {
    let files = if inputs.late.is_empty() { &inputs.early } else { &inputs.late };
    let mut files: Vec<&String> =
        files.iter().filter(|file| !is_lock(file) && !is_manifest(file)).collect();
    files.sort_by_key(|file| (rank(file), file.matches('/').count()));
    files.into_iter().find_map(|file| edit(dir, file)).or_else(|| {
        let folder = inputs.folders.last()?;
        let file = format!("{folder}breakeven-change.txt");
        let edit = format!("{{ create = {}, text = \"{{nonce}}\\n\" }}", toml(&file));
        Some(Proposal { edit, file })
    })
}

/// Lower is likelier to be what a commit touches.
fn rank(file: &str) -> u8 {
    let name = name(file).to_lowercase();
    let is_test = file.split('/').any(|part| {
        let part = part.to_lowercase();
        ["test", "tests", "spec", "specs", "__tests__", "docs", "doc"].contains(&part.as_str())
            || part.contains(".test.")
            || part.contains(".spec.")
            || part.contains("_test.")
    });
    let is_project_file = name.starts_with('.')
        || ["readme", "license", "changelog", "dockerfile", "breakeven"]
            .iter()
            .any(|word| name.starts_with(word))
        || name.contains(".config.");
    match (CODE.contains(&ending(file)), is_test, is_project_file) {
        (true, false, false) => 0,
        (false, false, false) => 1,
        (_, true, false) => 2,
        (_, _, true) => 3,
    }
}

fn edit(dir: &Path, file: &str) -> Option<Proposal> {
    let content = std::fs::read_to_string(dir.join(file)).ok()?;
    let glob = toml(&globset::escape(file));
    let edit = if ending(file) == "json" {
        let (find, with) = json_edit(&content)?;
        format!("{{ replace = {glob}, find = {}, with = {} }}", toml(&find), toml(&with))
    } else {
        let (before, after, _) =
            COMMENTS.iter().find(|(_, _, endings)| endings.contains(&ending(file)))?;
        // On a line of its own even if the file does not end with one.
        format!("{{ append = {glob}, text = {} }}", toml(&format!("\n{before}{{nonce}}{after}\n")))
    };
    Some(Proposal { edit, file: file.to_owned() })
}

/// JSON has no comments: a text that tools only show is changed.
fn json_edit(content: &str) -> Option<(String, String)> {
    [("\"description\"", " {nonce}"), ("\"version\"", "-n{nonce}")].iter().find_map(
        |(key, more)| {
            let (_, rest) = content.split_once(key)?;
            let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
            let (value, after) = value.split_once('"')?;
            let text = &content[content.find(key)?..content.len() - after.len() - 1];
            // It must be the only such text, end where it seems to end, and have a place for more.
            let once = content.matches(text).count() == 1;
            let found = (once && !value.ends_with('\\') && !value.is_empty()).then_some(text)?;
            Some((format!("{found}\""), format!("{found}{more}\"")))
        },
    )
}

fn is_manifest(file: &str) -> bool {
    let name = name(file);
    MANIFESTS.iter().any(|manifest| match manifest.split_once('*') {
        Some((start, end)) => name.starts_with(start) && name.ends_with(end),
        None => name == *manifest,
    })
}

/// Files that a tool writes and checks: an edit by hand breaks them.
fn is_lock(file: &str) -> bool {
    let name = name(file).to_lowercase();
    ["lock", "go.sum", "shrinkwrap"].iter().any(|word| name.contains(word))
}

fn name(file: &str) -> &str {
    file.rsplit_once('/').map_or(file, |(_, name)| name)
}

/// What follows the last dot of a file's name, or the whole name.
fn ending(file: &str) -> &str {
    let name = name(file);
    name.rsplit_once('.').map_or(name, |(_, ending)| ending)
}

/// A text as a TOML string on one line.
pub(super) fn toml(text: &str) -> String {
    // JSON's strings are TOML's too, but for one character that TOML wants escaped.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_changed_where_it_is_only_shown() {
        let (find, with) = json_edit(r#"{"name": "a", "version" : "1.0.0"}"#).unwrap();
        assert_eq!(find, r#""version" : "1.0.0""#);
        assert_eq!(with, r#""version" : "1.0.0-n{nonce}""#);
        let (find, with) = json_edit(r#"{"description":"x","version":"1"}"#).unwrap();
        assert_eq!(
            (find.as_str(), with.as_str()),
            (r#""description":"x""#, r#""description":"x {nonce}""#)
        );
        assert_eq!(json_edit(r#"{"a":{"version":"1"},"b":{"version":"1"}}"#), None);
        assert_eq!(json_edit(r#"{"version": 3}"#), None);
    }

    #[test]
    fn manifests_and_lock_files_are_told_apart() {
        for manifest in ["Gemfile", "a/package.json", "requirements-dev.txt", "x.csproj"] {
            assert!(is_manifest(manifest) && !is_lock(manifest), "{manifest}");
        }
        for lock in ["Gemfile.lock", "package-lock.json", "go.sum", "pnpm-lock.yaml", "uv.lock"] {
            assert!(is_lock(lock), "{lock}");
        }
    }

    #[test]
    fn toml_strings_are_read_back_as_they_were() {
        for text in ["plain", "a\\b", "say \"x\"", "\n# {nonce}\n", "it's", "\u{1}\u{7f}", "ü"] {
            let table: toml::Table = toml::from_str(&format!("x = {}", toml(text))).unwrap();
            assert_eq!(table["x"].as_str(), Some(text));
        }
    }
}

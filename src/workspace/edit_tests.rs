use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

/// A workspace beside files that nothing may touch, with links that lead to them.
fn arena() -> tempfile::TempDir {
    let arena = tempfile::tempdir().unwrap();
    let root = arena.path();
    fs::create_dir_all(root.join("ws/app/deep")).unwrap();
    fs::create_dir(root.join("outside")).unwrap();
    fs::write(root.join("outside/precious"), "precious").unwrap();
    fs::write(root.join("Dockerfile"), "FROM scratch\n").unwrap();
    fs::write(root.join("ws/Dockerfile"), "FROM scratch\n").unwrap();
    fs::write(root.join("ws/app/a.rb"), "one two one\n").unwrap();
    fs::write(root.join("ws/app/deep/b.rb"), "three\n").unwrap();
    symlink(root.join("outside"), root.join("ws/out")).unwrap();
    symlink("../outside/precious", root.join("ws/link")).unwrap();
    symlink("a.rb", root.join("ws/app/same")).unwrap();
    arena
}

fn apply(arena: &Path, edit: &Edit) -> Result<(), WorkspaceError> {
    let context = arena.join("ws");
    let tree = Tree { context: &context, dockerfile: &context.join("Dockerfile"), outside: None };
    tree.apply(edit, "N1")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn append(files: &str) -> Edit {
    Edit::Append { files: files.into(), text: "# {nonce}\n".into() }
}

fn create(file: &str) -> Edit {
    Edit::Create { file: file.into(), text: "{nonce}{nonce}".into() }
}

#[test]
fn appends_to_every_match_with_the_nonce_and_keeps_the_mode() {
    let arena = arena();
    let file = arena.path().join("ws/app/a.rb");
    fs::set_permissions(&file, Permissions::from_mode(0o751)).unwrap();
    apply(arena.path(), &append("app/**/*.rb")).unwrap();
    assert_eq!(text(&file), "one two one\n# N1\n");
    assert_eq!(text(&arena.path().join("ws/app/deep/b.rb")), "three\n# N1\n");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o751);
}

#[test]
fn a_star_stays_within_its_folder() {
    let arena = arena();
    apply(arena.path(), &append("app/*.rb")).unwrap();
    assert_eq!(text(&arena.path().join("ws/app/deep/b.rb")), "three\n");
}

#[test]
fn replaces_every_occurrence() {
    let arena = arena();
    let edit =
        Edit::Replace { files: "app/a.rb".into(), find: "one".into(), with: "{nonce}".into() };
    apply(arena.path(), &edit).unwrap();
    assert_eq!(text(&arena.path().join("ws/app/a.rb")), "N1 two N1\n");
    let error = apply(arena.path(), &edit).unwrap_err().to_string();
    assert!(error.contains("one") && error.contains("app/a.rb"), "{error}");
}

#[test]
fn creates_and_copies_with_their_folders() {
    let arena = arena();
    apply(arena.path(), &create("./new/er/file")).unwrap();
    assert_eq!(text(&arena.path().join("ws/new/er/file")), "N1N1");
    let from = arena.path().join("outside/precious");
    fs::set_permissions(&from, Permissions::from_mode(0o700)).unwrap();
    apply(arena.path(), &Edit::Copy { from: from.clone(), file: "copied".into() }).unwrap();
    let copied = arena.path().join("ws/copied");
    assert_eq!(text(&copied), "precious");
    assert_eq!(fs::metadata(&copied).unwrap().mode() & 0o7777, 0o700);
}

#[test]
fn deletes_files_and_links_and_not_what_links_name() {
    let arena = arena();
    apply(arena.path(), &Edit::Delete { files: "{link,app/**}".into() }).unwrap();
    assert!(!arena.path().join("ws/app/a.rb").exists());
    assert!(fs::symlink_metadata(arena.path().join("ws/link")).is_err());
    assert_eq!(text(&arena.path().join("outside/precious")), "precious");
}

#[test]
fn no_match_names_glob_and_context_and_what_to_do() {
    let arena = arena();
    for (glob, advice) in [
        ("app/*.py", "**"),
        ("app", "app/**"),
        ("link", "symbolic link"),
        ("out/precious", "excludes"),
    ] {
        let error = apply(arena.path(), &append(glob)).unwrap_err().to_string();
        let context = arena.path().join("ws").display().to_string();
        for part in [glob, &context, advice] {
            assert!(error.contains(part), "{part} in: {error}");
        }
    }
}

#[test]
fn an_ignored_file_is_no_match_and_cannot_be_created() {
    let arena = arena();
    fs::write(arena.path().join("ws/.dockerignore"), "*.log\n").unwrap();
    fs::write(arena.path().join("ws/x.log"), "").unwrap();
    assert!(matches!(apply(arena.path(), &append("*.log")), Err(WorkspaceError::NoMatch { .. })));
    let error = apply(arena.path(), &create("y.log")).unwrap_err().to_string();
    assert!(error.contains(".dockerignore"), "{error}");
}

#[test]
fn paths_out_of_the_context_are_refused() {
    let arena = arena();
    let absolute = arena.path().join("outside/precious").display().to_string();
    for path in [
        "../outside/precious",
        "app/../../outside/x",
        &absolute,
        "out/precious",
        "out/new",
        "link",
        "app/same",
        "app/a.rb/x",
        "app",
        "new/",
        "",
        ".",
    ] {
        let error = apply(arena.path(), &create(path)).unwrap_err();
        assert!(matches!(error, WorkspaceError::Path { .. }), "{path}: {error}");
    }
    assert_eq!(text(&arena.path().join("outside/precious")), "precious");
    assert_eq!(fs::read_dir(arena.path().join("outside")).unwrap().count(), 1);
}

#[test]
fn a_dockerfile_outside_is_edited_by_its_path_from_the_context() {
    let arena = arena();
    let context = arena.path().join("ws");
    let dockerfile = arena.path().join("Dockerfile");
    let outside = Some(Path::new("../Dockerfile"));
    let tree = Tree { context: &context, dockerfile: &dockerfile, outside };
    tree.apply(&append("../Dockerfile"), "N1").unwrap();
    assert_eq!(text(&dockerfile), "FROM scratch\n# N1\n");
    assert_eq!(text(&context.join("Dockerfile")), "FROM scratch\n");
    assert!(tree.apply(&append("../outside/precious"), "N1").is_err());
}

/// Everything in the arena but the workspace, links not followed.
fn surroundings(arena: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    walkdir::WalkDir::new(arena)
        .into_iter()
        .filter_entry(|entry| entry.path() != arena.join("ws"))
        .map(|entry| entry.unwrap().into_path())
        .map(|path| (path.clone(), fs::read(&path).unwrap_or_default()))
        .collect()
}

fn any_path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "..",
        ".",
        "",
        "app",
        "deep",
        "out",
        "link",
        "same",
        "a.rb",
        "precious",
        "outside",
        "ws",
        "*",
        "**",
        "{out,app}",
        "new",
    ]);
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.join("/"))
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let path = any_path;
    prop_oneof![
        path().prop_map(|files| Edit::Append { files, text: "x{nonce}".into() }),
        path().prop_map(|files| Edit::Replace { files, find: "e".into(), with: "{nonce}".into() }),
        path().prop_map(|file| Edit::Create { file, text: "{nonce}".into() }),
        path().prop_map(|files| Edit::Delete { files }),
        path().prop_map(|file| Edit::Copy { from: "/etc/hostname".into(), file }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Whatever edits say, nothing beside the workspace changes, and what is foreseen to be
    /// refused is refused.
    #[test]
    fn edits_stay_within_the_workspace(edits in prop::collection::vec(any_edit(), 1..4)) {
        let arena = arena();
        let before = surroundings(arena.path());
        for edit in &edits {
            let context = arena.path().join("ws");
            let dockerfile = context.join("Dockerfile");
            let tree = Tree { context: &context, dockerfile: &dockerfile, outside: None };
            let foreseen = tree.touched(edit);
            let done = tree.apply(edit, "N1");
            prop_assert_eq!(foreseen.is_ok(), done.is_ok(), "{:?}: {:?}", foreseen, done);
        }
        prop_assert_eq!(before, surroundings(arena.path()));
    }

    /// Replacing is what the standard library does with text.
    #[test]
    fn replacing_is_replacing(content in "[ab]{0,12}", find in "[ab]{1,3}", with in "[abc]{0,3}") {
        let replaced = replace_all(content.as_bytes(), find.as_bytes(), with.as_bytes());
        prop_assert_eq!(replaced, content.replace(&find, &with).into_bytes());
        prop_assert_eq!(contains(content.as_bytes(), find.as_bytes()), content.contains(&find));
    }
}

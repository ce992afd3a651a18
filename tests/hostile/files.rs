//! Contexts and archives whose names and links lead elsewhere.

use breakeven::model::plan::{Edit, Workload};
use breakeven::run::image;
use breakeven::workspace;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// File names that programs stumble over.
const NAMES: [&[u8]; 7] =
    [b"a\nb", b"it's \"q\"", b"-rf", b"$(touch pwned)", b"\xff\xfe", b" ", b"*"];

fn workload(root: &Path) -> Workload {
    Workload {
        context: root.join("context"),
        dockerfile: root.join("context/Dockerfile"),
        target: None,
        build_args: BTreeMap::new(),
        secret_args: BTreeMap::new(),
        stages: Vec::new(),
        bases: Vec::new(),
        layout: Vec::new(),
    }
}

/// A context with such names, and with links of every kind to what lies outside.
fn context(root: &Path) -> PathBuf {
    let context = root.join("context");
    fs::create_dir_all(context.join("in")).unwrap();
    fs::create_dir(root.join("outside")).unwrap();
    fs::write(root.join("outside/secret"), "outside-canary\n").unwrap();
    fs::write(context.join("Dockerfile"), "FROM base\nCOPY . /c\n").unwrap();
    for name in NAMES {
        fs::write(context.join(OsStr::from_bytes(name)), "1\n").unwrap();
        fs::create_dir(context.join("in").join(OsStr::from_bytes(name))).unwrap();
    }
    symlink("/etc/passwd", context.join("passwd")).unwrap();
    symlink("../outside", context.join("folder")).unwrap();
    symlink("../../outside/secret", context.join("in/file")).unwrap();
    symlink("loop", context.join("loop")).unwrap();
    symlink("nowhere", context.join("dangling")).unwrap();
    context
}

/// Every file below a folder that holds this text; links are not followed.
fn holding(folder: &Path, sign: &str) -> Vec<PathBuf> {
    let found = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    found
        .filter(|one| one.file_type().is_file())
        .filter(|one| String::from_utf8_lossy(&fs::read(one.path()).unwrap()).contains(sign))
        .map(|one| one.path().to_path_buf())
        .collect()
}

#[test]
fn a_copy_of_a_context_reads_nothing_outside_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path());
    let workload = workload(dir.path());
    let made = workspace::prepare(&workload, &[], "1", &dir.path().join("ws")).unwrap();
    assert_eq!(holding(&dir.path().join("ws"), "outside-canary"), Vec::<PathBuf>::new());
    assert_eq!(holding(&dir.path().join("ws"), "root:"), Vec::<PathBuf>::new());
    for name in NAMES {
        let copied = made.context.join(OsStr::from_bytes(name));
        assert_eq!(fs::read(copied).unwrap(), b"1\n");
    }
    for link in ["passwd", "folder", "in/file", "loop", "dangling"] {
        let target = |root: &Path| fs::read_link(root.join(link)).unwrap();
        assert_eq!(target(&made.context), target(&context), "{link}");
    }
    // What a link leads to is no part of what is built.
    fs::write(dir.path().join("outside/secret"), "another\n").unwrap();
    let again = workspace::prepare(&workload, &[], "1", &dir.path().join("again")).unwrap();
    assert_eq!(again.hash, made.hash);
    // Two names of other bytes are two files, even where both are shown alike; links are none.
    assert_eq!(made.files.len(), NAMES.len() + 1);
    // Removing follows no link either.
    workspace::remove(&dir.path().join("ws")).unwrap();
    assert!(dir.path().join("outside/secret").exists());
}

#[test]
fn edits_write_through_no_link() {
    let dir = tempfile::tempdir().unwrap();
    context(dir.path());
    let append = |files: &str| Edit::Append { files: files.to_owned(), text: "x".to_owned() };
    let create = |file: &str| Edit::Create { file: file.to_owned(), text: "x".to_owned() };
    for (number, edit) in [
        append("folder/secret"),
        append("in/file"),
        create("folder/new"),
        create("in/file"),
        create("../outside/new"),
        create("/tmp/breakeven-hostile-new"),
    ]
    .iter()
    .enumerate()
    {
        let at = dir.path().join(format!("ws{number}"));
        assert!(workspace::prepare(&workload(dir.path()), &[edit], "1", &at).is_err(), "{edit:?}");
    }
    let at = dir.path().join("all");
    workspace::prepare(&workload(dir.path()), &[&append("**")], "1", &at).unwrap();
    let outside: Vec<_> = fs::read_dir(dir.path().join("outside")).unwrap().collect();
    assert_eq!(outside.len(), 1);
    assert_eq!(fs::read_to_string(dir.path().join("outside/secret")).unwrap(), "outside-canary\n");
    assert!(!Path::new("/tmp/breakeven-hostile-new").exists());
}

#[test]
fn a_dockerfile_or_ignore_file_that_never_ends_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    context(dir.path());
    let config = dir.path().join("breakeven.toml");
    let refusal = |text: &str| {
        fs::write(&config, text).unwrap();
        breakeven::config::load(&config).unwrap_err().to_string()
    };
    let said =
        refusal("[workload.w]\ncontext = \"context\"\ndockerfile = \"/dev/zero\"\n[change.none]\n");
    assert!(said.contains("/dev/zero") && said.contains("no regular file"), "{said}");
    symlink("/dev/zero", dir.path().join("context/.dockerignore")).unwrap();
    let text = "[workload.w]\ncontext = \"context\"\n[change.a]\n\
                edits = [{ append = \"in/*\", text = \"{nonce}\" }]\n";
    let said = refusal(text);
    assert!(said.contains(".dockerignore") && said.contains("no regular file"), "{said}");
}

/// Adds an entry under a name that `tar` itself would refuse.
fn add(
    tar: &mut tar::Builder<Vec<u8>>,
    name: &[u8],
    kind: tar::EntryType,
    link: &[u8],
    data: &[u8],
) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..name.len()].copy_from_slice(name);
    gnu.linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    tar.append(&header, data).unwrap();
}

#[test]
fn a_saved_image_is_read_and_never_unpacked() {
    use tar::EntryType;
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    let image = |layer: Vec<u8>, layers: &str, extra: Option<(&[u8], EntryType, &[u8])>| {
        let mut tar = tar::Builder::new(Vec::new());
        let manifest = format!("[{{\"Config\":\"c.json\",\"Layers\":[{layers}]}}]");
        add(&mut tar, b"c.json", EntryType::Regular, b"", b"{}");
        add(&mut tar, b"../../outside", EntryType::Regular, b"", b"x");
        add(&mut tar, b"0/layer.tar", EntryType::Regular, b"", &layer);
        if let Some((name, kind, link)) = extra {
            add(&mut tar, name, kind, link, b"");
        }
        add(&mut tar, b"manifest.json", EntryType::Regular, b"", manifest.as_bytes());
        let path = dir.path().join("in").join("image.tar");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, tar.into_inner().unwrap()).unwrap();
        image::archive::read(&path)
    };
    let mut layer = tar::Builder::new(Vec::new());
    add(&mut layer, b"../../outside", EntryType::Regular, b"", b"x");
    add(&mut layer, b"/etc/passwd", EntryType::Regular, b"", b"x");
    add(&mut layer, b"a\nb \xff", EntryType::Regular, b"", b"x");
    add(&mut layer, b"hard", EntryType::Link, b"../../../etc/passwd", b"");
    add(&mut layer, b"../.wh.x", EntryType::Regular, b"", b"");
    let layer = layer.into_inner().unwrap();
    let tree = image(layer.clone(), "\"0/layer.tar\"", None).unwrap();
    assert_eq!(tree.paths.len(), 4, "{:?}", tree.paths.keys());
    // A hard link to what no layer has is that, and not the file of this machine.
    assert_eq!(tree.paths["hard"].1, [0; 32]);
    // A layer that is a link to a file of this machine is no layer.
    let link: (&[u8], EntryType, &[u8]) = (b"1/layer.tar", EntryType::Symlink, b"../../etc/passwd");
    let error = image(layer.clone(), "\"1/layer.tar\"", Some(link)).unwrap_err();
    assert!(error.to_string().contains("1/layer.tar"), "{error}");
    let error = image(layer, "\"/etc/passwd\"", None).unwrap_err();
    assert!(error.to_string().contains("/etc/passwd"), "{error}");
    assert!(!outside.exists());
}

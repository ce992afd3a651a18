//! The script that `plan` prints, run with a docker that writes down how it is called.

use super::{GOOD, article, refusal, success};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A docker that writes down how it is called, and has only what `$HAS` names.
const FAKE_DOCKER: &str = r#"#!/bin/sh
echo "${DOCKER_BUILDKIT-} $*" >>"$CALLS"
case $1 in
pull) case " $HAS " in *" $2 "*) exit 0 ;; *) exit 1 ;; esac ;;
load) for image in $HAS; do echo "Loaded image: $image"; done ;;
save) shift; [ "$1" = --output ] && echo archive >"$2" ;;
esac
"#;

/// Runs a job of the printed script; the calls of docker.
fn job(dir: &Path, script: &str, job: &str, has: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).expect("the test's own set-up works");
    fs::write(bin.join("docker"), FAKE_DOCKER).expect("the test's own set-up works");
    fs::set_permissions(bin.join("docker"), fs::Permissions::from_mode(0o755))
        .expect("the test's own set-up works");
    let (file, calls) = (dir.join("plan.sh"), dir.join("calls"));
    fs::write(&file, script).expect("the test's own set-up works");
    let _ = fs::remove_file(&calls);
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").expect("the test's own set-up works")
    );
    let output = Command::new("bash")
        .arg(&file)
        .arg(job)
        .env("PATH", path)
        .env("CALLS", &calls)
        .env("HAS", has)
        .output()
        .expect("the test's own set-up works");
    assert!(output.status.success(), "{output:?}");
    fs::read_to_string(calls)
        .expect("the test's own set-up works")
        .replace("127.0.0.1:5000/breakeven/", "")
}

#[test]
fn a_storage_is_a_folder_or_an_address_and_archives_are_packed_as_asked() {
    let plan = |config: &str| -> serde_json::Value {
        let dir = article(config);
        fs::create_dir(dir.path().join("share")).unwrap();
        fs::write(dir.path().join(".dockerignore"), "share\n").unwrap();
        let json = success(dir.path(), &["plan", "--format", "json"]);
        serde_json::from_str(&json).unwrap()
    };
    let with = |line: &str| format!("{line}\n{GOOD}");
    for address in ["s3://bucket/a/b", "gs://bucket", "az://container/a"] {
        assert_eq!(plan(&with(&format!("storage = \"{address}/\"")))["storage"], address);
        let table = format!("{GOOD}[storage]\nurl = \"{address}\"\n");
        assert_eq!(plan(&table)["storage"], address);
    }
    let folder = plan(&with("storage = \"share\""))["storage"].as_str().unwrap().to_owned();
    assert!(folder.starts_with('/') && folder.ends_with("/share"), "{folder}");
    let packed = "[archive]\ncompression = \"zstd\"\nlevel = 19\nthreads = 2\n";
    let packed = &plan(&format!("{GOOD}{packed}"))["archive"];
    let wanted = serde_json::json!({ "compression": "zstd", "level": 19, "threads": 2 });
    assert_eq!(*packed, wanted);
    for (config, wanted) in [
        (with("storage = \"ftp://key:secret@host/x\""), "`ftp://` is no kind of storage"),
        (with("storage = \"s3://\""), "names no bucket"),
        (with("storage = \"s3://key:secret@b\""), "no name of a bucket"),
        (with("storage = \"nowhere\""), "there is no folder"),
        (with("storage = \"app\""), "lies in the context of `web`"),
        (format!("{GOOD}[storage]\ndirectory = \".\"\n"), "lies in the context of `web`"),
        (with("storage = 7"), "storage"),
        (format!("{GOOD}[storage]\nurl = \"share\"\n"), "`share` is no address"),
        (format!("{GOOD}[storage]\nurl = \"s3://b\"\ndirectory = \".\"\n"), "both"),
        (format!("{GOOD}[archive]\nlevel = 3\n"), "what is not compressed has no `level`"),
        (format!("{GOOD}[archive]\ncompression = \"zstd\"\nlevel = 20\n"), "no level 20"),
        (format!("{GOOD}[archive]\nthreads = 2\n"), "none cannot use 2 threads"),
        (format!("{GOOD}[archive]\ncompression = \"xz\"\n"), "zstd"),
    ] {
        let refused = refusal(article(&config).path(), &["plan"]);
        assert!(refused.contains(wanted), "{config}: {refused}");
        assert!(!refused.contains("secret@"), "{refused}");
    }
}

#[test]
fn a_history_that_builders_are_sent_is_noted() {
    let said = |config: &str, ignored: &str| {
        let dir = article(config);
        fs::write(dir.path().join(".dockerignore"), ignored).unwrap();
        let output = super::breakeven(dir.path(), &["plan"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let config = format!("history = \".\"\n{GOOD}");
    assert!(said(&config, "").contains("is sent to the builder"));
    assert!(!said(&config, "breakeven-history\n").contains("is sent to the builder"));
}

#[test]
fn the_printed_script_is_sound_and_names_only_what_is_there() {
    let shared = tempfile::tempdir().unwrap();
    let config = format!("{GOOD}[storage]\ndirectory = {:?}\n", shared.path());
    let dir = article(&config);
    let script = success(dir.path(), &["plan", "--format", "shell"]);
    let web = |tag: &str| format!("127.0.0.1:5000/breakeven/web:{tag}");

    let calls = job(dir.path(), &script, "web/pull/classic", &web("main"));
    insta::assert_snapshot!(calls, @r"
     pull web:branch
     pull web:main
    0 build --cache-from=web:main --tag web:branch .
     push web:branch
    ");
    let calls = job(dir.path(), &script, "web/pull/classic", "");
    insta::assert_snapshot!(calls, @r"
     pull web:branch
     pull web:main
    0 build --tag web:branch .
     push web:branch
    ");
    let has = [web("branch"), web("main-builder")].join(" ");
    let calls = job(dir.path(), &script, "web/pull-stages/classic", &has);
    insta::assert_snapshot!(calls, @r"
     pull web:branch-builder
     pull web:main-builder
     pull web:branch
    0 build --cache-from=web:main-builder --cache-from=web:branch --target builder --tag web:branch-builder .
    0 build --cache-from web:branch-builder --cache-from web:main-builder --cache-from web:branch --tag web:branch .
     push web:branch-builder
     push web:branch
    ");
    // Nothing is stored yet: nothing is loaded.
    let calls = job(dir.path(), &script, "web/save-load/buildkit", &web("branch"));
    assert!(!calls.contains("load"), "{calls}");
    let calls = job(dir.path(), &script, "web/save-load/buildkit", &web("branch"));
    let calls = calls.lines().map(without_folder).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(calls, @r"
     load --input [work]/fetched.tar
    1 build --cache-from web:branch --build-arg BUILDKIT_INLINE_CACHE=1 --tag web:branch .
     push web:branch
     save --output [work]/branch.tar web:branch
    ");

    let listed = Command::new("bash").arg(dir.path().join("plan.sh")).output().unwrap();
    assert_eq!(listed.status.code(), Some(2));
    let said = String::from_utf8(listed.stderr).unwrap();
    assert_eq!(said.lines().filter(|line| line.starts_with("  web/")).count(), 18, "{said}");
}

/// A line with the job's temporary folder left out.
fn without_folder(line: &str) -> String {
    let words = line.split(' ').map(|word| match word.rsplit_once('/') {
        Some((folder, name)) if folder.starts_with('/') => format!("[work]/{name}"),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

//! The Debian package, and what the crate's package holds.

use crate::support::{done, printed, top};
use std::fs;
use std::path::Path;
use std::process::Command;

fn package(folder: &Path) -> std::path::PathBuf {
    let mut script = Command::new(top().join("scripts/deb.sh"));
    script.arg(env!("CARGO_BIN_EXE_breakeven")).arg(folder).env("SOURCE_DATE_EPOCH", "1700000000");
    // The binary of the tests is large, and how it is packed is not what is tested.
    script.env("DPKG_DEB_COMPRESSOR_TYPE", "gzip").env("DPKG_DEB_COMPRESSOR_LEVEL", "1");
    done(&mut script);
    let mut made = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let only = made.next().expect("a package");
    assert!(made.next().is_none(), "nothing else is left in the folder");
    only
}

#[test]
fn the_debian_package_is_whole_and_always_the_same() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (package(one.path()), package(other.path()));
    assert!(fs::read(&first).unwrap() == fs::read(second).unwrap(), "two packages differ");
    let name = first.file_name().unwrap().to_str().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(name.starts_with(&format!("breakeven_{version}_")), "{name}");

    let field = |name: &str| printed(Command::new("dpkg-deb").arg("--field").arg(&first).arg(name));
    assert_eq!(field("Package").trim(), "breakeven");
    assert_eq!(field("Version").trim(), version);
    let root = one.path().join("root");
    done(Command::new("dpkg-deb").arg("--extract").arg(&first).arg(&root));
    for file in [
        "usr/share/man/man1/breakeven.1.gz",
        "usr/share/man/man1/breakeven-run.1.gz",
        "usr/share/bash-completion/completions/breakeven",
        "usr/share/zsh/vendor-completions/_breakeven",
        "usr/share/fish/vendor_completions.d/breakeven.fish",
        "usr/share/doc/breakeven/copyright",
        "usr/share/doc/breakeven/CHANGELOG.md",
    ] {
        assert!(root.join(file).metadata().is_ok_and(|file| file.len() > 0), "no {file}");
    }
    // Debian's tools read it, and not our own.
    let changes = root.join("usr/share/doc/breakeven/changelog.gz");
    let changes = printed(Command::new("gzip").args(["--decompress", "--stdout"]).arg(changes));
    let lines: Vec<_> = changes.lines().collect();
    assert_eq!(lines[0], format!("breakeven ({version}) unstable; urgency=medium"));
    let by = format!(" -- {}  Tue, 14 Nov 2023 22:13:20 +0000", field("Maintainer").trim());
    assert_eq!(lines.last(), Some(&by.as_str()));
    // What the help names is there to be read.
    let help = printed(Command::new(root.join("usr/bin/breakeven")).args(["check", "--help"]));
    assert!(help.contains("docs/compare.md"), "{help}");
    assert!(root.join("usr/share/doc/breakeven/docs/compare.md").exists());
    let said = printed(Command::new(root.join("usr/bin/breakeven")).arg("--version"));
    assert_eq!(said.trim(), format!("breakeven {version}"));
    // A tree that belongs to whoever made the package would belong to them on every machine.
    let listed = printed(Command::new("dpkg-deb").arg("--contents").arg(&first));
    assert!(listed.lines().all(|line| line.contains(" root/root ")), "{listed}");
    // What it was linked against is asked for. The tests' binary is a dynamic one.
    assert!(field("Depends").contains("libc6 (>= 2."), "{}", field("Depends"));
}

#[test]
fn the_package_says_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let mut script = Command::new(top().join("scripts/deb.sh"));
    let output = script.arg(dir.path().join("nothing")).arg(dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no program") && said.contains("scripts/dist.sh"), "{said}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_crate_holds_what_its_users_need_and_no_measurements() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(top()).args(["package", "--list", "--locked", "--offline", "--allow-dirty"]);
    let listed = printed(&mut cargo);
    let has = |name: &str| listed.lines().any(|line| line == name);
    for name in ["src/main.rs", "README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(has(name), "no {name} in {listed}");
    }
    let not = ["reports/", "fuzz/", ".ci/", "target/", "dist/"];
    let stray = listed.lines().find(|line| not.iter().any(|folder| line.starts_with(folder)));
    assert_eq!(stray, None);
}

#[test]
fn the_changelog_has_this_version() {
    let changelog = fs::read_to_string(top().join("CHANGELOG.md")).unwrap();
    let heading = format!("## [{}]", env!("CARGO_PKG_VERSION"));
    let versions: Vec<&str> = changelog.lines().filter(|line| line.starts_with("## [")).collect();
    assert!(
        versions.first() == Some(&"## [Unreleased]")
            && versions.iter().any(|line| line.starts_with(&heading)),
        "{versions:?}"
    );
}

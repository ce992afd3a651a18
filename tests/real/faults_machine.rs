//! What goes wrong on this machine: full disks under the journal and the archives, and a builder
//! that dies.

use super::harness::{ARTICLE, Bed, SmallDisk, assert_as_before, holdings, text};
use super::lab::{TINY, tiny};
use breakeven::model::{Sample, Status};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A workload whose build takes a second after its change.
fn slow(bed: &Bed) {
    let dockerfile = "FROM breakeven-fixture-base:1\nCOPY app ./\nRUN sleep 1; echo SALT > /s\n";
    tiny(bed, &[("Dockerfile", dockerfile), ("app", "SALT\n")]);
}

fn statuses(samples: &[Sample]) -> Vec<Status> {
    samples.iter().map(|sample| sample.status).collect()
}

#[test]
fn a_full_disk_under_the_journal_ends_the_run_and_with_room_it_goes_on() {
    let bed = Bed::new();
    let before = holdings();
    slow(&bed);
    let disk = SmallDisk::mount(bed.path("out"), "4m");
    // More rounds than have room in what is left of the journal's last block.
    let only = ["--rounds", "8", "--only", "*/app/*/cold/classic/*/*"];
    let mut running = bed.start(TINY, &only);
    assert!(running.wait_for("sample 3:"), "{}", running.seen);
    disk.fill();
    assert_eq!(running.end(), Some(1), "{}", running.seen);
    assert!(running.seen.contains("No space left"), "{}", running.seen);
    assert!(running.seen.contains("--resume"), "{}", running.seen);
    // Lines of the third and later ones may have found room in that block.
    let samples = bed.samples();
    assert!((2..9).contains(&samples.len()), "{:?}", statuses(&samples));
    assert_as_before(&before, "after the disk was full");
    assert_eq!(bed.leavings(), Vec::<String>::new());

    // As long as it is full, nothing goes on and nothing is lost.
    let mut running = bed.resume();
    assert_eq!(running.end(), Some(1), "{}", running.seen);
    assert_eq!(bed.samples(), samples);
    disk.free();
    let mut running = bed.resume();
    assert_eq!(running.end(), Some(0), "{}", running.seen);
    assert_eq!(statuses(&bed.samples()), [Status::Ok; 9]);
    assert_as_before(&before, "after it went on");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

#[test]
fn a_full_disk_under_the_registry_is_named_where_the_engine_knows_only_of_a_500() {
    let bed = Bed::new();
    let before = holdings();
    let disk = SmallDisk::mount(bed.path("small"), "64m");
    slow(&bed);
    let mut command = bed.breakeven();
    command
        .arg("run")
        .arg(bed.config(TINY))
        .args(["--out", "out", "--rounds", "1", "--only", "*/app/*/cold/classic/*/*"])
        .env("TMPDIR", bed.path("small"));
    let mut running = Bed::watch(command);
    assert!(running.wait_for("sample 1:"), "{}", running.seen);
    assert!(running.wait_for("phase build"), "{}", running.seen);
    disk.fill();
    assert!(running.wait_for("sample 2:"), "{}", running.seen);
    disk.free();
    assert_eq!(running.end(), Some(4), "{}", running.seen);
    let samples = bed.samples();
    assert_eq!(samples[0].status, Status::Failed);
    let small = bed.path("small");
    let named = format!("The disk of {}", small.display());
    assert!(samples[0].reason.contains(&named), "{}", samples[0].reason);
    assert!(samples[0].reason.contains("TMPDIR"), "{}", samples[0].reason);
    assert!(!running.seen.contains('\u{1b}'), "a pipe gets no colours: {}", running.seen);
    assert_as_before(&before, "after the disk was full");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

#[test]
fn a_full_disk_under_the_archives_fails_samples_until_there_is_room() {
    let bed = Bed::new();
    let before = holdings();
    let disk = SmallDisk::mount(bed.path("small"), "512m");
    // Archives large enough to be still written when the disk is full.
    let config = bed.config(&ARTICLE.replace("DEPS_MB = \"2\"", "DEPS_MB = \"40\""));
    let mut command = bed.breakeven();
    command
        .arg("run")
        .arg(config)
        .args(["--out", "out", "--rounds", "3", "--only", "*/app/*/save-load/classic/*/*"])
        .env("TMPDIR", bed.path("small"));
    let mut running = Bed::watch(command);
    assert!(running.wait_for("sample 2:"), "{}", running.seen);
    assert!(running.wait_for("phase save"), "{}", running.seen);
    disk.fill();
    assert!(running.wait_for("sample 3:"), "{}", running.seen);
    disk.free();
    assert_eq!(running.end(), Some(4), "{}", running.seen);
    let samples = bed.samples();
    assert_eq!(samples.len(), 4);
    assert_eq!(samples[1].status, Status::Failed);
    // The engine's words where it was full while saving, ours where it was full while storing.
    let reason = samples[1].reason.to_lowercase();
    assert!(reason.contains("no space") || reason.contains("is full"), "{reason}");
    // The third may have begun before there was room.
    assert_eq!((samples[0].status, samples[3].status), (Status::Ok, Status::Ok));
    assert_as_before(&before, "after the disk was full");
    assert_eq!(std::fs::read_dir(bed.path("small")).unwrap().count(), 0);
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

/// The buildx that the program would take.
fn buildx() -> String {
    let home = std::env::home_dir().unwrap();
    let folders = [
        home.join(".docker"),
        home.join(".local/share/breakeven"),
        "/usr/local/lib/docker".into(),
        "/usr/local/libexec/docker".into(),
        "/usr/lib/docker".into(),
        "/usr/libexec/docker".into(),
    ];
    let mut places = folders.iter().map(|folder| folder.join("cli-plugins/docker-buildx"));
    let found = places.find(|place: &std::path::PathBuf| place.exists());
    found.expect("buildx: run scripts/setup.sh").to_string_lossy().into_owned()
}

fn executable(path: &Path, script: &str) {
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_builder_that_dies_fails_its_sample_and_leaves_nothing() {
    let bed = Bed::new();
    let before = holdings();
    slow(&bed);
    // Killed in the middle of the next build once there is a file `kill`.
    let (script, kill) = (bed.path("buildx"), bed.path("kill"));
    let text_of = format!(
        "#!/bin/sh\nif [ \"$1\" = build ] && rm {kill} 2>/dev/null; then\n  (sleep 0.5; kill -9 $$) \
         >/dev/null 2>&1 &\nfi\nexec {} \"$@\"\n",
        buildx(),
        kill = kill.display()
    );
    executable(&script, &text_of);
    let config = bed.config(TINY);
    let mut command = bed.breakeven();
    command
        .arg("run")
        .arg(config)
        .args(["--out", "out", "--rounds", "3", "--only", "*/app/*/cold/buildkit/*/*"])
        .env("BREAKEVEN_BUILDX", &script);
    let mut running = Bed::watch(command);
    assert!(running.wait_for("sample 2:"), "{}", running.seen);
    std::fs::write(&kill, "").unwrap();
    assert_eq!(running.end(), Some(4), "{}", running.seen);
    assert!(!kill.exists());
    let samples = bed.samples();
    let (failed, fine): (Vec<_>, Vec<_>) =
        samples.iter().partition(|sample| sample.status == Status::Failed);
    assert_eq!((failed.len(), fine.len()), (1, 3), "{:?}", statuses(&samples));
    assert!(failed[0].reason.contains("build"), "{}", failed[0].reason);
    assert!(failed[0].reason.contains("signal: 9"), "{}", failed[0].reason);
    assert!(fine.iter().all(|sample| sample.status == Status::Ok), "{:?}", statuses(&samples));
    assert_as_before(&before, "after the builder died");

    // Only the failed one is measured again, and only when asked.
    let again =
        bed.breakeven().args(["run", "--resume", "out", "--retry-failed"]).output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    let samples = bed.samples();
    assert_eq!(samples.len(), 5);
    assert_eq!((samples[4].round, samples[4].status), (failed_round(&samples), Status::Ok));
    assert_as_before(&before, "after it was measured again");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

fn failed_round(samples: &[Sample]) -> u32 {
    samples.iter().find(|sample| sample.status == Status::Failed).unwrap().round
}

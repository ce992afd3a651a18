//! Whole runs with Buildah, without a daemon. Buildah and Podman come from `scripts/daemonless.sh`;
//! without them these fail.

use super::harness::{Bed, not_ok, samples, text};
use super::runs::hits_per_stage;
use breakeven::model::{Sample, State, Status};
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

const CONFIG: &str = r##"
engine = "buildah"

[workload.article]
context = "FIXTURES/article"
dockerfile = "FIXTURES/article/Dockerfile.buildah"

[change.app]
edits = [{ append = "app/serve.sh", text = "# {nonce}\n" }]

[candidate.branch]

[[availability]]
have = ["branch"]

[[availability]]
have = []
"##;

/// Commands and mounts that have to do with a test's folder.
fn at_work(bed: &Bed) -> Vec<String> {
    let folder = bed.path("").display().to_string();
    let processes = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let lines = text(&processes.stdout) + &mounts;
    lines.lines().filter(|line| line.contains(&folder)).map(str::to_owned).collect()
}

#[test]
fn layers_in_a_repository_are_found_by_the_next_build_of_buildah_and_proved() {
    let bed = Bed::new();
    let only = "*/app/branch/*,*/app/none/buildah-layers/*";
    let output = bed.run(CONFIG, &["--rounds", "1", "--seed", "7", "--only", only]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    assert_eq!(bed.leavings(), Vec::<String>::new());
    assert_eq!(at_work(&bed), Vec::<String>::new());

    let samples = bed.samples();
    let of = |strategy: &str, state: State| -> Vec<&Sample> {
        let found: Vec<&Sample> = samples
            .iter()
            .filter(|one| one.cell.strategy == strategy && one.cell.state == state)
            .collect();
        assert!(!found.is_empty(), "{strategy} {state}");
        found
    };
    for sample in &samples {
        assert_eq!(sample.status, Status::Ok, "{}: {}", sample.cell.key(), sample.reason);
    }
    for sample in of("cold", State::Cold).into_iter().chain(of("buildah-layers", State::Populate)) {
        assert!(sample.steps.iter().all(|step| !step.hit), "{}", hits_per_stage(sample));
    }
    let steady = of("buildah-layers", State::Steady);
    let read_only = of("buildah-read-only", State::ReadOnly);
    for sample in steady.into_iter().chain(read_only).chain(of("local", State::Steady)) {
        // What a changed application leaves alone: every RUN and COPY before its own.
        assert_eq!(hits_per_stage(sample), hits(), "{}", sample.cell.key());
        assert_eq!(sample.cache_source, "branch", "{}", sample.cell.key());
    }
    let down = |sample: &Sample| sample.phases.iter().filter_map(|row| row.bytes_down).sum::<u64>();
    for sample in of("buildah-layers", State::Steady) {
        assert!(down(sample) > 8_000_000, "the layers of the dependencies came: {}", down(sample));
    }
}

/// Of `Dockerfile.buildah` with another application.
fn hits() -> String {
    "builder 3/3 1 1/2".to_owned()
}

#[test]
fn clean_ends_the_build_of_a_killed_run_and_ctrl_c_leaves_nothing() {
    let bed = Bed::new();
    let options = ["--rounds", "1", "--only", "*/app/branch/buildah-layers/*"];
    let mut running = bed.start(CONFIG, &options);
    assert!(running.wait_for("sample 1:"), "{}", running.seen);
    assert!(running.wait_for("phase build"), "{}", running.seen);
    running.signal("-KILL");
    running.end();
    let cleaned = bed.clean();
    assert!(cleaned.status.success(), "{}", text(&cleaned.stderr));
    assert_eq!(bed.leavings(), Vec::<String>::new());
    assert_eq!(at_work(&bed), Vec::<String>::new());

    std::fs::remove_dir_all(bed.path("out")).unwrap();
    let mut running = bed.start(CONFIG, &options);
    assert!(running.wait_for("phase build"), "{}", running.seen);
    running.signal("-INT");
    assert_eq!(running.end(), Some(130), "{}", running.seen);
    assert_eq!(bed.leavings(), Vec::<String>::new());
    assert_eq!(at_work(&bed), Vec::<String>::new());
}

/// With the driver that works everywhere.
fn with_vfs() -> String {
    let engine = "[engine.here]\nkind = \"buildah\"\ndriver = \"vfs\"\n";
    CONFIG.replace("engine = \"buildah\"\n", "rounds = 1\n") + "\n" + engine
}

/// Of one cell, warm-up and round: cold samples hit nothing, the others what they can.
fn assert_proved(samples: &[Sample], stderr: &str) {
    assert_eq!(samples.len(), 2, "{stderr}");
    for sample in samples {
        assert_eq!(sample.status, Status::Ok, "{}: {}", sample.cell.key(), sample.reason);
        let found = match sample.cell.state {
            State::Cold => "builder 0/3 1 0/2".to_owned(),
            _ => hits(),
        };
        assert_eq!(hits_per_stage(sample), found, "{}", sample.cell.key());
    }
}

#[test]
fn root_builds_with_the_driver_that_works_everywhere() {
    let bed = Bed::new();
    let output = bed.run(&with_vfs(), &["--only", "*/app/branch/cold/*"]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    assert_proved(&bed.samples(), &text(&output.stderr));
    assert!(std::fs::read_to_string(bed.path("out/report.md")).unwrap().contains("vfs"));
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

/// A user that only the commands of one test see: users and their ranges of ids are files of the
/// test's own, mounted over the machine's in a mount namespace that ends with each command.
struct Nobody {
    folder: PathBuf,
}

impl Nobody {
    const ID: u32 = 61_234;

    /// The user's home in a folder of the test, with the program in it.
    fn new(bed: &Bed) -> Self {
        // The test's folder is its owner's alone otherwise.
        std::fs::set_permissions(bed.path(""), PermissionsExt::from_mode(0o755)).unwrap();
        let folder = bed.path("nobody");
        for name in ["", "tmp", "runtime"] {
            std::fs::create_dir(folder.join(name)).unwrap();
            chown(folder.join(name), Some(Self::ID), Some(Self::ID)).unwrap();
        }
        let (id, home) = (Self::ID, folder.display());
        let user = format!("breakeven-test:x:{id}:{id}::{home}:/bin/sh\n");
        let range = "breakeven-test:2000000:65536\n".to_owned();
        let files = BTreeMap::from([
            ("passwd", user),
            ("group", format!("breakeven-test:x:{id}:\n")),
            ("subuid", range.clone()),
            ("subgid", range),
        ]);
        for (name, line) in files {
            let there = std::fs::read_to_string(Path::new("/etc").join(name)).unwrap_or_default();
            std::fs::write(bed.path(name), there + &line).unwrap();
        }
        // Where the program was built others may not look.
        std::fs::copy(env!("CARGO_BIN_EXE_breakeven"), folder.join("breakeven")).unwrap();
        Self { folder }
    }

    /// A command of this user's, in the user's home.
    fn runs(&self, arguments: &[&str]) -> std::process::Output {
        let id = Self::ID;
        let script = format!(
            "for file in passwd group subuid subgid; do \
                 mount --bind \"$0/$file\" \"/etc/$file\" || exit; \
             done; \
             exec setpriv --reuid {id} --regid {id} --clear-groups -- \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "sh", "-c", &script]).arg(self.folder.parent().unwrap());
        command.args(arguments).current_dir(&self.folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("NO_COLOR", "1");
        for (name, folder) in [
            ("HOME", ""),
            ("TMPDIR", "tmp"),
            ("XDG_RUNTIME_DIR", "runtime"),
            ("XDG_STATE_HOME", "state"),
        ] {
            command.env(name, self.folder.join(folder));
        }
        command.output().unwrap()
    }
}

#[test]
fn a_user_without_rights_builds_by_chroot_and_leaves_nothing() {
    let bed = Bed::new();
    let config = bed.config(&with_vfs());
    let nobody = Nobody::new(&bed);
    // The base goes into the user's own storage: the engine's socket is not theirs.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/base-image.sh");
    std::fs::create_dir(bed.path("scripts")).unwrap();
    std::fs::copy(script, bed.path("scripts/base-image.sh")).unwrap();
    let made = nobody.runs(&["../scripts/base-image.sh", "buildah"]);
    assert!(made.status.success(), "{}", text(&made.stderr));

    let config = config.to_str().unwrap();
    let only = "*/app/branch/buildah-layers/*";
    let output = nobody.runs(&["./breakeven", "run", config, "--out", "out", "--only", only]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    assert_proved(&samples(&nobody.folder.join("out")), &text(&output.stderr));
    let left = std::fs::read_dir(nobody.folder.join("tmp")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "layers that hold files of other ids are gone as well: {left:?}");
}

#[test]
fn doctor_knows_that_there_is_no_daemon_and_where_builds_take_room() {
    let bed = Bed::new();
    let config = bed.config(CONFIG);
    let output = bed.breakeven().arg("doctor").arg(config).output().unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("no daemon that others could use"), "{said}");
    assert!(words.contains("and what is built without a daemon"), "{said}");
    assert!(!words.contains("not on this machine"), "{said}");
}

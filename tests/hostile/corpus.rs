//! The minimal cases of the fuzzers, fed to the same functions.

use breakeven::fuzz::TARGETS;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_case_of_every_target_is_taken() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|one| one.name.to_owned()).collect();
    assert_eq!(names(&root()), targets, "a folder for each target");
    let mut bytes = 0;
    for target in TARGETS {
        let folder = root().join(target.name);
        let cases = names(&folder);
        assert!(cases.len() > 1, "{} has no cases", target.name);
        for case in cases {
            let data = std::fs::read(folder.join(&case)).unwrap();
            bytes += data.len();
            // Whole, and as it is when it ends too early.
            for end in [data.len(), data.len() / 2, data.len() - data.len() / 3] {
                (target.run)(&data[..end]);
            }
        }
    }
    assert!(bytes < 300_000, "{bytes} bytes of cases: minimise them");
}

#[test]
fn each_target_is_fuzzed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let fuzzed: BTreeSet<String> =
        names(&folder).iter().map(|name| name.trim_end_matches(".rs").to_owned()).collect();
    let targets: BTreeSet<String> = TARGETS.iter().map(|one| one.name.to_owned()).collect();
    assert_eq!(fuzzed, targets);
}

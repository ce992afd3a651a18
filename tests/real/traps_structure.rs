//! Traps that the way of measuring shuts out: these tests fail if it no longer does.

use super::harness::{ARTICLE, Bed, assert_as_before, holdings, not_ok, text};
use super::lab::{Scene, TINY, assert_all_ok, assert_found, tiny};
use breakeven::model::{Phase, Sample};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn trap_13_populate_and_steady_never_share_a_row() {
    let bed = Bed::new();
    let before = holdings();
    tiny(&bed, &[("Dockerfile", "FROM scratch\nCOPY app /SALT\n"), ("app", "1")]);
    let config =
        format!("{TINY}[[availability]]\nhave = []\n[[availability]]\nhave = [\"branch\"]\n");
    let only = "*/app/*/inline/*/*/*,*/app/*/cold/buildkit/*/*";
    assert_all_ok(&Scene::of(&config, only).play(&bed));
    let csv = std::fs::read_to_string(bed.path("out/samples.csv")).unwrap();
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let column = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let mut states: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        let cell = (line[column("strategy")].to_owned(), line[column("availability")].to_owned());
        states.entry(cell).or_default().insert(line[column("state")].to_owned());
    }
    let states: Vec<_> =
        states.into_iter().map(|((s, a), set)| (s, a, Vec::from_iter(set))).collect();
    let state = |strategy: &str, availability: &str, state: &str| {
        (strategy.to_owned(), availability.to_owned(), vec![state.to_owned()])
    };
    let expected = [
        state("cold", "branch", "cold"),
        state("cold", "none", "cold"),
        state("inline", "branch", "steady"),
        state("inline", "none", "populate"),
    ];
    assert_eq!(states, expected);
    let report = std::fs::read_to_string(bed.path("out/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    for group in report["groups"].as_array().unwrap() {
        for row in group["rows"].as_array().unwrap() {
            let found = (&row["strategy"], &group["availability"], &row["state"]);
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let row = (text(found.0), text(found.1), vec![text(found.2)]);
            assert!(expected.contains(&row), "{row:?}");
        }
    }
    assert_as_before(&before, "trap 13");
}

fn bytes(sample: &Sample, phase: Phase) -> u64 {
    let rows = sample.phases.iter().filter(|row| row.phase == phase && !row.within);
    rows.map(|row| row.bytes_down.expect("a managed registry's link counts")).sum()
}

#[test]
fn trap_16_cold_is_a_fresh_runner_that_pulls_its_base_and_not_a_flag() {
    let bed = Bed::new();
    let before = holdings();
    let config = format!(
        "{ARTICLE}\n[engine]\nkind = \"private\"\nimage = \"breakeven-engine:modern\"\n\
         store = \"containerd\"\n"
    );
    let only = "*/app/*/cold/*/*/*";
    let output = bed.run(&config, &["--rounds", "1", "--only", only]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    for sample in bed.samples() {
        let down = bytes(&sample, Phase::Build);
        assert!(down > 500_000, "{}: the base's {down} bytes", sample.cell.key());
    }
    let plan = bed.breakeven().args(["plan", "--format", "shell", "breakeven.toml"]).output();
    let plan = text(&plan.unwrap().stdout);
    assert!(plan.contains("docker") && !plan.contains("--no-cache"), "{plan}");
    assert_as_before(&before, "trap 16");
}

#[test]
fn trap_19_bytes_come_from_the_wire_and_not_from_the_engines_progress() {
    let bed = Bed::new();
    let before = holdings();
    let dockerfile = "FROM breakeven-fixture-base:1\n\
                      RUN echo SALT > /salt; head -c 9000000 /dev/zero > /zeros\nCOPY app /\n";
    tiny(&bed, &[("Dockerfile", dockerfile), ("app", "1")]);
    let only = ["--rounds", "1", "--only", "*/app/*/pull/classic/*/*"];
    let output = bed.run(TINY, &only);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    for sample in bed.samples() {
        // The engine says that it pulled and unpacked 9 MB; packed they are next to nothing.
        assert!(sample.image_bytes.unwrap() > 9_000_000);
        let pulled = bytes(&sample, Phase::Pull);
        assert!((1..2_000_000).contains(&pulled), "{pulled}");
    }
    // Where nothing counts them, they are not known.
    std::fs::remove_dir_all(bed.path("out")).unwrap();
    for sample in Scene::of(TINY, "*/app/*/pull/classic/*/*").play(&bed) {
        assert_eq!(sample.bytes_down(), None);
    }
    assert_found(&bed, "bytes-not-counted", "pull, push and cache import");
    assert_as_before(&before, "trap 19");
}

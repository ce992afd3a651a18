//! Traps in what a source is: sprung on the real engine.

use super::harness::{ARTICLE, Bed, IMPORTED, assert_as_before, docker, holdings, import};
use super::lab::{BASE, Meddle, Scene, assert_invalid, nobody, push_instead};
use breakeven::model::{Event, Sample, Status};
use std::process::Command;

/// Measures one cell of the article's, with somebody meddling.
fn measure(
    bed: &Bed,
    cell: &str,
    emptied: bool,
    meddle: Meddle,
    listener: &(dyn Fn(&Event) + Send + Sync),
) -> Vec<Sample> {
    let config = ARTICLE.replace("[candidate.main]\nlacks = [\"app\"]\n", "");
    let only = format!("*/app/*/{cell}/*/*");
    Scene { emptied, meddle, listener, ..Scene::of(&config, &only) }.play(bed)
}

#[test]
fn trap_1_a_source_is_there_and_no_step_hits() {
    let bed = Bed::new();
    import();
    let before = holdings();
    // The change leaves COPY --from alone, so the final stage should have hit.
    let samples = measure(&bed, "pull/classic", false, push_instead(IMPORTED), &|_| {});
    let after = holdings();
    docker(&["rmi", IMPORTED]);
    assert_invalid(&samples, "source-without-hit");
    assert_eq!(after, before);
}

#[test]
fn trap_2_a_source_that_an_earlier_job_left_is_missing() {
    for cell in ["pull/classic", "inline/buildkit"] {
        let bed = Bed::new();
        let before = holdings();
        let samples = measure(&bed, cell, true, nobody(), &|_| {});
        assert_invalid(&samples, "source-missing");
        assert_as_before(&before, cell);
    }
}

#[test]
fn trap_3_a_source_without_inline_cache_metadata() {
    let bed = Bed::new();
    import();
    let before = holdings();
    let samples = measure(&bed, "inline/buildkit", false, push_instead(IMPORTED), &|_| {});
    let after = holdings();
    docker(&["rmi", IMPORTED]);
    assert_invalid(&samples, "no-inline-metadata");
    assert_eq!(after, before);
}

#[test]
fn trap_4_a_stale_local_tag_hides_the_registrys_image() {
    let bed = Bed::new();
    let before = holdings();
    let meddle: Meddle = Box::new(|reference| {
        docker(&["tag", BASE, reference]);
    });
    let samples = measure(&bed, "inline/buildkit", false, meddle, &|_| {});
    assert_invalid(&samples, "stale-local-tag");
    assert_as_before(&before, "trap 4");
}

#[test]
fn trap_9_a_source_that_the_other_builder_made() {
    let bed = Bed::new();
    let context = bed.path("other");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), format!("FROM {BASE}\nCOPY Dockerfile /d\n"))
        .unwrap();
    let built = Command::new("docker")
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "-q", "-t", "breakeven-test-other:1"])
        .arg(&context)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", super::harness::text(&built.stderr));
    let before = holdings();
    let meddle = push_instead("breakeven-test-other:1");
    let samples = measure(&bed, "inline/buildkit", false, meddle, &|_| {});
    let after = holdings();
    docker(&["rmi", "breakeven-test-other:1"]);
    assert_invalid(&samples, "other-builder");
    assert_eq!(after, before);
}

#[test]
fn trap_21_a_context_that_changes_by_itself() {
    let bed = Bed::new();
    bed.config(ARTICLE);
    let generated = bed.path("fixtures/article/app/generated.txt");
    let listener = |event: &Event| {
        if let Event::SampleStarted { sample, .. } = event {
            std::fs::write(&generated, format!("made before sample {sample}")).unwrap();
        }
    };
    let samples = measure(&bed, "cold/classic", false, nobody(), &listener);
    for sample in samples {
        assert_eq!(sample.status, Status::Ok, "{}", sample.reason);
        let found = sample.findings.iter().find(|finding| finding.id == "context-differs");
        assert!(found.is_some_and(|finding| finding.detail == "app/generated.txt"), "{sample:?}");
    }
}

//! Traps in which steps hit: sprung on the real engine.

use super::harness::{ARTICLE, Bed, assert_as_before, holdings, not_ok};
use super::lab::{Scene, TINY, assert_all_ok, assert_found, details, tiny};
use std::sync::Mutex;

const STEPS: &str = "FROM breakeven-fixture-base:1\nRUN echo SALT > /salt\nCOPY deps /\n\
                     RUN cat /deps > /made\nCOPY app /\n";

#[test]
fn trap_6_the_first_source_that_matches_locks_the_stage() {
    let bed = Bed::new();
    let before = holdings();
    tiny(&bed, &[("Dockerfile", STEPS), ("deps", "1"), ("app", "1")]);
    // The branch's image is named first and has other dependencies; main's has the same.
    let config = format!(
        "{TINY}lacks = [\"deps\"]\n[candidate.main]\n[change.deps]\n\
         edits = [{{ append = \"deps\", text = \"# {{nonce}}\\n\" }}]\n\
         [strategies]\npull = \"all\"\n"
    );
    let samples = Scene::of(&config, "*/app/*/pull/classic/*/*").play(&bed);
    assert_all_ok(&samples);
    assert_found(
        &bed,
        "first-source-locks",
        "stage 0: branch came first and gave 1 steps; main alone would give 3",
    );
    assert_as_before(&before, "trap 6");
}

#[test]
fn trap_10_11_17_31_inline_keeps_the_final_stage_and_a_hit_need_not_be_fetched() {
    let bed = Bed::new();
    let before = holdings();
    let output = bed.run(ARTICLE, &["--rounds", "1", "--only", "*/*/*/inline/buildkit/*/*"]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    assert_found(&bed, "final-stage-only", "stage builder: 1 unchanged of 3 steps");
    assert_found(&bed, "hit-not-fetched", "steps 1, 2, 3 of stage builder");
    assert_found(&bed, "base-present", "breakeven-fixture-base:1 sha256:");
    // What scripts/setup.sh starts is one of them.
    assert_found(&bed, "known-bad-engine", "hits come and go");
    assert_as_before(&before, "trap 10");
}

#[test]
fn trap_12_leaving_the_cache_costs_more_than_it_saves() {
    let bed = Bed::new();
    let before = holdings();
    let dockerfile = "FROM breakeven-fixture-base:1\nRUN echo SALT > /salt\nCOPY app /\n\
                      RUN head -c 3000000 /dev/urandom > /large\n";
    tiny(&bed, &[("Dockerfile", dockerfile), ("app", "1")]);
    let config = format!("{TINY}[link.slow]\nup = \"20Mbit\"\n");
    let only = "*/app/*/cold/classic/*/*,*/app/*/save-load/classic/*/*";
    let output = bed.run(&config, &["--rounds", "1", "--only", only]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    assert_found(&bed, "export-outweighs-saving", "tiny/app/branch/save-load/classic/slow/shared");
    assert_as_before(&before, "trap 12");
}

#[test]
fn trap_14_hits_that_come_and_go() {
    let bed = Bed::new();
    let before = holdings();
    tiny(&bed, &[("Dockerfile", STEPS), ("deps", "1"), ("app", "1")]);
    // Before the second job somebody deletes what the earlier one left.
    let jobs = Mutex::new(0);
    let meddle = Box::new(move |reference: &str| {
        let mut jobs = jobs.lock().unwrap();
        *jobs += 1;
        if *jobs == 2 {
            let (address, path) = reference.split_once('/').unwrap();
            let (repository, tag) = path.rsplit_once(':').unwrap();
            let url = format!("http://{address}/v2/{repository}/manifests");
            let script = format!(
                "accept='Accept: application/vnd.docker.distribution.manifest.v2+json'; \
                 digest=$(curl -sfI -H \"$accept\" {url}/{tag} | tr -d '\\r' \
                 | sed -n 's/^docker-content-digest: //Ip'); curl -sf -X DELETE {url}/$digest"
            );
            let deleted = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert!(deleted.status.success(), "{deleted:?}");
        }
    });
    let scene = Scene::of(TINY, "*/app/*/pull/classic/*/*");
    Scene { meddle, ..scene }.play(&bed);
    assert_found(&bed, "hits-come-and-go", "pull/classic");
    assert_found(&bed, "source-missing", "branch");
    assert_as_before(&before, "trap 14");
}

#[test]
fn trap_20_attestations_make_another_digest() {
    let bed = Bed::new();
    let before = holdings();
    tiny(&bed, &[("Dockerfile", STEPS), ("deps", "1"), ("app", "1")]);
    // The image as it was pushed, listed beside an attestation, as buildx pushes it by default.
    let meddle = Box::new(|reference: &str| {
        let (address, path) = reference.split_once('/').unwrap();
        let (repository, tag) = path.rsplit_once(':').unwrap();
        let url = format!("http://{address}/v2/{repository}/manifests/{tag}");
        let script = format!(
            "set -e; cd \"$(mktemp -d)\"; kind=application/vnd.docker.distribution.manifest.v2+json; \
             curl -sf -H \"Accept: $kind\" -o manifest {url}; \
             digest=sha256:$(sha256sum manifest | cut -d' ' -f1); size=$(wc -c < manifest); \
             index=application/vnd.oci.image.index.v1+json; \
             one=\"\\\"mediaType\\\":\\\"$kind\\\",\\\"digest\\\":\\\"$digest\\\",\\\"size\\\":$size\"; \
             printf '{{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[\
{{%s,\"platform\":{{\"os\":\"linux\",\"architecture\":\"amd64\"}}}},\
{{%s,\"platform\":{{\"os\":\"unknown\",\"architecture\":\"unknown\"}},\
\"annotations\":{{\"vnd.docker.reference.type\":\"attestation-manifest\"}}}}]}}' \
             \"$index\" \"$one\" \"$one\" > list; \
             curl -sf -X PUT -H \"Content-Type: $index\" --data-binary @list {url}"
        );
        let put = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(put.status.success(), "{put:?}");
    });
    let scene = Scene::of(TINY, "*/app/*/inline/buildkit/*/*");
    let samples = Scene { meddle, ..scene }.play(&bed);
    assert_all_ok(&samples);
    assert_found(&bed, "attestations", "tag branch");
    // Its layers and configuration are what counts, and they are the same.
    assert_eq!(details(&bed, "image-differs"), Vec::<String>::new());
    assert!(samples.iter().all(|sample| sample.step_hits() == 3));
    assert_as_before(&before, "trap 20");
}

#[test]
fn trap_22_a_commit_in_an_argument_before_the_work() {
    let bed = Bed::new();
    let before = holdings();
    let dockerfile = "FROM breakeven-fixture-base:1\nRUN echo SALT > /salt\nARG COMMIT=none\n\
                      RUN echo made with care > /made\nCOPY app /\n";
    tiny(&bed, &[("Dockerfile", dockerfile), ("app", "1"), (".dockerignore", "Dockerfile\n")]);
    let config = format!(
        "{TINY}[change.commit]\n\
         edits = [{{ replace = \"Dockerfile\", find = \"none\", with = \"{{nonce}}\" }}]\n"
    );
    let only = "*/commit/*/pull/classic/*/*,*/commit/*/inline/*/*/*";
    let samples = Scene::of(&config, only).play(&bed);
    assert_all_ok(&samples);
    let found = details(&bed, "step-missed");
    for builder in ["classic", "buildkit"] {
        let missed = samples.iter().filter(|sample| sample.cell.builder.as_str() == builder);
        for sample in missed {
            let finding = sample.findings.iter().find(|finding| finding.id == "step-missed");
            let detail = &finding.unwrap_or_else(|| panic!("{builder}: {found:?}")).detail;
            assert!(detail.contains("made with care"), "{detail}");
            assert!(detail.contains("which was `ARG COMMIT=none`"), "{detail}");
        }
    }
    assert_as_before(&before, "trap 22");
}

#[test]
fn trap_27_what_an_engine_cannot_do_is_unsupported_and_not_failed() {
    let bed = Bed::new();
    let before = holdings();
    let only = "*/app/*/cold/buildkit/*/*,*/app/*/registry-max/*/*/*";
    let output = bed.run(ARTICLE, &["--rounds", "1", "--only", only]);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    assert_found(&bed, "unsupported", "registry-max (buildkit) on engine shared");
    assert!(bed.samples().iter().all(|sample| sample.cell.strategy == "cold"));
    assert_as_before(&before, "trap 27");
}

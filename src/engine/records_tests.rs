//! Against records that real builds left (`fixtures/records`), and against made-up ones.

use super::*;
use proptest::prelude::*;

fn fixture(name: &str) -> BuildRecord {
    let path = format!("{}/fixtures/records/{name}.rawjson", env!("CARGO_MANIFEST_DIR"));
    parse(std::fs::File::open(path).unwrap()).unwrap()
}

/// Stage, step, first word, hit.
fn steps(record: &BuildRecord) -> Vec<(&str, u32, &str, bool)> {
    let word = |step: &StepRecord| step.instruction.find(' ').unwrap_or(0);
    let steps = record.steps.iter();
    steps
        .map(|step| (step.stage.as_str(), step.step, &step.instruction[..word(step)], step.hit))
        .collect()
}

#[test]
fn a_cold_build() {
    let record = fixture("cold");
    let expected = [
        ("builder", 1, "RUN", false),
        ("builder", 2, "COPY", false),
        ("builder", 3, "RUN", false),
        ("1", 1, "COPY", false),
        ("1", 2, "COPY", false),
    ];
    assert_eq!(steps(&record), expected);
    assert!(record.steps.iter().all(|step| step.duration_s.is_some()));
    assert_eq!(record.imports.len(), 1);
    assert_eq!(record.imports[0].0, "127.0.0.1:1/nope:1");
    assert!(record.imports[0].1.as_ref().unwrap().contains("connection refused"));
    assert_eq!(record.error, None, "a failed import does not fail the build");
    assert!((record.steps_s.unwrap() - 1.132_340).abs() < 1e-6, "{:?}", record.steps_s);
    assert!((record.export_s.unwrap() - 0.000_993).abs() < 1e-6, "{:?}", record.export_s);
    let cache_s = record.cache_export_s.unwrap();
    assert!((cache_s - 0.000_107).abs() < 1e-6, "the inline cache: {cache_s}");
    assert!((record.import_s.unwrap() - 0.001_857).abs() < 1e-5, "{:?}", record.import_s);
    assert_eq!(record.images.len(), 1);
    assert!(record.images[0].starts_with("sha256:d33309d2d5911cb7471cc00f0c17fe30"));
}

#[test]
fn a_build_that_finds_everything() {
    let record = fixture("local-hits");
    assert_eq!(record.steps.len(), 5);
    assert!(record.steps.iter().all(|step| step.hit));
    let imports: Vec<_> =
        record.imports.iter().map(|(from, error)| (from.as_str(), error.is_some())).collect();
    assert_eq!(imports, [("127.0.0.1:1/nope:1", true), ("engtest-bk:1", false)]);
    assert!(!record.import_outlasts_steps);
}

/// The inline cache was all there was: no local records, the registry's image not pulled.
#[test]
fn an_inline_cache_that_is_found_and_one_that_is_of_no_use() {
    let hits =
        |record: &BuildRecord| -> Vec<bool> { record.steps.iter().map(|step| step.hit).collect() };
    let app = fixture("inline-app");
    assert_eq!(app.imports, [("127.0.0.1:25987/inl:main".to_owned(), None)]);
    // Steps that a hit made needless count as hits: the builder says so itself.
    assert_eq!(hits(&app), [true, true, true, true, false]);
    let deps = fixture("inline-deps");
    // The changed manifest re-runs even the step before it (trap 10), since the inline cache has
    // the final stage only.
    assert_eq!(deps.imports, app.imports);
    assert_eq!(hits(&deps), [false; 5]);
}

#[test]
fn a_build_that_fails_names_the_step_that_is_to_blame() {
    let record = fixture("failed");
    let (step, error) = record.error.as_ref().unwrap();
    assert_eq!(step, "[3/3] COPY nothere /");
    assert!(error.contains("not found"), "{error}");
    assert!(record.text.last().unwrap().starts_with("ERROR: failed to solve:"));
    let run = &record.steps[0];
    assert_eq!((run.stage.as_str(), run.step, run.hit), ("0", 1, false), "called cached once");
    assert!(run.duration_s.unwrap() > 0.1);
}

#[test]
fn a_build_that_does_not_begin_has_no_steps() {
    let record = fixture("no-such-target");
    assert!(record.steps.is_empty() && record.error.is_none());
    assert!(record.text[0].contains("target stage nope could not be found"));
    assert_eq!((record.steps_s, record.export_s, record.import_s), (None, None, None));
}

fn vertex(digest: &str, name: &str, more: &str) -> String {
    format!("{{\"vertexes\":[{{\"digest\":\"{digest}\",\"name\":\"{name}\"{more}}}]}}\n")
}

fn ran(from: u32, to: u32) -> String {
    format!(
        ",\"started\":\"2026-01-01T00:00:{from:02}Z\",\"completed\":\"2026-01-01T00:00:{to:02}Z\""
    )
}

#[test]
fn names_of_vertices() {
    let of = |name: &str| match Role::of(name) {
        Role::Step { stage, position, .. } => Some((stage, position)),
        _ => None,
    };
    let step = |stage: &str, position| Some((stage.to_owned(), position));
    assert_eq!(of("[2/5] COPY a b"), step("0", 2));
    assert_eq!(of("[builder  2/14] RUN make"), step("builder", 2));
    assert_eq!(of("[stage-1 2/3] COPY a b"), step("1", 2));
    assert_eq!(of("[stage-x 2/3] COPY a b"), step("stage-x", 2));
    assert_eq!(of("[linux/amd64 builder 2/4] RUN make"), step("builder", 2));
    assert_eq!(of("[linux/arm64 2/4] RUN make"), step("0", 2));
    for other in [
        "[builder 1/4] FROM docker.io/library/base:1",
        "[internal] load build context",
        "[auth] library/base:pull token for registry",
        "[1/2 COPY",
        "[a/b] COPY",
        "[0/2] COPY a b",
        "exporting to image",
        "",
    ] {
        assert_eq!(of(other), None, "{other}");
    }
}

#[test]
fn a_stage_upon_a_stage_does_not_count_its_from() {
    let text = [
        vertex("a", "[base 1/2] FROM x", ""),
        vertex("b", "[base 2/2] RUN one", &ran(1, 2)),
        vertex("c", "[final 1/2] COPY a b", &ran(2, 3)),
        vertex("d", "[final 2/2] COPY c d", &ran(3, 4)),
    ]
    .concat();
    let record = parse(text.as_bytes()).unwrap();
    let places: Vec<_> = record.steps.iter().map(|step| (step.stage.as_str(), step.step)).collect();
    assert_eq!(places, [("base", 1), ("final", 1), ("final", 2)]);
}

#[test]
fn interleaved_and_repeated_vertices_are_put_in_order() {
    let text = [
        vertex("z", "[b 3/3] RUN three", ""),
        vertex("y", "[b 2/3] RUN two", ""),
        vertex("x", "[a 2/2] RUN one", ",\"started\":\"2026-01-01T00:00:01Z\""),
        vertex("y", "[b 2/3] RUN two", &ran(2, 3)),
        vertex("x", "[a 2/2] RUN one", &ran(1, 4)),
        // The key was computed first; then it ran.
        vertex("z", "[b 3/3] RUN three", &ran(4, 5)),
        vertex("z", "[b 3/3] RUN three", &ran(10, 12)),
        vertex("z", "[b 3/3] RUN three", &ran(10, 12)),
    ]
    .concat();
    let record = parse(text.as_bytes()).unwrap();
    let seconds: Vec<_> = record
        .steps
        .iter()
        .map(|step| (step.instruction.as_str(), step.duration_s.unwrap()))
        .collect();
    assert_eq!(seconds, [("RUN two", 1.0), ("RUN three", 3.0), ("RUN one", 3.0)]);
    assert_eq!(record.steps_s, Some(11.0));
}

#[test]
fn what_was_cancelled_is_not_to_blame_and_an_import_may_outlast_the_steps() {
    let cancelled = format!("{},\"error\":\"x: context canceled\"", ran(1, 2));
    let failed = format!("{},\"error\":\"exit code: 1\"", ran(1, 3));
    let text = [
        vertex("i", "importing cache manifest from r/x:1", &ran(0, 9)),
        vertex("a", "[2/3] RUN a", &cancelled),
        vertex("b", "[3/3] RUN b", &failed),
    ]
    .concat();
    let record = parse(text.as_bytes()).unwrap();
    assert_eq!(record.error, Some(("[3/3] RUN b".into(), "exit code: 1".into())));
    assert!(record.import_outlasts_steps);
    assert_eq!(record.import_s, Some(9.0));
}

#[test]
fn text_between_records_is_kept_and_bounded() {
    let mut text = String::from("WARNING: {not a record}\n");
    text.push_str(&vertex("a", "[2/2] RUN \\\"}{\\\"", &ran(1, 2)));
    text.push_str(&"x".repeat(3 * MOST_TEXT));
    text.push_str("\nERROR: the end");
    let record = parse(text.as_bytes()).unwrap();
    assert_eq!(record.steps[0].instruction, "RUN \"}{\"");
    assert_eq!(record.text.last().unwrap(), "ERROR: the end");
    assert!(record.text.iter().map(String::len).sum::<usize>() <= MOST_TEXT + 64);
}

#[test]
fn cut_off_and_broken_records_are_errors_with_a_place() {
    let whole = vertex("a", "[2/2] RUN a", "");
    let cut = format!("{whole}{{\"vertexes\": [");
    let error = parse(cut.as_bytes()).unwrap_err();
    assert!(matches!(error, RecordError::Truncated { offset } if offset == whole.len() as u64));
    let error = parse(format!("{whole}{{\"vertexes\": 1}}").as_bytes()).unwrap_err();
    assert!(error.to_string().contains(&format!("at byte {}", whole.len())), "{error}");
    let bad_time = vertex("a", "[2/2] RUN a", ",\"started\":\"yesterday\"");
    assert!(matches!(parse(bad_time.as_bytes()), Err(RecordError::Malformed { .. })));
    assert_eq!(parse(&b""[..]).unwrap(), BuildRecord::default());
    let endless = Read::chain(&b"{\""[..], std::io::repeat(b'x'));
    assert!(matches!(parse(endless), Err(RecordError::TooLong { offset: 0 })));
}

proptest! {
    /// The pieces in which a record arrives make no difference.
    #[test]
    fn pieces_make_no_difference(sizes in prop::collection::vec(1_usize..2000, 1..40)) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/records/failed.rawjson");
        let whole = std::fs::read(path).unwrap();
        let mut parser = Parser::default();
        let mut rest = whole.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*size).min(rest.len()));
            parser.feed(piece).unwrap();
            rest = more;
        }
        prop_assert_eq!(parser.finish().unwrap(), parse(whole.as_slice()).unwrap());
    }

    /// No bytes at all make it panic.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(bytes.as_slice());
        let mut after = vertex("a", "[2/2] RUN a", "").into_bytes();
        after.extend(bytes);
        let _ = parse(after.as_slice());
    }
}

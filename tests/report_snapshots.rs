//! Reports of a hand-made run: what every format says, that the same journal always says the same,
//! and that no name from outside can break a format.

mod report_support;

use breakeven::model::{Event, Phase, Plan, Status};
use breakeven::report::{self, FORMATS, Model, ReportError};
use breakeven::run::{journal, proof};
use report_support::Run;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

static USUAL: LazyLock<Run> = LazyLock::new(Run::usual);

const HOSTILE: [&str; 7] = [
    "::error::x ##[error]y ##vso[task.complete]",
    "<script>alert(1)</script><img src=x onerror='alert(1)'>\"&amp;",
    "new\nline\r\n\r\n# heading\n| a | b |",
    "pipe | `tick` **bold** [link](http://x.invalid) @someone #1 \\",
    "\u{1b}[31mred\u{1b}]0;title\u{7}\u{8}\u{0}",
    "comma,\"quote\",;\t=1+1",
    "../../../etc/passwd \u{202e}gnp.exe\u{2028}",
];

const ENV_KEYS: [&str; 6] = [
    "breakeven_run",
    "breakeven_ending",
    "breakeven_verdict",
    "breakeven_strategy",
    "breakeven_builder",
    "breakeven_sentence",
];

/// What only these tests ask of a run.
trait Shown {
    fn interrupted() -> Run;
    fn file(&self, name: &str) -> String;
    fn terminal(&self, width: usize, color: bool) -> String;
}

impl Shown for Run {
    /// The usual run, stopped in the middle of a sample of the fourth round.
    fn interrupted() -> Run {
        let mut run = Run::usual();
        run.events.truncate(62);
        if let Some(Event::SampleFinished { sample }) = run.events.last_mut() {
            sample.phases.edit(|rows| rows.truncate(1));
            report_support::spoil(sample, Status::Interrupted, "the run was interrupted", None);
        }
        run.end(breakeven::model::event::Ending::Interrupted, "stopped by SIGINT");
        run
    }

    fn file(&self, name: &str) -> String {
        let files = self.files();
        let found = files.iter().find(|file| file.path.to_str() == Some(name));
        let names: Vec<_> = files.iter().map(|file| &file.path).collect();
        let found = found.unwrap_or_else(|| panic!("no {name} among {names:?}"));
        String::from_utf8(found.bytes.clone()).expect("every format is text")
    }

    fn terminal(&self, width: usize, color: bool) -> String {
        let model =
            Model::new(&self.plan, &self.events, self.decision()).expect("a model can be made");
        let style = report::Style { color, width };
        report::terminal(&model, style, "reports/20260302-090000-k7".as_ref())
    }
}

#[test]
fn terminal_of_80_columns() {
    insta::assert_snapshot!(USUAL.terminal(80, false));
}

#[test]
fn terminal_of_120_columns() {
    insta::assert_snapshot!(USUAL.terminal(120, false));
}

#[test]
fn terminal_of_200_columns() {
    insta::assert_snapshot!(USUAL.terminal(200, false));
}

#[test]
fn terminal_in_colour_says_the_same_words() {
    let coloured = USUAL.terminal(120, true);
    insta::assert_snapshot!(coloured.escape_debug().to_string().replace("\\n", "\n"));
    let mut plain = String::new();
    for (number, part) in coloured.split('\u{1b}').enumerate() {
        plain +=
            if number == 0 { part } else { part.split_once('m').map_or(part, |(_, rest)| rest) };
    }
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&plain), words(&USUAL.terminal(120, false)));
}

#[test]
fn markdown() {
    let text = USUAL.file("report.md");
    assert!(
        text.lines().count() <= 60,
        "{} lines are too many for a comment",
        text.lines().count()
    );
    insta::assert_snapshot!(text);
}

#[test]
fn markdown_of_a_wide_run_keeps_to_its_lines_and_counts_what_it_leaves_out() {
    let text = Run::wide().file("report.md");
    assert!(text.lines().count() <= 60, "{} lines", text.lines().count());
    insta::assert_snapshot!(text);
}

#[test]
fn chart() {
    insta::assert_snapshot!(USUAL.file("charts/phases-article-deps-branch-main.svg"));
}

#[test]
fn html() {
    insta::assert_snapshot!(USUAL.file("report.html"));
}

#[test]
fn every_format_says_what_the_machine_resolves() {
    let run = Run::twice(1.0);
    insta::assert_snapshot!("again_on_the_terminal", run.terminal(100, false));
    let markdown = run.file("report.md");
    assert!(
        markdown
            .lines()
            .any(|line| line.starts_with("- ") && line.contains("measured twice in 8 rounds")),
        "{markdown}"
    );
    let html = run.file("report.html");
    let section = html.split("What this machine resolves").nth(1).expect("there is a section");
    insta::assert_snapshot!("again_on_the_page", section.split("<h3>").next().expect("it ends"));
    let json: serde_json::Value = serde_json::from_str(&run.file("report.json")).unwrap();
    insta::assert_json_snapshot!("again_in_json", json["resolution"]);
    assert_valid(&run.file("report.json"));

    // Its samples are told apart, and it is among no strategies.
    let samples = run.file("samples.csv");
    let rows = |word: &str| samples.lines().filter(|line| line.contains(word)).count();
    assert_eq!(
        (rows(",app,branch+main,cold+again,buildkit,"), rows(",app,branch+main,cold,buildkit,")),
        (9, 9)
    );
    assert_eq!(html.matches("<td>cold+again<td>buildkit").count(), 9);
    for rows in json["groups"].as_array().unwrap().iter().map(|group| &group["rows"]) {
        assert_eq!(rows.as_array().unwrap().len(), 4);
    }
    assert_eq!(json["weighted"].as_array().unwrap().len(), 4);
    let findings = proof::run_level(&run.plan, &run.events);
    assert!(findings.iter().all(|one| one.id != "baseline-unlike-itself"), "{findings:?}");
}

#[test]
fn a_baseline_that_differs_from_itself_is_a_finding() {
    let run = Run::twice(0.9);
    let findings = proof::run_level(&run.plan, &run.events);
    let of: Vec<_> = findings.iter().filter(|one| one.id == "baseline-unlike-itself").collect();
    assert_eq!(of.len(), 1, "{findings:?}");
    let place = "cold (buildkit) of workload article, change app, candidates branch+main, link \
                 loopback, engine shared: 1.";
    assert!(of[0].detail.starts_with(place), "{}", of[0].detail);
    let said = run.terminal(100, false).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("which is more than chance makes it (p under 0.001)"), "{said}");
}

#[test]
fn an_interrupted_run_is_partial() {
    let run = Run::interrupted();
    insta::assert_snapshot!(run.terminal(120, false));
    assert!(run.file("report.md").contains("partial: interrupted"));
    assert!(run.file("report.html").contains("partial: interrupted"));
    let json: serde_json::Value = serde_json::from_str(&run.file("report.json")).unwrap();
    assert_eq!(json["run"]["partial"], true);
    assert_eq!(json["run"]["ending"], "interrupted");
    assert_eq!(json["run"]["samples"]["interrupted"], 1);
}

#[test]
fn a_killed_run_is_partial_and_has_no_end() {
    let run = Run::killed();
    assert!(run.terminal(120, false).contains("partial: the run was killed"));
    let json: serde_json::Value = serde_json::from_str(&run.file("report.json")).unwrap();
    assert_eq!(json["run"]["partial"], true);
    assert!(json["run"].get("ending").is_none());
    assert!(json["run"].get("duration_s").is_none());
}

#[test]
fn three_rounds_give_no_verdict() {
    let run = Run::new(3, |_| ());
    insta::assert_snapshot!(run.terminal(100, false));
    let text = run.file("report.md");
    assert!(text.contains("no verdict 2 more rounds"), "{text}");
    assert!(!text.contains("pays off"), "{text}");
}

#[test]
fn nothing_measured_is_reported_as_such() {
    let mut run = Run::new(6, |_| ());
    run.events.drain(1..run.events.len() - 1);
    insta::assert_snapshot!(run.terminal(100, false));
    assert_eq!(run.file("samples.csv").lines().count(), 1);
    assert!(run.file("charts/phases-article-app-none.svg").contains(">\nn/a\n<"));
}

#[test]
fn a_resumed_run_counts_all_of_its_time_and_its_last_end() {
    let mut run = Run::interrupted();
    let resumed = Event::RunResumed {
        version: 1,
        at: "2026-03-03T09:00:00Z".to_owned(),
        torn: false,
        retry_failed: false,
    };
    let end = run.events.last().cloned().unwrap();
    run.events.push(resumed.clone());
    let model = Model::new(&run.plan, &run.events, USUAL.decision()).unwrap();
    assert_eq!((model.run.ending, model.run.duration_s), (None, None));
    run.events.push(end.clone());
    let Event::RunEnded { duration_s, .. } = end else { panic!("no end") };
    let model = Model::new(&run.plan, &run.events, USUAL.decision()).unwrap();
    assert_eq!(model.run.duration_s, Some(2.0 * duration_s));
    assert!(model.counts_line().contains("resumed once"), "{}", model.counts_line());

    // A part that was killed counts up to the end of its last sample.
    run.events.push(resumed.clone());
    let mut late = run.events.iter().rev().find_map(|event| match event {
        Event::SampleFinished { sample } => Some(sample.clone()),
        _ => None,
    });
    let late = late.as_mut().unwrap();
    late.started_at = "2026-03-03T09:01:40Z".to_owned();
    let whole = 100.0 + late.total_s() + late.reset_s + late.overhead_s;
    run.events.push(Event::SampleFinished { sample: late.clone() });
    run.events.push(resumed);
    run.events.push(end);
    let model = Model::new(&run.plan, &run.events, USUAL.decision()).unwrap();
    let lasted = model.run.duration_s.unwrap();
    assert!((lasted - 3.0 * duration_s - whole).abs() < 1e-6, "{lasted}");
    assert!(model.counts_line().contains("resumed 3 times"), "{}", model.counts_line());
}

/// Through the text of a journal and back, as `breakeven report` does.
#[test]
fn a_run_that_slows_down_says_so() {
    let drifts = |slower: f64| {
        let run = Run::new(8, |sample| {
            let by = 1.0 + slower * f64::from(sample.round);
            sample.phases.edit(|rows| rows.iter_mut().for_each(|row| row.duration_s *= by));
        });
        let findings = proof::run_level(&run.plan, &run.events);
        let drift = findings.into_iter().find(|finding| finding.id == "drift");
        drift.map(|finding| finding.detail)
    };
    assert_eq!(drifts(0.0), None);
    let said = drifts(0.05).unwrap();
    assert!(said.ends_with("slower over 8 rounds (p = under 0.001)"), "{said}");
}

#[test]
fn the_same_journal_gives_the_same_bytes() {
    let first = USUAL.files();
    let plan: Plan = serde_json::from_str(&serde_json::to_string(&USUAL.plan).unwrap()).unwrap();
    let lines: Vec<String> =
        USUAL.events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    let events: Vec<Event> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let again = Run::usual();
    let second = report::render(&plan, &events, again.decision()).unwrap();
    assert_eq!(first.len(), second.len());
    for (one, other) in first.iter().zip(&second) {
        assert!(one == other, "{} differs", one.path.display());
    }
}

/// A journal that version 0.1.0 wrote must be read by every later one.
#[test]
fn a_recorded_run_can_still_be_reported() {
    let recorded = journal::read(Path::new("fixtures/runs/one-round")).unwrap();
    assert!(!recorded.torn);
    let samples = recorded.events.iter().filter_map(|event| match event {
        Event::SampleFinished { sample } => Some(sample.as_ref().clone()),
        _ => None,
    });
    let samples: Vec<_> = samples.collect();
    assert_eq!(samples.len(), 32);
    let decision = breakeven::decision::decide(&recorded.plan, &samples);
    let files = report::render(&recorded.plan, &recorded.events, &decision).unwrap();
    let json = files.iter().find(|file| file.path == Path::new("report.json")).unwrap();
    assert_valid(std::str::from_utf8(&json.bytes).unwrap());
}

#[test]
fn the_files_are_those_that_the_table_names() {
    let made: BTreeSet<String> =
        USUAL.files().iter().map(|file| file.path.display().to_string()).collect();
    for named in FORMATS.iter().flat_map(|format| format.files) {
        let (before, after) = named.split_once('*').unwrap_or((named, ""));
        assert!(made.iter().any(|m| m.starts_with(before) && m.ends_with(after)), "no {named}");
    }
    assert_eq!(made.len(), 13, "{made:?}");
}

/// `BREAKEVEN_UPDATE_SCHEMA=1 cargo test` writes the schema anew.
#[test]
fn the_committed_schema_is_the_generated_one() {
    const FILE: &str = "docs/report.schema.json";
    let generated = serde_json::to_string_pretty(&report::schema()).unwrap() + "\n";
    if std::env::var_os("BREAKEVEN_UPDATE_SCHEMA").is_some() {
        std::fs::write(FILE, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(FILE).unwrap();
    assert!(committed == generated, "{FILE} is old: BREAKEVEN_UPDATE_SCHEMA=1 cargo test");
}

fn assert_valid(json: &str) {
    let schema = serde_json::to_value(report::schema()).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let report: serde_json::Value = serde_json::from_str(json).expect("a report is JSON");
    let faults: Vec<String> = validator
        .iter_errors(&report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_report_is_valid_and_the_schema_refuses_what_is_not() {
    assert_valid(&USUAL.file("report.json"));
    for run in [Run::interrupted(), Run::killed(), Run::new(2, |_| ()), Run::wide()] {
        assert_valid(&run.file("report.json"));
    }
    let schema = serde_json::to_value(report::schema()).unwrap();
    let mut report: serde_json::Value = serde_json::from_str(&USUAL.file("report.json")).unwrap();
    report["groups"][0]["rows"][0]["n"] = "six".into();
    assert!(!jsonschema::is_valid(&schema, &report));
}

#[test]
fn csv_holds_exactly_what_was_measured() {
    let samples = USUAL.samples();
    let text = USUAL.file("samples.csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>().join(","),
        "run,sample,round,position,workload,change,availability,strategy,builder,state,link,engine,\
         status,reason,total_s,fetch_s,load_s,pull_s,build_s,save_s,store_s,push_s,bytes_down,\
         bytes_up,steps,step_hits,cache_source,image_bytes,started_at,steal,cpu_wait,io_wait,\
         memory_wait,load,throttled,clock_moved_s"
    );
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), samples.len());
    for (row, sample) in rows.iter().zip(&samples) {
        assert_eq!(row[1], sample.sample.to_string());
        assert_eq!(row[7], sample.cell.strategy);
        assert_eq!(row[12], *sample.status.as_str());
        assert_eq!(row[13], sample.reason);
        if sample.status == Status::Failed {
            assert_eq!(&row[14], "", "what broke off has no total");
        } else {
            assert!((row[14].parse::<f64>().unwrap() - sample.total_s()).abs() < 1e-6);
        }
        for (phase, text) in Phase::ALL.iter().zip(row.iter().skip(15)) {
            match sample.phase_s(*phase) {
                None => assert_eq!(text, "", "{phase} of sample {}", sample.sample),
                Some(seconds) => {
                    assert!((text.parse::<f64>().unwrap() - seconds).abs() < 1e-6);
                    assert_eq!(text.split_once('.').unwrap().1.len(), 6);
                }
            }
        }
        assert_eq!(row[24], sample.step_count().to_string());
        assert_eq!(row[25], sample.step_hits().to_string());
    }
    let count =
        |name: &str| csv::Reader::from_reader(USUAL.file(name).as_bytes()).records().count();
    assert_eq!(count("phases.csv"), samples.iter().map(|s| s.phases.len()).sum::<usize>());
    assert_eq!(count("steps.csv"), samples.iter().map(|s| s.steps.len()).sum::<usize>());
    insta::assert_snapshot!(
        ["samples.csv", "phases.csv", "steps.csv"]
            .map(|name| USUAL.file(name).lines().take(5).collect::<Vec<_>>().join("\n"))
            .join("\n\n")
    );
}

/// Every different tag of a page or picture.
fn tags(markup: &str) -> BTreeSet<String> {
    let tag =
        |part: &str| part.split(|c: char| c.is_whitespace() || c == '>').next().map(str::to_owned);
    markup.split('<').skip(1).filter_map(tag).collect()
}

#[test]
fn no_name_breaks_a_format() {
    let html = tags(&USUAL.file("report.html"));
    for name in HOSTILE {
        let run = Run::hostile(name);
        for file in run.files() {
            let text = String::from_utf8(file.bytes).unwrap();
            let path = file.path.display().to_string();
            let plain = |c: char| c == '\n' || !c.is_control();
            match path.rsplit_once('.').unwrap().1 {
                "svg" => {
                    let part = path.strip_prefix("charts/").unwrap().strip_suffix(".svg").unwrap();
                    assert!(part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{part}");
                    let known = [
                        "svg", "/svg", "title", "/title", "desc", "/desc", "style", "/style",
                        "rect", "text", "/text", "line", "polyline", "polygon", "circle",
                    ];
                    let odd: Vec<_> = tags(&text)
                        .into_iter()
                        .filter(|tag| !known.contains(&tag.as_str()))
                        .collect();
                    assert!(odd.is_empty() && text.chars().all(plain), "{path}: {odd:?}");
                }
                "html" => {
                    assert_eq!(tags(&text), html, "{name:?}");
                    assert!(text.chars().all(plain), "{name:?}");
                }
                "md" => {
                    assert!(text.chars().all(plain), "{name:?}");
                    assert!(tags(&text).iter().all(|tag| tag == "sub" || tag == "/sub"), "{text}");
                    assert!(
                        !text.replace("\\]", "").contains("](") && !text.contains('@'),
                        "{text}"
                    );
                    assert_tables(&text);
                }
                "json" => assert_valid(&text),
                "env" => {
                    assert!(text.chars().all(plain), "{name:?}");
                    let keys = text.lines().map(|line| line.split_once('=').expect("a pair").0);
                    assert!(keys.eq(ENV_KEYS), "{text}");
                    assert!(!text.contains("::"), "{text}");
                }
                _ => {
                    let mut reader = csv::Reader::from_reader(text.as_bytes());
                    let rows: Vec<csv::StringRecord> =
                        reader.records().map(Result::unwrap).collect();
                    assert_eq!(&rows[0][0], format!("20260302-090000-k7{name}"));
                    if path == "samples.csv" {
                        assert_eq!(&rows[0][4], format!("article{name}"));
                        assert_eq!(&rows[19][13], name);
                    }
                }
            }
        }
        for width in [80, 160] {
            let text = run.terminal(width, false);
            let odd = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
            assert!(!text.contains(odd), "{text:?}");
            assert!(!text.contains("::") && !text.contains("##"), "{text:?}");
        }
    }
}

/// Every row of a table has as many cells as its heading.
fn assert_tables(markdown: &str) {
    let cells = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
    let mut tables = 0;
    for table in markdown
        .split('\n')
        .collect::<Vec<_>>()
        .chunk_by(|a, b| a.starts_with('|') == b.starts_with('|'))
    {
        if !table[0].starts_with('|') {
            continue;
        }
        tables += 1;
        assert!(table.iter().all(|line| cells(line) == cells(table[0])), "{table:#?}");
    }
    assert_eq!(tables, 5, "{markdown}");
}

#[test]
fn the_terminal_report_keeps_to_its_width() {
    for width in [80, 100, 120, 160, 200] {
        let text = USUAL.terminal(width, false);
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > width).collect();
        assert!(wide.is_empty(), "wider than {width}: {wide:#?}");
    }
}

#[test]
fn ten_thousand_samples_are_rendered() {
    let run = Run::new(624, |_| ());
    let files = report::render(&run.plan, &run.events, USUAL.decision()).unwrap();
    let of = |name: &str| files.iter().find(|file| file.path == Path::new(name)).unwrap();
    let lines = |name: &str| of(name).bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines("samples.csv"), 10_001);
    assert_eq!(lines("steps.csv"), 80_001);
    let json: serde_json::Value = serde_json::from_slice(&of("report.json").bytes).unwrap();
    assert_eq!(json["samples"].as_array().map(Vec::len), Some(10_000));
    let page = of("report.html");
    assert!(page.bytes.len() < 3_000_000, "the page has {} bytes", page.bytes.len());
    let rows = String::from_utf8_lossy(&page.bytes).matches("\n<tr><th>").count();
    assert_eq!(rows, 10_000, "every sample has its row");
    let chart = of("charts/phases-article-app-none.svg");
    let dots = String::from_utf8_lossy(&chart.bytes).matches("<circle").count();
    assert_eq!(dots, 4 * 500, "dots of a row are thinned");
}

#[test]
fn files_are_written_whole_and_replace_older_ones() {
    let dir = tempfile::tempdir().unwrap();
    report::write(&Run::killed().files(), dir.path()).unwrap();
    report::write(&USUAL.files(), dir.path()).unwrap();
    for file in USUAL.files() {
        assert!(std::fs::read(dir.path().join(&file.path)).unwrap() == file.bytes);
    }
    let names = |dir: &Path| std::fs::read_dir(dir).unwrap().count();
    assert_eq!((names(dir.path()), names(&dir.path().join("charts"))), (8, 6), "nothing is left");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("charts"), "in the way").unwrap();
    let error = report::write(&USUAL.files(), dir.path()).unwrap_err().to_string();
    assert!(error.contains("charts/phases-") && error.contains("breakeven report"), "{error}");
}

#[test]
fn plan_and_journal_of_two_runs_are_refused() {
    let mut run = Run::new(1, |_| ());
    run.plan.run = "another".to_owned();
    let error = report::render(&run.plan, &run.events, USUAL.decision()).unwrap_err();
    assert!(matches!(error, ReportError::OtherRun { .. }), "{error}");
    run.events.clear();
    let error = report::render(&run.plan, &run.events, USUAL.decision()).unwrap_err();
    assert!(matches!(error, ReportError::NoStart), "{error}");
}

//! `breakeven check` on hand-made journals.

use crate::report_support::Run;
use crate::support::{
    HOSTILE, breakeven, identified, made, of_app, only, printed, refusal, side, slow, write,
};
use breakeven::compare;
use breakeven::gate::{self, Baseline, Evidence, Gate, KINDS, Rules, State};
use breakeven::model::{Event, Sample};
use breakeven::report::{self, Style, gate::OUTPUTS};
use quick_junit::{NonSuccessKind, Report, TestCaseStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

static RUN: LazyLock<Run> = LazyLock::new(|| made(6, "20260302-base", |_| ()));

/// Builds with inline take three times as long.
static SLOW: LazyLock<Run> = LazyLock::new(|| {
    let inline = |sample: &mut Sample| {
        if sample.cell.strategy == "inline" {
            slow(sample, 3.0);
        }
    };
    only(made(6, "20260309-slow", inline), of_app)
});

/// A file of rules in a folder of its own.
fn rules(text: &str) -> Rules {
    let dir = tempfile::tempdir().expect("room for a file");
    let path = dir.path().join("rules.toml");
    fs::write(&path, text).expect("room for a file");
    let mut rules = Rules::read(&path, None).unwrap_or_else(|error| panic!("{error}"));
    rules.file = "ci/rules.toml".into();
    rules
}

fn held(run: &Run, rules: &Rules, baseline: &Baseline) -> Gate {
    let baselines = rules.rules.iter().filter_map(gate::Rule::compares_with);
    let baselines: BTreeMap<_, _> = baselines.map(|which| (which, baseline.clone())).collect();
    let Run { plan, events, .. } = run;
    gate::check(rules, &Evidence { plan, events, decision: run.decision(), baselines })
}

/// What becomes of a rule.
fn state(run: &Run, rule: &str) -> State {
    state_with(run, rule, &Baseline::Unreadable("nothing there".to_owned()))
}

fn state_with(run: &Run, rule: &str, baseline: &Baseline) -> State {
    let gate = held(run, &rules(&format!("[[rule]]\n{rule}")), baseline);
    assert!(!gate.rules[0].parts.is_empty() && !gate.rules[0].reasons().is_empty(), "{gate:?}");
    gate.rules[0].state
}

fn compared(base: &Run, new: &Run) -> Baseline {
    let comparison = compare::compare(side(base), side(new), Vec::new(), Vec::new());
    Baseline::Compared(Box::new(comparison))
}

#[test]
fn a_strategy_still_pays_off() {
    let rule = |strategy: &str| format!("kind = \"pays-off\"\nstrategy = \"{strategy}\"");
    assert_eq!(state(&RUN, &rule("inline")), State::Pass);
    assert_eq!(state(&SLOW, &rule("save-load-stages")), State::Pass);
    assert_eq!(state(&RUN, &rule("pull")), State::Skip, "not measured");
    assert_eq!(state(&RUN, &rule("inlin")), State::Misconfigured);
    assert_eq!(state(&RUN, &rule("cold")), State::Misconfigured, "others are held against it");
    let dear = made(6, "dear", |sample| {
        if sample.cell.strategy == "inline" {
            slow(sample, 9.0);
        }
    });
    assert_eq!(state(&dear, &rule("inline")), State::Fail);
    let few = only(made(3, "few", |_| ()), of_app);
    assert_eq!(state(&few, &rule("inline")), State::Skip, "too few rounds");
}

#[test]
fn an_undecided_verdict_is_what_the_rule_says() {
    let mut run = only(made(6, "undecided", |_| ()), of_app);
    let saves = |run: &Run| {
        let of = run.decision().weighted.iter().find(|one| one.strategy == "inline");
        of.and_then(|one| one.saving.as_ref()).map(|saving| saving.seconds.point)
    };
    let probe = only(made(6, "undecided", |_| ()), of_app);
    run.plan.relevance.seconds = saves(&probe).unwrap();
    let rule = |more: &str| format!("kind = \"pays-off\"\nstrategy = \"inline\"\n{more}");
    assert_eq!(state(&run, &rule("")), State::Skip);
    for (word, wanted) in [("skip", State::Skip), ("pass", State::Pass), ("fail", State::Fail)] {
        assert_eq!(state(&run, &rule(&format!("undecided = \"{word}\""))), wanted);
    }
}

#[test]
fn enough_steps_are_hit() {
    let rule = |more: &str| format!("kind = \"step-hit-share\"\n{more}");
    assert_eq!(state(&RUN, &rule("at_least = 0.25")), State::Pass);
    assert_eq!(state(&RUN, &rule("at_least = 0.5")), State::Fail, "2 of 8 after deps");
    assert_eq!(state(&RUN, &rule("at_least = 0.5\nchange = \"app\"")), State::Pass);
    let first = "at_least = 0.5\navailability = \"none\"";
    assert_eq!(state(&RUN, &rule(first)), State::Skip, "no cache is there to be hit");
    assert_eq!(state(&RUN, &rule("at_least = 0.5\nchange = \"apps\"")), State::Misconfigured);
}

#[test]
fn leaving_a_cache_takes_its_share() {
    let rule = |more: &str| format!("kind = \"export-share\"\n{more}");
    assert_eq!(state(&RUN, &rule("at_most = 0.5")), State::Pass);
    assert_eq!(state(&RUN, &rule("at_most = 0.2")), State::Fail, "save and store");
    let inline = "at_most = 0.2\nstrategy = \"inline\"";
    assert_eq!(state(&RUN, &rule(inline)), State::Skip, "nothing of the kind is timed");
    assert_eq!(state(&RUN, &rule("at_most = 0.5\nworkload = \"web\"")), State::Misconfigured);
}

#[test]
fn a_job_takes_no_longer_than_it_may() {
    let rule = |more: &str| format!("kind = \"longest-job\"\n{more}");
    assert_eq!(state(&RUN, &rule("limit = \"1m\"")), State::Pass);
    assert_eq!(state(&RUN, &rule("limit = \"10s\"")), State::Fail);
    assert_eq!(state(&RUN, &rule("limit = \"2s\"\nphase = \"push\"")), State::Pass);
    assert_eq!(state(&RUN, &rule("limit = \"2s\"\nphase = \"pull\"")), State::Skip);
    assert_eq!(state(&RUN, &rule("limit = \"1m\"\nlink = \"office\"")), State::Misconfigured);
    // The limit lies within the interval of the slowest cell: nothing shows that it is broken.
    let row = |run: &Run| {
        let rows = run.decision().groups.iter().flat_map(|group| &group.rows);
        rows.filter_map(|row| row.total_s).max_by(|a, b| a.point.total_cmp(&b.point))
    };
    let limit = row(&RUN).unwrap().point - 0.001;
    assert_eq!(state(&RUN, &rule(&format!("limit = \"{}ms\"", (limit * 1e3) as u64))), State::Pass);
}

#[test]
fn nothing_is_slower_than_it_was() {
    let rule = "kind = \"regression\"\nat_most = 0.1\nbaseline = \"../last\"";
    let base = only(made(6, "20260302-base", |_| ()), of_app);
    assert_eq!(state_with(&base, rule, &compared(&base, &base)), State::Pass);
    assert_eq!(state_with(&SLOW, rule, &compared(&base, &SLOW)), State::Fail);
    let everything = only(made(6, "everything", |sample| slow(sample, 1.5)), of_app);
    let file = rules(&format!("[[rule]]\n{rule}"));
    let gate = held(&everything, &file, &compared(&base, &everything));
    let reasons = gate.rules[0].reasons();
    assert_eq!(gate.rules[0].state, State::Fail);
    assert!(reasons.iter().all(|line| line.contains("look at the machine first")), "{reasons:?}");
    let large = "kind = \"regression\"\nat_most = 5\nbaseline = \"../last\"";
    assert_eq!(state_with(&SLOW, large, &compared(&base, &SLOW)), State::Pass);
    let other = Baseline::NotComparable(vec!["machine processor: was A, is B".to_owned()]);
    assert_eq!(state_with(&base, rule, &other), State::Skip);
    assert_eq!(state(&base, rule), State::Misconfigured, "the baseline cannot be read");
    let none = "kind = \"regression\"\nat_most = 0.1";
    assert_eq!(state(&base, none), State::Misconfigured, "there is no baseline");
}

#[test]
fn the_run_was_quiet_enough_to_be_judged() {
    let rule = |more: &str| format!("kind = \"resolves\"\n{more}");
    let run = identified(Run::twice(1.0), "twice");
    let found = run.decision().resolution[0].resolved.clone().unwrap();
    assert!(found.smallest_s > 0.0 && found.smallest_share > 0.0, "{found:?}");
    let share = |by: f64| format!("at_most = {}\n", found.smallest_share * by);
    let time = |by: f64| format!("limit = \"{}us\"\n", (found.smallest_s * by * 1e6) as u64);
    for (more, wanted) in [
        (share(1.01), State::Pass),
        (share(0.99), State::Fail),
        (time(1.01), State::Pass),
        (time(0.99), State::Fail),
        // As with what matters, the larger of the two counts.
        (share(0.99) + &time(1.01), State::Pass),
        (share(1.01) + &time(0.99), State::Pass),
        (share(0.99) + &time(0.99), State::Fail),
        (share(0.99) + "link = \"office\"", State::Misconfigured),
        (String::new(), State::Misconfigured),
    ] {
        assert_eq!(state(&run, &rule(&more)), wanted, "{more}");
    }
    assert_eq!(state(&RUN, &rule("at_most = 0.1")), State::Skip, "nothing was measured twice");
    // Another one, of which nothing has been decided yet.
    let mut few = identified(Run::twice(1.0), "few");
    few.events.retain(|event| match event {
        Event::SampleFinished { sample } => sample.round < 3,
        _ => true,
    });
    assert_eq!(state(&few, &rule("at_most = 0.1")), State::Skip, "two pairs");
}

#[test]
fn a_finding_is_not_there() {
    let rule = |id: &str| format!("kind = \"no-finding\"\nid = \"{id}\"");
    let mut usual = only(Run::usual(), of_app);
    assert_eq!(state(&usual, &rule("stale-local-tag")), State::Pass);
    assert_eq!(state(&usual, &rule("base-present")), State::Fail, "of samples");
    assert_eq!(state(&usual, &rule("bytes-not-counted")), State::Fail, "of the run");
    assert_eq!(state(&usual, &rule("base-presnt")), State::Misconfigured);
    usual.events.retain(|event| !matches!(event, Event::SampleFinished { .. }));
    assert_eq!(state(&usual, &rule("stale-local-tag")), State::Skip);
}

/// One rule of every outcome.
const MIXED: &str = r#"[[rule]]
kind = "pays-off"
strategy = "inline"

[[rule]]
kind = "export-share"
name = "leaving the cache is cheap"
at_most = 0.2
strategy = "save-load-stages"

[[rule]]
kind = "pays-off"
strategy = "pull"

[[rule]]
kind = "no-finding"
id = "base-presnt"

[[rule]]
kind = "regression"
at_most = 0.1
baseline = "../last"
"#;

fn mixed() -> Gate {
    let run = only(made(6, "20260302-base", |_| ()), of_app);
    let other = Baseline::NotComparable(vec!["machine processor: was A, is B".to_owned()]);
    let mut rules = rules(MIXED);
    // The folder is another one each time.
    rules.rules[4].baseline = Some("last".to_owned());
    let mut gate = held(&run, &rules, &other);
    let from = &mut gate.rules[4].effective;
    *from = from.split(" (baseline from").next().unwrap_or_default().to_owned();
    gate
}

fn output(gate: &Gate, option: &str) -> String {
    let output = OUTPUTS.iter().find(|output| output.option == option);
    (output.expect("an output of the table").render)(gate).expect("an output can be made")
}

#[test]
fn every_output_says_every_rule() {
    let gate = mixed();
    let style = Style { color: false, width: 100 };
    insta::assert_snapshot!("text", report::gate::text(&gate, style));
    for option in ["junit", "github-annotations", "summary", "gitlab-codequality", "metrics"] {
        insta::assert_snapshot!(option, output(&gate, option));
    }
    assert_eq!(OUTPUTS.len(), 5);
}

#[test]
fn junit_can_be_read_back() {
    let junit = output(&mixed(), "junit");
    // No attribute but these: Jenkins' xUnit plugin refuses a file with another one (junit-10.xsd).
    let root = junit.lines().find_map(|line| line.strip_prefix("<testsuites ")).unwrap();
    assert_eq!(root, r#"name="breakeven check" tests="5" failures="1" errors="1">"#);
    let report = Report::deserialize_from_str(&junit).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (5, 1, 1));
    assert_eq!(report.test_suites[0].skipped, 2);
    assert!(report.test_suites[0].test_cases.iter().all(|case| case.time.is_some()));
    let cases = &report.test_suites[0].test_cases;
    assert_eq!(cases[1].name.as_str(), "leaving the cache is cheap");
    let TestCaseStatus::NonSuccess { kind, message, .. } = &cases[1].status else {
        panic!("{:?}", cases[1])
    };
    assert_eq!(*kind, NonSuccessKind::Failure);
    assert!(message.as_ref().unwrap().as_str().contains("36.5 % of the job"), "{message:?}");
}

#[test]
fn a_rule_is_the_same_test_and_the_same_issue_wherever_it_stands_in_its_file() {
    let run = only(made(6, "20260302-base", |_| ()), of_app);
    let base = only(made(6, "20260301-base", |_| ()), of_app);
    let text = "[[rule]]\nkind = \"longest-job\"\nlimit = \"1s\"\n\
                [[rule]]\nkind = \"longest-job\"\nlimit = \"2s\"\n\
                [[rule]]\nkind = \"regression\"\nat_most = 0.1\nbaseline = \"/last\"\n";
    let at = |text: &str| {
        let gate = held(&run, &rules(text), &compared(&base, &run));
        let report = Report::deserialize_from_str(&output(&gate, "junit")).unwrap();
        let cases = &report.test_suites[0].test_cases;
        let names: Vec<String> = cases.iter().map(|case| case.name.as_str().to_owned()).collect();
        let issues = output(&gate, "gitlab-codequality");
        assert!(!issues.contains("\\\\n"), "lines of several cells are one text: {issues}");
        let issues: serde_json::Value = serde_json::from_str(&issues).unwrap();
        let known = |one: &serde_json::Value| one["fingerprint"].as_str().unwrap().to_owned();
        (names, issues.as_array().unwrap().iter().map(known).collect::<Vec<_>>())
    };
    let (names, issues) = at(text);
    assert_eq!(
        at(&format!("# One more\n# line, or two.\n{text}")),
        (names.clone(), issues.clone())
    );
    assert!(names[0] != names[1] && names[2] == "regression", "{names:?}");
    assert!(issues.len() == 2 && issues[0] != issues[1], "{issues:?}");
}

#[test]
fn no_name_breaks_an_output() {
    for name in HOSTILE {
        let run = only(Run::hostile(name), of_app);
        let quoted = toml::Value::String(name.to_owned()).to_string();
        let title = toml::Value::String(format!("title {name}")).to_string();
        let text = format!(
            "[[rule]]\nkind = \"no-finding\"\nid = \"base-present\"\nname = {title}\n\
             [[rule]]\nkind = \"longest-job\"\nlimit = \"1s\"\n\
             [[rule]]\nkind = \"longest-job\"\nlimit = \"1s\"\nworkload = {quoted}\n"
        );
        let mut rules = rules(&text);
        rules.file = format!("a{name}.toml").into();
        let gate = held(&run, &rules, &Baseline::Unreadable(name.to_owned()));
        let states: Vec<State> = gate.rules.iter().map(|rule| rule.state).collect();
        assert_eq!(states, [State::Fail, State::Fail, State::Misconfigured]);
        let odd = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';

        let text = report::gate::text(&gate, Style { color: false, width: 80 });
        assert!(!text.contains(odd) && !text.contains("##["), "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");

        let junit = output(&gate, "junit");
        let report = Report::deserialize_from_str(&junit).unwrap();
        assert_eq!((report.tests, report.failures, report.errors), (3, 2, 1));
        let case = report.test_suites[0].test_cases[0].name.as_str().to_owned();
        assert!(case.starts_with(&format!("title {}", report::text::visible(name))), "{case}");
        assert!(!junit.contains("<script"), "{junit}");

        let annotations = output(&gate, "github-annotations");
        assert_eq!(annotations.lines().count(), 3, "{annotations}");
        for line in annotations.lines() {
            let (properties, _) = line.strip_prefix("::error ").unwrap().split_once("::").unwrap();
            let keys: Vec<&str> =
                properties.split(',').map(|one| one.split('=').next().unwrap()).collect();
            assert_eq!(keys, ["file", "line", "title"], "{line}");
        }

        let summary = output(&gate, "summary");
        assert!(!summary.contains(odd) && !summary.contains("<script"), "{summary}");
        assert!(!summary.contains('@') && !summary.contains("[link](http"), "{summary}");
        let pipes = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        let rows: Vec<usize> =
            summary.lines().filter(|line| line.starts_with('|')).map(pipes).collect();
        assert_eq!(rows, [5; 5], "{summary}");

        let issues: serde_json::Value =
            serde_json::from_str(&output(&gate, "gitlab-codequality")).unwrap();
        let prints = issues.as_array().unwrap().iter().map(|one| one["fingerprint"].as_str());
        assert_eq!(prints.collect::<BTreeSet<_>>().len(), 3, "each has its own");
        assert_metrics(&output(&gate, "metrics"));
    }
}

/// Every line of an OpenMetrics text is a comment, or a name with labels and a number.
fn assert_metrics(text: &str) {
    let (last, lines) = text.lines().collect::<Vec<_>>().split_last().map_or_else(
        || panic!("there is no line"),
        |(last, lines)| ((*last).to_owned(), lines.to_vec()),
    );
    assert_eq!(last, "# EOF");
    let labelled = regex::Regex::new(
        r#"^breakeven_rule(_value)?\{[a-z_]+="([^"\\]|\\[\\"n])*"(,[a-z_]+="([^"\\]|\\[\\"n])*")*\} [0-9.e-]+$"#,
    )
    .expect("an expression");
    for line in lines {
        let of_run = line.starts_with("breakeven_run_whole ");
        assert!(line.starts_with("# ") || of_run || labelled.is_match(line), "{line}");
    }
}

#[test]
fn the_command_says_by_its_exit_code_what_came_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write(&only(made(6, "20260302-base", |_| ()), of_app), &at("base"));
    write(&only(made(6, "20260303-same", |_| ()), of_app), &at("same"));
    write(&SLOW, &at("slow"));
    let rules = |text: &str| fs::write(at("rules.toml"), text).unwrap();

    rules("baseline = \"base\"\n[[rule]]\nkind = \"regression\"\nat_most = 0.1\n");
    let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = words(printed(dir.path(), &["check", "same"], 0));
    assert!(
        text.contains("1 rule: 1 pass") && text.contains("baseline from rules.toml:1"),
        "{text}"
    );
    let args = [
        "check",
        "slow",
        "--github-annotations",
        "--junit",
        "out/junit.xml",
        "--summary",
        "sum.md",
        "--gitlab-codequality",
        "quality.json",
        "--metrics",
        "metrics.txt",
    ];
    fs::write(at("sum.md"), "# before\n").unwrap();
    let text = printed(dir.path(), &args, 5);
    assert!(text.contains("\n::error file=rules.toml,line=3,title=fail%3A regression::"), "{text}");
    assert!(text.contains("1 rule: 1 fail"), "{text}");
    let file = |name: &str| fs::read_to_string(at(name)).unwrap();
    assert!(Report::deserialize_from_str(&file("out/junit.xml")).unwrap().failures == 1);
    let summary = file("sum.md");
    assert!(summary.starts_with("# before\n") && summary.contains("❌ fail"), "{summary}");
    assert!(file("metrics.txt").ends_with("# EOF\n"));
    let issues: serde_json::Value = serde_json::from_str(&file("quality.json")).unwrap();
    assert_eq!(issues[0]["location"]["lines"]["begin"], 3);

    // What the command line names takes the place of the file's; what cannot be asked is exit 2.
    let text = words(printed(dir.path(), &["check", "base", "--baseline", "slow"], 0));
    assert!(text.contains("baseline from --baseline"), "{text}");
    let text = words(printed(dir.path(), &["check", "slow", "--baseline", "nowhere"], 2));
    assert!(text.contains("misconfigured") && text.contains("nowhere/plan.json"), "{text}");
}

#[test]
fn every_problem_of_a_file_of_rules_is_listed_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("rules.toml"),
        "baselin = \"x\"\n[[rule]]\nkind = \"pays-of\"\n[[rule]]\nkind = \"pays-off\"\n\
         [[rule]]\nkind = \"export-share\"\nat_most = -1\nat_lest = 1\n",
    )
    .unwrap();
    insta::assert_snapshot!("shape", refusal(dir.path(), &["check", "run"]));
    fs::write(
        dir.path().join("rules.toml"),
        "[[rule]]\nkind = \"pays-off\"\nat_least = 0.5\n\
         [[rule]]\nkind = \"longest-job\"\nlimit = \"soon\"\nbaseline = \"x\"\n",
    )
    .unwrap();
    insta::assert_snapshot!("keys", refusal(dir.path(), &["check", "run"]));
    let output = breakeven(dir.path(), &["check", "run", "--rules", "other.toml"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// `BREAKEVEN_UPDATE_SCHEMA=1 cargo test` writes the schema anew.
#[test]
fn the_committed_schema_is_the_generated_one_and_every_kind_is_documented() {
    const FILE: &str = "docs/rules.schema.json";
    let generated = serde_json::to_string_pretty(&gate::schema()).unwrap() + "\n";
    if std::env::var_os("BREAKEVEN_UPDATE_SCHEMA").is_some() {
        fs::write(FILE, &generated).unwrap();
    }
    let committed = fs::read_to_string(FILE).unwrap();
    assert!(committed == generated, "{FILE} is old: BREAKEVEN_UPDATE_SCHEMA=1 cargo test");
    let validator = jsonschema::validator_for(&gate::schema()).unwrap();
    let file: toml::Table = toml::from_str(MIXED).unwrap();
    assert!(validator.is_valid(&serde_json::to_value(file).unwrap()));
    let docs = fs::read_to_string(Path::new("docs/compare.md")).unwrap();
    for kind in KINDS {
        assert!(docs.contains(&format!("| `{}` |", kind.id)), "docs/compare.md lacks {}", kind.id);
    }
    for output in OUTPUTS {
        assert!(docs.contains(&format!("`--{}", output.option)), "{} is missing", output.option);
    }
}

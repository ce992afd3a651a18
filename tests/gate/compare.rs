//! `breakeven compare` on hand-made journals.

use crate::report_support::{Run, spoil};
use crate::support::{
    HOSTILE, identified, interrupt, made, of_app, only, printed, refusal, side, slow, write,
};
use breakeven::compare::{self, Comparison, Word};
use breakeven::model::{Sample, State, Status};
use breakeven::report::{self, Style, comparison};
use breakeven::run::comparable;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// Jobs after a change of dependencies build a fifth longer with inline; their cache lost a step.
fn slower(sample: &mut Sample) {
    if sample.cell.strategy == "inline" && sample.cell.change == "deps" {
        slow(sample, 1.2);
        if sample.cell.state == State::Steady {
            sample.steps.edit(|steps| steps[1].hit = false);
        }
    }
}

static BASE: LazyLock<Run> = LazyLock::new(|| made(6, "20260302-base", |_| ()));
static NEW: LazyLock<Run> = LazyLock::new(|| made(6, "20260309-new", slower));

/// What the command compares, whatever differs.
fn compared(base: &Run, new: &Run) -> Comparison {
    let (base, new) = (side(base), side(new));
    let found = comparable::differences(&base, &new);
    compare::compare(base, new, found.breaking, found.notes)
}

/// A comparison in a format, at 120 columns.
fn shown(comparison: &Comparison, format: &str) -> String {
    let format = comparison::comparison_format(format).expect("a format of the table");
    let style = Style { color: false, width: 120 };
    (format.render)(comparison, style).expect("a comparison can be shown")
}

/// Two runs in a folder, `base` and `new`.
fn folder(base: &Run, new: &Run) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("room for two runs");
    write(base, &dir.path().join("base"));
    write(new, &dir.path().join("new"));
    dir
}

#[test]
fn terminal_of_120_columns() {
    insta::assert_snapshot!(shown(&compared(&BASE, &NEW), "terminal"));
}

#[test]
fn markdown() {
    insta::assert_snapshot!(shown(&compared(&BASE, &NEW), "markdown"));
}

#[test]
fn slower_builds_are_slower_in_their_cells_only() {
    let comparison = compared(&BASE, &NEW);
    for cell in &comparison.cells {
        let slow = cell.strategy == "inline" && cell.change == "deps";
        let wanted = if slow { Word::Slower } else { Word::NoDifferenceShown };
        assert_eq!(cell.word, wanted, "{}: {:?}", cell.key(), cell.time);
        assert_eq!(cell.hits_moved(), slow && cell.availability != "none", "{}", cell.key());
    }
    let inline = comparison.verdicts.iter().find(|pair| pair.strategy == "inline").unwrap();
    assert!(inline.new.seconds.point < inline.base.seconds.point);
}

#[test]
fn a_a_cells_are_not_compared() {
    let run = |share, id| identified(Run::twice(share), id);
    let (base, new) = (run(1.0, "20260302-base"), run(0.5, "20260309-new"));
    assert!(base.samples().iter().any(|sample| sample.cell.again));
    let comparison = compared(&base, &new);
    assert_eq!(comparison.cells.len(), base.plan.cells.len());
    assert!(comparison.cells.iter().all(|cell| cell.word == Word::NoDifferenceShown));
    assert_eq!((comparison.only_in_base.len(), comparison.only_in_new.len()), (0, 0));
}

#[test]
fn a_run_against_itself_shows_no_difference_and_the_same_bytes() {
    let comparison = compared(&BASE, &BASE);
    assert!(comparison.cells.iter().all(|cell| cell.word == Word::NoDifferenceShown));
    assert!(comparison.notes.iter().any(|note| note.contains("the same run")));
    let again = compared(&BASE, &made(6, "20260302-base", |_| ()));
    for format in comparison::COMPARISON_FORMATS {
        assert_eq!(shown(&comparison, format.id), shown(&again, format.id));
    }
}

/// As a user calls it: the text is that of the library, and nothing is written.
#[test]
fn the_command_prints_what_is_compared_and_leaves_the_runs_alone() {
    let (base, new) = (only(made(5, "a", |_| ()), of_app), only(made(5, "b", |_| ()), of_app));
    let dir = folder(&base, &new);
    report::write(&new.files(), &dir.path().join("new")).unwrap();
    let before = names(&dir.path().join("new"));
    let text = printed(dir.path(), &["compare", "base", "new", "--format", "json"], 0);
    assert_valid(&text);
    let read: Comparison = serde_json::from_str(&text).unwrap();
    assert_eq!(read.cells, compared(&base, &new).cells);
    assert_eq!(names(&dir.path().join("new")), before);
}

fn names(dir: &Path) -> Vec<(String, u64)> {
    let entry = |entry: fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), entry.metadata().unwrap().len())
    };
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|one| entry(one.unwrap())).collect();
    names.sort();
    names
}

#[test]
fn what_is_not_comparable_is_refused_with_what_differs_and_across_says_what_it_means() {
    let mut other = only(made(5, "20260309-new", |_| ()), of_app);
    other.plan.facts.insert("machine processor".to_owned(), "Intel Xeon, 4 cores".to_owned());
    other.plan.facts.insert("engine version".to_owned(), "26.1.5".to_owned());
    let dir = folder(&only(made(5, "20260302-base", |_| ()), of_app), &other);
    insta::assert_snapshot!(refusal(dir.path(), &["compare", "base", "new"]));
    let text = printed(dir.path(), &["compare", "base", "new", "--across"], 0);
    assert!(text.contains("not measured under the same conditions"), "{text}");
    assert!(text.contains("machine processor: was AMD EPYC, 2 cores, is Intel"), "{text}");
    let comparison = compared(&BASE, &other);
    assert_eq!(comparison.across.len(), 2);
    let text = shown(&comparison, "markdown");
    assert!(text.contains("⚠ **Across.**") && text.contains("is 26.1.5"), "{text}");
}

#[test]
fn cells_of_one_run_only_and_partial_runs_are_said() {
    let failing = |sample: &mut Sample| {
        if sample.round == 2 && sample.cell.strategy == "inline" {
            spoil(sample, Status::Failed, "push failed", None);
        }
    };
    let mut new = only(made(5, "20260309-new", failing), |cell| cell.change == "app");
    interrupt(&mut new);
    let comparison = compared(&BASE, &new);
    assert_eq!((comparison.only_in_base.len(), comparison.only_in_new.len()), (8, 0));
    assert!(comparison.notes.iter().any(|note| note.starts_with("NEW is partial")));
    assert_eq!(comparison.count(Word::TooFewRounds), 2);
    let text = shown(&comparison, "terminal");
    assert!(text.contains("Only in base") && text.contains("too few rounds"), "{text}");
    let killed = compared(&identified(Run::killed(), "a"), &new);
    assert!(killed.notes.iter().any(|note| note.starts_with("BASE is partial")));
}

#[test]
fn runs_without_a_common_cell_and_directories_that_are_none_are_refused() {
    let other = only(made(5, "other", |_| ()), |cell| cell.change == "deps");
    let dir = folder(&only(made(5, "base", |_| ()), of_app), &other);
    let said = refusal(dir.path(), &["compare", "base", "new"]);
    assert!(said.contains("no cell in common"), "{said}");
    let said = refusal(dir.path(), &["compare", "base", "nowhere"]);
    assert!(said.contains("nowhere/plan.json"), "{said}");
}

#[test]
fn bytes_are_shown_where_they_were_counted_and_tables_keep_to_the_width() {
    let office = only(Run::wide(), |cell| cell.link == "office" && cell.engine == "modern");
    let text = shown(&compared(&office, &office), "terminal");
    assert!(text.contains(" down") && text.contains("MB"), "{text}");
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 120).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn no_name_breaks_a_format() {
    let usual = compared(&Run::usual(), &Run::usual());
    assert_eq!(usual.count(Word::NoDifferenceShown), 16);
    for name in HOSTILE {
        let run = only(Run::hostile(name), of_app);
        let mut comparison = compared(&run, &run);
        comparison.across.push(name.to_owned());
        comparison.only_in_new.push(name.to_owned());
        let odd = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
        let text = shown(&comparison, "terminal");
        assert!(!text.contains(odd), "{text:?}");
        let text = shown(&comparison, "markdown");
        assert!(!text.contains(odd), "{text:?}");
        assert!(!text.contains("<script") && !text.contains('@') && !text.contains("[link](http"));
        let pipes = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        let rows: Vec<usize> =
            text.lines().filter(|line| line.starts_with('|')).map(pipes).collect();
        assert!(rows.iter().all(|count| *count == rows[0]), "{text}");
        // The title, the verdicts, one table, and what is in one run only.
        assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 4, "{text}");
        let text = shown(&comparison, "json");
        assert_valid(&text);
        let read: Comparison = serde_json::from_str(&text).unwrap();
        assert_eq!(read.cells[0].workload, format!("article{name}"));
    }
}

fn assert_valid(text: &str) {
    let schema = serde_json::to_value(comparison::schema()).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let comparison: Value = serde_json::from_str(text).expect("a comparison is JSON");
    assert_eq!(comparison["version"], comparison::COMPARISON_VERSION);
    let faults: Vec<String> = validator
        .iter_errors(&comparison)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// `BREAKEVEN_UPDATE_SCHEMA=1 cargo test` writes the schema anew.
#[test]
fn the_committed_schema_is_the_generated_one() {
    const FILE: &str = "docs/compare.schema.json";
    let generated = serde_json::to_string_pretty(&comparison::schema()).unwrap() + "\n";
    if std::env::var_os("BREAKEVEN_UPDATE_SCHEMA").is_some() {
        fs::write(FILE, &generated).unwrap();
    }
    let committed = fs::read_to_string(FILE).unwrap();
    assert!(committed == generated, "{FILE} is old: BREAKEVEN_UPDATE_SCHEMA=1 cargo test");
}

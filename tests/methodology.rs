//! The tables of traps say what the code detects, no more and no less, and name tests that exist.

use breakeven::model::finding::FINDINGS;
use breakeven::model::{FindingKind, Severity};
use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of every row of a Markdown text whose third column is a severity.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells.len() > 3 && ["note", "warning", "invalid"].contains(&cells[3]))
        .collect()
}

fn of_code(kind: &FindingKind) -> (String, String, String) {
    let severity = match kind.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Invalid => "invalid",
    };
    let trap = kind.trap.map(|trap| trap.to_string()).unwrap_or_default();
    (trap, kind.id.to_owned(), severity.to_owned())
}

fn documented(rows: &[Vec<&str>]) -> BTreeSet<(String, String, String)> {
    let of_row = |cells: &Vec<&str>| {
        (cells[1].to_owned(), cells[2].trim_matches('`').to_owned(), cells[3].to_owned())
    };
    rows.iter().map(of_row).collect()
}

#[test]
fn the_table_of_traps_is_that_of_the_code() {
    let text = read("docs/methodology.md");
    let section = text.split("## Traps").nth(1).and_then(|rest| rest.split("\n## ").next());
    let known: BTreeSet<_> = FINDINGS.iter().map(|kind| of_code(kind)).collect();
    assert_eq!(documented(&rows(section.expect("there is a section on traps"))), known);
}

#[test]
fn every_trap_has_a_row_with_its_advice_and_a_test_that_exists() {
    let text = read("docs/traps.md");
    let rows = rows(&text);
    let known: BTreeSet<_> = FINDINGS.iter().map(|kind| of_code(kind)).collect();
    assert_eq!(documented(&rows), known);
    for row in &rows {
        let kind = FINDINGS.iter().find(|kind| kind.id == row[2].trim_matches('`')).unwrap();
        assert_eq!(row[5], kind.advice, "{}", kind.id);
        assert!(!row[4].is_empty(), "{}", kind.id);
    }
    // Those that are detected, and those that cannot happen.
    let mut traps: BTreeSet<u8> = FINDINGS.iter().filter_map(|kind| kind.trap).collect();
    traps.extend([13, 16, 19, 35, 36]);
    assert_eq!(traps, (1..=36).collect());
    let sources = sources();
    let mut named = 0;
    for line in text.lines().filter(|line| line.starts_with('|') && line.ends_with("` |")) {
        let test = line.trim_end_matches("` |").rsplit('`').next().unwrap();
        assert!(sources.contains(&format!("fn {test}()")), "there is no test {test}: {line}");
        named += 1;
    }
    assert_eq!(named, FINDINGS.len() + 3);
}

/// Every test's source, those within the program included.
fn sources() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["tests", "src"].iter().flat_map(|dir| walkdir::WalkDir::new(root.join(dir)));
    let files = files.map(|entry| entry.unwrap().into_path());
    let rust = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

//! The methodology's table of traps says what the code detects, no more and no less.

use breakeven::model::Severity;
use breakeven::model::finding::FINDINGS;
use std::collections::BTreeSet;

#[test]
fn the_table_of_traps_is_that_of_the_code() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/methodology.md"))
        .expect("docs/methodology.md can be read");
    let section = text.split("## Traps").nth(1).and_then(|rest| rest.split("\n## ").next());
    let documented: BTreeSet<(String, String, String)> = section
        .expect("there is a section on traps")
        .lines()
        .filter(|line| line.contains("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (cells[1].to_owned(), cells[2].trim_matches('`').to_owned(), cells[3].to_owned())
        })
        .collect();
    let known: BTreeSet<(String, String, String)> = FINDINGS
        .iter()
        .map(|kind| {
            let severity = match kind.severity {
                Severity::Note => "note",
                Severity::Warning => "warning",
                Severity::Invalid => "invalid",
            };
            let trap = kind.trap.map(|trap| trap.to_string()).unwrap_or_default();
            (trap, kind.id.to_owned(), severity.to_owned())
        })
        .collect();
    assert_eq!(documented, known);
}

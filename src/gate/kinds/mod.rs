//! What a rule can demand: one file per kind, one line in [`KINDS`].

mod export_share;
mod longest_job;
mod no_finding;
mod pays_off;
mod regression;
mod resolves;
mod step_hit_share;

use super::{Evidence, Part, Rule};

/// A kind of rule: a row of [`KINDS`].
#[derive(Debug)]
pub struct Kind {
    /// What it is called in a file of rules.
    pub id: &'static str,
    /// One sentence: what it demands.
    pub summary: &'static str,
    /// Keys that such a rule needs.
    pub needs: &'static [&'static str],
    /// Keys that it may have.
    pub takes: &'static [&'static str],
    /// The rule with what it leaves at its default.
    pub defaults: fn(&Rule) -> Rule,
    /// Holds a run against the rule: what it says of each thing that it speaks of. Nothing, where
    /// the run has nothing that it speaks of.
    pub check: fn(&Rule, &Evidence<'_>) -> Vec<Part>,
}

impl Kind {
    /// Keys that such a rule has, besides those of every rule.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.needs.iter().chain(self.takes).copied()
    }
}

/// Every kind, in the order in which they are listed.
pub static KINDS: &[Kind] = &[
    pays_off::KIND,
    step_hit_share::KIND,
    export_share::KIND,
    longest_job::KIND,
    regression::KIND,
    resolves::KIND,
    no_finding::KIND,
];

/// The kind of this id.
pub(super) fn find(id: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.id == id)
}

/// Filters of a rule that speaks of cells.
const CELLS: &[&str] =
    &["workload", "change", "availability", "strategy", "builder", "link", "engine"];

/// A share in per cent, as every kind says it.
fn per_cent(share: f64) -> String {
    let value = share * 100.0;
    if (value - value.round()).abs() < 0.05 {
        format!("{value:.0} %")
    } else {
        format!("{value:.1} %")
    }
}

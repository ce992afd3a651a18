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
    let decimals = match value.abs() {
        0.0 => 0,
        // A limit of a hundredth of a per cent is not none.
        small if small < 0.05 => (-small.log10()).ceil().min(9.0) as usize,
        _ => usize::from((value - value.round()).abs() >= 0.05),
    };
    format!("{value:.decimals$} %")
}

#[cfg(test)]
mod tests {
    use super::per_cent;

    #[test]
    fn a_share_is_never_said_to_be_none_unless_it_is() {
        for (share, said) in [
            (0.0, "0 %"),
            (0.0001, "0.01 %"),
            (0.000_004, "0.0004 %"),
            (0.000_9, "0.1 %"),
            (0.125, "12.5 %"),
            (0.2, "20 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(per_cent(share), said);
        }
    }
}

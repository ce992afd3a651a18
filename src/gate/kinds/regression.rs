//! No cell is slower by more than a share than it was in an earlier run.

use super::{Kind, per_cent};
use crate::compare::{CellDifference, Comparison, Word};
use crate::gate::{Baseline, Evidence, Part, Rule, State};

/// The row of `KINDS`.
pub(super) const KIND: Kind = Kind {
    id: "regression",
    summary: "no cell is slower than in an earlier run by more than this share",
    needs: &["at_most"],
    takes: &[
        "baseline",
        "across",
        "workload",
        "change",
        "availability",
        "strategy",
        "builder",
        "link",
        "engine",
    ],
    defaults: |rule| Rule { across: Some(rule.across.unwrap_or_default()), ..rule.clone() },
    check,
};

fn check(rule: &Rule, evidence: &Evidence<'_>) -> Vec<Part> {
    let Some(which) = rule.compares_with() else {
        let said = "it names no run to compare with: add `baseline` to the rule or at the top of \
                    the file, or --baseline to the command";
        return vec![Part::new("", State::Misconfigured, said)];
    };
    match evidence.baselines.get(&which) {
        Some(Baseline::Compared(comparison)) => cells(rule, comparison),
        Some(Baseline::NotComparable(differences)) => {
            let said = format!(
                "not comparable with {}: {}. `across = true` compares all the same, and a difference \
                 is one of all this together (`across = \"content\"`: only where nothing but what is \
                 built differs)",
                which.0.display(),
                differences.join("; ")
            );
            vec![Part::new("", State::Skip, said)]
        }
        Some(Baseline::TooFew(why)) => {
            let said =
                format!("nothing to compare with yet in {}: {}", which.0.display(), why.join("; "));
            vec![Part::new("", State::Skip, said)]
        }
        Some(Baseline::Unreadable(message)) => vec![Part::new("", State::Misconfigured, message)],
        None => vec![Part::new("", State::Misconfigured, "the baseline was not read")],
    }
}

fn cells(rule: &Rule, comparison: &Comparison) -> Vec<Part> {
    let of = comparison.cells.iter().filter(|cell| {
        rule.speaks_of(
            [&cell.change, &cell.availability],
            [&cell.workload, &cell.link, &cell.engine],
            (&cell.strategy, cell.builder),
        )
    });
    of.map(|cell| part(rule, cell, comparison)).collect()
}

/// It fails if the whole interval of the share lies above the largest one, and the difference is one
/// that matters.
fn part(rule: &Rule, cell: &CellDifference, comparison: &Comparison) -> Part {
    let most = rule.at_most.unwrap_or_default();
    let Some(time) = &cell.time else {
        return Part::new(cell.key(), State::Skip, cell.word.label());
    };
    let worse = time.share.low > most && cell.word == Word::Slower;
    let state = if worse { State::Fail } else { State::Pass };
    let [point, low, high] = [time.share.point, time.share.low, time.share.high].map(|x| x * 100.0);
    let mut said = format!(
        "{}: {:+.2} s, {point:+.1} % [{low:+.1}, {high:+.1}], {} at most",
        cell.word,
        time.seconds.point,
        per_cent(most)
    );
    if worse && !comparison.across.is_empty() {
        said +=
            "; measured under other conditions, so that it is a difference of all this together: ";
        said += &comparison.across.join("; ");
    }
    let baseline = comparison.baseline.as_ref();
    if let Some(shift) = baseline.filter(|shift| worse && shift.word == Word::Slower) {
        said += &format!(
            "; jobs without a cache are slower too ({:+.1} %): look at the machine first",
            shift.time.share.point * 100.0
        );
    }
    Part::new(cell.key(), state, said).with(time.share.point)
}

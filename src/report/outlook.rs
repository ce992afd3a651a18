//! What would change a verdict, in sentences: more builds of some kind, more rounds, a smaller least
//! saving. Links, shares and money are `decision::outlook`'s.

use super::text;
use super::text::plural;
use crate::decision::{Group, Row, Saving, Verdict, Weighted};

/// What would change the verdicts of one scope: its weighted results and its groups.
pub(super) fn sentences(scope: &[Weighted], groups: &[&Group]) -> Vec<String> {
    let total = |one: &Weighted| one.total_s.map_or(f64::INFINITY, |total| total.point);
    let is_payer = |one: &&Weighted| {
        let pays = |saving: &Saving| saving.verdict == Verdict::PaysOff;
        !one.keeps_runner() && one.saving.as_ref().is_some_and(pays)
    };
    let best = scope.iter().filter(is_payer).min_by(|a, b| total(a).total_cmp(&total(b)));
    let mut sentences: Vec<String> =
        best.into_iter().filter_map(|best| mix(best, groups, Verdict::DoesNotPayOff)).collect();
    for weighted in scope {
        let Some(saving) = &weighted.saving else { continue };
        match saving.verdict {
            Verdict::DoesNotPayOff => {
                sentences.extend(threshold(weighted, saving));
                sentences.extend(mix(weighted, groups, Verdict::PaysOff));
            }
            Verdict::Undecided | Verdict::TooFewRounds => {
                sentences.extend(rounds(weighted, saving));
            }
            Verdict::PaysOff | Verdict::Baseline => {}
        }
    }
    sentences
}

fn name(weighted: &Weighted) -> String {
    format!("`{} ({})`", weighted.strategy, weighted.builder)
}

/// Where the verdict is the opposite: more builds of that kind would turn it.
fn mix(weighted: &Weighted, groups: &[&Group], opposite: Verdict) -> Option<String> {
    let row_of = |group: &Group| -> Option<Row> {
        let is = |row: &&Row| row.strategy == weighted.strategy && row.builder == weighted.builder;
        let found = group.rows.iter().find(is)?;
        found.saving.as_ref().filter(|saving| saving.verdict == opposite)?;
        Some(found.clone())
    };
    let against: Vec<(&Group, Row)> =
        groups.iter().filter_map(|group| Some((*group, row_of(group)?))).collect();
    if against.is_empty() {
        return None;
    }
    let share: f64 = against.iter().map(|(group, _)| group.weight).sum();
    let places: Vec<String> = against
        .iter()
        .map(|(group, row)| {
            let saving = row.saving.as_ref().map(|saving| text::saving_parts(&saving.seconds));
            let saving = saving.map(text::joined).unwrap_or_default();
            format!("change {}, candidates {}: {saving}", group.change, group.availability)
        })
        .collect();
    Some(format!(
        "More builds of a kind that is {} of all now, where {} {opposite}: {}.",
        text::weight(share),
        name(weighted),
        places.join("; ")
    ))
}

/// A saving that is certain and too small.
fn threshold(weighted: &Weighted, saving: &Saving) -> Option<String> {
    (saving.seconds.low > 0.0).then(|| {
        format!(
            "A smaller least saving: {} is faster for certain, by {}, but by less than the {} s \
             that are set to matter.",
            name(weighted),
            text::joined(text::saving_parts(&saving.seconds)),
            text::plain_seconds(saving.relevant_s)
        )
    })
}

fn rounds(weighted: &Weighted, saving: &Saving) -> Option<String> {
    let more = saving.more_rounds?;
    let more = plural(usize::try_from(more).unwrap_or(usize::MAX), "more round");
    // Before there is an interval nothing tells what would decide.
    Some(match saving.verdict {
        Verdict::TooFewRounds => {
            format!("More rounds: {} has no verdict before {more}.", name(weighted))
        }
        _ => format!("More rounds: about {more} would probably decide on {}.", name(weighted)),
    })
}

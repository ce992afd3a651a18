//! What a run that was resumed is: how many samples lie on either side, and whether jobs take
//! longer after it than before. Pure, from the journal alone.

use crate::model::finding as kinds;
use crate::model::{CellKey, Event, Finding, Sample};
use crate::stats::Values;
use std::collections::HashMap;

/// One finding for every time that the run was resumed.
pub fn resumed(events: &[Event]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let Event::RunResumed { at, torn, retry_failed, .. } = event else { continue };
        let (before, after) = (samples(&events[..index]), samples(&events[index..]));
        let mut detail = format!(
            "resumed at {at} with {} samples before and {} after",
            before.len(),
            after.len()
        );
        if *torn {
            detail += "; the journal's last line was torn and cut off";
        }
        if *retry_failed {
            detail += "; failed samples were measured again";
        }
        match shift(&before, &after) {
            Some((share, count)) => {
                detail += &format!(
                    "; jobs after it took {:+.1} % of the time before it (median of {count} \
                     samples against the medians of their cells)",
                    share * 100.0
                );
            }
            None => detail += "; how much times moved is n/a",
        }
        findings.push(Finding::new(&kinds::RESUMED, detail));
    }
    findings
}

fn samples(events: &[Event]) -> Vec<&Sample> {
    events.iter().filter_map(Event::sample).collect()
}

/// The median of what samples took longer than the median of their cell's earlier samples, as a
/// share of that median, and how many samples it is of.
fn shift(before: &[&Sample], after: &[&Sample]) -> Option<(f64, usize)> {
    let mut totals: HashMap<CellKey, Vec<f64>> = HashMap::new();
    for sample in before.iter().filter(|sample| sample.counts()) {
        totals.entry(sample.cell.key()).or_default().push(sample.total_s());
    }
    let shares = after.iter().filter(|sample| sample.counts()).filter_map(|sample| {
        let median = Values::new(totals.get(&sample.cell.key())?.iter().copied()).ok()?.median();
        (median > 0.0).then(|| sample.total_s() / median - 1.0)
    });
    let shares = Values::new(shares).ok()?;
    Some((shares.median(), shares.count()))
}

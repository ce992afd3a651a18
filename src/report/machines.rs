//! The machines of a merged run in words and cells, for every format alike.

use super::model::Model;
use super::text;
use super::text::plural;
use crate::decision::{OnMachines, OwnSaving};
use crate::model::Event;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// One machine of a merged run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MachineOut {
    /// Its number, from 1.
    pub machine: u32,
    /// Id that its part had as a run.
    pub run: String,
    /// Counted rounds with samples that count.
    pub rounds: usize,
    /// Samples of counted rounds that are not ok.
    pub not_ok: usize,
    /// Seconds that it was measured.
    pub duration_s: f64,
    /// Facts about machine and engine.
    pub facts: BTreeMap<String, String>,
}

/// Every machine whose part was merged.
pub(super) fn of(events: &[Event], machines: &crate::decision::Machines) -> Vec<MachineOut> {
    let of = |event: &Event| {
        let Event::PartMerged { machine, run, facts, duration_s } = event else { return None };
        let result = machines.machines.iter().find(|one| one.machine == *machine);
        Some(MachineOut {
            machine: *machine,
            run: run.clone(),
            rounds: result.map_or(0, |one| one.rounds),
            not_ok: result.map_or(0, |one| one.not_ok),
            duration_s: *duration_s,
            facts: facts.clone(),
        })
    };
    events.iter().filter_map(of).collect()
}

/// What stands above the columns of the table of machines, strategies being its rows: the strategy,
/// each machine's saving, and how probable the differences are.
pub(super) fn headings(model: &Model<'_>) -> Vec<(String, bool)> {
    let machines = model.decision.machines.machines.iter();
    let mut headings = vec![("strategy".to_owned(), false)];
    headings.extend(machines.map(|one| (format!("machine {}", one.machine), true)));
    headings.push(("machines".to_owned(), false));
    headings
}

/// The cells of a row: points and intervals.
pub(super) fn cells(model: &Model<'_>, one: &OnMachines) -> Vec<(String, String)> {
    let mut cells = vec![(name(model, one), String::new())];
    cells.extend(one.savings.iter().map(|own| own.as_ref().map_or_else(unknown, saving)));
    cells.push((agreement(one), String::new()));
    cells
}

fn unknown() -> (String, String) {
    (text::NOT_MEASURED.to_owned(), String::new())
}

/// A single round has no spread to make an interval from.
fn saving(own: &OwnSaving) -> (String, String) {
    let (point, interval) = text::saving_parts(&own.seconds);
    if own.pairs == 1 { (point, "[1 round]".to_owned()) } else { (point, interval) }
}

fn name(model: &Model<'_>, one: &OnMachines) -> String {
    let others = &model.decision.machines.strategies;
    let mut name = format!("{} ({})", one.strategy, one.builder);
    type Axis = fn(&OnMachines) -> &str;
    let axes: [(&str, Axis); 3] = [
        (", workload ", |one| &one.workload),
        (", link ", |one| &one.link),
        (", engine ", |one| &one.engine),
    ];
    for (word, axis) in axes {
        if others.iter().any(|other| axis(other) != axis(one)) {
            name += &format!("{word}{}", axis(one));
        }
    }
    name
}

fn agreement(one: &OnMachines) -> String {
    match one.p {
        _ if one.differs => "differ".to_owned(),
        Some(p) if p < 0.001 => "p < 0.001".to_owned(),
        Some(p) => format!("p = {p:.3}"),
        None => text::NOT_MEASURED.to_owned(),
    }
}

/// `machine 1: 3 rounds · AMD EPYC, 2 cores · run 2026…`
pub(super) fn line(one: &MachineOut) -> String {
    let mut parts = vec![plural(one.rounds, "round")];
    if one.not_ok > 0 {
        parts.push(format!("{} not ok", plural(one.not_ok, "sample")));
    }
    parts.extend(
        ["machine processor", "machine memory"]
            .iter()
            .filter_map(|fact| one.facts.get(*fact).cloned()),
    );
    parts.push(text::duration(one.duration_s));
    parts.push(format!("run {}", one.run));
    format!("machine {}: {}", one.machine, parts.join(" · "))
}

/// What the interval of a merged run speaks of.
pub(super) fn legend(model: &Model<'_>) -> String {
    let count = model.decision.machines.machines.len();
    let units = if count < crate::stats::bootstrap::machines::LEAST {
        format!(
            "Intervals of the whole run speak of these {}: rounds are resampled, and an \
             interval holds each machine's own saving.",
            plural(count, "machine")
        )
    } else {
        "Intervals of the whole run speak of machines such as these: machines are resampled, and \
         rounds within them."
            .to_owned()
    };
    format!(
        "Mean saving a build on each machine, with the 95 % interval over its own rounds; machines: \
         the chance of such differences among machines that are alike, n/a where no machine has \
         two rounds. {units}"
    )
}

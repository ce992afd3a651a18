//! Which strategies are measured with which builder, on which workload.

use super::document::Document;
use super::problem::{allowed, listed};
use super::schema;
use crate::model::Builder;
use crate::model::custom::CustomStrategy;
use crate::model::plan::{EnginePlan, Workload};
use crate::strategy::{self, Strategy};
use std::collections::{BTreeMap, BTreeSet};

/// A strategy under a builder.
pub(super) type Competitor = (Strategy, Builder);

/// The competitors of each workload, and what was left out.
#[derive(Default)]
pub(super) struct Competitors {
    pub(super) of: BTreeMap<String, Vec<Competitor>>,
    pub(super) notes: Vec<String>,
}

/// Checks the selection. What is named must be possible; what is only there by default is left
/// out where it is not, with a note.
pub(super) fn competitors(
    document: &mut Document,
    file: &schema::File,
    custom: &BTreeMap<String, CustomStrategy>,
    workloads: &BTreeMap<String, Workload>,
    engines: &BTreeMap<String, EnginePlan>,
) -> Competitors {
    let known = strategy::table(custom);
    let at = ["strategies", "builders"];
    if file.strategies.builders.is_empty() {
        let advice = format!("allowed: {}", listed(Builder::ALL));
        document.problem(&at, "`builders` is empty", advice);
    }
    let has = |builder: &Builder| engines.values().any(|one| one.builders().contains(builder));
    let builders: Vec<Builder> = file.strategies.builders.iter().copied().filter(has).collect();
    if builders.is_empty() && !file.strategies.builders.is_empty() && !engines.is_empty() {
        let there = engines.values().flat_map(|engine| engine.builders()).copied();
        let advice =
            format!("allowed with these engines: {}", listed(there.collect::<BTreeSet<_>>()));
        document.problem(&at, "no engine has one of these builders", advice);
    }
    let selected = selected(document, file, &known);
    let baseline = baseline(document, file, &known, &selected);
    let mut competitors = Competitors::default();
    for (name, workload) in workloads {
        let fits = |strategy: &Strategy| !strategy.needs_stages || !workload.stages.is_empty();
        let left_out: Vec<&str> =
            selected.iter().filter(|(_, s)| !fits(s)).map(|(_, s)| &*s.id).collect();
        if !left_out.is_empty() {
            competitors.notes.push(format!(
                "workload `{name}`: {} left out, since its Dockerfile has no named stage before \
                 the final one",
                listed(&left_out)
            ));
        }
        let of = competitors.of.entry(name.clone()).or_default();
        for (_, strategy) in selected.iter().filter(|(_, strategy)| fits(strategy)) {
            of.extend(
                Builder::ALL
                    .into_iter()
                    .filter(|b| builders.contains(b) && strategy.builders.contains(b))
                    .map(|builder| (strategy.clone(), builder)),
            );
        }
    }
    for (index, strategy) in selected.iter().filter_map(|(index, s)| Some((index.as_ref()?, s))) {
        let at = ["strategies", "use", index.as_str()];
        if !strategy.builders.iter().any(|builder| builders.contains(builder)) {
            document.problem(
                &at,
                format!("`{}` works with {} only", strategy.id, listed(&*strategy.builders)),
                "add it to `builders` (with an engine that has it), or take the strategy out",
            );
        }
        let carries = workloads.values().any(|workload| !workload.stages.is_empty());
        if strategy.needs_stages && !carries && !workloads.is_empty() {
            document.problem(
                &at,
                format!("`{}` carries named stages, and no Dockerfile has one", strategy.id),
                "name the stages (`FROM image AS name`), or take the strategy out",
            );
        }
    }
    if let Some(baseline) = baseline
        && !baseline.builders.iter().any(|builder| builders.contains(builder))
    {
        document.problem(
            &["baseline"],
            format!(
                "the baseline `{}` works with {} only",
                baseline.id,
                listed(&*baseline.builders)
            ),
            "choose a baseline that works with the `builders`",
        );
    }
    competitors
}

/// The selected strategies in the order of the table, each with its place in `use`.
fn selected(
    document: &mut Document,
    file: &schema::File,
    known: &[Strategy],
) -> Vec<(Option<String>, Strategy)> {
    let Some(named) = &file.strategies.selected else {
        return known.iter().map(|strategy| (None, strategy.clone())).collect();
    };
    if named.is_empty() {
        let advice = "leave it out for every strategy that fits";
        document.problem(&["strategies", "use"], "`use` is empty", advice);
    }
    for (index, id) in named.iter().enumerate() {
        if !known.iter().any(|strategy| strategy.id == *id) {
            document.problem(
                &["strategies", "use", &format!("[{index}]")],
                format!("there is no strategy `{id}`"),
                allowed(id, known.iter().map(|strategy| &*strategy.id)),
            );
        }
    }
    let place = |strategy: &Strategy| named.iter().position(|id| *id == strategy.id);
    known
        .iter()
        .filter_map(|strategy| Some((Some(format!("[{}]", place(strategy)?)), strategy.clone())))
        .collect()
}

fn baseline(
    document: &mut Document,
    file: &schema::File,
    known: &[Strategy],
    selected: &[(Option<String>, Strategy)],
) -> Option<Strategy> {
    let ids = || selected.iter().map(|(_, strategy)| &*strategy.id);
    let found = selected.iter().find(|(_, strategy)| strategy.id == file.baseline);
    if found.is_none() && !selected.is_empty() {
        let message = if known.iter().any(|strategy| strategy.id == file.baseline) {
            format!("the baseline `{}` is not among the strategies", file.baseline)
        } else {
            format!("there is no strategy `{}` for a baseline", file.baseline)
        };
        // Left out, it is `cold`; then the list of strategies is what has to change.
        let at: &[&str] = if document.keys(&[]).contains(&"baseline") {
            &["baseline"]
        } else {
            &["strategies", "use"]
        };
        document.problem(at, message, allowed(&file.baseline, ids()));
    }
    found.map(|(_, strategy)| strategy.clone())
}

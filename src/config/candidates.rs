//! Candidates, and which of them exist when a job starts.

use super::changes::NONE;
use super::document::Document;
use super::names;
use super::problem::allowed;
use super::schema;
use crate::model::plan::{Availability, Candidate, Workload};
use std::collections::{BTreeMap, BTreeSet};

/// All candidates, in the order of the file.
pub(super) fn candidates(
    document: &mut Document,
    file: &schema::File,
    workloads: &BTreeMap<String, Workload>,
) -> Vec<Candidate> {
    let order: Vec<String> = document.keys(&["candidate"]).into_iter().map(str::to_owned).collect();
    if order.is_empty() {
        return vec![Candidate { name: "main".to_owned(), lacks: Vec::new() }];
    }
    let changes: Vec<String> =
        document.keys(&["change"]).into_iter().filter(|c| *c != NONE).map(str::to_owned).collect();
    let mut tags = BTreeSet::new();
    for name in &order {
        let at = ["candidate", name.as_str()];
        if !names::is_tag(name) {
            let message = format!("`{name}` cannot be the name of a candidate: it is a tag");
            document.problem(&at, message, format!("allowed: {}", names::TAG));
        }
        if name == NONE {
            document.problem(
                &at,
                "`none` cannot be the name of a candidate",
                "it stands for an availability without candidates; choose another name",
            );
        }
        // A stage's image is the candidate's with the stage's name behind it.
        let stages =
            workloads.values().flat_map(|workload| &workload.stages).collect::<BTreeSet<_>>();
        let images = stages.into_iter().map(|stage| format!("{name}-{stage}"));
        for tag in std::iter::once(name.clone()).chain(images) {
            if !tags.insert(tag.clone()) {
                document.problem(
                    &at,
                    format!("two images would have the tag `{tag}`"),
                    "a stage's image is tagged CANDIDATE-STAGE; rename the candidate",
                );
            }
        }
        let lacks = file.candidate.get(name).map(|c| c.lacks.as_slice()).unwrap_or_default();
        for (index, change) in lacks.iter().enumerate() {
            if !changes.contains(change) {
                document.problem(
                    &["candidate", name, "lacks", &format!("[{index}]")],
                    format!("there is no change `{change}` that a candidate could lack"),
                    allowed(change, changes.iter().map(String::as_str)),
                );
            }
        }
    }
    let lacks = |name: &String| file.candidate.get(name).map(|c| c.lacks.clone());
    order
        .iter()
        .map(|name| Candidate { name: name.clone(), lacks: lacks(name).unwrap_or_default() })
        .collect()
}

/// All availabilities, in the order of the file.
pub(super) fn availabilities(
    document: &mut Document,
    file: &schema::File,
    candidates: &[Candidate],
) -> Vec<Availability> {
    let all: Vec<&str> = candidates.iter().map(|candidate| candidate.name.as_str()).collect();
    let Some(written) = &file.availability else {
        return vec![availability(&all, 1.0)];
    };
    if written.is_empty() {
        let advice = "leave it out if all candidates exist always";
        document.problem(&["availability"], "`availability` is empty", advice);
    }
    let mut seen: Vec<Availability> = Vec::new();
    for (index, entry) in written.iter().enumerate() {
        let at = format!("[{index}]");
        for (position, name) in entry.have.iter().enumerate() {
            if !all.contains(&name.as_str()) {
                document.problem(
                    &["availability", &at, "have", &format!("[{position}]")],
                    format!("there is no candidate `{name}`"),
                    allowed(name, all.iter().copied()),
                );
            }
        }
        // Which of them is looked for first is the candidates' order, not this list's.
        let have: Vec<&str> =
            all.iter().copied().filter(|name| entry.have.iter().any(|n| n == name)).collect();
        let checked = availability(&have, entry.weight);
        if seen.iter().any(|earlier| earlier.name == checked.name) {
            document.problem(
                &["availability", &at],
                format!("the availability `{}` is there twice", checked.name),
                "write it once, with the sum of the weights",
            );
        }
        seen.push(checked);
    }
    if !written.is_empty() && written.iter().map(|entry| entry.weight).sum::<f64>() <= 0.0 {
        document.problem(
            &["availability"],
            "the weights of the availabilities sum to nothing",
            "give at least one of them a `weight` above 0",
        );
    }
    seen
}

fn availability(have: &[&str], weight: f64) -> Availability {
    let name = if have.is_empty() { NONE.to_owned() } else { have.join("+") };
    Availability { name, have: have.iter().map(|&name| name.to_owned()).collect(), weight }
}

//! What is decided and shown on its own, and what each piece of it is called.

use super::outlook;
use crate::decision::{self, Decision, Group, LinkModel, Weighted};

/// One workload on one link and engine. Numbers of different scopes are never paired.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    /// Its strategies over all changes and candidates, by their weights.
    pub weighted: &'a [Weighted],
    /// Positions of its groups among the decision's.
    pub groups: Vec<usize>,
    /// The verdict, in sentences.
    pub sentences: Vec<String>,
    /// What would change it, in sentences.
    pub outlook: Vec<String>,
    /// `workload web, link slow`: those of the three that have several values in this run.
    pub title: String,
}

/// One workload on one engine, across all links.
#[derive(Debug, Clone)]
pub struct Across<'a> {
    /// The workload.
    pub workload: &'a str,
    /// The engine.
    pub engine: &'a str,
    /// `workload web, engine modern`: those of the two that have several values in this run.
    pub title: String,
    /// The models of its strategies: over the mix, and per change and availability.
    pub models: Vec<&'a LinkModel>,
}

impl<'a> Across<'a> {
    /// The models over the change mix.
    pub fn over_the_mix(&self) -> Vec<&'a LinkModel> {
        self.models.iter().copied().filter(|model| model.change.is_none()).collect()
    }

    /// Why there is nothing to be drawn: times over a single link depend on nothing.
    pub fn only_link(&self) -> Option<&'a str> {
        let several = self.models.iter().any(|model| model.points.len() > 1);
        let reason = self.models.iter().find_map(|model| model.not_drawn.as_deref());
        (!several).then(|| reason.unwrap_or("a single link was measured"))
    }
}

/// The parts of a group's name. Change and candidates are names from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupTitle {
    /// Workload, link and engine, where there are several; may be empty.
    pub place: String,
    /// The change.
    pub change: String,
    /// The candidates that exist.
    pub candidates: String,
    /// Share of builds.
    pub weight: String,
}

impl GroupTitle {
    /// As one line: `change app · candidates branch+main · 42 % of builds`.
    pub fn line(&self) -> String {
        let place =
            if self.place.is_empty() { String::new() } else { format!("{} · ", self.place) };
        format!(
            "{place}change {} · candidates {} · {} of builds",
            self.change, self.candidates, self.weight
        )
    }
}

impl<'a> Scope<'a> {
    pub(super) fn new(decision: &'a Decision, weighted: &'a [Weighted]) -> Self {
        let first = weighted.first();
        let is_of = |group: &&Group| {
            first.is_some_and(|of| {
                (&group.workload, &group.link, &group.engine)
                    == (&of.workload, &of.link, &of.engine)
            })
        };
        let groups: Vec<usize> = (0..)
            .zip(&decision.groups)
            .filter(|(_, group)| is_of(group))
            .map(|(at, _)| at)
            .collect();
        let of_scope: Vec<&Group> = decision.groups.iter().filter(is_of).collect();
        Self {
            weighted,
            groups,
            sentences: decision::sentences_of(decision, weighted),
            outlook: {
                let mut sentences = decision::outlook(decision, weighted);
                sentences.extend(outlook::sentences(weighted, &of_scope));
                sentences
            },
            title: first.map(|of| scope_title(decision, of)).unwrap_or_default(),
        }
    }
}

/// `workload web, link slow`, as far as there are several of them in a run.
pub(super) fn scope_title(decision: &Decision, of: &Weighted) -> String {
    let several =
        |axis: fn(&Weighted) -> &str| decision.weighted.iter().any(|other| axis(other) != axis(of));
    let mut place = Vec::new();
    if several(|w| &w.workload) {
        place.push(format!("workload {}", of.workload));
    }
    if several(|w| &w.link) {
        place.push(format!("link {}", of.link));
    }
    if several(|w| &w.engine) {
        place.push(format!("engine {}", of.engine));
    }
    place.join(", ")
}

/// Each workload on each engine that has models.
pub(super) fn across(decision: &Decision) -> Vec<Across<'_>> {
    let models = &decision.link_models;
    let several =
        |axis: fn(&LinkModel) -> &str| models.iter().any(|other| axis(other) != axis(&models[0]));
    let mut all: Vec<Across<'_>> = Vec::new();
    for model in models {
        let of = |one: &&mut Across<'_>| {
            (one.workload, one.engine) == (&*model.workload, &*model.engine)
        };
        if let Some(known) = all.iter_mut().find(of) {
            known.models.push(model);
            continue;
        }
        let mut place = Vec::new();
        if several(|model| &model.workload) {
            place.push(format!("workload {}", model.workload));
        }
        if several(|model| &model.engine) {
            place.push(format!("engine {}", model.engine));
        }
        all.push(Across {
            workload: &model.workload,
            engine: &model.engine,
            title: place.join(", "),
            models: vec![model],
        });
    }
    all
}

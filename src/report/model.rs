//! What is shown, whatever the format: computed from plan, events and decision, and nothing else.

use super::chart::{self, Drawing, Part};
use super::findings::{self, FindingGroup, LostGroup};
use super::machines::{self, MachineOut};
use super::quality::{self, Quality};
use super::{ReportError, outlook};
use crate::decision::{self, Decision, Group, LinkModel, Weighted};
use crate::model::event::Ending;
use crate::model::plan::{EnginePlan, LinkPlan};
use crate::model::{Builder, Cell, Event, Left, Plan, Sample, Status, sample};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Everything that a report shows.
#[derive(Debug, Clone)]
pub struct Model<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Every sample, warm-up included, in the order of measuring: of a resumed run also those that
    /// a later one stands for.
    pub samples: Vec<&'a Sample>,
    /// What was decided from them.
    pub decision: &'a Decision,
    /// The verdict, in sentences.
    pub sentences: Vec<String>,
    /// What is decided on its own: each workload on each link and engine.
    pub scopes: Vec<Scope<'a>>,
    /// Each workload on each engine, across all links, where times were fitted over several.
    pub across: Vec<Across<'a>>,
    /// What was noticed, the gravest first.
    pub findings: Vec<FindingGroup>,
    /// Samples that do not count, by what became of them and where.
    pub lost: Vec<LostGroup>,
    /// Cells that were left out because an engine cannot do them.
    pub unsupported: Vec<Unsupported>,
    /// Strategies that were not measured to the end of an adaptive run.
    pub left: Vec<Left>,
    /// Links as they were asked for and measured.
    pub links: Vec<Link>,
    /// Noise, drift and order.
    pub quality: Quality,
    /// The machines of a merged run.
    pub machines: Vec<MachineOut>,
    /// Facts about the run.
    pub run: RunFacts,
    /// Samples by cell, in the order of measuring.
    by_cell: Vec<(&'a Arc<Cell>, Vec<&'a Sample>)>,
    /// Figures, drawn when they are first asked for.
    drawings: OnceLock<Vec<Drawing>>,
}

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

/// Cells that an engine cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// Which.
    pub what: String,
    /// How many cells were left out.
    pub cells: usize,
    /// Why not.
    pub reason: String,
    /// What would make it possible.
    pub advice: String,
}

/// A link as it was asked for and as it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// What was asked for; `None` if the plan does not know it.
    pub asked: Option<LinkPlan>,
    /// Down and up in bits a second and round-trip time in seconds, measured before its first
    /// use.
    pub measured: Option<(f64, f64, f64)>,
}

/// Facts about a run as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// Wall clock of the first start, RFC 3339, UTC.
    pub started_at: String,
    /// Wall clock of the last end; empty if the run was killed.
    pub ended_at: String,
    /// Seconds that it ran, over all of its parts; `None` if the last one was killed. A part that
    /// was killed counts up to the end of its last sample.
    pub duration_s: Option<f64>,
    /// How often it was resumed.
    pub resumed: usize,
    /// How it ended; `None` if it was killed or is still running.
    pub ending: Option<Ending>,
    /// Why it is not complete; empty if it is.
    pub reason: String,
    /// Samples of the warm-up round.
    pub warm_up: usize,
    /// Samples of counted rounds by what became of them.
    pub counts: BTreeMap<Status, usize>,
    /// Machine, engines and versions.
    pub facts: BTreeMap<String, String>,
}

impl RunFacts {
    /// Whether not every planned sample was measured.
    pub fn is_partial(&self) -> bool {
        !self.ending.is_some_and(Ending::is_whole)
    }

    /// How the run ended, in a few words.
    pub fn ending_text(&self) -> &'static str {
        match self.ending {
            Some(Ending::Complete) => "complete",
            Some(Ending::Settled) => "complete: every verdict was settled",
            Some(Ending::OutOfTime) => "partial: the time budget was used up",
            Some(Ending::Interrupted) => "partial: interrupted",
            Some(Ending::NotWhole) => "partial: parts are missing or not complete",
            Some(Ending::Aborted) => "partial: engine or registry could not go on",
            None => "partial: the run was killed or is not over",
        }
    }

    /// Counted samples of this status.
    pub fn count(&self, status: Status) -> usize {
        self.counts.get(&status).copied().unwrap_or(0)
    }
}

impl<'a> Model<'a> {
    /// Puts together what is shown.
    pub fn new(
        plan: &'a Plan,
        events: &'a [Event],
        decision: &'a Decision,
    ) -> Result<Self, ReportError> {
        let run = run_facts(plan, events)?;
        let mut samples: Vec<&Sample> = events
            .iter()
            .filter_map(|event| match event {
                Event::SampleFinished { sample } => Some(sample.as_ref()),
                _ => None,
            })
            .collect();
        samples.sort_by_key(|sample| sample.sample);
        let standing = sample::standing(samples.iter().copied());
        let findings = findings::grouped(events, &samples);
        let lost = findings::lost(&standing);
        let scopes: Vec<Scope<'a>> =
            decision.scopes().map(|weighted| Scope::new(decision, weighted)).collect();
        Ok(Self {
            plan,
            decision,
            sentences: decision::sentence(decision),
            scopes,
            across: across(decision),
            findings,
            lost,
            unsupported: unsupported(events),
            left: left(events),
            links: links(plan, events),
            quality: quality::of(plan, &standing),
            machines: machines::of(events, &decision.machines),
            run: RunFacts {
                warm_up: standing.iter().filter(|sample| sample.round == 0).count(),
                counts: counts(&standing),
                ..run
            },
            by_cell: sample::by_cell(samples.iter().copied()),
            samples,
            drawings: OnceLock::new(),
        })
    }

    /// Every figure, in the order of `chart::FIGURES`.
    pub fn drawings(&self) -> Result<&[Drawing], ReportError> {
        if self.drawings.get().is_none() {
            let drawn = chart::drawings(self)?;
            // Whoever else drew them meanwhile drew the same.
            let _ = self.drawings.set(drawn);
        }
        Ok(self.drawings.get().map_or(&[], Vec::as_slice))
    }

    /// The figure of a kind that shows this part of the run, if there is one.
    pub fn drawing(&self, figure: &str, part: Part) -> Result<Option<&Drawing>, ReportError> {
        let is = |drawing: &&Drawing| drawing.figure == figure && drawing.part == part;
        Ok(self.drawings()?.iter().find(is))
    }

    /// The place of a strategy and builder among all of the run's, so that it has the same colour
    /// in every figure.
    pub fn place_of(&self, strategy: &str, builder: Builder) -> usize {
        let mut all: Vec<(&str, Builder)> = Vec::new();
        for one in &self.decision.weighted {
            if !all.contains(&(&one.strategy, one.builder)) {
                all.push((&one.strategy, one.builder));
            }
        }
        all.iter().position(|one| *one == (strategy, builder)).unwrap_or(all.len())
    }

    /// The groups of a scope.
    pub fn groups_of(&self, scope: &Scope<'_>) -> impl Iterator<Item = (usize, &'a Group)> {
        let groups = &self.decision.groups;
        scope.groups.clone().into_iter().filter_map(|at| Some((at, groups.get(at)?)))
    }

    /// Samples of a group and one of its rows that count.
    pub fn samples_of(
        &self,
        group: &Group,
        row: &decision::Row,
    ) -> impl Iterator<Item = &'a Sample> {
        let is_of = |cell: &Cell| {
            !cell.again
                && cell.strategy == row.strategy
                && cell.builder == row.builder
                && cell.workload == group.workload
                && cell.change == group.change
                && cell.availability == group.availability
                && cell.link == group.link
                && cell.engine == group.engine
        };
        let of_cells = self.by_cell.iter().filter(move |(cell, _)| is_of(cell));
        of_cells.flat_map(|(_, samples)| samples).copied().filter(|sample| sample.counts())
    }

    /// Rounds, samples by what became of them, duration and seed, in one line.
    pub fn counts_line(&self) -> String {
        let counted: usize = self.run.counts.values().sum();
        let states = [Status::Ok, Status::Invalid, Status::Failed, Status::Interrupted]
            .into_iter()
            .filter(|status| self.run.count(*status) > 0)
            .map(|status| format!("{} {status}", self.run.count(status)))
            .collect::<Vec<_>>();
        let most = if self.plan.adaptive { "at most " } else { "" };
        let rounds = plural_rounds(self.plan);
        let mut parts = vec![format!("{} of {most}{rounds}", self.decision.rounds)];
        if counted == 0 {
            parts.push("no samples".to_owned());
        } else {
            parts.push(format!("{}: {}", plural(counted, "sample"), states.join(", ")));
        }
        if self.run.warm_up > 0 {
            parts.push(format!("{} of warm-up, not counted", self.run.warm_up));
        }
        if let Some(seconds) = self.run.duration_s {
            parts.push(super::text::duration(seconds));
        }
        if !self.machines.is_empty() {
            parts.push(plural(self.machines.len(), "machine"));
        }
        match self.run.resumed {
            0 => {}
            1 => parts.push("resumed once".to_owned()),
            times => parts.push(format!("resumed {times} times")),
        }
        parts.push(format!("seed {}", self.plan.seed));
        parts.join(" · ")
    }

    /// `: workload web, link slow`, as far as there are several of them in this run.
    pub fn scope_suffix(&self, of: &Weighted) -> String {
        let title = scope_title(self.decision, of);
        if title.is_empty() { title } else { format!(": {title}") }
    }

    /// A sentence, made safe for a format by `escape`, in which the names of strategies and
    /// changes stand between two marks of that format instead of backticks.
    pub fn with_names(
        &self,
        sentence: &str,
        escape: impl Fn(&str) -> String,
        (open, close): (&str, &str),
    ) -> String {
        let mut names: BTreeSet<String> = BTreeSet::from([self.decision.baseline.clone()]);
        for row in &self.decision.weighted {
            names.insert(format!("{} ({})", row.strategy, row.builder));
            names.insert(format!("{} ({})", self.decision.baseline, row.builder));
        }
        names.extend(self.decision.groups.iter().map(|group| group.change.clone()));
        names.iter().fold(escape(sentence), |text, name| {
            let marked = format!("{open}{}{close}", escape(name));
            text.replace(&escape(&format!("`{name}`")), &marked)
        })
    }

    /// The command that measures the same once more, as a shell takes it.
    pub fn command(&self) -> String {
        let plan = self.plan;
        let config = plan.config.display().to_string();
        // A path with a nul byte, which nothing can be called with, is shown as it is.
        let config = shlex::try_quote(&config).map_or(config.clone(), Into::into);
        let shard = plan.shard.map(|shard| format!(" --shard {shard}")).unwrap_or_default();
        let rounds = if plan.adaptive { "--max-rounds" } else { "--rounds" };
        format!("breakeven run {config} {rounds} {} --seed {}{shard}", plan.rounds, plan.seed)
    }

    /// What a group is called: only the axes that have more than one value in this run, and
    /// always change and availability.
    pub fn title(&self, group: &Group) -> GroupTitle {
        let several = |axis: fn(&Group) -> &str| {
            self.decision.groups.iter().any(|other| axis(other) != axis(group))
        };
        let mut place = Vec::new();
        if several(|g| &g.workload) {
            place.push(group.workload.clone());
        }
        if several(|g| &g.link) {
            place.push(format!("link {}", group.link));
        }
        if several(|g| &g.engine) {
            place.push(format!("engine {}", group.engine));
        }
        GroupTitle {
            place: place.join(", "),
            change: group.change.clone(),
            candidates: group.availability.clone(),
            weight: super::text::weight(group.weight),
        }
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
    fn new(decision: &'a Decision, weighted: &'a [Weighted]) -> Self {
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
fn scope_title(decision: &Decision, of: &Weighted) -> String {
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
fn across(decision: &Decision) -> Vec<Across<'_>> {
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

fn left(events: &[Event]) -> Vec<Left> {
    let of = |event: &Event| match event {
        Event::StrategyLeft { left } => Some(left.clone()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn unsupported(events: &[Event]) -> Vec<Unsupported> {
    let mut all: Vec<Unsupported> = Vec::new();
    for event in events {
        let Event::Unsupported { what, cells, reason, advice, .. } = event else { continue };
        let one = Unsupported {
            what: what.clone(),
            cells: cells.len(),
            reason: reason.clone(),
            advice: advice.clone(),
        };
        // A resumed run finds the same once more.
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// What the plan knows of machine and engines, and what a run's own engines turned out to be: until
/// they ran, only the engine that they were made on was known.
fn known(plan: &Plan, events: &[Event]) -> BTreeMap<String, String> {
    let mut facts = plan.facts.clone();
    for event in events {
        let Event::EngineFacts { engine, version, store } = event else { continue };
        let of = match plan.engines.len() {
            1 => "engine".to_owned(),
            _ => format!("engine {engine}"),
        };
        for (what, value) in [("version", version), ("store", store)] {
            // Without a daemon it is on no other engine.
            let alone = matches!(plan.engines.get(engine), Some(EnginePlan::Buildah { .. }));
            let host = plan.facts.get(&format!("{of} {what}")).filter(|_| !alone);
            facts.extend(host.map(|host| (format!("{of} {what} of its host"), host.clone())));
            facts.insert(format!("{of} {what}"), value.clone());
        }
    }
    facts
}

/// The links that cells name, as last measured.
fn links(plan: &Plan, events: &[Event]) -> Vec<Link> {
    let mut names: BTreeSet<&str> = plan.cells.iter().map(|cell| cell.link.as_str()).collect();
    let mut measured: BTreeMap<&str, (f64, f64, f64)> = BTreeMap::new();
    for event in events {
        if let Event::LinkMeasured { link, down_bps, up_bps, rtt_s } = event {
            names.insert(link);
            measured.insert(link, (*down_bps, *up_bps, *rtt_s));
        }
    }
    let link = |name: &str| Link {
        name: name.to_owned(),
        asked: plan.links.get(name).copied(),
        measured: measured.get(name).copied(),
    };
    names.into_iter().map(link).collect()
}

fn run_facts(plan: &Plan, events: &[Event]) -> Result<RunFacts, ReportError> {
    let mut facts = RunFacts {
        started_at: String::new(),
        ended_at: String::new(),
        duration_s: None,
        resumed: 0,
        ending: None,
        reason: String::new(),
        warm_up: 0,
        counts: BTreeMap::new(),
        facts: known(plan, events),
    };
    let mut started = false;
    let mut lasted = 0.0;
    // Seconds of the part in hand as far as its samples show, and when it began.
    let (mut part, mut began) = (0.0, None);
    for event in events {
        match event {
            Event::RunStarted { run, at, .. } => {
                if *run != plan.run {
                    return Err(ReportError::OtherRun {
                        plan: plan.run.clone(),
                        journal: run.clone(),
                    });
                }
                facts.started_at.clone_from(at);
                began = moment(at);
                started = true;
            }
            Event::RunResumed { at, .. } => {
                lasted += part;
                (part, began) = (0.0, moment(at));
                facts.resumed += 1;
                // A run that goes on after its end has not ended.
                facts.ending = None;
                facts.ended_at.clear();
                facts.reason.clear();
                facts.duration_s = None;
            }
            Event::SampleFinished { sample } => {
                if let Some((began, at)) = began.zip(moment(&sample.started_at)) {
                    let whole = sample.total_s() + sample.reset_s + sample.overhead_s;
                    part = ((at - began).as_seconds_f64() + whole).max(part);
                }
            }
            Event::RunEnded { ending, reason, at, duration_s } => {
                lasted += duration_s;
                part = 0.0;
                facts.ending = Some(*ending);
                facts.ended_at.clone_from(at);
                facts.reason.clone_from(reason);
                facts.duration_s = Some(lasted);
            }
            _ => {}
        }
    }
    if started { Ok(facts) } else { Err(ReportError::NoStart) }
}

fn moment(at: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(at, &Rfc3339).ok()
}

fn counts(samples: &[&Sample]) -> BTreeMap<Status, usize> {
    let mut counts = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.round > 0) {
        *counts.entry(sample.status).or_insert(0) += 1;
    }
    counts
}

fn plural_rounds(plan: &Plan) -> String {
    let own = plural(usize::try_from(plan.own_rounds()).unwrap_or(usize::MAX), "round");
    match plan.shard {
        Some(shard) => format!("{own} (part {shard} of {})", plan.rounds),
        None => own,
    }
}

/// `1 sample`, `2 samples`.
pub(super) fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

//! What is shown, whatever the format: computed from plan, events and decision, and nothing else.

use super::ReportError;
use super::chart::{self, Drawing, Part};
use super::facts::{self, Link, RunFacts, Unsupported};
use super::findings::{self, FindingGroup, LostGroup};
use super::machines::{self, MachineOut};
use super::quality::{self, Quality};
use super::scope::{self, Across, GroupTitle, Scope};
use super::text::plural;
use crate::decision::{self, Decision, Group, Weighted};
use crate::model::{Builder, Cell, Event, Left, Plan, Sample, Status, sample};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

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

impl<'a> Model<'a> {
    /// Puts together what is shown.
    pub fn new(
        plan: &'a Plan,
        events: &'a [Event],
        decision: &'a Decision,
    ) -> Result<Self, ReportError> {
        let mut samples: Vec<&Sample> = events.iter().filter_map(Event::sample).collect();
        samples.sort_by_key(|sample| sample.sample);
        let standing = sample::standing(samples.iter().copied());
        // Each of these goes through all samples, of which there may be a million.
        let ((findings, by_cell), (quality, (lost, run))) = rayon::join(
            || (findings::grouped(events, &samples), sample::by_cell(samples.iter().copied())),
            || {
                let facts =
                    || (findings::lost(&standing), facts::run_facts(plan, events, &standing));
                rayon::join(|| quality::of(plan, &standing), facts)
            },
        );
        let scopes: Vec<Scope<'a>> =
            decision.scopes().map(|weighted| Scope::new(decision, weighted)).collect();
        Ok(Self {
            plan,
            decision,
            sentences: decision::sentence(decision),
            scopes,
            across: scope::across(decision),
            findings,
            lost,
            unsupported: facts::unsupported(events),
            left: facts::left(events),
            links: facts::links(plan, events),
            quality,
            machines: machines::of(events, &decision.machines),
            run: run?,
            by_cell,
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
        let title = scope::scope_title(self.decision, of);
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

fn plural_rounds(plan: &Plan) -> String {
    let own = plural(usize::try_from(plan.own_rounds()).unwrap_or(usize::MAX), "round");
    match plan.shard {
        Some(shard) => format!("{own} (part {shard} of {})", plan.rounds),
        None => own,
    }
}

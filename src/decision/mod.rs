//! Pure decisions: recorded samples in, verdicts out.
//!
//! A row's time is a median: what a typical job takes, whatever one slow job did. A **saving is a
//! mean of differences** paired by round: what a strategy saves a build on average is what the
//! bill sees, and means add up over changes and availabilities by their weights, which medians do
//! not.

mod again;
mod break_even;
mod deploy;
mod disturbance;
mod drift;
mod joint;
mod link_fit;
mod link_model;
mod links;
mod looks;
mod machines;
mod money;
mod outlook;
mod pairing;
mod race;
mod repay;
mod replay;
mod rows;
mod sentence;
mod shares;
mod traffic;
mod verdict;
mod weighted;

pub use again::{Resolution, Resolved, Smaller, resolutions};
pub use break_even::{BreakEven, Crossing};
pub use deploy::{Deploy, Trade, deploy_s};
pub use disturbance::{Disturbance, Disturbed, WithAndWithout};
pub use drift::{Drift, FALSE_ALARM, drift};
pub use link_model::{BytesFrom, CurvePoint, HeldOut, LinkAt, LinkFit, LinkModel, LinkPoint};
pub use looks::Sequential;
pub use machines::{MachineResult, Machines, OnMachines, OwnSaving};
pub use money::{Money, MoneyKind, MoneyPart, MoneySaving, MoneyVerdict, RoundingEffect, price};
pub use outlook::outlook;
pub use race::{Look, Race};
pub use replay::Replay;
pub use sentence::{best, sentence, sentences_of, winners};
pub use shares::{ShareOf, SharePoint};

use crate::model::plan::Competitor;
use crate::model::{Builder, Cell, DeployPull, Phase, Plan, Sample, State, sample};
use crate::stats::{Bootstrap, Estimate};
use joint::{ByRound, Joint};
use looks::Looks;
use pairing::{Measured, Scope, baseline_for, competitors, pair};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use weighted::Contender;

/// Counted rounds below which there is no verdict on a run of the plain protocol.
pub const ROUNDS_FOR_VERDICT: usize = 5;

/// Whether a strategy pays off against the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The whole interval of the saving lies above the smallest saving that matters.
    PaysOff,
    /// The whole interval lies below it.
    DoesNotPayOff,
    /// Neither.
    Undecided,
    /// Fewer than [`ROUNDS_FOR_VERDICT`] paired rounds; of an adaptive run, fewer than the first look
    /// needs.
    TooFewRounds,
    /// This is the baseline itself.
    Baseline,
}

impl Verdict {
    /// How reports say it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::PaysOff => "pays off",
            Self::DoesNotPayOff => "does not pay off",
            Self::Undecided => "undecided",
            Self::TooFewRounds => "no verdict: too few rounds",
            Self::Baseline => "baseline",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// A saving against the baseline, paired by round. Positive: faster than the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Saving {
    /// The builder of the baseline that it is against.
    pub against: Builder,
    /// Mean seconds a build.
    pub seconds: Estimate,
    /// The same as a share of the baseline's mean time in the same rounds.
    pub share: Estimate,
    /// Smallest saving that matters, seconds.
    pub relevant_s: f64,
    /// Rounds in which both were measured; over several cells, the fewest of any of them.
    pub pairs: usize,
    /// The verdict.
    pub verdict: Verdict,
    /// For `undecided`: how many more rounds would probably decide, if that can be said. For
    /// `too-few-rounds`: how many are lacking for a verdict.
    pub more_rounds: Option<u32>,
}

/// One strategy under one change and availability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// What the samples had to do with a cache.
    pub state: State,
    /// Samples that count.
    pub n: usize,
    /// Samples that were measured and are not what they claim.
    pub invalid: usize,
    /// Samples that failed.
    pub failed: usize,
    /// Median seconds of the whole job, with its interval.
    pub total_s: Option<Estimate>,
    /// Median seconds of each phase that the job has.
    pub phases: BTreeMap<Phase, f64>,
    /// Median seconds of the parts of the build: `import`, `steps`, `export`.
    pub build_parts: BTreeMap<String, f64>,
    /// Fewest and most step hits, over the samples that count.
    pub hits: Option<(usize, usize)>,
    /// Most steps, over the samples that count.
    pub steps: Option<usize>,
    /// Median bytes from registry and storage, where counted.
    pub bytes_down: Option<u64>,
    /// Median bytes to registry and storage, where counted.
    pub bytes_up: Option<u64>,
    /// Median size of the final image in bytes.
    pub image_bytes: Option<u64>,
    /// Cache sources that served, with the number of samples.
    pub sources: BTreeMap<String, usize>,
    /// Against the baseline; absent where nothing can be paired.
    pub saving: Option<Saving>,
}

/// All strategies under one change and availability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The workload.
    pub workload: String,
    /// The change.
    pub change: String,
    /// The availability.
    pub availability: String,
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// Share of builds that this change and availability have among those measured.
    pub weight: f64,
    /// In the order of the strategies' table, classic before buildkit.
    pub rows: Vec<Row>,
}

/// One strategy over all changes and availabilities, by their weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Weighted {
    /// The workload.
    pub workload: String,
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// Expected seconds a build; absent where a cell has no sample that counts.
    pub total_s: Option<Estimate>,
    /// Against the baseline.
    pub saving: Option<Saving>,
    /// Builds until the slower first one is repaid (`N*`), 0 where the first one is not slower;
    /// absent where it was not measured and where later builds do not certainly save time.
    pub builds_to_repay: Option<Estimate>,
    /// Why there is no `builds_to_repay`, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_repaid: Option<String>,
    /// The share of builds that must find the cache (`h*`).
    pub hit_share: BreakEven,
    /// The saving against the share of each change of the mix; empty where the mix has fewer than
    /// two changes, and for a replay.
    pub shares: Vec<ShareOf>,
    /// What it costs in money; absent where the plan has no prices or a cell has no sample that
    /// counts.
    pub money: Option<Money>,
    /// What it would have saved over the commits of a replay; absent where nothing is replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// Keys of cells, of this strategy or its baseline, without a sample that counts, and of this
    /// strategy's cells of which no sample is in a round with one of the baseline's.
    pub missing: Vec<String>,
}

/// Everything that is decided from a run's samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// Id of the baseline strategy. A strategy is compared with the baseline under its own
    /// builder, and with the other builder's where its own has none.
    pub baseline: String,
    /// Counted rounds with at least one sample.
    pub rounds: usize,
    /// Per workload, change and availability.
    pub groups: Vec<Group>,
    /// Over all changes and availabilities.
    pub weighted: Vec<Weighted>,
    /// Time against bandwidth, for every strategy, baseline included: over the change mix first,
    /// then, where there are several links, per change and availability.
    pub link_models: Vec<LinkModel>,
    /// What a node pays to pull each final image.
    pub deploys: Vec<Deploy>,
    /// Build against deploy; empty where the run has one workload.
    pub trade: Vec<Trade>,
    /// What disturbed the run, and what the verdicts are without it.
    pub disturbance: Disturbance,
    /// What difference the machine resolves, of each workload, link and engine that has an A/A
    /// cell.
    #[serde(default)]
    pub resolution: Vec<Resolution>,
    /// How times changed over the rounds; absent below three rounds.
    pub drift: Option<Drift>,
    /// What each machine says by itself; empty for a run on one machine.
    #[serde(default, skip_serializing_if = "Machines::is_empty")]
    pub machines: Machines,
    /// Of an adaptive run: what its verdicts hold with. Absent where the protocol was the plain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequential: Option<Sequential>,
}

impl Decision {
    /// The same with what pulls of final images have shown of deploy time. Pure.
    #[must_use]
    pub fn with_pulls(mut self, plan: &Plan, pulls: &[DeployPull]) -> Self {
        let bootstrap = Bootstrap::new(plan.seed).over_machines(plan.machines);
        for deploy in &mut self.deploys {
            deploy.measure(bootstrap, pulls);
        }
        self.trade = deploy::trade(plan, &self);
        self
    }

    /// Paired rounds below which there is no verdict.
    pub fn rounds_for_verdict(&self) -> usize {
        self.sequential.as_ref().map_or(ROUNDS_FOR_VERDICT, |sequential| sequential.first_look)
    }

    /// What is decided on its own, one workload on one link and engine after another: its
    /// strategies over all changes and availabilities.
    pub fn scopes(&self) -> impl Iterator<Item = &[Weighted]> {
        self.weighted
            .chunk_by(|a, b| (&a.workload, &a.link, &a.engine) == (&b.workload, &b.link, &b.engine))
    }
}

/// Decides from samples that are recorded under a plan. Pure: the same input gives the same output,
/// whatever the order of the samples. What was not measured, was measured in the warm-up round, or
/// is not `ok` influences nothing but the counts of invalid and failed samples.
pub fn decide<'a>(plan: &Plan, samples: impl IntoIterator<Item = &'a Sample>) -> Decision {
    decide_by(plan, samples, Bootstrap::new(plan.seed).over_machines(plan.machines))
}

fn decide_by<'a>(
    plan: &Plan,
    samples: impl IntoIterator<Item = &'a Sample>,
    bootstrap: Bootstrap,
) -> Decision {
    let samples = sample::standing(samples);
    let (decider, drift) =
        rayon::join(|| Decider::new(plan, &samples, bootstrap), || drift(samples.iter().copied()));
    let mut decision = Decision {
        baseline: plan.baseline.clone(),
        rounds: decider.rounds(),
        groups: Vec::new(),
        weighted: Vec::new(),
        link_models: Vec::new(),
        deploys: Vec::new(),
        trade: Vec::new(),
        disturbance: Disturbance::default(),
        resolution: Vec::new(),
        drift,
        machines: Machines::default(),
        sequential: decider.looks.as_ref().map(Looks::in_short),
    };
    for scope in Scope::all(plan) {
        let cells = scope.cells(plan);
        let mix = weighted::mix(plan, &cells);
        let group = |(which, weight): (&_, &f64)| decider.group(&scope, &cells, which, *weight);
        let (groups, weighted) = rayon::join(
            || mix.par_iter().map(group).collect::<Vec<_>>(),
            || decider.weighted(&scope, &cells, &mix),
        );
        decision.groups.extend(groups);
        decision.weighted.extend(weighted);
    }
    let without = |left: Vec<&Sample>| Decider::new(plan, &left, bootstrap).mixed();
    let (measured, weighted) = (&decider.measured, &decision.weighted);
    let (disturbance, (link_models, deploys)) = rayon::join(
        || disturbance::disturbance(plan, &samples, measured, weighted, without),
        || rayon::join(|| links::link_models(&decider), || deploy::deploys(&decider)),
    );
    decision.disturbance = disturbance;
    decision.link_models = link_models;
    decision.deploys = deploys;
    decision.resolution = again::of_decider(&decider, &decision.weighted);
    decision.machines = machines::machines(&decider, &samples, &decision.weighted);
    decision.trade = deploy::trade(plan, &decision);
    decision
}

/// What every part of a decision needs.
struct Decider<'a> {
    plan: &'a Plan,
    measured: Measured<'a>,
    bootstrap: Bootstrap,
    /// Of an adaptive run.
    looks: Option<Looks>,
}

impl<'a> Decider<'a> {
    /// Of samples that stand ([`sample::standing`]).
    fn new(plan: &'a Plan, standing: &[&'a Sample], bootstrap: Bootstrap) -> Self {
        let measured = Measured::of_standing(standing);
        let looks = Looks::of(plan, looks::last_round(plan, &measured));
        Self { plan, measured, bootstrap, looks }
    }

    /// Every competitor of every scope over the change mix.
    fn mixed(&self) -> Vec<Weighted> {
        let of_scope = |scope: Scope| {
            let cells = scope.cells(self.plan);
            self.weighted(&scope, &cells, &weighted::mix(self.plan, &cells))
        };
        Scope::all(self.plan).into_iter().flat_map(of_scope).collect()
    }

    /// Every competitor of every scope with what was measured of it, in the order of
    /// [`Self::mixed`].
    fn contenders_of_all(&self) -> Vec<Contender> {
        let of_scope = |scope: Scope| {
            let cells = scope.cells(self.plan);
            self.contenders(&scope, &cells, &weighted::mix(self.plan, &cells))
        };
        Scope::all(self.plan).into_iter().flat_map(of_scope).collect()
    }

    fn contenders(&self, scope: &Scope, cells: &[&Cell], mix: &weighted::Mix) -> Vec<Contender> {
        let contender = |competitor: &Competitor| {
            let baseline = baseline_for(self.plan, cells, competitor.1);
            Contender::new(self.plan, &self.measured, scope, mix, competitor, baseline.as_ref())
        };
        competitors(cells).par_iter().map(contender).collect()
    }

    fn weighted(&self, scope: &Scope, cells: &[&Cell], mix: &weighted::Mix) -> Vec<Weighted> {
        let contenders = self.contenders(scope, cells, mix);
        let carrying = contenders.iter().filter(|one| !one.is_baseline());
        let dearest = shares::dearest(carrying.map(|one| one.parts.as_slice()));
        let pairs: Vec<ByRound<2>> = contenders.par_iter().map(Contender::complete_pairs).collect();
        let noise = again::noise_of(self.plan, &self.measured, scope, mix.values().copied());
        let of = |(at, one): (usize, &Contender)| {
            let others = pairs.iter().zip(&contenders).enumerate();
            let others = others.filter(|(other, (_, one))| *other != at && !one.is_baseline());
            let others = others.map(|(_, (pairs, _))| pairs.clone());
            let others: Vec<ByRound<2>> = others.chain(noise.clone()).collect();
            one.weighted(scope, self, &others, dearest.as_deref())
        };
        contenders.par_iter().enumerate().map(of).collect()
    }

    fn rounds(&self) -> usize {
        let counted = self.plan.cells.iter().flat_map(|cell| self.measured.counted(cell));
        counted.map(|sample| sample.round).collect::<BTreeSet<_>>().len()
    }

    fn group(
        &self,
        scope: &Scope,
        cells: &[&Cell],
        (change, availability): &(String, String),
        weight: f64,
    ) -> Group {
        let of_group: Vec<&Cell> = cells
            .iter()
            .copied()
            .filter(|cell| cell.change == *change && cell.availability == *availability)
            .collect();
        Group {
            workload: scope.workload.clone(),
            change: change.clone(),
            availability: availability.clone(),
            link: scope.link.clone(),
            engine: scope.engine.clone(),
            weight,
            rows: of_group
                .par_iter()
                .map(|cell| Row {
                    saving: self.saving(scope, cells, (cell, &of_group)),
                    ..rows::row(self.bootstrap, &self.measured, cell)
                })
                .collect(),
        }
    }

    fn saving(
        &self,
        scope: &Scope,
        cells: &[&Cell],
        (cell, group): (&Cell, &[&Cell]),
    ) -> Option<Saving> {
        let own = self.measured.totals(cell);
        if cell.strategy == self.plan.baseline {
            return Joint::new([(1.0, own)])
                .map(|own| verdict::of_baseline(self.plan, &own, cell.builder));
        }
        let pairs = |cell: &Cell| {
            let baseline = baseline_for(self.plan, cells, cell.builder)?;
            let beside = scope.cell(self.plan, &cell.change, &cell.availability, &baseline);
            Some((pair(&self.measured.totals(&beside), &self.measured.totals(cell)), baseline.1))
        };
        let (own, against) = pairs(cell)?;
        let Some(looks) = &self.looks else {
            let joint = Joint::new([(1.0, own)])?;
            return Some(verdict::saving(self.plan, self.bootstrap, &joint, against));
        };
        let is_other = |other: &&&Cell| **other != cell && other.strategy != self.plan.baseline;
        let others = group.iter().filter(is_other).filter_map(|other| pairs(other));
        let noise = again::noise_of(self.plan, &self.measured, scope, [1.0]);
        let others: Vec<ByRound<2>> = others.map(|(pairs, _)| pairs).chain(noise).collect();
        looks.saving(self.plan, &own, &others, against)
    }
}

#[cfg(test)]
mod tests;

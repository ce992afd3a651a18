//! The other end of an image's life: what a node pays to pull it, and what is traded for that at
//! build time.

use super::pairing::{Scope, competitors};
use super::{Decider, Decision, Weighted};
use crate::model::plan::{LinkPlan, Workload};
use crate::model::{Builder, Cell, DeployPull, Phase, Plan, Sample, State};
use crate::stats::{Bootstrap, Estimate, Values};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a node pays to pull a workload's final image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deploy {
    /// The workload.
    pub workload: String,
    /// The link.
    pub link: String,
    /// The engine that built it.
    pub engine: String,
    /// The builder that built it.
    pub builder: Builder,
    /// Size of the image in bytes, uncompressed, base image included.
    pub image_bytes: Option<u64>,
    /// Compressed bytes beyond the base image: what a job without a cache uploads.
    pub bytes: Option<u64>,
    /// Layers beyond the base image.
    pub layers: Option<u32>,
    /// Median seconds of the pulls, with its interval; absent where none succeeded.
    pub measured_s: Option<Estimate>,
    /// Pulls that succeeded.
    #[serde(default)]
    pub n: usize,
    /// Pulls that failed.
    #[serde(default)]
    pub failed: usize,
    /// Median bytes that came over the link in a pull, where counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<u64>,
    /// Base images that the node had; none on an engine of the run's alone.
    #[serde(default)]
    pub present: Vec<String>,
    /// Seconds that the transfer alone takes to a node that has the base image, computed from bytes
    /// and layers.
    pub computed_s: Option<f64>,
    /// Why there is no time, or why fewer pulls than were tried, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Deploy {
    /// Seconds: measured if they were, else computed.
    pub fn seconds(&self) -> Option<f64> {
        self.measured_s.map(|measured| measured.point).or(self.computed_s)
    }

    /// Takes from these pulls what belongs to it.
    pub(super) fn measure(&mut self, bootstrap: Bootstrap, pulls: &[DeployPull]) {
        // A resumed run may pull twice in a round: the earlier counts, as for samples.
        let mut rounds = BTreeSet::new();
        let of_this = pulls.iter().filter(|pull| {
            (&pull.workload, &pull.link, &pull.engine, pull.builder)
                == (&self.workload, &self.link, &self.engine, self.builder)
        });
        let (good, failed): (Vec<&DeployPull>, Vec<&DeployPull>) =
            of_this.partition(|pull| pull.duration_s.is_some_and(f64::is_finite));
        let good: Vec<&DeployPull> =
            good.into_iter().filter(|pull| rounds.insert(pull.round)).collect();
        let of = |value: fn(&DeployPull) -> Option<f64>| {
            Values::new(good.iter().filter_map(|pull| value(pull))).ok()
        };
        let seconds: Vec<(u32, f64)> =
            good.iter().filter_map(|pull| Some((pull.round, pull.duration_s?))).collect();
        self.measured_s = bootstrap.median_of(&seconds);
        let fetched = of(|pull| pull.bytes_down.map(|bytes| bytes as f64));
        self.fetched = fetched.map(|bytes| bytes.median().round() as u64);
        let present: BTreeSet<&String> = good.iter().flat_map(|pull| &pull.present).collect();
        self.present = present.into_iter().cloned().collect();
        (self.n, self.failed) = (good.len(), failed.len());
        if let Some(first) = failed.first() {
            self.reason = Some(first.reason.clone());
        }
    }
}

/// One workload under one strategy in the trade between build and deploy, where a run has several
/// workloads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trade {
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// The workload.
    pub workload: String,
    /// Stages of its Dockerfile; 1 is a single-stage one.
    pub stages: usize,
    /// Id of the strategy: the baseline, and the one whose builds take the least time.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// Expected seconds a build, over the change mix.
    pub build_s: Estimate,
    /// Size of the image in bytes, uncompressed.
    pub image_bytes: Option<u64>,
    /// Seconds that a node pays to pull it: measured if they were, else computed.
    pub deploy_s: Option<f64>,
    /// The measured seconds with their interval; absent where they are computed.
    #[serde(default)]
    pub deploy_measured_s: Option<Estimate>,
    /// Pulls behind them.
    #[serde(default)]
    pub deploy_n: usize,
}

/// Layers that a docker engine fetches at once.
const AT_ONCE: u32 = 3;

/// Seconds that a transfer of an image over a link takes: its compressed bytes, and the round trips
/// of a new connection (two more than one), the probe, the manifest, the configuration and the
/// layers, three at a time. What the node itself does with the layers comes on top.
pub fn deploy_s(link: &LinkPlan, bytes: u64, layers: u32) -> f64 {
    let transfer = link.down_bps.map_or(0.0, |down_bps| 8.0 * bytes as f64 / down_bps);
    let trips = 2 + 3 + layers.div_ceil(AT_ONCE);
    transfer + f64::from(trips) * link.rtt_s
}

/// What a node pays for the image of each workload, link, engine and builder.
pub(super) fn deploys(decider: &Decider<'_>) -> Vec<Deploy> {
    let plan = decider.plan;
    let mut deploys = Vec::new();
    for scope in Scope::all(plan) {
        let cells = scope.cells(plan);
        let mut builders: Vec<Builder> =
            competitors(&cells).into_iter().map(|(_, builder)| builder).collect();
        builders.sort_unstable();
        builders.dedup();
        for builder in builders {
            let of_builder: Vec<&Cell> =
                cells.iter().filter(|cell| cell.builder == builder).copied().collect();
            deploys.push(deploy(decider, &scope, builder, &of_builder));
        }
    }
    deploys
}

fn deploy(decider: &Decider<'_>, scope: &Scope, builder: Builder, cells: &[&Cell]) -> Deploy {
    let counted: Vec<&Sample> =
        cells.iter().flat_map(|cell| decider.measured.counted(cell)).collect();
    let sizes = counted.iter().filter_map(|sample| sample.image_bytes);
    let sizes = Values::new(sizes.map(|bytes| bytes as f64)).ok();
    // The largest upload: a smaller one found some of its layers in the registry.
    let cold = counted.iter().filter(|sample| sample.cell.state == State::Cold);
    let bytes = cold.filter_map(|sample| pushed(sample)).max();
    let layers = decider.plan.workloads.get(&scope.workload).and_then(layers);
    let link = decider.plan.links.get(&scope.link).copied();
    let known = bytes.zip(link);
    Deploy {
        workload: scope.workload.clone(),
        link: scope.link.clone(),
        engine: scope.engine.clone(),
        builder,
        image_bytes: sizes.map(|sizes| sizes.median().round() as u64),
        bytes,
        layers,
        measured_s: None,
        n: 0,
        failed: 0,
        fetched: None,
        present: Vec::new(),
        computed_s: known.map(|(bytes, link)| deploy_s(&link, bytes, layers.unwrap_or(1))),
        reason: known.is_none().then(|| {
            "the bytes of no push of a job without a cache were counted on this link".to_owned()
        }),
    }
}

/// Bytes that a job pushed.
fn pushed(sample: &Sample) -> Option<u64> {
    let rows = || sample.phases.iter().filter(|row| row.phase == Phase::Push && !row.within);
    rows().next()?;
    rows().map(|row| row.bytes_up).sum()
}

/// Layers that a workload's Dockerfile adds to the base image: the RUN, COPY and ADD instructions
/// of its final stage and of those that this one starts from.
fn layers(workload: &Workload) -> Option<u32> {
    let stages = &workload.layout;
    let target = workload.target.as_ref();
    let named = target.and_then(|name| stages.iter().position(|stage| stage.name == *name));
    let mut at = named.or(stages.len().checked_sub(1));
    let mut layers = 0;
    // A stage starts from an earlier one; more turns than stages would be a circle.
    for _ in 0..stages.len() {
        let Some(stage) = at.and_then(|at| stages.get(at)) else { break };
        layers += stage.steps.len();
        at = stage.base_stage;
    }
    u32::try_from(layers).ok().filter(|layers| *layers > 0)
}

/// Build against deploy for the baseline and the quickest strategy of each workload, where there
/// are several workloads.
pub(super) fn trade(plan: &Plan, decision: &Decision) -> Vec<Trade> {
    if plan.workloads.len() < 2 {
        return Vec::new();
    }
    let mut trade = Vec::new();
    for scope in decision.scopes() {
        let baseline = scope.iter().filter(|one| one.strategy == decision.baseline);
        let total = |one: &&Weighted| one.total_s.map_or(f64::INFINITY, |total| total.point);
        let carried = scope
            .iter()
            .filter(|one| one.strategy != decision.baseline && !one.keeps_runner())
            .min_by(|a, b| total(a).total_cmp(&total(b)));
        trade.extend(baseline.chain(carried).filter_map(|one| row(plan, decision, one)));
    }
    trade.sort_by(|a, b| (&a.engine, &a.link).cmp(&(&b.engine, &b.link)));
    trade
}

fn row(plan: &Plan, decision: &Decision, of: &Weighted) -> Option<Trade> {
    let deploy = decision.deploys.iter().find(|deploy| {
        (&deploy.workload, &deploy.link, &deploy.engine, deploy.builder)
            == (&of.workload, &of.link, &of.engine, of.builder)
    });
    Some(Trade {
        link: of.link.clone(),
        engine: of.engine.clone(),
        workload: of.workload.clone(),
        stages: plan.workloads.get(&of.workload)?.layout.len().max(1),
        strategy: of.strategy.clone(),
        builder: of.builder,
        build_s: of.total_s?,
        image_bytes: deploy.and_then(|deploy| deploy.image_bytes),
        deploy_s: deploy.and_then(Deploy::seconds),
        deploy_measured_s: deploy.and_then(|deploy| deploy.measured_s),
        deploy_n: deploy.map_or(0, |deploy| deploy.n),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{StageLayout, StepLayout};

    #[test]
    fn a_transfer_is_bytes_and_round_trips() {
        let link = LinkPlan { down_bps: Some(100e6), up_bps: None, rtt_s: 0.02 };
        // 25 MB at 100 Mbit/s, and 5 + 2 round trips.
        assert!((deploy_s(&link, 25_000_000, 4) - (2.0 + 0.14)).abs() < 1e-12);
        assert_eq!(deploy_s(&LinkPlan::default(), 25_000_000, 4), 0.0);
    }

    #[test]
    fn layers_are_those_of_the_stages_that_the_final_one_starts_from() {
        let stage = |name: &str, base_stage, steps| StageLayout {
            name: name.to_owned(),
            base_stage,
            steps: vec![StepLayout::default(); steps],
            ..StageLayout::default()
        };
        let mut workload = Workload {
            context: "/w".into(),
            dockerfile: "/w/Dockerfile".into(),
            target: None,
            build_args: std::collections::BTreeMap::new(),
            secret_args: std::collections::BTreeMap::new(),
            stages: Vec::new(),
            bases: Vec::new(),
            layout: vec![stage("builder", None, 3), stage("base", None, 2), stage("2", Some(1), 4)],
        };
        assert_eq!(layers(&workload), Some(6));
        workload.target = Some("builder".to_owned());
        assert_eq!(layers(&workload), Some(3));
        workload.layout.clear();
        assert_eq!(layers(&workload), None);
    }
}

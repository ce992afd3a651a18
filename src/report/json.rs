//! `report.json`: everything that the other formats show, for programs. Versioned, with a JSON
//! schema that is committed as `docs/report.schema.json`.

use super::{
    Format, Link, MachineOut, Model, Quality, ReportError, ReportFile, Unsupported, stopping,
};
use crate::decision::{
    Deploy, Disturbance, Drift, Group, LinkModel, OnMachines, Resolution, Sequential, Trade,
    Weighted,
};
use crate::model::event::Ending;
use crate::model::{Builder, Left, Phase, Prices, Severity, Shard, State, Status};
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Version of `report.json`.
pub const REPORT_VERSION: u32 = 1;

const FILE: &str = "report.json";

/// The row of `FORMATS` for JSON.
pub(super) const FORMAT: Format = Format {
    name: "json",
    files: &[FILE],
    summary: "the same for programs (docs/report.schema.json)",
    render,
    stream: None,
};

/// The JSON schema of `report.json`, as committed.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Report)
}

fn render(model: &Model<'_>) -> Result<Vec<ReportFile>, ReportError> {
    let mut bytes = serde_json::to_vec_pretty(&report(model))
        .map_err(|error| ReportError::format(FILE, error))?;
    bytes.push(b'\n');
    Ok(vec![ReportFile { path: FILE.into(), bytes }])
}

/// A report of a run of Breakeven. Times are in seconds, sizes in bytes, shares from 0 to 1.
#[derive(Serialize, JsonSchema)]
struct Report<'a> {
    /// Version of this format: 1.
    version: u32,
    /// The run.
    run: Run<'a>,
    /// The verdict, in sentences.
    verdict: &'a [String],
    /// Id of the baseline strategy.
    baseline: &'a str,
    /// Counted rounds with at least one sample.
    rounds: usize,
    /// Every strategy per workload, change and availability.
    groups: &'a [Group],
    /// Every strategy over all changes and availabilities, by their weights.
    weighted: &'a [Weighted],
    /// The price list that money is reckoned by; absent where the plan has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    prices: Option<&'a Prices>,
    /// Time against bandwidth: over the change mix, then per change and availability.
    link_models: &'a [LinkModel],
    /// What a node pays to pull each final image.
    deploys: &'a [Deploy],
    /// Build against deploy; empty where the run has one workload.
    trade: &'a [Trade],
    /// Samples that something beside the job disturbed, and the verdicts without them.
    disturbance: &'a Disturbance,
    /// What difference the machine resolves, of each workload on each link and engine; absent where
    /// no A/A cell was planned.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(default)]
    resolution: &'a [Resolution],
    /// How times changed over the rounds; absent below three rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<&'a Drift>,
    /// The machines of a run that was put together from parts; absent for any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    machines: Option<&'a [MachineOut]>,
    /// What each strategy saves on each machine by itself; absent for a run on one machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_machines: Option<&'a [OnMachines]>,
    /// Of an adaptive run: how it decided when to stop, and who was not measured to the end. Absent
    /// under the plain protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopping: Option<StoppingOut<'a>>,
    /// What would change the verdicts, in sentences.
    outlook: Vec<&'a str>,
    /// What was noticed, the gravest first.
    findings: Vec<FindingOut<'a>>,
    /// Cells that were left out because an engine cannot do them.
    unsupported: Vec<UnsupportedOut<'a>>,
    /// The links that cells name, as asked for and as measured before their first use.
    links: Vec<LinkOut<'a>>,
    /// Noise, drift and order.
    quality: &'a Quality,
    /// Every sample, warm-up (round 0) included, in the order of measuring; empty where there are
    /// more than 100,000 of them, see `samples_in`.
    samples: Vec<SampleOut<'a>>,
    /// The file that has the samples; absent where they are in this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    samples_in: Option<&'static str>,
}

/// Facts about the run.
#[derive(Serialize, JsonSchema)]
struct Run<'a> {
    /// Its id.
    id: &'a str,
    /// Version of Breakeven that measured.
    breakeven: &'a str,
    /// Seed of everything random.
    seed: u64,
    /// Counted rounds that were planned, of this part if the run is one; of an adaptive run, at most.
    rounds_planned: u32,
    /// Which part of a run this is; absent where it is all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<Shard>,
    /// Smallest saving that matters, as a share of the baseline's time.
    relevant_share: f64,
    /// Smallest saving that matters, in seconds; the larger of the two counts.
    relevant_s: f64,
    /// Wall clock of the start, RFC 3339, UTC.
    started_at: &'a str,
    /// Wall clock of the end; absent if the run was killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<&'a str>,
    /// How long it ran, over all of its parts; absent if it was killed. A part that was killed
    /// and resumed counts up to the end of its last sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_s: Option<f64>,
    /// How often it was resumed.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(default)]
    resumed: usize,
    /// How it ended; absent if it was killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: Option<Ending>,
    /// Whether not every planned sample was measured.
    partial: bool,
    /// Why it is not complete; empty if it is.
    reason: &'a str,
    /// Samples of the warm-up round, which do not count.
    warm_up_samples: usize,
    /// Samples of the counted rounds by what became of them.
    samples: BTreeMap<Status, usize>,
    /// Facts about machine and engine.
    facts: &'a BTreeMap<String, String>,
}

/// How an adaptive run decided when to stop.
#[derive(Serialize, JsonSchema)]
struct StoppingOut<'a> {
    /// What its verdicts hold with.
    sequential: &'a Sequential,
    /// Strategies that were not measured to the end, in the order in which they left.
    left: &'a [Left],
    /// The same in sentences.
    sentences: Vec<String>,
}

/// All findings of one kind.
#[derive(Serialize, JsonSchema)]
struct FindingOut<'a> {
    /// Stable id of the kind.
    id: &'a str,
    /// Number in the methodology's table of traps, if it is one of them.
    trap: Option<u8>,
    /// How much it matters.
    severity: Severity,
    /// What it is.
    meaning: &'a str,
    /// What to do about it.
    advice: &'a str,
    /// Samples that have it; 0 if it is about the run as a whole.
    samples: usize,
    /// Keys of the cells that have it.
    cells: &'a BTreeSet<String>,
    /// What exactly was seen.
    details: &'a BTreeSet<String>,
}

/// Cells that an engine cannot do.
#[derive(Serialize, JsonSchema)]
struct UnsupportedOut<'a> {
    /// Which.
    what: &'a str,
    /// How many cells were left out.
    cells: usize,
    /// Why not.
    reason: &'a str,
    /// What would make it possible.
    advice: &'a str,
}

/// One link.
#[derive(Serialize, JsonSchema)]
struct LinkOut<'a> {
    /// Its name.
    link: &'a str,
    /// What was asked for; absent if the plan does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<Rates>,
    /// What it gave; absent if it was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<Rates>,
}

/// What a link carries.
#[derive(Serialize, JsonSchema)]
struct Rates {
    /// Bits a second towards the job; null if unlimited.
    down_bps: Option<f64>,
    /// Bits a second away from the job; null if unlimited.
    up_bps: Option<f64>,
    /// Round-trip time in seconds.
    rtt_s: f64,
}

/// One sample.
#[derive(Serialize, JsonSchema)]
struct SampleOut<'a> {
    /// Number within the run, from 1.
    sample: u32,
    /// The round; 0 is the warm-up.
    round: u32,
    /// The machine that measured it; absent for a run on one machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<u32>,
    /// Position within the round, from 0.
    position: u32,
    /// The workload.
    workload: &'a str,
    /// The change.
    change: &'a str,
    /// The candidates that existed.
    availability: &'a str,
    /// Id of the strategy, with `+again` behind it where it is a sample of an A/A cell.
    strategy: Cow<'a, str>,
    /// The builder.
    builder: Builder,
    /// What it had to do with a cache.
    state: State,
    /// The link.
    link: &'a str,
    /// The engine.
    engine: &'a str,
    /// What became of it.
    status: Status,
    /// Why it is not ok; empty if it is.
    reason: &'a str,
    /// Seconds of the whole job; absent if it broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_s: Option<f64>,
    /// Seconds of each phase that the job has.
    phases: BTreeMap<Phase, f64>,
    /// Instructions.
    steps: usize,
    /// Instructions that were taken from a cache.
    step_hits: usize,
    /// Bytes from registry and storage, where counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_down: Option<u64>,
    /// Bytes to registry and storage, where counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_up: Option<u64>,
    /// Requests to registry and storage, where counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u64>,
}

/// Most samples that are in the report itself: with more, few programs could read it.
const MOST_SAMPLES: usize = 100_000;

fn report<'a>(model: &'a Model<'_>) -> Report<'a> {
    let many = model.samples.len() > MOST_SAMPLES;
    Report {
        version: REPORT_VERSION,
        run: run(model),
        verdict: &model.sentences,
        baseline: &model.decision.baseline,
        rounds: model.decision.rounds,
        groups: &model.decision.groups,
        weighted: &model.decision.weighted,
        prices: model.plan.prices.as_ref(),
        link_models: &model.decision.link_models,
        deploys: &model.decision.deploys,
        trade: &model.decision.trade,
        disturbance: &model.decision.disturbance,
        resolution: &model.decision.resolution,
        drift: model.decision.drift.as_ref(),
        machines: some(&model.machines),
        on_machines: some(&model.decision.machines.strategies),
        stopping: model.decision.sequential.as_ref().map(|sequential| StoppingOut {
            sequential,
            left: &model.left,
            sentences: stopping::sentences(model),
        }),
        findings: model
            .findings
            .iter()
            .map(|group| FindingOut {
                id: &group.id,
                trap: group.trap,
                severity: group.severity,
                meaning: &group.meaning,
                advice: &group.advice,
                samples: group.samples,
                cells: &group.cells,
                details: &group.details,
            })
            .collect(),
        outlook: model
            .scopes
            .iter()
            .flat_map(|scope| scope.outlook.iter().map(String::as_str))
            .collect(),
        unsupported: model.unsupported.iter().map(unsupported).collect(),
        links: model.links.iter().map(link).collect(),
        quality: &model.quality,
        samples: match many {
            true => Vec::new(),
            false => model.samples.iter().map(|sample| sample_out(sample)).collect(),
        },
        samples_in: many.then_some("samples.csv"),
    }
}

/// Nothing where there is nothing.
fn some<T>(slice: &[T]) -> Option<&[T]> {
    (!slice.is_empty()).then_some(slice)
}

fn unsupported(one: &Unsupported) -> UnsupportedOut<'_> {
    UnsupportedOut { what: &one.what, cells: one.cells, reason: &one.reason, advice: &one.advice }
}

fn link(link: &Link) -> LinkOut<'_> {
    LinkOut {
        link: &link.name,
        asked: link.asked.map(|asked| Rates {
            down_bps: asked.down_bps,
            up_bps: asked.up_bps,
            rtt_s: asked.rtt_s,
        }),
        measured: link.measured.map(|(down_bps, up_bps, rtt_s)| Rates {
            down_bps: Some(down_bps),
            up_bps: Some(up_bps),
            rtt_s,
        }),
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn run<'a>(model: &'a Model<'_>) -> Run<'a> {
    let (plan, run) = (model.plan, &model.run);
    Run {
        id: &plan.run,
        breakeven: &plan.breakeven,
        seed: plan.seed,
        rounds_planned: plan.own_rounds(),
        shard: plan.shard,
        relevant_share: plan.relevance.share,
        relevant_s: plan.relevance.seconds,
        started_at: &run.started_at,
        ended_at: Some(run.ended_at.as_str()).filter(|at| !at.is_empty()),
        duration_s: run.duration_s,
        resumed: run.resumed,
        ending: run.ending,
        partial: run.is_partial(),
        reason: &run.reason,
        warm_up_samples: run.warm_up,
        samples: run.counts.clone(),
        facts: &run.facts,
    }
}

fn sample_out(sample: &crate::model::Sample) -> SampleOut<'_> {
    let cell = &sample.cell;
    let whole = matches!(sample.status, Status::Ok | Status::Invalid);
    SampleOut {
        sample: sample.sample,
        round: sample.round,
        machine: sample.machine,
        position: sample.position,
        workload: &cell.workload,
        change: &cell.change,
        availability: &cell.availability,
        strategy: cell.measured_as(),
        builder: cell.builder,
        state: cell.state,
        link: &cell.link,
        engine: &cell.engine,
        status: sample.status,
        reason: &sample.reason,
        total_s: whole.then(|| sample.total_s()),
        phases: Phase::ALL
            .into_iter()
            .zip(sample.phases_s())
            .filter_map(|(phase, seconds)| Some((phase, seconds?)))
            .collect(),
        steps: sample.step_count(),
        step_hits: sample.step_hits(),
        bytes_down: sample.bytes_down(),
        bytes_up: sample.bytes_up(),
        requests: sample.requests(),
    }
}

//! What is known of one run, short enough for thousands of them.

use super::conditions;
use crate::decision::{Decision, Group, Row, Verdict, Weighted};
use crate::model::event::Ending;
use crate::model::plan::Relevance;
use crate::model::{Builder, CellKey, Event, Plan, Sample, sample};
use crate::stats::Estimate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// The fact that a machine's model is: processor and number of cores.
pub(super) const PROCESSOR: &str = "machine processor";

/// The model of the machine that a run was measured on, `n/a` where it is not recorded.
pub fn machine(plan: &Plan) -> &str {
    plan.facts.get(PROCESSOR).map_or("n/a", String::as_str)
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Its id.
    pub run: String,
    /// Wall clock of its start, RFC 3339, UTC; empty if its journal does not say.
    pub started_at: String,
    /// How it ended; absent if it was killed.
    pub ending: Option<Ending>,
    /// Model of the machine, see [`machine`].
    pub machine: String,
    /// Counted rounds with at least one sample.
    pub rounds: usize,
    /// Samples of counted rounds that are ok.
    pub ok: usize,
    /// Samples of counted rounds that are not.
    pub not_ok: usize,
    /// Ids of the runs that it was merged from; none if it was not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// Lines of its journal. A run that was resumed has more than its first part.
    pub events: usize,
    /// What it was measured under, see [`conditions`].
    pub conditions: BTreeMap<String, String>,
    /// Smallest saving that matters.
    pub relevance: Relevance,
    /// What it measured.
    pub cells: Vec<CellSummary>,
    /// What it said over the change mix.
    pub verdicts: Vec<VerdictSummary>,
}

/// What one run measured of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellSummary {
    /// The workload.
    pub workload: String,
    /// The change.
    pub change: String,
    /// The availability.
    pub availability: String,
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// The link.
    pub link: String,
    /// The engine.
    pub engine: String,
    /// Samples that count.
    pub n: usize,
    /// Median seconds of the whole job.
    pub total_s: Option<Estimate>,
    /// Mean seconds of the whole job.
    pub mean_s: Option<f64>,
    /// Saving against the baseline as a share of its time; absent for the baseline itself.
    pub saving: Option<Estimate>,
    /// Fewest and most step hits.
    pub hits: Option<(usize, usize)>,
    /// Most steps.
    pub steps: Option<usize>,
    /// Median bytes from registry and storage, where counted.
    pub bytes_down: Option<u64>,
    /// Median bytes to registry and storage, where counted.
    pub bytes_up: Option<u64>,
}

impl CellSummary {
    /// Its key, as everywhere.
    pub fn key(&self) -> String {
        CellKey::of([
            &self.workload,
            &self.change,
            &self.availability,
            &self.strategy,
            self.builder.as_str(),
            &self.link,
            &self.engine,
        ])
        .0
    }
}

/// The verdict on a strategy over the change mix, as it was given when the run was kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictSummary {
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
    /// The verdict.
    pub verdict: Verdict,
    /// Mean seconds saved a build.
    pub seconds: Estimate,
}

impl VerdictSummary {
    /// What it is a verdict on: workload, strategy with its builder, link, engine.
    pub fn place(&self) -> [&str; 5] {
        let Self { workload, strategy, builder, link, engine, .. } = self;
        [workload, strategy, builder.as_str(), link, engine]
    }
}

impl Summary {
    /// Of a run: its plan, its recorded events, and what was decided from them.
    pub fn of(plan: &Plan, events: &[Event], decision: &Decision) -> Self {
        let samples = sample::standing(events.iter().filter_map(Event::sample));
        let of_rounds = || samples.iter().filter(|sample| sample.round > 0);
        let ok = of_rounds().filter(|sample| sample.counts()).count();
        let started = events.iter().find_map(|event| match event {
            Event::RunStarted { at, .. } => Some(at.clone()),
            _ => None,
        });
        let means = means(&samples);
        let of_group = |group: &'_ Group| {
            let cell = |row: &Row| cell(group, row, &means);
            group.rows.iter().map(cell).collect::<Vec<_>>()
        };
        Self {
            run: plan.run.clone(),
            started_at: started.unwrap_or_default(),
            ending: Ending::of(events),
            machine: machine(plan).to_owned(),
            rounds: decision.rounds,
            ok,
            not_ok: of_rounds().count() - ok,
            parts: parts(events),
            events: events.len(),
            conditions: conditions(plan, events),
            relevance: plan.relevance,
            cells: decision.groups.iter().flat_map(of_group).collect(),
            verdicts: decision.weighted.iter().filter_map(verdict).collect(),
        }
    }
}

fn parts(events: &[Event]) -> Vec<String> {
    let part = |event: &Event| match event {
        Event::PartMerged { run, .. } => Some(run.clone()),
        _ => None,
    };
    events.iter().filter_map(part).collect()
}

/// Mean seconds by the key of a cell.
fn means(samples: &[&Sample]) -> HashMap<String, f64> {
    let mut sums: HashMap<String, (f64, f64)> = HashMap::new();
    let counts = |sample: &&&Sample| sample.counts() && sample.total_s().is_finite();
    for sample in samples.iter().filter(counts) {
        let sum = sums.entry(sample.cell.key().0).or_default();
        *sum = (sum.0 + sample.total_s(), sum.1 + 1.0);
    }
    sums.into_iter().map(|(key, (sum, n))| (key, sum / n)).collect()
}

fn cell(group: &Group, row: &Row, means: &HashMap<String, f64>) -> CellSummary {
    let saving = row.saving.as_ref().filter(|saving| saving.verdict != Verdict::Baseline);
    let mut cell = CellSummary {
        workload: group.workload.clone(),
        change: group.change.clone(),
        availability: group.availability.clone(),
        strategy: row.strategy.clone(),
        builder: row.builder,
        link: group.link.clone(),
        engine: group.engine.clone(),
        n: row.n,
        total_s: row.total_s,
        mean_s: None,
        saving: saving.map(|saving| saving.share),
        hits: row.hits,
        steps: row.steps,
        bytes_down: row.bytes_down,
        bytes_up: row.bytes_up,
    };
    cell.mean_s = means.get(&cell.key()).copied();
    cell
}

fn verdict(of: &Weighted) -> Option<VerdictSummary> {
    let saving = of.saving.as_ref().filter(|saving| saving.verdict != Verdict::Baseline)?;
    Some(VerdictSummary {
        workload: of.workload.clone(),
        link: of.link.clone(),
        engine: of.engine.clone(),
        strategy: of.strategy.clone(),
        builder: of.builder,
        verdict: saving.verdict,
        seconds: saving.seconds,
    })
}

//! `samples.csv`, `phases.csv`, `steps.csv`: the raw measurements, for spreadsheets and scripts.
//!
//! Names are written exactly as they are: the quoting of CSV takes care of any character.

use super::{Format, Model, ReportError, ReportFile};
use crate::model::{Phase, Sample, Status};

/// The rows of `FORMATS` for CSV.
pub(super) const FORMAT: Format = Format {
    name: "csv",
    files: &["samples.csv", "phases.csv", "steps.csv"],
    summary: "every sample, request and instruction as measured",
    render,
};

const BEFORE_PHASES: [&str; 15] = [
    "run",
    "sample",
    "round",
    "position",
    "workload",
    "change",
    "availability",
    "strategy",
    "builder",
    "state",
    "link",
    "engine",
    "status",
    "reason",
    "total_s",
];
const AFTER_PHASES: [&str; 14] = [
    "bytes_down",
    "bytes_up",
    "steps",
    "step_hits",
    "cache_source",
    "image_bytes",
    "started_at",
    "steal",
    "cpu_wait",
    "io_wait",
    "memory_wait",
    "load",
    "throttled",
    "clock_moved_s",
];
const PHASES: [&str; 9] = [
    "run",
    "sample",
    "seq",
    "phase",
    "operation",
    "reference",
    "duration_s",
    "bytes_down",
    "bytes_up",
];
const STEPS: [&str; 7] = ["run", "sample", "stage", "step", "instruction", "hit", "duration_s"];

fn render(model: &Model<'_>) -> Result<Vec<ReportFile>, ReportError> {
    let run = &model.plan.run;
    let mut header: Vec<String> = BEFORE_PHASES.iter().map(ToString::to_string).collect();
    header.extend(Phase::ALL.iter().map(|phase| format!("{phase}_s")));
    header.extend(AFTER_PHASES.iter().map(ToString::to_string));
    // Only a merged run has machines to tell apart.
    let merged = model.plan.machines.is_some();
    header.extend(merged.then(|| "machine".to_owned()));
    let samples = model.samples.iter().map(|sample| {
        let mut row = sample_row(run, sample);
        row.extend(merged.then(|| optional(sample.machine)));
        row
    });
    let phases = model.samples.iter().flat_map(|sample| phase_rows(run, sample));
    let steps = model.samples.iter().flat_map(|sample| step_rows(run, sample));
    Ok(vec![
        file("samples.csv", &header, samples)?,
        file("phases.csv", &PHASES, phases)?,
        file("steps.csv", &STEPS, steps)?,
    ])
}

fn file<H: AsRef<[u8]>>(
    name: &str,
    header: &[H],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<ReportFile, ReportError> {
    let fault = |cause: String| ReportError::format(name, cause);
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(header).map_err(|error| fault(error.to_string()))?;
    for row in rows {
        writer.write_record(row).map_err(|error| fault(error.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|error| fault(error.to_string()))?;
    Ok(ReportFile { path: name.into(), bytes })
}

fn sample_row(run: &str, sample: &Sample) -> Vec<String> {
    let cell = &sample.cell;
    // What a job that broke off took is no total; the requests that it made are in phases.csv.
    let whole = matches!(sample.status, Status::Ok | Status::Invalid);
    let mut row = vec![
        run.to_owned(),
        sample.sample.to_string(),
        sample.round.to_string(),
        sample.position.to_string(),
        cell.workload.clone(),
        cell.change.clone(),
        cell.availability.clone(),
        cell.measured_as().into_owned(),
        cell.builder.to_string(),
        cell.state.to_string(),
        cell.link.clone(),
        cell.engine.clone(),
        sample.status.to_string(),
        sample.reason.clone(),
        optional(whole.then(|| sample.total_s()).map(seconds)),
    ];
    row.extend(Phase::ALL.iter().map(|phase| optional(sample.phase_s(*phase).map(seconds))));
    row.extend([
        optional(sample.bytes_down()),
        optional(sample.bytes_up()),
        sample.step_count().to_string(),
        sample.step_hits().to_string(),
        sample.cache_source.clone(),
        optional(sample.image_bytes),
        sample.started_at.clone(),
    ]);
    let noise = sample.noise.unwrap_or_default();
    let shares = [noise.steal, noise.cpu, noise.io, noise.memory];
    row.extend(shares.map(|share| optional(share.map(|share| format!("{share:.4}")))));
    row.extend([
        optional(noise.load),
        optional(noise.throttled),
        optional(noise.clock_moved_s.map(seconds)),
    ]);
    row
}

fn phase_rows(run: &str, sample: &Sample) -> impl Iterator<Item = Vec<String>> {
    sample.phases.iter().map(move |row| {
        vec![
            run.to_owned(),
            sample.sample.to_string(),
            row.seq.to_string(),
            row.phase.to_string(),
            row.operation.clone(),
            row.reference.clone(),
            seconds(row.duration_s),
            optional(row.bytes_down),
            optional(row.bytes_up),
        ]
    })
}

fn step_rows(run: &str, sample: &Sample) -> impl Iterator<Item = Vec<String>> {
    sample.steps.iter().map(move |step| {
        vec![
            run.to_owned(),
            sample.sample.to_string(),
            step.stage.clone(),
            step.step.to_string(),
            step.instruction.clone(),
            step.hit.to_string(),
            optional(step.duration_s.map(seconds)),
        ]
    })
}

fn seconds(value: f64) -> String {
    format!("{value:.6}")
}

fn optional(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

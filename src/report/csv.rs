//! `samples.csv`, `phases.csv`, `steps.csv`: the raw measurements, for spreadsheets and scripts.
//!
//! Names are written exactly as they are: the quoting of CSV takes care of any character.

use super::{Format, Model, ReportError, ReportFile};
use crate::model::{Phase, Plan, Sample, Status};
use rayon::prelude::*;
use std::fmt::{Display, Write as _};
use std::io::Write;
use std::path::Path;

/// The rows of `FORMATS` for CSV.
pub(super) const FORMAT: Format = Format {
    name: "csv",
    files: &["samples.csv", "phases.csv", "steps.csv"],
    summary: "every sample, request and instruction as measured",
    render,
    stream: Some(stream),
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

/// One of the files.
struct Table {
    file: &'static str,
    header: fn(&Plan, &mut Row) -> Result<(), ::csv::Error>,
    rows: fn(&Plan, &Sample, &mut Row) -> Result<(), ::csv::Error>,
}

static TABLES: [Table; 3] = [
    Table { file: "samples.csv", header: samples_header, rows: sample_row },
    Table { file: "phases.csv", header: |_, row| row.header(&PHASES), rows: phase_rows },
    Table { file: "steps.csv", header: |_, row| row.header(&STEPS), rows: step_rows },
];

fn render(model: &Model<'_>) -> Result<Vec<ReportFile>, ReportError> {
    let file = |table: &Table| {
        let mut bytes = Vec::new();
        stream(model, table.file, &mut bytes)?;
        Ok(ReportFile { path: table.file.into(), bytes })
    };
    TABLES.iter().map(file).collect()
}

/// Samples whose rows one thread makes at once.
const PART: usize = 1_024;
/// Samples whose rows are made while those before them are written.
const PIECE: usize = 16 * PART;

fn stream(model: &Model<'_>, name: &str, out: &mut (dyn Write + Send)) -> Result<(), ReportError> {
    let fault = |cause: ::csv::Error| ReportError::format(name, cause);
    let Some(table) = TABLES.iter().find(|table| table.file == name) else { return Ok(()) };
    let mut head = Row::default();
    (table.header)(model.plan, &mut head).map_err(fault)?;
    let mut made = vec![head.finish().map_err(fault)?];
    let mut pieces = model.samples.chunks(PIECE);
    while !made.is_empty() {
        let next = pieces.next().unwrap_or_default();
        let mut write = || made.iter().try_for_each(|bytes| out.write_all(bytes));
        let (written, next) = rayon::join(&mut write, || rows(table, model.plan, next));
        written.map_err(|source| super::unwritten(Path::new(name), source))?;
        made = next.map_err(fault)?;
    }
    Ok(())
}

/// The rows of some samples, made on all cores, in order.
fn rows(table: &Table, plan: &Plan, samples: &[&Sample]) -> Result<Vec<Vec<u8>>, ::csv::Error> {
    let part = |samples: &[&Sample]| {
        let mut row = Row::default();
        samples.iter().try_for_each(|sample| (table.rows)(plan, sample, &mut row))?;
        row.finish()
    };
    samples.par_chunks(PART).map(part).collect()
}

/// Rows that are being made, field by field.
struct Row {
    writer: ::csv::Writer<Vec<u8>>,
    /// A number while it is put into digits.
    digits: String,
}

impl Default for Row {
    fn default() -> Self {
        Self { writer: ::csv::Writer::from_writer(Vec::new()), digits: String::new() }
    }
}

impl Row {
    fn header<H: AsRef<[u8]>>(&mut self, names: &[H]) -> Result<(), ::csv::Error> {
        self.writer.write_record(names)
    }

    fn text(&mut self, text: &str) -> Result<(), ::csv::Error> {
        self.writer.write_field(text)
    }

    fn texts<const N: usize>(&mut self, texts: [&str; N]) -> Result<(), ::csv::Error> {
        texts.into_iter().try_for_each(|text| self.text(text))
    }

    /// A field that is empty where there is nothing.
    fn shown(&mut self, value: Option<impl Display>) -> Result<(), ::csv::Error> {
        self.digits.clear();
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _ = write!(self.digits, "{value}");
        }
        self.writer.write_field(&self.digits)
    }

    fn count(&mut self, value: Option<impl itoa::Integer>) -> Result<(), ::csv::Error> {
        let mut digits = itoa::Buffer::new();
        self.writer.write_field(value.map_or("", |value| digits.format(value)))
    }

    fn seconds(&mut self, value: Option<f64>) -> Result<(), ::csv::Error> {
        self.rounded::<6>(value)
    }

    /// With so many decimals.
    fn rounded<const DECIMALS: u32>(&mut self, value: Option<f64>) -> Result<(), ::csv::Error> {
        self.digits.clear();
        if let Some(value) = value {
            push_rounded::<DECIMALS>(&mut self.digits, value);
        }
        self.writer.write_field(&self.digits)
    }

    fn end(&mut self) -> Result<(), ::csv::Error> {
        self.writer.write_record(None::<&[u8]>)
    }

    fn finish(self) -> Result<Vec<u8>, ::csv::Error> {
        self.writer.into_inner().map_err(|error| error.into_error().into())
    }
}

fn samples_header(plan: &Plan, row: &mut Row) -> Result<(), ::csv::Error> {
    let mut header: Vec<String> = BEFORE_PHASES.iter().map(ToString::to_string).collect();
    header.extend(Phase::ALL.iter().map(|phase| format!("{phase}_s")));
    header.extend(AFTER_PHASES.iter().map(ToString::to_string));
    // Only a merged run has machines to tell apart.
    header.extend(plan.machines.map(|_| "machine".to_owned()));
    row.header(&header)
}

fn sample_row(plan: &Plan, sample: &Sample, row: &mut Row) -> Result<(), ::csv::Error> {
    let cell = &sample.cell;
    // What a job that broke off took is no total; the requests that it made are in phases.csv.
    let whole = matches!(sample.status, Status::Ok | Status::Invalid);
    row.text(&plan.run)?;
    for number in [sample.sample, sample.round, sample.position] {
        row.count(Some(number))?;
    }
    row.texts([&cell.workload, &cell.change, &cell.availability, &cell.measured_as()])?;
    row.texts([cell.builder.as_str(), cell.state.as_str(), &cell.link, &cell.engine])?;
    row.texts([sample.status.as_str(), &sample.reason])?;
    row.seconds(whole.then(|| sample.total_s()))?;
    for seconds in sample.phases_s() {
        row.seconds(seconds)?;
    }
    row.count(sample.bytes_down())?;
    row.count(sample.bytes_up())?;
    row.count(Some(sample.step_count()))?;
    row.count(Some(sample.step_hits()))?;
    row.text(&sample.cache_source)?;
    row.count(sample.image_bytes)?;
    row.text(&sample.started_at)?;
    let noise = sample.noise.as_deref().copied().unwrap_or_default();
    for share in [noise.steal, noise.cpu, noise.io, noise.memory] {
        row.rounded::<4>(share)?;
    }
    row.shown(noise.load)?;
    row.count(noise.throttled)?;
    row.seconds(noise.clock_moved_s)?;
    if plan.machines.is_some() {
        row.count(sample.machine)?;
    }
    row.end()
}

fn phase_rows(plan: &Plan, sample: &Sample, row: &mut Row) -> Result<(), ::csv::Error> {
    for phase in sample.phases.iter() {
        row.text(&plan.run)?;
        row.count(Some(sample.sample))?;
        row.count(Some(phase.seq))?;
        row.texts([phase.phase.as_str(), phase.operation, phase.reference])?;
        row.seconds(Some(phase.duration_s))?;
        row.count(phase.bytes_down)?;
        row.count(phase.bytes_up)?;
        row.end()?;
    }
    Ok(())
}

fn step_rows(plan: &Plan, sample: &Sample, row: &mut Row) -> Result<(), ::csv::Error> {
    for step in sample.steps.iter() {
        row.text(&plan.run)?;
        row.count(Some(sample.sample))?;
        row.text(step.stage)?;
        row.count(Some(step.step))?;
        row.texts([step.instruction, if step.hit { "true" } else { "false" }])?;
        row.seconds(step.duration_s)?;
        row.end()?;
    }
    Ok(())
}

/// Below this, a number's millionths fit the arithmetic of [`push_rounded`].
const PLAIN: f64 = (1_u64 << 40) as f64;

/// Up to six decimals, as `{:.6}` writes them, in a tenth of the time: a large run has millions of
/// such numbers.
///
/// A number is `mantissa · 2^-shift`; its millionths are exact in 128 bits before they are rounded,
/// half to even.
fn push_rounded<const DECIMALS: u32>(out: &mut String, value: f64) {
    const { assert!(DECIMALS <= 6) };
    let bits = value.to_bits();
    let exponent = (bits >> 52) & 0x7ff;
    if !(1e-9..PLAIN).contains(&value) {
        let _ = write!(out, "{value:.*}", DECIMALS as usize);
        return;
    }
    let one = 10_u64.pow(DECIMALS);
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    let shift = 1075 - exponent;
    let scaled = u128::from(mantissa) * u128::from(one);
    let (whole, rest) = (scaled >> shift, scaled & ((1 << shift) - 1));
    let half = 1_u128 << (shift - 1);
    // Fewer than 2^40 · 10^6 of them.
    let parts = (whole + u128::from(rest > half || (rest == half && whole % 2 == 1))) as u64;
    let mut digits = itoa::Buffer::new();
    out.push_str(digits.format(parts / one));
    out.push('.');
    // With a one in front of them, so that none of the zeros in front is lost.
    out.push_str(&digits.format(one + parts % one)[1..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pushed<const DECIMALS: u32>(value: f64) -> String {
        let mut out = String::new();
        push_rounded::<DECIMALS>(&mut out, value);
        out
    }

    #[test]
    fn numbers_are_written_as_the_library_writes_them() {
        // Halves of a microsecond, which are exact in binary only as multiples of 2^-7.
        let ties = (0..100_000_u32).map(|at| f64::from(at) / 128.0);
        let others = [0.0, -0.0, 1e-9, 4e-7, 5e-7, 6e-7, 0.999_999_5, 1e12, 1e300, -1.5];
        for value in ties.chain(others).chain([f64::NAN, f64::INFINITY]) {
            assert_eq!(pushed::<6>(value), format!("{value:.6}"));
            assert_eq!(pushed::<4>(value), format!("{value:.4}"));
        }
    }

    proptest! {
        #[test]
        fn any_number_is(value in 0.0..1e6_f64, small in 0.0..1e-4_f64) {
            for value in [value, small] {
                prop_assert_eq!(pushed::<6>(value), format!("{value:.6}"));
                prop_assert_eq!(pushed::<4>(value), format!("{value:.4}"));
            }
        }
    }
}

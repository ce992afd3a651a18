//! The columns. Those that `samples.csv` has too have its names; a name ends with the unit where
//! there is one.

use crate::decision;
use crate::model::{Noise, Phase, Plan, Sample, Status};
use crate::trend;
use std::borrow::Cow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What a row is made from.
pub(super) struct Row<'a> {
    pub(super) plan: &'a Plan,
    /// Start of the run.
    pub(super) started_at: &'a str,
    pub(super) sample: &'a Sample,
    /// Whether no other sample of the run stands in its place.
    pub(super) stands: bool,
}

/// One column.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) take: Take,
}

/// What a column takes from a row; `None` is null.
#[derive(Clone, Copy)]
pub(super) enum Take {
    Text(for<'a> fn(&Row<'a>) -> Option<Cow<'a, str>>),
    Whole(fn(&Row<'_>) -> Option<i64>),
    Real(fn(&Row<'_>) -> Option<f64>),
    Truth(fn(&Row<'_>) -> Option<bool>),
    /// An RFC 3339 time.
    Instant(for<'a> fn(&Row<'a>) -> &'a str),
}

impl Column {
    /// Its line in a schema. Everything may be null.
    pub(super) fn field(&self) -> String {
        let (kind, meaning) = match self.take {
            Take::Text(_) => ("BYTE_ARRAY", " (UTF8)"),
            Take::Whole(_) => ("INT64", ""),
            Take::Real(_) => ("DOUBLE", ""),
            Take::Truth(_) => ("BOOLEAN", ""),
            Take::Instant(_) => ("INT64", " (TIMESTAMP(MICROS,true))"),
        };
        format!("OPTIONAL {kind} {}{meaning}", self.name)
    }
}

const fn text(name: &'static str, take: for<'a> fn(&Row<'a>) -> Option<Cow<'a, str>>) -> Column {
    Column { name, take: Take::Text(take) }
}

const fn whole(name: &'static str, take: fn(&Row<'_>) -> Option<i64>) -> Column {
    Column { name, take: Take::Whole(take) }
}

const fn real(name: &'static str, take: fn(&Row<'_>) -> Option<f64>) -> Column {
    Column { name, take: Take::Real(take) }
}

const fn truth(name: &'static str, take: fn(&Row<'_>) -> Option<bool>) -> Column {
    Column { name, take: Take::Truth(take) }
}

const fn instant(name: &'static str, take: for<'a> fn(&Row<'a>) -> &'a str) -> Column {
    Column { name, take: Take::Instant(take) }
}

/// Every column in order: a row of `samples.csv`, then what the file of one run need not say.
pub(super) static COLUMNS: &[Column] = &[
    text("run", |row| shown(&row.plan.run)),
    whole("sample", |row| Some(row.sample.sample.into())),
    whole("round", |row| Some(row.sample.round.into())),
    whole("position", |row| Some(row.sample.position.into())),
    text("workload", |row| shown(&row.sample.cell.workload)),
    text("change", |row| shown(&row.sample.cell.change)),
    text("availability", |row| shown(&row.sample.cell.availability)),
    text("strategy", |row| Some(row.sample.cell.measured_as())),
    text("builder", |row| shown(row.sample.cell.builder.as_str())),
    text("state", |row| shown(row.sample.cell.state.as_str())),
    text("link", |row| shown(&row.sample.cell.link)),
    text("engine", |row| shown(&row.sample.cell.engine)),
    text("status", |row| shown(row.sample.status.as_str())),
    text("reason", |row| shown(&row.sample.reason)),
    real("total_s", |row| row.whole().then(|| row.sample.total_s())),
    real("fetch_s", |row| row.sample.phase_s(Phase::Fetch)),
    real("load_s", |row| row.sample.phase_s(Phase::Load)),
    real("pull_s", |row| row.sample.phase_s(Phase::Pull)),
    real("build_s", |row| row.sample.phase_s(Phase::Build)),
    real("save_s", |row| row.sample.phase_s(Phase::Save)),
    real("store_s", |row| row.sample.phase_s(Phase::Store)),
    real("push_s", |row| row.sample.phase_s(Phase::Push)),
    whole("bytes_down", |row| count(row.sample.bytes_down())),
    whole("bytes_up", |row| count(row.sample.bytes_up())),
    whole("steps", |row| count(u64::try_from(row.sample.step_count()).ok())),
    whole("step_hits", |row| count(u64::try_from(row.sample.step_hits()).ok())),
    text("cache_source", |row| shown(&row.sample.cache_source)),
    whole("image_bytes", |row| count(row.sample.image_bytes)),
    instant("started_at", |row| &row.sample.started_at),
    real("steal", |row| row.noise().steal),
    real("cpu_wait", |row| row.noise().cpu),
    real("io_wait", |row| row.noise().io),
    real("memory_wait", |row| row.noise().memory),
    real("load", |row| row.noise().load),
    whole("throttled", |row| count(row.noise().throttled)),
    real("clock_moved_s", |row| row.noise().clock_moved_s),
    whole("machine", |row| row.sample.machine.map(i64::from)),
    // From here on samples.csv has none of them.
    instant("run_started_at", |row| row.started_at),
    text("machine_model", |row| shown(trend::machine(row.plan))),
    text("breakeven", |row| shown(&row.plan.breakeven)),
    text("baseline", |row| shown(&row.plan.baseline)),
    truth("counted", |row| Some(row.stands && row.sample.counts())),
    whole("requests", |row| count(row.sample.requests())),
    real("leaving_s", |row| row.sample.leaving_s()),
    real("reset_s", |row| Some(row.sample.reset_s)),
    real("overhead_s", |row| Some(row.sample.overhead_s)),
    real("billed_minutes", |row| {
        let prices = row.plan.prices.as_ref().filter(|_| row.whole())?;
        Some(prices.billed_minutes(row.sample.total_s()))
    }),
    real("price", |row| {
        let prices = row.plan.prices.as_ref().filter(|_| row.whole())?;
        decision::price(prices, row.sample)
    }),
    text("currency", |row| Some(Cow::Borrowed(row.plan.prices.as_ref()?.currency.as_str()))),
];

impl Row<'_> {
    /// Whether the job came to its end: what one that broke off took is no total.
    fn whole(&self) -> bool {
        matches!(self.sample.status, Status::Ok | Status::Invalid)
    }

    fn noise(&self) -> Noise {
        self.sample.noise.as_deref().copied().unwrap_or_default()
    }
}

/// A text; null where it is empty.
fn shown(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(Cow::Borrowed(text))
}

/// Parquet's own numbers have a sign.
fn count(count: Option<u64>) -> Option<i64> {
    count.and_then(|count| i64::try_from(count).ok())
}

/// Microseconds since 1970; null for what is no time.
pub(super) fn microseconds(at: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(at, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).ok()
}

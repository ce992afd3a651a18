//! Spans from samples. Pure: a journal gives the same spans, with the same ids, each time.
//!
//! A job is a trace. Below it are its phases, below a build its steps. The journal holds durations,
//! so spans within a job are laid end to end from its start: what lies between two requests and is
//! timed nowhere is not shown, and of stages that a builder ran side by side each begins where the
//! build does.

use crate::model::{Phase, Plan, Sample, StepRow};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status as SpanStatus, span, status,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Jobs in one request: receivers refuse requests of more than 4 MiB, and a job's spans take up to
/// some 20 KiB.
const JOBS_PER_REQUEST: usize = 100;

/// The spans of all jobs of a run, in requests of a size that receivers take.
pub fn requests(plan: &Plan, samples: &[&Sample]) -> Vec<ExportTraceServiceRequest> {
    samples.chunks(JOBS_PER_REQUEST).map(|jobs| request(plan, jobs)).collect()
}

fn request(plan: &Plan, jobs: &[&Sample]) -> ExportTraceServiceRequest {
    let mut about = vec![
        text("service.name", "breakeven"),
        text("service.version", &plan.breakeven),
        text("breakeven.run", &plan.run),
    ];
    about.extend(
        plan.facts
            .iter()
            .map(|(name, fact)| text(&format!("breakeven.fact.{}", name.replace(' ', "_")), fact)),
    );
    let spans = jobs.iter().flat_map(|job| Job::new(plan, job).spans()).collect();
    let scope = InstrumentationScope {
        name: "breakeven".to_owned(),
        version: plan.breakeven.clone(),
        ..Default::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: about, ..Default::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }],
            ..Default::default()
        }],
    }
}

/// One job on its way into spans.
struct Job<'a> {
    sample: &'a Sample,
    run: &'a str,
    /// Nanoseconds since 1970.
    began: u64,
}

impl<'a> Job<'a> {
    fn new(plan: &'a Plan, sample: &'a Sample) -> Self {
        let began = OffsetDateTime::parse(&sample.started_at, &Rfc3339).ok();
        let began = began.and_then(|at| u64::try_from(at.unix_timestamp_nanos()).ok());
        Self { sample, run: &plan.run, began: began.unwrap_or_default() }
    }

    fn spans(&self) -> Vec<Span> {
        let (sample, cell) = (self.sample, &self.sample.cell);
        let mut job = self.span("job", "", (0.0, sample.total_s()));
        job.name = format!("job {}", cell.measured_as());
        job.attributes = vec![
            text("breakeven.workload", &cell.workload),
            text("breakeven.change", &cell.change),
            text("breakeven.availability", &cell.availability),
            text("breakeven.strategy", &cell.measured_as()),
            text("breakeven.builder", cell.builder.as_str()),
            text("breakeven.link", &cell.link),
            text("breakeven.engine", &cell.engine),
            text("breakeven.state", cell.state.as_str()),
            text("breakeven.status", sample.status.as_str()),
            whole("breakeven.sample", sample.sample.into()),
            whole("breakeven.round", sample.round.into()),
            whole("breakeven.steps", count(sample.step_count())),
            whole("breakeven.step_hits", count(sample.step_hits())),
        ];
        let good = sample.reason.is_empty();
        job.status = Some(SpanStatus {
            code: if good { status::StatusCode::Ok } else { status::StatusCode::Error } as i32,
            message: sample.reason.clone(),
        });
        let mut spans = vec![job];
        let (mut at, mut builds, mut build) = (0.0, 0, (String::new(), 0.0));
        let mut part_at = 0.0;
        for row in sample.phases.iter() {
            let path = format!("phase {}", row.seq);
            let (parent, from) = match row.within {
                true => (build.0.as_str(), part_at),
                false => ("job", at),
            };
            let mut span = self.span(&path, parent, (from, row.duration_s));
            span.name = if row.within { row.operation.to_owned() } else { row.phase.to_string() };
            span.attributes = vec![
                text("breakeven.operation", row.operation),
                text("breakeven.reference", row.reference),
            ];
            let moved = [("down", row.bytes_down), ("up", row.bytes_up)];
            span.attributes.extend(moved.into_iter().filter_map(|(way, bytes)| {
                bytes.map(|bytes| {
                    whole(
                        &format!("breakeven.bytes_{way}"),
                        i64::try_from(bytes).unwrap_or(i64::MAX),
                    )
                })
            }));
            spans.push(span);
            if row.within {
                part_at += row.duration_s;
                continue;
            }
            if row.phase == Phase::Build {
                build = (path, at);
                part_at = at;
                spans.extend(self.steps(builds, &build));
                builds += 1;
            }
            at += row.duration_s;
        }
        spans
    }

    /// The steps of one call of the builder.
    fn steps(&self, build: u32, parent: &(String, f64)) -> Vec<Span> {
        let mut stages: BTreeMap<&str, f64> = BTreeMap::new();
        let of_build = self.sample.steps.iter().filter(|step| step.build == build);
        let span = |step: StepRow<'_>, from: f64| {
            let path = format!("{} step {} {}", parent.0, step.stage, step.step);
            let mut span = self.span(&path, &parent.0, (from, step.duration_s.unwrap_or(0.0)));
            span.name = format!("step {}/{}", step.stage, step.step);
            span.attributes = vec![
                text("breakeven.stage", step.stage),
                text("breakeven.instruction", step.instruction),
                yes_or_no("breakeven.hit", step.hit),
            ];
            span
        };
        of_build
            .map(|step| {
                let at = stages.entry(step.stage).or_insert(parent.1);
                let from = *at;
                *at += step.duration_s.unwrap_or(0.0);
                span(step, from)
            })
            .collect()
    }

    /// A span of this job. Its ids are hashes of what it is, so that they are the same each time.
    fn span(&self, path: &str, parent: &str, (from_s, duration_s): (f64, f64)) -> Span {
        let nanoseconds = |seconds: f64| {
            // Saturates; a job's seconds are far below what nanoseconds in 64 bits hold.
            self.began.saturating_add((seconds.max(0.0) * 1e9).round() as u64)
        };
        let id = |path: &str| match path {
            "" => Vec::new(),
            path => self.hash(path)[..8].to_vec(),
        };
        Span {
            trace_id: self.hash("")[..16].to_vec(),
            span_id: id(path),
            parent_span_id: id(parent),
            kind: span::SpanKind::Internal as i32,
            start_time_unix_nano: nanoseconds(from_s),
            end_time_unix_nano: nanoseconds(from_s + duration_s),
            ..Default::default()
        }
    }

    fn hash(&self, path: &str) -> [u8; 32] {
        Sha256::digest(format!("{}\n{}\n{path}", self.run, self.sample.sample)).into()
    }
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

fn whole(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

fn yes_or_no(key: &str, value: bool) -> KeyValue {
    attribute(key, any_value::Value::BoolValue(value))
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

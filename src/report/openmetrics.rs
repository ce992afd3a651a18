//! A run's figures as OpenMetrics text, for a collector that reads files (node_exporter's textfile
//! collector, GitLab's metrics report).
//!
//! The format: OpenMetrics 1.0; units are base units and part of the names.

use super::{Model, ReportError};
use crate::decision::{Decision, Weighted};
use crate::model::Status;
use crate::stats::Estimate;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

type Labels = Vec<(&'static str, String)>;
type Figures = Family<Labels, Gauge<f64, AtomicU64>>;

/// The text.
pub fn openmetrics(model: &Model<'_>) -> Result<String, ReportError> {
    let mut registry = Registry::with_prefix("breakeven");
    samples(&mut registry, model);
    jobs(&mut registry, model.decision);
    savings(&mut registry, model.decision);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| ReportError::format("OpenMetrics text", error))?;
    Ok(text)
}

fn samples(registry: &mut Registry, model: &Model<'_>) {
    let samples = Figures::default();
    for status in [Status::Ok, Status::Invalid, Status::Failed, Status::Interrupted] {
        let labels = vec![("run", model.plan.run.clone()), ("status", status.to_string())];
        samples.get_or_create(&labels).set(model.run.count(status) as f64);
    }
    registry.register("samples", "Samples of counted rounds, by what became of them", samples);
}

fn jobs(registry: &mut Registry, decision: &Decision) {
    let jobs = Figures::default();
    for group in &decision.groups {
        for row in &group.rows {
            let labels = |bound: &str| {
                vec![
                    ("workload", group.workload.clone()),
                    ("change", group.change.clone()),
                    ("availability", group.availability.clone()),
                    ("link", group.link.clone()),
                    ("engine", group.engine.clone()),
                    ("strategy", row.strategy.clone()),
                    ("builder", row.builder.to_string()),
                    ("state", row.state.to_string()),
                    ("bound", bound.to_owned()),
                ]
            };
            set(&jobs, &labels, row.total_s);
        }
    }
    let help = "Median time of a job, with the bounds of its 95 % interval";
    registry.register_with_unit("job", help, Unit::Seconds, jobs);
}

fn savings(registry: &mut Registry, decision: &Decision) {
    let (times, savings, verdicts) = (Figures::default(), Figures::default(), Figures::default());
    for one in &decision.weighted {
        let labels = |bound: &str| {
            let mut labels = strategy(one);
            labels.push(("bound", bound.to_owned()));
            labels
        };
        set(&times, &labels, one.total_s);
        let Some(saving) = &one.saving else { continue };
        set(&savings, &labels, Some(saving.seconds));
        let mut labels = strategy(one);
        labels.push(("verdict", saving.verdict.label().to_owned()));
        verdicts.get_or_create(&labels).set(1.0);
    }
    let help = "Expected time of a build over the change mix, with its 95 % interval";
    registry.register_with_unit("build", help, Unit::Seconds, times);
    let help = "Saving a build against the baseline over the change mix, with its 95 % interval";
    registry.register_with_unit("saving", help, Unit::Seconds, savings);
    registry.register("verdict", "The verdict over the change mix, as a label", verdicts);
}

fn strategy(one: &Weighted) -> Labels {
    vec![
        ("workload", one.workload.clone()),
        ("link", one.link.clone()),
        ("engine", one.engine.clone()),
        ("strategy", one.strategy.clone()),
        ("builder", one.builder.to_string()),
    ]
}

fn set(figures: &Figures, labels: &dyn Fn(&str) -> Labels, estimate: Option<Estimate>) {
    let Some(estimate) = estimate else { return };
    let bounds = [("point", estimate.point), ("low", estimate.low), ("high", estimate.high)];
    for (bound, value) in bounds.into_iter().filter(|(_, value)| value.is_finite()) {
        figures.get_or_create(&labels(bound)).set(value);
    }
}

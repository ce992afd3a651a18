//! How Breakeven reaches people and pipelines: packages, completions, manual pages, the action, the
//! GitLab job, and what other programs read of a run.

mod ci;
#[cfg(feature = "openmetrics")]
mod openmetrics;
#[cfg(feature = "otlp")]
mod otlp;
mod package;
mod same;
mod shells;
mod support;

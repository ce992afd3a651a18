//! `breakeven report`: renders again from the journal.

use super::exit::Exit;
use super::{CliError, output};
use crate::report::{self, Model};
use crate::run::{self, RunError};
use std::path::PathBuf;

/// Makes every report of a run again from its journal, and shows the one for the terminal.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory that `breakeven run` wrote.
    run_dir: PathBuf,
    /// Write the run's figures as OpenMetrics text as well.
    #[cfg_attr(not(feature = "openmetrics"), arg(hide = true))]
    #[arg(long, value_name = "FILE")]
    openmetrics: Option<PathBuf>,
    /// Send every job, with its phases and steps, as OpenTelemetry spans over OTLP/HTTP: to URL, to
    /// the one in OTEL_EXPORTER_OTLP_ENDPOINT, or to http://localhost:4318.
    #[cfg_attr(not(feature = "otlp"), arg(hide = true))]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    otlp: Option<String>,
}

/// Carries it out.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    #[cfg(not(feature = "openmetrics"))]
    if args.openmetrics.is_some() {
        return Err(super::absent("openmetrics", "--openmetrics"));
    }
    #[cfg(not(feature = "otlp"))]
    if args.otlp.is_some() {
        return Err(super::absent("otlp", "--otlp"));
    }
    let published = run::recorded(&args.run_dir)?;
    let model = published.model().map_err(RunError::from)?;
    // A run directory may be read-only, as an artifact of another job: it can be looked at still.
    let written = report::write_model(&model, &args.run_dir).map_err(RunError::from);
    if published.torn {
        output::message("warning: the journal's last line was torn by a kill and is left out");
    }
    output::show_model(&model, &args.run_dir)?;
    written?;
    more(args, &model)?;
    // The process ends now. To give back a million samples one by one takes longer than to show them.
    std::mem::forget(model);
    std::mem::forget(published);
    Ok(Exit::Done)
}

/// What only a build with the features can do.
fn more(args: &Args, model: &Model<'_>) -> Result<(), CliError> {
    #[cfg(feature = "openmetrics")]
    if let Some(path) = &args.openmetrics {
        openmetrics(path, model)?;
    }
    #[cfg(feature = "otlp")]
    if let Some(url) = &args.otlp {
        otlp(url, model)?;
    }
    let _ = (args, model);
    Ok(())
}

#[cfg(feature = "openmetrics")]
fn openmetrics(path: &std::path::Path, model: &Model<'_>) -> Result<(), CliError> {
    let text = report::openmetrics(model).map_err(RunError::from)?;
    output::replace(path, &text)
}

#[cfg(feature = "otlp")]
fn otlp(url: &str, model: &Model<'_>) -> Result<(), CliError> {
    use crate::otlp::{DEFAULT_ENDPOINT, ENDPOINT_VARIABLE, HEADERS_VARIABLE, requests, send};
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = match url {
        "" => variable(ENDPOINT_VARIABLE).unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()),
        url => url.to_owned(),
    };
    let headers = variable(HEADERS_VARIABLE).unwrap_or_default();
    let jobs = model.samples.len();
    let requests = requests(model.plan, &model.samples);
    super::runtime()?.block_on(send(&endpoint, &headers, requests))?;
    output::message(&format!("sent {jobs} jobs as spans to {endpoint}"));
    Ok(())
}

//! `breakeven history`: the trends themselves.

use super::super::exit::Exit;
use super::super::{CliError, output, runtime};
use super::{PLACE, open, tell};
use crate::config::Filter;
use crate::report::trend::{TREND_FORMATS, TrendFormat, View, page, trend_format};
use crate::report::{self, ReportFile, text};
use crate::run::RunError;
use crate::secret::redacted;
use crate::trend::{CellSummary, Summary, trends};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// What is shown.
#[derive(Debug, clap::Args)]
pub struct Shown {
    /// The history: an address, a folder, or a configuration file that names one.
    #[arg(value_name = "ADDR|CONFIG", default_value = PLACE)]
    place: String,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "terminal", value_parser = formats())]
    format: &'static TrendFormat,
    /// Also write one self-contained page with figures.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Only the last so many runs.
    #[arg(long, value_name = "N")]
    last: Option<NonZeroUsize>,
    /// Only these cells: globs over the cell's key or over one part of it, separated by commas.
    #[arg(long, value_name = "FILTER")]
    only: Option<String>,
}

fn formats() -> impl TypedValueParser<Value = &'static TrendFormat> {
    let values = TREND_FORMATS.iter().map(|one| PossibleValue::new(one.id).help(one.summary));
    PossibleValuesParser::new(values)
        .try_map(|id| trend_format(&id).ok_or_else(|| format!("there is no format {id}")))
}

/// Carries it out.
pub(super) fn run(args: &Shown) -> Result<Exit, CliError> {
    let filters = args.only.as_deref().map(Filter::parse_list).transpose();
    let filters =
        filters.map_err(|error| CliError::Usage(format!("--only is no filter: {error}")))?;
    let history = open(&args.place)?;
    let mut loaded = runtime()?.block_on(history.load()).map_err(RunError::from)?;
    let skipped = loaded.runs.len().saturating_sub(args.last.map_or(usize::MAX, NonZeroUsize::get));
    let mut runs: Vec<Summary> =
        std::mem::take(&mut loaded.runs).into_iter().skip(skipped).map(|(_, one)| one).collect();
    if let Some(filters) = &filters {
        let taken = |cell: &CellSummary| filters.iter().any(|filter| filter.takes_key(&cell.key()));
        runs.iter_mut().for_each(|run| run.cells.retain(taken));
    }
    if let Some(only) = &args.only
        && runs.iter().all(|run| run.cells.is_empty())
        && !runs.is_empty()
    {
        return Err(CliError::Usage(format!(
            "--only {only} takes no cell of this history's {}; without it all cells are shown",
            text::plural(runs.len(), "run")
        )));
    }
    if runs.is_empty() && loaded.damaged.is_empty() {
        output::message(
            "note: no run is in this history yet: a `breakeven run` whose configuration names it \
             (`history`, --history) writes itself at its end, `breakeven history add RUN_DIR` does \
             it later",
        );
    }
    let runs: Vec<&Summary> = runs.iter().collect();
    let trends = trends(&runs);
    let view = View { address: history.shown(), trends: &trends, damaged: &loaded.damaged };
    if let Some(path) = &args.html {
        let html = page(&view).map_err(RunError::from)?;
        write(path, &redacted(&html))?;
    }
    output::data(&(args.format.render)(&view, output::style()).map_err(RunError::from)?)?;
    Ok(tell(&loaded))
}

fn write(path: &Path, html: &str) -> Result<(), CliError> {
    let name = path
        .file_name()
        .ok_or_else(|| CliError::Usage(format!("{} is no name of a file", path.display())))?;
    let file = ReportFile { path: name.into(), bytes: html.as_bytes().to_vec() };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    report::write(&[file], folder.unwrap_or(Path::new("."))).map_err(RunError::from)?;
    Ok(())
}

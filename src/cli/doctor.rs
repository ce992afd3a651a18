//! `breakeven doctor`: what this machine can do, and what would disturb a measurement.

use super::exit::Exit;
use super::{CliError, output, runtime};
use crate::config::{self, Overrides};
use crate::model::Plan;
use crate::report::Style;
use crate::run::doctor::{Examination, Extent, Line, State, examine};
use crate::run::interrupt;
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Says what this machine can do, what would disturb a measurement, and what to do about it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file whose engines, registry and storage are meant [default: what a
    /// configuration that names none gets].
    config: Option<PathBuf>,
    /// Measures for so many seconds, 30 if none are given, which differences this machine can show,
    /// and nothing else.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30",
        value_parser = clap::value_parser!(u64).range(2..=3600)
    )]
    noise: Option<u64>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What it is printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs; its schema is docs/doctor.schema.json.
    Json,
}

/// A configuration that leaves everything at its default.
const DEFAULTS: [(&str, &str); 2] = [
    ("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"),
    ("breakeven.toml", "[workload.doctor]\n[change.none]\n"),
];

/// Carries it out.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let plan = match &args.config {
        Some(config) => plan(config)?,
        None => default_plan()?,
    };
    let extent = match args.noise {
        Some(seconds) => Extent::Noise(Duration::from_secs(seconds)),
        None => Extent::Everything,
    };
    let cancel = CancellationToken::new();
    let examination = runtime()?.block_on(async {
        interrupt::listen(cancel.clone(), || {
            output::message("stopping: what was tried is removed")
        })
        .map_err(|error| CliError::Fault(format!("listening for signals: {error}")))?;
        Ok::<_, CliError>(examine(&plan, extent, &cancel).await?)
    })?;
    let Some(examination) = examination else { return Ok(Exit::Interrupted) };
    output::data(&match args.format {
        Format::Text => text(&examination, output::style()),
        Format::Json => serde_json::to_string_pretty(&examination)
            .map(|json| json + "\n")
            .map_err(|error| CliError::Fault(format!("cannot write it as JSON: {error}")))?,
    })?;
    Ok(if examination.able { Exit::Done } else { Exit::Unavailable })
}

fn plan(config: &Path) -> Result<Plan, CliError> {
    Ok(config::load(config)?.resolve(&Overrides::default())?)
}

fn default_plan() -> Result<Plan, CliError> {
    let io =
        |source| CliError::Io { operation: "write to the temporary folder".to_owned(), source };
    let folder = tempfile::tempdir().map_err(io)?;
    for (name, content) in DEFAULTS {
        std::fs::write(folder.path().join(name), content).map_err(io)?;
    }
    plan(&folder.path().join("breakeven.toml"))
}

/// Narrower than this nothing useful fits; the terminal then breaks the lines.
const LEAST_WIDTH: usize = 50;

/// What was found, a line for each finding, broken at spaces.
fn text(examination: &Examination, style: Style) -> String {
    let name = examination.lines.iter().map(|line| line.check.len()).max().unwrap_or_default();
    let indent = STATE_WIDTH + 2 + name + 2;
    let width = style.width.max(LEAST_WIDTH).saturating_sub(indent);
    let mut out = String::new();
    let mut last = "";
    for line in &examination.lines {
        let shown = if line.check == last { "" } else { line.check.as_str() };
        last = line.check.as_str();
        let mut head = format!("{}  {shown:<name$}  ", painted(line.state, style));
        for part in parts(line, width) {
            out.push_str(format!("{head}{part}").trim_end());
            out.push('\n');
            head = " ".repeat(indent);
        }
    }
    out.push('\n');
    out.push_str(&summary(examination));
    out
}

/// Columns of the longest state.
const STATE_WIDTH: usize = 4;

fn painted(state: State, style: Style) -> String {
    let word = format!("{:<STATE_WIDTH$}", state.as_str());
    let code = match state {
        State::Ok => "32",
        State::Unknown => "2",
        State::Warn => "33",
        State::Fail => "31;1",
    };
    if style.color { format!("\x1b[{code}m{word}\x1b[0m") } else { word }
}

/// A finding and its advice in lines of this width. A longer word keeps a line of its own.
fn parts(line: &Line, width: usize) -> Vec<String> {
    let texts = [Some(&line.found), line.advice.as_ref()];
    let mut parts = Vec::new();
    for text in texts.into_iter().flatten() {
        let mut part = String::new();
        for word in text.split_whitespace() {
            if !part.is_empty() && part.chars().count() + 1 + word.chars().count() > width {
                parts.push(std::mem::take(&mut part));
            }
            if !part.is_empty() {
                part.push(' ');
            }
            part.push_str(word);
        }
        parts.push(part);
    }
    parts
}

fn summary(examination: &Examination) -> String {
    let count = |state| examination.lines.iter().filter(|line| line.state == state).count();
    let warnings = match count(State::Warn) {
        0 => "no warnings".to_owned(),
        1 => "1 warning".to_owned(),
        many => format!("{many} warnings"),
    };
    match examination.able {
        true => format!("A run is possible; {warnings}.\n"),
        false => format!("No run is possible: see the lines that say fail; {warnings}.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examination(able: bool) -> Examination {
        let line = |check: &str, state, found: &str, advice: Option<&str>| Line {
            check: check.to_owned(),
            state,
            found: found.to_owned(),
            advice: advice.map(str::to_owned),
        };
        let mut lines = vec![
            line("engine", State::Ok, "20.10.24, API 1.41, at unix:///var/run/docker.sock", None),
            line("exporters", State::Ok, "inline: a build left its cache", None),
            line(
                "exporters",
                State::Warn,
                "registry: failed to solve: unknown cache exporter: \"registry\"",
                Some("Strategies that export their cache this way are left out."),
            ),
            line("steal", State::Unknown, "this system does not count it", None),
        ];
        if !able {
            let (found, advice) = ("127.0.0.1:5000: denied", "Look at the registry's log.");
            lines.push(line("registry", State::Fail, found, Some(advice)));
        }
        Examination::new(lines)
    }

    #[test]
    fn a_narrow_terminal_gets_lines_that_fit() {
        let style = Style { color: false, width: 60 };
        insta::assert_snapshot!(text(&examination(true), style), @r#"
        ok    engine     20.10.24, API 1.41, at
                         unix:///var/run/docker.sock
        ok    exporters  inline: a build left its cache
        warn             registry: failed to solve: unknown cache
                         exporter: "registry"
                         Strategies that export their cache this way
                         are left out.
        n/a   steal      this system does not count it

        A run is possible; 1 warning.
        "#);
    }

    #[test]
    fn a_wide_terminal_gets_one_line_each() {
        let style = Style { color: false, width: 120 };
        insta::assert_snapshot!(text(&examination(false), style), @r#"
        ok    engine     20.10.24, API 1.41, at unix:///var/run/docker.sock
        ok    exporters  inline: a build left its cache
        warn             registry: failed to solve: unknown cache exporter: "registry"
                         Strategies that export their cache this way are left out.
        n/a   steal      this system does not count it
        fail  registry   127.0.0.1:5000: denied
                         Look at the registry's log.

        No run is possible: see the lines that say fail; 1 warning.
        "#);
    }

    #[test]
    fn colour_changes_no_word() {
        let plain = text(&examination(false), Style { color: false, width: 80 });
        let coloured = text(&examination(false), Style { color: true, width: 80 });
        assert_ne!(plain, coloured);
        assert_eq!(console::strip_ansi_codes(&coloured), plain);
    }

    #[test]
    fn the_defaults_are_a_plan() {
        let plan = default_plan().unwrap();
        assert_eq!(plan.engines.len(), 1);
        assert_eq!(plan.storage, None);
    }
}

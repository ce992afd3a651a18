//! Data to stdout, messages to stderr.

use super::CliError;
use crate::report::{self, Model, ReportFile, Style, text};
use crate::run::{Published, RunError};
use crate::secret::redacted;
use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;

/// Columns of a table that does not go to a terminal.
const WIDTH: usize = 120;

/// Writes data. A reader that has seen enough (`| head`) is no error.
pub fn data(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(redacted(text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::Io { operation: "write to stdout".to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Writes lines for people. Names of files and configurations may hold anything, so what would
/// steer a terminal is shown instead of sent.
pub fn message(text: &str) {
    let lines: Vec<_> = redacted(text).lines().map(text::visible).map(Cow::into_owned).collect();
    // Where stderr is closed nobody is told of it either.
    let _ = writeln!(std::io::stderr(), "{}", lines.join("\n"));
}

/// Replaces a file by a text, under a temporary name first.
pub fn replace(path: &Path, text: &str) -> Result<(), CliError> {
    let name = path
        .file_name()
        .ok_or_else(|| CliError::Usage(format!("{} is no name of a file", path.display())))?;
    let file = ReportFile { path: name.into(), bytes: redacted(text).into_owned().into_bytes() };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    report::write(&[file], folder.unwrap_or(Path::new("."))).map_err(RunError::from)?;
    Ok(())
}

/// Writes the report of a run.
pub fn show(published: &Published, dir: &Path) -> Result<(), CliError> {
    show_model(&published.model().map_err(RunError::from)?, dir)
}

/// Writes the report of a model.
pub fn show_model(model: &Model<'_>, dir: &Path) -> Result<(), CliError> {
    data(&report::terminal(model, style(), dir))
}

/// Whether an environment variable is set to something.
pub fn is_set(key: &str) -> bool {
    std::env::var_os(key).is_some_and(|value| !value.is_empty())
}

/// Colour only on a terminal, without `NO_COLOR`, and not under `CI`.
pub fn colored(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !is_set("NO_COLOR") && !is_set("CI")
}

/// Colour where it is wanted; the terminal's width.
pub fn style() -> Style {
    let stdout = std::io::stdout();
    let width =
        if stdout.is_terminal() { usize::from(console::Term::stdout().size().1) } else { WIDTH };
    Style { color: colored(&stdout), width }
}

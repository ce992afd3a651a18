//! Reports: plan, recorded events and the decision made from them in, files out.
//!
//! What is shown is put together once ([`Model`]); a format is one file here and one line in
//! [`FORMATS`], a figure one file under [`chart`] and one line there. A format returns bytes and
//! never touches the disk, and the same journal always gives the same bytes.

pub mod chart;
mod columns;
pub mod comparison;
mod csv;
mod deploy;
mod disturbance;
mod env;
mod facts;
mod findings;
pub mod gate;
mod html;
mod json;
mod machines;
mod markdown;
mod model;
#[cfg(feature = "openmetrics")]
mod openmetrics;
mod outlook;
#[cfg(feature = "parquet")]
mod parquet;
pub mod quality;
mod scope;
pub mod steps;
mod stopping;
mod terminal;
pub mod text;
pub mod trend;

pub use facts::{Link, RunFacts, Unsupported};
pub use findings::{FindingGroup, LostGroup};
pub use json::{REPORT_VERSION, schema};
pub use machines::MachineOut;
pub use model::Model;
#[cfg(feature = "openmetrics")]
pub use openmetrics::openmetrics;
#[cfg(feature = "parquet")]
pub use parquet::{Exported, PARQUET_VERSION, Written, write_parquet};
pub use quality::Quality;
pub use scope::{Across, GroupTitle, Scope};
pub use terminal::{Style, terminal};

use crate::decision::Decision;
use crate::model::{Event, Plan};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a report could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The journal does not begin.
    #[error(
        "the journal has no line that starts a run: nothing was measured. Run `breakeven run` again"
    )]
    NoStart,
    /// Plan and journal do not belong together.
    #[error(
        "plan.json is of run {plan}, events.jsonl of run {journal}. Put the two files of one run \
         into one directory"
    )]
    OtherRun {
        /// The run that the plan names.
        plan: String,
        /// The run that the journal names.
        journal: String,
    },
    /// A format could not be put into bytes.
    #[error("making {file}: {cause}. This is a fault of Breakeven: please report it")]
    Format {
        /// The file that was to be made.
        file: String,
        /// What went wrong.
        cause: String,
    },
    /// The operating system refused.
    #[error("{operation} {}: {source}. Free the space or the permission, then try again (`breakeven report` makes the reports of a run directory)", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its message.
        source: io::Error,
    },
}

impl ReportError {
    fn format(file: &str, cause: impl ToString) -> Self {
        Self::Format { file: file.to_owned(), cause: cause.to_string() }
    }
}

/// One file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Where it goes, relative to the run directory.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// One format: a row of [`FORMATS`].
#[derive(Debug)]
pub struct Format {
    /// What it is called.
    pub name: &'static str,
    /// The files that it makes; `*` stands for one file per workload, change and availability.
    pub files: &'static [&'static str],
    /// One line: what it is for.
    pub summary: &'static str,
    /// Makes the files.
    pub render: fn(&Model<'_>) -> Result<Vec<ReportFile>, ReportError>,
    /// Writes one of the files piece by piece, where they may be too large to be held in memory.
    pub stream: Option<Stream>,
}

/// Writes the file of this name: the model, the name, where to.
pub type Stream = fn(&Model<'_>, &str, &mut (dyn Write + Send)) -> Result<(), ReportError>;

/// Every format, in the order in which they are written and listed.
pub static FORMATS: &[Format] =
    &[markdown::FORMAT, html::FORMAT, json::FORMAT, csv::FORMAT, env::FORMAT, chart::FORMAT];

/// Makes every file of a report.
pub fn render(
    plan: &Plan,
    events: &[Event],
    decision: &Decision,
) -> Result<Vec<ReportFile>, ReportError> {
    let model = Model::new(plan, events, decision)?;
    render_model(&model)
}

/// The same from a model that was put together before.
pub fn render_model(model: &Model<'_>) -> Result<Vec<ReportFile>, ReportError> {
    let mut files = Vec::new();
    for format in FORMATS {
        files.extend((format.render)(model)?);
    }
    Ok(files)
}

/// Makes every file of a report below a directory, as [`render_model`] and [`write`] do, and holds
/// none of the large ones in memory.
pub fn write_model(model: &Model<'_>, dir: &Path) -> Result<(), ReportError> {
    for format in FORMATS {
        let Some(stream) = format.stream else {
            write(&(format.render)(model)?, dir)?;
            continue;
        };
        for name in format.files {
            let path = dir.join(name);
            replace(&path, |file| stream(model, name, file))?;
        }
    }
    Ok(())
}

/// Writes files below a directory, each to a temporary name that is then renamed, so that no
/// half-written report is ever seen.
pub fn write(files: &[ReportFile], dir: &Path) -> Result<(), ReportError> {
    for file in files {
        let path = dir.join(&file.path);
        replace(&path, |into| {
            into.write_all(&file.bytes).map_err(|source| unwritten(&path, source))
        })?;
    }
    Ok(())
}

/// Makes a file under a temporary name, and gives it its own once it is whole.
fn replace<T, E: From<ReportError>>(
    path: &Path,
    make: impl FnOnce(&mut (dyn Write + Send)) -> Result<T, E>,
) -> Result<T, E> {
    let fault = |operation, source| ReportError::Io { operation, path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|source| fault("making the folder of", source))?;
    let mut temporary = temporary_in(folder).map_err(|source| fault("creating", source))?;
    let made = make(&mut temporary)?;
    temporary.persist(path).map_err(|failed| fault("renaming to", failed.error))?;
    Ok(made)
}

fn unwritten(path: &Path, source: io::Error) -> ReportError {
    ReportError::Io { operation: "writing", path: path.to_owned(), source }
}

/// A temporary file whose permissions are those of any new file, not for its owner alone.
fn temporary_in(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".report-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

//! `breakeven init`: a first configuration for a Dockerfile that exists.

use super::exit::Exit;
use super::{CliError, output};
use crate::config::{self, guess};
use crate::strategy::shell::quote;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The name of the file that is written.
const FILE: &str = "breakeven.toml";

/// Reads a Dockerfile and writes a commented breakeven.toml beside it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of the build context.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The Dockerfile, relative to the folder.
    #[arg(long, value_name = "FILE", default_value = "Dockerfile")]
    dockerfile: PathBuf,
    /// Replace a breakeven.toml that is there.
    #[arg(long)]
    force: bool,
    /// Print it instead of writing it.
    #[arg(long, conflicts_with = "force")]
    stdout: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let text = guess::propose(&args.dir, &args.dockerfile)
        .map_err(|error| CliError::Usage(error.to_string()))?;
    if args.stdout {
        output::data(&text)?;
        return Ok(Exit::Done);
    }
    let path = args.dir.join(FILE);
    write(&path, &text, args.force)?;
    output::message(&format!("wrote {}", path.display()));
    match config::load(&path) {
        Ok(_) => output::message(&format!(
            "read it, correct the weights, then: breakeven plan {}",
            quote(&path.display().to_string())
        )),
        // What was guessed is a good start all the same; the problems say what to do about it.
        Err(error) => output::message(&format!("it needs your hand: {error}")),
    }
    Ok(Exit::Done)
}

/// Writes under a temporary name first, so that the file is whole or not there.
fn write(path: &Path, text: &str, force: bool) -> Result<(), CliError> {
    let io = |source| CliError::Io { operation: format!("write {}", path.display()), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // As any file that a user makes: the temporary file's own bits would keep others out.
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    let written = if force { file.persist(path) } else { file.persist_noclobber(path) };
    match written {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(CliError::Usage(format!(
                "{} is there already and was left as it is; --force replaces it, --stdout prints \
                 the proposal",
                path.display()
            )))
        }
        Err(error) => Err(io(error.error)),
    }
}

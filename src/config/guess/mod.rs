//! A first configuration for a Dockerfile that exists: what `breakeven init` writes.

mod edit;
mod inputs;
mod text;

use super::dockerfile::{Dockerfile, DockerfileError, Origin};
use crate::model::Builder;
use crate::workspace::{self, EntryKind, WorkspaceError};
use edit::Proposal;
use inputs::Inputs;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why nothing can be proposed.
#[derive(Debug, thiserror::Error)]
pub enum GuessError {
    /// The Dockerfile cannot be read.
    #[error("cannot read {}: {source}. {advice}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's message.
        source: std::io::Error,
        /// What to do.
        advice: String,
    },
    /// The Dockerfile is not understood.
    #[error("{}: {source}. A builder would refuse this Dockerfile too; correct it first", path.display())]
    NotUnderstood {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: DockerfileError,
    },
    /// The context cannot be walked.
    #[error(transparent)]
    Context(#[from] WorkspaceError),
}

/// What is proposed, and why.
struct Guess {
    /// Name of the workload.
    workload: String,
    /// The Dockerfile as the configuration names it, if not `Dockerfile`.
    dockerfile: Option<String>,
    /// Stages up to the final one: what is shown of each.
    shown_stages: Vec<String>,
    /// Stages to carry.
    stages: Vec<String>,
    /// The change of the application.
    app: Option<Proposal>,
    /// The change of the dependencies.
    deps: Option<Proposal>,
    /// Whether the whole context is copied before the first RUN.
    all_before_run: bool,
    /// What Docker's classic builder would refuse.
    buildkit_only: Option<String>,
}

/// The text of a configuration file for the context `dir` and a Dockerfile within it.
pub fn propose(dir: &Path, dockerfile: &Path) -> Result<String, GuessError> {
    let path = dir.join(dockerfile);
    let text = std::fs::read_to_string(&path).map_err(|source| GuessError::Unreadable {
        advice: other_dockerfiles(dir),
        path: path.clone(),
        source,
    })?;
    let parsed = Dockerfile::parse(&text, &BTreeMap::new())
        .map_err(|source| GuessError::NotUnderstood { path: path.clone(), source })?;
    let files: Vec<String> = workspace::walk(dir, &path, Builder::Classic)?
        .into_iter()
        .filter(|entry| matches!(entry.kind, EntryKind::File { .. }))
        .filter_map(|entry| entry.path.to_str().map(str::to_owned))
        .collect();
    let last = parsed.stages.len() - 1;
    let inputs = Inputs::of(&parsed, last, &files);
    let guess = Guess {
        workload: workload_name(dir),
        dockerfile: (dockerfile != Path::new("Dockerfile"))
            .then(|| dockerfile.to_string_lossy().into_owned()),
        shown_stages: shown_stages(&parsed, last),
        stages: parsed.carried_stages(last),
        app: edit::app(dir, &inputs),
        deps: edit::deps(dir, &inputs),
        all_before_run: inputs.all_before_run,
        buildkit_only: parsed.buildkit_only,
    };
    Ok(text::render(&guess))
}

/// What to do if there is no Dockerfile where one was looked for.
fn other_dockerfiles(dir: &Path) -> String {
    let mut found: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            let name = name.to_lowercase();
            let is_one = name.starts_with("dockerfile") || name.ends_with(".dockerfile");
            (is_one || name.starts_with("containerfile")) && !name.ends_with(".dockerignore")
        })
        .collect();
    found.sort();
    match found.as_slice() {
        [] => "Name the folder of a build context, and the Dockerfile in it with --dockerfile"
            .to_owned(),
        names => format!("There are: {}; name one with --dockerfile", names.join(", ")),
    }
}

fn shown_stages(parsed: &Dockerfile, last: usize) -> Vec<String> {
    let name = |index: usize| match &parsed.stages[index].name {
        Some(name) => name.clone(),
        None => format!("stage {index}"),
    };
    let used = parsed.used(last);
    (0..=last)
        .map(|index| {
            let base = match &parsed.stages[index].base {
                Origin::Stage(base) => format!("the stage {}", name(*base)),
                Origin::Image(image) => image.clone(),
                Origin::Scratch => "scratch".to_owned(),
            };
            let role = match index {
                index if index == last => " (final)",
                index if used.contains(&index) => "",
                _ => " (not used by the final one)",
            };
            format!("{} FROM {base}{role}", name(index))
        })
        .collect()
}

/// The folder's name, as a part of a repository can be.
fn workload_name(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let name = dir.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let words: Vec<String> = name
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    if words.is_empty() { "app".to_owned() } else { words.join("-") }
}

//! A strategy as a snippet to take into a CI system, as a person would write it by hand.
//!
//! A format is one file here and one line in [`FORMATS`]. All of them but bake carry the commands
//! that [`shell`](super::shell) types: what was measured and what is adopted are the same steps.

mod bake;
mod github_actions;
mod gitlab;
mod script;
mod yaml;

use super::shell::{self, Variables};
use super::{CacheFrom, Job, Strategy};
use crate::model::plan::Workload;
use crate::model::{BuildStep, Builder, Sources, Step};

/// A format of snippets.
#[derive(Debug)]
pub struct Format {
    /// Its name on the command line.
    pub id: &'static str,
    /// One line: what it is.
    pub summary: &'static str,
    write: fn(&Snippet<'_>) -> Result<String, ExportError>,
}

/// Every format, in the order in which help shows them.
pub static FORMATS: &[&Format] =
    &[&github_actions::FORMAT, &gitlab::FORMAT, &script::FORMAT, &bake::FORMAT];

/// The format of this name.
pub fn find(id: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|format| format.id == id)
}

impl Format {
    /// The snippet in this format.
    pub fn write(&self, snippet: &Snippet<'_>) -> Result<String, ExportError> {
        (self.write)(snippet)
    }
}

/// Why a strategy cannot be written in a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{strategy}` with {builder} cannot be written as {format}: {why}. {advice}")]
pub struct ExportError {
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// The format.
    pub format: &'static str,
    /// What the format lacks.
    pub why: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// What is exported: a strategy under a builder, for a workload.
#[derive(Debug, Clone)]
pub struct Snippet<'a> {
    /// Name of the workload.
    pub name: &'a str,
    /// The workload.
    pub workload: &'a Workload,
    /// The strategy.
    pub strategy: &'a Strategy,
    /// The job whose steps these are.
    pub job: Job,
    /// `host/path` before the workload's repository; `None` if the user is to name it.
    pub registry: Option<String>,
    /// Folder that jobs share; `None` if the user is to name it.
    pub storage: Option<String>,
    /// Where the commands are typed, from the top of the checkout; `""` for the top.
    pub folder: String,
    /// The context, from there.
    pub context: String,
    /// The Dockerfile, from there; `None` if it is `Dockerfile` in the context.
    pub dockerfile: Option<String>,
}

/// Variables of a script that stand for what differs between jobs.
const REPOSITORY: &str = "repository";
const BRANCH: &str = "branch";

impl Snippet<'_> {
    fn steps(&self) -> Vec<Step> {
        self.strategy.steps(&self.job)
    }

    /// The commands, with `$repository` for the repository and, where jobs look for more than their
    /// own images, `$branch` for the name under which they push.
    fn commands(&self) -> Vec<String> {
        let build = shell::Build {
            builder: self.job.builder,
            context: &self.context,
            dockerfile: self.dockerfile.as_deref(),
            target: self.workload.target.as_deref(),
            build_args: &self.workload.build_args,
            secret_args: &self.workload.secret_args,
            variables: Some(Variables {
                repository: (&self.job.repository, REPOSITORY),
                own: self.has_branches().then_some((self.job.own.as_str(), BRANCH)),
                candidates: &self.job.candidates,
            }),
        };
        shell::commands(&self.steps(), &build)
    }

    /// Whether jobs of several branches push under names of their own: the first candidate then
    /// stands for the branch that a job builds.
    fn has_branches(&self) -> bool {
        self.job.candidates.len() > 1
    }

    /// Candidates other than the job's own.
    fn others(&self) -> impl Iterator<Item = &str> {
        self.job.candidates.iter().map(String::as_str).filter(|name| *name != self.job.own)
    }

    /// Environment variables that hold secret build arguments.
    fn secrets(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.workload.secret_args.values().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn uses_storage(&self) -> bool {
        self.steps().iter().any(|step| matches!(step, Step::Fetch { .. } | Step::Store { .. }))
    }

    /// Whether builds read or write cache outside of images, which not every builder can.
    fn exports_cache(&self) -> bool {
        let by_daemon = self.job.builder != Builder::Buildah;
        by_daemon
            && self.steps().iter().any(|step| match step {
                Step::Build(BuildStep { sources, export, .. }) => {
                    export.is_some() || matches!(sources, Sources::Caches(_) | Sources::Folder)
                }
                _ => false,
            })
    }

    /// The program that builds and pushes, and logs in.
    fn client(&self) -> &'static str {
        match self.job.builder {
            Builder::Buildah => "buildah",
            Builder::Classic | Builder::Buildkit => "docker",
        }
    }

    /// The repository as it is known, if it is.
    fn image(&self) -> Option<String> {
        self.registry.as_ref().map(|registry| format!("{registry}/{}", self.name))
    }

    /// A name that every format takes for a job.
    fn job_name(&self) -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '-' };
        format!("image-{}", self.name.chars().map(kept).collect::<String>())
    }

    /// Lines for the head of a snippet: what it is, and what it needs.
    fn head(&self) -> Vec<String> {
        let Strategy { id, summary, cache, .. } = self.strategy;
        let mut head = vec![
            format!(
                "Builds {} with the strategy {id} ({}): {summary}.",
                self.name, self.job.builder
            ),
            "Written by `breakeven export`: the steps are those that `breakeven run` measures."
                .to_owned(),
        ];
        if *cache == CacheFrom::Engine {
            head.push(
                "It needs a runner that keeps its engine, with its cache, from job to job."
                    .to_owned(),
            );
        }
        if self.strategy.left_by.is_some() {
            head.push(
                "It leaves no cache: other jobs have to, such as the main branch's.".to_owned(),
            );
        }
        if !self.workload.secret_args.is_empty() {
            head.push(format!("Secrets in its environment: {}.", self.secrets().join(", ")));
        }
        if self.exports_cache() {
            head.push(
                "It needs a builder that exports caches: an engine with the containerd image \
                 store, or buildx's docker-container driver."
                    .to_owned(),
            );
        }
        head
    }

    /// The commands as one bash script. `preamble` sets the variables that they use.
    fn script(&self, preamble: &[String]) -> String {
        let commands = self.commands();
        let mut parts = vec!["set -euo pipefail".to_owned()];
        parts.extend(preamble.iter().cloned());
        if commands.iter().any(|command| command.contains("\"$work\"")) {
            parts.push("work=$(mktemp -d)\ntrap 'rm -rf \"$work\"' EXIT".to_owned());
        }
        if shell::needs_helper(&commands) {
            parts.push(format!("\n{}\n", shell::HELPER));
        }
        parts.extend(commands);
        parts.join("\n") + "\n"
    }
}

/// Bash that makes a tag of a branch's name.
const TAG_OF_BRANCH: &str = "branch=${branch//[^A-Za-z0-9_.-]/-}";

/// Bash that removes from the folder of a CI system's cache what this job did not make: such a
/// cache is kept whole, and would grow with every branch.
fn only_own_archives(snippet: &Snippet<'_>) -> String {
    let own = if snippet.has_branches() { "$branch" } else { &snippet.job.own };
    format!("find \"$storage\" -type f ! -name \"{own}*.tar*\" -delete\n")
}

#[cfg(test)]
mod tests;

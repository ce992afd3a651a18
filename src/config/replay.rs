//! The last commits of a repository as changes: each is built with what its first parent left.

use super::changes::Changes;
use super::document::Document;
use super::{mix, schema, workloads};
use crate::model::Builder;
use crate::model::plan::{Change, CommitPlan, Revision, Workload};
use crate::workspace::Ignore;
use crate::workspace::history::{Elsewhere, History, HistoryError, Link};
use std::collections::{BTreeMap, BTreeSet};

/// Where a replay is asked for.
const AT: [&str; 2] = ["changes", "replay"];

/// Letters of a commit's id in the name of its change.
const SHORT: usize = 8;

/// How many files that are kept elsewhere a problem names.
const NAMED: usize = 3;

/// Adds the commits to the changes; how many there are, if a replay is asked for.
pub(super) fn replay(
    document: &mut Document,
    file: &schema::File,
    workloads: &BTreeMap<String, Workload>,
    changes: &mut Changes,
    notes: &mut Vec<String>,
) -> Option<u32> {
    let Some(schema::Changes::Replay(wanted)) = &file.changes else { return None };
    if file.mix.is_some() {
        document.problem(
            &["mix"],
            "a replay has no change mix: each of its commits happened once",
            "remove [mix], or write the names of the changes in place of `replay`",
        );
    }
    for (name, candidate) in &file.candidate {
        if !candidate.lacks.is_empty() {
            document.problem(
                &["candidate", name, "lacks"],
                format!(
                    "under a replay `{name}` is what the commit before left, and lacks nothing"
                ),
                "remove `lacks`",
            );
        }
    }
    let history = mix::history(document, &AT, workloads)?;
    let found = history
        .line(&wanted.rev, wanted.replay as usize + 1)
        .and_then(|line| revisions(file, workloads, &history, line));
    let Line { revisions, ended } = match found {
        Ok(line) => line,
        Err(error) => {
            document.problem(&AT, error.to_string(), error.advice());
            return None;
        }
    };
    let count = revisions.len().saturating_sub(1);
    if count == 0 {
        document.problem(
            &AT,
            format!("there is no commit to replay that has a parent to build on: {ended}"),
            "replay another `rev`, or fetch more of a shallow clone",
        );
        return None;
    }
    if count < wanted.replay as usize {
        notes.push(format!("replay: {count} of {} commits: {ended}", wanted.replay));
    }
    match kept_elsewhere(workloads, &history, &revisions) {
        Ok(found) if found.is_empty() => {}
        Ok(found) => {
            let shown: Vec<String> = found.iter().take(NAMED).map(ToString::to_string).collect();
            let more = found.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            document.problem(
                &AT,
                format!("the repository does not hold all files: {}{more}", shown.join(", ")),
                "exclude them in .dockerignore if the build does not need them; otherwise \
                 measure changes that are edits, with a [mix]",
            );
        }
        Err(error) => document.problem(&AT, error.to_string(), "see the other problems"),
    }
    // Oldest first, as they happened.
    let digits = count.to_string().len().max(2);
    for (index, pair) in revisions.windows(2).rev().enumerate() {
        let [(link, built), (_, before)] = pair else { continue };
        let name = format!("commit-{:0digits$}-{}", index + 1, short(&link.id));
        let commit =
            CommitPlan { title: link.title.clone(), built: built.clone(), before: before.clone() };
        changes.measured.push(name.clone());
        let change = Change { edits: Vec::new(), weight: 1.0, commit: Some(commit) };
        changes.all.insert(name, change);
    }
    u32::try_from(count).ok()
}

/// Commits that can be built, newest first, and why there are no more of them.
struct Line {
    revisions: Vec<(Link, Revision)>,
    ended: String,
}

/// The workloads as each commit has them, up to the first commit that cannot be built.
fn revisions(
    file: &schema::File,
    workloads: &BTreeMap<String, Workload>,
    history: &History,
    line: Vec<Link>,
) -> Result<Line, HistoryError> {
    let mut revisions = Vec::new();
    for link in line {
        let mut of_commit = BTreeMap::new();
        for (name, workload) in workloads {
            let asked = file.workload.get(name).and_then(|workload| workload.stages.as_ref());
            match as_of(history, &link.id, workload, asked)? {
                Ok(built) => {
                    of_commit.insert(name.clone(), built);
                }
                Err(why) => {
                    let ended = format!("commit {} cannot be built: {why}", short(&link.id));
                    return Ok(Line { revisions, ended });
                }
            }
        }
        let revision = Revision { commit: link.id.clone(), workloads: of_commit };
        revisions.push((link, revision));
    }
    let ended = "the history, or the shallow clone, begins there".to_owned();
    Ok(Line { revisions, ended })
}

/// A workload as a commit has it, or why the commit cannot be built.
fn as_of(
    history: &History,
    commit: &str,
    workload: &Workload,
    asked: Option<&Vec<String>>,
) -> Result<Result<Workload, String>, HistoryError> {
    let context = history.within(&workload.context)?;
    let dockerfile = history.within(&workload.dockerfile)?;
    if !history.has_folder(commit, &context)? {
        return Ok(Err(format!("it has no folder {}", context.display())));
    }
    let Some(text) = history.file(commit, &dockerfile)? else {
        return Ok(Err(format!("it has no file {}", dockerfile.display())));
    };
    let built = workloads::as_of(workload, asked, &String::from_utf8_lossy(&text));
    Ok(built.map_err(|error| format!("{}: {error}", dockerfile.display())))
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// Submodules, and files that Git LFS keeps, which a build of these commits would be sent.
fn kept_elsewhere(
    workloads: &BTreeMap<String, Workload>,
    history: &History,
    revisions: &[(Link, Revision)],
) -> Result<Vec<Elsewhere>, Box<dyn std::error::Error>> {
    let mut found: Vec<Elsewhere> = Vec::new();
    for workload in workloads.values() {
        // As the checkout has them: ignore files rarely change.
        let ignored = Builder::ALL
            .into_iter()
            .map(|builder| Ignore::load(&workload.context, &workload.dockerfile, builder))
            .collect::<Result<Vec<_>, _>>()?;
        let context = history.within(&workload.context)?;
        let mut seen = BTreeSet::new();
        for (link, _) in revisions {
            for one in history.elsewhere(&link.id, &context, &ignored, &mut seen)? {
                if !found.contains(&one) {
                    found.push(one);
                }
            }
        }
    }
    Ok(found)
}

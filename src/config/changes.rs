//! Changes: which are measured, and whether their edits really edit something.

use super::document::Document;
use super::names;
use super::problem::allowed;
use super::schema;
use crate::model::plan::{Change, Edit, Workload};
use crate::workspace::{self, WorkspaceError};
use std::collections::BTreeMap;
use std::path::Path;

/// The change that edits nothing. It always exists.
pub(super) const NONE: &str = "none";

/// Every change by name, and the names of those that are measured.
pub(super) struct Changes {
    pub(super) all: BTreeMap<String, Change>,
    pub(super) measured: Vec<String>,
}

/// Checks all changes against the files of all workloads.
pub(super) fn changes(
    document: &mut Document,
    file: &schema::File,
    workloads: &BTreeMap<String, Workload>,
    base: &Path,
) -> Changes {
    let mut all = BTreeMap::from([(NONE.to_owned(), Change { weight: 1.0, ..Change::default() })]);
    for (name, change) in &file.change {
        if !names::is_word(name) {
            document.problem(
                &["change", name],
                format!("`{name}` cannot be the name of a change"),
                format!("allowed: {}", names::WORD),
            );
        }
        if name != NONE && change.edits.is_empty() {
            document.problem(
                &["change", name],
                format!("the change `{name}` edits nothing"),
                "add `edits`, or name it `none`",
            );
        }
        if name == NONE && !change.edits.is_empty() {
            document.problem(
                &["change", name, "edits"],
                "the change `none` has edits",
                "it stands for a build of the same files; give the change another name",
            );
        }
        let edits: Vec<Edit> = change.edits.iter().map(|edit| resolved(edit, base)).collect();
        for (workload_name, workload) in workloads {
            for (index, error) in useless_edits(workload, &edits) {
                document.problem(
                    &["change", name, "edits", &format!("[{index}]")],
                    format!("in the workload `{workload_name}`: {error}"),
                    "an edit has to change what a builder is sent; globs and paths are relative \
                     to the context, and every workload has every change",
                );
            }
        }
        all.insert(name.clone(), Change { edits, weight: change.weight, commit: None });
    }
    let measured = measured(document, file);
    let sum: f64 = measured.iter().filter_map(|name| all.get(name)).map(|c| c.weight).sum();
    if sum <= 0.0 && !measured.is_empty() {
        document.problem(
            &["change"],
            "the weights of the changes that are measured sum to nothing",
            "give at least one of them a `weight` above 0",
        );
    }
    Changes { all, measured }
}

/// Names of the changes that are measured, in the order of the file.
fn measured(document: &mut Document, file: &schema::File) -> Vec<String> {
    let mut known: Vec<String> =
        document.keys(&["change"]).into_iter().map(str::to_owned).collect();
    let selected = match &file.changes {
        Some(schema::Changes::Named(selected)) => Some(selected),
        // What is measured are commits.
        Some(schema::Changes::Replay(_)) => return Vec::new(),
        None => None,
    };
    let Some(selected) = selected else {
        if known.is_empty() {
            document.problem(
                &["change"],
                "there is no change, so nothing to measure",
                "add a table such as [change.app] with `edits`, or `changes = [\"none\"]` for \
                 builds of the same files",
            );
        }
        return known;
    };
    if selected.is_empty() {
        document.problem(&["changes"], "`changes` is empty", "leave it out for every change");
    }
    if !known.iter().any(|name| name == NONE) {
        known.push(NONE.to_owned());
    }
    for (index, name) in selected.iter().enumerate() {
        if !known.contains(name) {
            document.problem(
                &["changes", &format!("[{index}]")],
                format!("there is no change `{name}`"),
                allowed(name, known.iter().map(String::as_str)),
            );
        }
    }
    known.retain(|name| selected.contains(name));
    known
}

fn resolved(edit: &schema::Edit, base: &Path) -> Edit {
    match edit.clone() {
        schema::Edit::Append(edit) => Edit::Append { files: edit.append, text: edit.text },
        schema::Edit::Replace(edit) => {
            Edit::Replace { files: edit.replace, find: edit.find, with: edit.with }
        }
        schema::Edit::Create(edit) => Edit::Create { file: edit.create, text: edit.text },
        schema::Edit::Delete(edit) => Edit::Delete { files: edit.delete },
        schema::Edit::Copy(edit) => Edit::Copy { from: base.join(edit.copy), file: edit.to },
    }
}

/// Edits that cannot be made or change nothing, by their position.
fn useless_edits(workload: &Workload, edits: &[Edit]) -> Vec<(usize, WorkspaceError)> {
    let mut useless = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        let alone = workspace::matches(workload, edit);
        // What earlier edits made, replaced or deleted can only be seen in a copy.
        let earlier = edits[..index].iter().any(|edit| !matches!(edit, Edit::Append { .. }));
        let result = match (alone, earlier && useless.is_empty()) {
            (alone, false) => alone.map(drop),
            (Ok(_), true) => try_in_copy(workload, &edits[..=index]),
            (Err(error), true) => try_in_copy(workload, &edits[..=index]).map_err(|_| error),
        };
        if let Err(error) = result {
            useless.push((index, error));
        }
    }
    useless
}

fn try_in_copy(workload: &Workload, edits: &[Edit]) -> Result<(), WorkspaceError> {
    let io = |source| WorkspaceError::Io {
        operation: "make a temporary folder in",
        path: std::env::temp_dir(),
        source,
    };
    let scratch = tempfile::tempdir().map_err(io)?;
    let edits: Vec<&Edit> = edits.iter().collect();
    workspace::prepare(workload, &edits, "0", &scratch.path().join("copy")).map(drop)
}

/// A change whose edits are the same in every sample.
pub(super) fn without_nonce(change: &Change) -> bool {
    let has_nonce = |text: &str| text.contains("{nonce}");
    !change.edits.is_empty()
        && !change.edits.iter().any(|edit| match edit {
            Edit::Append { text, .. } | Edit::Create { text, .. } => has_nonce(text),
            Edit::Replace { with, .. } => has_nonce(with),
            Edit::Delete { .. } | Edit::Copy { .. } => false,
        })
}

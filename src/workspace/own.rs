//! What a context holds that is Breakeven's and not the user's: run directories.
//!
//! `breakeven run` in the folder of a Dockerfile writes its run directory into the context. It
//! grows with every sample, so that no two jobs would be sent the same files, every `COPY . .`
//! would miss, and no run could be resumed.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Of a run's plan, what tells which contexts it measures.
#[derive(Deserialize)]
struct Plan {
    workloads: BTreeMap<String, Workload>,
}

#[derive(Deserialize)]
struct Workload {
    context: PathBuf,
}

/// Whether a folder within a context is a run directory of that context, or holds nothing but such.
///
/// A run directory that measured something else is the user's file like any other: whoever commits
/// one may want it in an image.
pub(super) fn is_ours(folder: &Path, context: &Path) -> bool {
    measured(folder, context) || holds_only_ours(folder, context)
}

fn measured(folder: &Path, context: &Path) -> bool {
    // The journal first: few folders have one, and to ask costs no reading.
    if !is_file(&folder.join("events.jsonl")) || !is_file(&folder.join("plan.json")) {
        return false;
    }
    let Ok(bytes) = fs::read(folder.join("plan.json")) else { return false };
    let Ok(plan) = serde_json::from_slice::<Plan>(&bytes) else { return false };
    let Ok(context) = fs::canonicalize(context) else { return false };
    let mut contexts = plan.workloads.into_values().map(|workload| workload.context);
    contexts.any(|named| fs::canonicalize(named).is_ok_and(|named| named == context))
}

/// Such a folder, as `reports`, came with the first run and was not in the context before it.
fn holds_only_ours(folder: &Path, context: &Path) -> bool {
    let Ok(children) = fs::read_dir(folder) else { return false };
    let mut any = false;
    for child in children {
        let Ok(child) = child else { return false };
        // The type is the entry's own: a link is not followed.
        if !child.file_type().is_ok_and(|kind| kind.is_dir()) || !is_ours(&child.path(), context) {
            return false;
        }
        any = true;
    }
    any
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use super::super::walk::walk_for_all;
    use super::*;

    fn context() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
        folder
    }

    fn run_directory(folder: &Path, measures: &Path) {
        fs::create_dir_all(folder.join("logs")).unwrap();
        fs::write(folder.join("events.jsonl"), "{}\n").unwrap();
        fs::write(folder.join("logs/0001.log"), "").unwrap();
        let plan = serde_json::json!({ "workloads": { "w": { "context": measures } } });
        fs::write(folder.join("plan.json"), plan.to_string()).unwrap();
    }

    fn sent(root: &Path) -> Vec<String> {
        let entries = walk_for_all(root, &root.join("Dockerfile")).unwrap();
        entries.iter().map(|entry| entry.path.display().to_string()).collect()
    }

    #[test]
    fn a_run_of_this_context_is_left_out_with_the_folder_that_only_holds_runs() {
        let folder = context();
        let root = folder.path();
        run_directory(&root.join("reports/one"), root);
        run_directory(&root.join("reports/two"), &root.join("."));
        assert_eq!(sent(root), ["Dockerfile"]);
        fs::write(root.join("reports/mine.txt"), "").unwrap();
        assert_eq!(sent(root), ["Dockerfile", "reports", "reports/mine.txt"]);
    }

    #[test]
    fn a_run_of_something_else_and_whatever_is_no_run_is_sent() {
        let folder = context();
        let root = folder.path();
        run_directory(&root.join("fixture"), &root.join("other"));
        run_directory(&root.join("damaged"), root);
        fs::write(root.join("damaged/plan.json"), "{").unwrap();
        fs::create_dir(root.join("empty")).unwrap();
        let sent = sent(root);
        for path in ["fixture/logs/0001.log", "damaged/events.jsonl", "empty"] {
            assert!(sent.iter().any(|one| one == path), "{path}: {sent:?}");
        }
    }
}

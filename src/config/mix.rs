//! The change mix from git history: which change each commit is, and so how often each happens.

use super::changes::{Changes, NONE};
use super::document::Document;
use super::problem::listed;
use super::schema;
use crate::model::layout::Taken;
use crate::model::plan::{Edit, Workload};
use crate::model::{Builder, MixCount, MixPlan};
use crate::workspace::history::{Commit, History, HistoryError};
use crate::workspace::{self, Ignore, WorkspaceError};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many of the paths that belong to no change a note names.
const NAMED: usize = 3;

/// Counts the commits of each change and makes the counts the changes' weights.
pub(super) fn mix(
    document: &mut Document,
    file: &schema::File,
    workloads: &BTreeMap<String, Workload>,
    changes: &mut Changes,
    notes: &mut Vec<String>,
) -> Option<MixPlan> {
    check_paths(document, file);
    let wanted = file.mix.as_ref()?;
    if matches!(file.changes, Some(schema::Changes::Replay(_))) {
        // Both together are a problem that is reported with the replay.
        return None;
    }
    for name in file.change.keys() {
        if document.keys(&["change", name]).contains(&"weight") {
            document.problem(
                &["change", name, "weight"],
                format!("`weight` and [mix] both say how often `{name}` happens"),
                "remove one of the two",
            );
        }
    }
    let history = history(document, &["mix"], workloads)?;
    let order = document.keys(&["change"]).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let sorter = match Sorter::new(file, &order, workloads, changes, &history) {
        Ok(sorter) => sorter,
        // What cannot be read of a context is reported with the change or the workload.
        Err(error) => {
            document.problem(&["mix"], error.to_string(), "see the other problems of this file");
            return None;
        }
    };
    for name in sorter.without_files() {
        if file.change.get(name).is_some_and(|change| change.paths.is_some()) {
            document.problem(
                &["change", name, "paths"],
                format!("the `paths` of `{name}` match no file that a builder is sent"),
                "globs are relative to the context; `*` stays within a folder and `**` goes below",
            );
        }
    }
    let recent = match history.recent(&wanted.rev, wanted.commits as usize) {
        Ok(recent) => recent,
        Err(error) => {
            let at: &[&str] = match error {
                HistoryError::UnknownRev { .. } => &["mix", "rev"],
                _ => &["mix"],
            };
            document.problem(at, error.to_string(), error.advice());
            return None;
        }
    };
    let counted = sorter.count(&recent.commits);
    let plan = MixPlan {
        source: wanted.from,
        repository: history.root().to_path_buf(),
        rev: wanted.rev.clone(),
        head: recent.head,
        commits: u32::try_from(recent.commits.len()).unwrap_or(u32::MAX),
        changes: counted.changes,
        merges: counted.merges,
        unmatched: counted.unmatched,
        shallow: recent.shallow,
    };
    for count in &plan.changes {
        if let Some(change) = changes.all.get_mut(&count.change) {
            change.weight = f64::from(count.commits);
        }
    }
    let measured = |count: &&MixCount| changes.measured.contains(&count.change);
    if plan.changes.iter().filter(measured).all(|count| count.commits == 0) {
        let advice = if plan.shallow {
            "the clone is shallow: fetch more of the history (`git fetch --unshallow`, or \
             `fetch-depth: 0` in a checkout action)"
        } else {
            "give the changes `paths`, or look at more `commits`"
        };
        let message = format!("no commit belongs to a change that is measured: {plan}");
        document.problem(&["mix"], message, advice);
    }
    notes.extend(remarks(&plan, &counted.strays, changes));
    Some(plan)
}

/// What a reader of the weights has to know.
fn remarks(plan: &MixPlan, strays: &BTreeMap<String, u32>, changes: &Changes) -> Vec<String> {
    let mut remarks = Vec::new();
    if plan.shallow {
        remarks.push(format!(
            "mix: the clone is shallow, so the weights come from the {} commits that it has",
            plan.commits
        ));
    }
    if plan.unmatched > 0 {
        let mut often: Vec<(&String, &u32)> = strays.iter().collect();
        often.sort_by_key(|(path, count)| (std::cmp::Reverse(**count), *path));
        remarks.push(format!(
            "mix: {} of {} commits touch what the build takes and belong to no change, most \
             often {}; give a change these `paths`",
            plan.unmatched,
            plan.commits,
            listed(often.iter().take(NAMED).map(|(path, _)| path))
        ));
    }
    for count in &plan.changes {
        if count.commits > 0 && !changes.measured.contains(&count.change) {
            let how = match count.change.as_str() {
                NONE => "alter nothing that the build takes, and `none` is not measured; \
                         [change.none] adds it"
                    .to_owned(),
                name => format!("are `{name}`, which is not measured"),
            };
            let (part, all) = (count.commits, plan.commits);
            remarks.push(format!("mix: {part} of {all} commits {how}"));
        }
    }
    remarks
}

/// The repository that holds every workload's context.
pub(super) fn history(
    document: &mut Document,
    at: &[&str],
    workloads: &BTreeMap<String, Workload>,
) -> Option<History> {
    let mut found: Option<History> = None;
    for (name, workload) in workloads {
        match History::open(&workload.context) {
            Err(error) => {
                document.problem(at, error.to_string(), error.advice());
                return None;
            }
            Ok(history) => match &found {
                Some(first) if first.root() != history.root() => {
                    document.problem(
                        &["workload", name],
                        format!(
                            "its context lies in the repository {}, another's in {}",
                            history.root().display(),
                            first.root().display()
                        ),
                        "one history is that of one repository: give each its own breakeven.toml",
                    );
                    return None;
                }
                Some(_) => {}
                None => found = Some(history),
            },
        }
    }
    found
}

/// Globs that are none, and paths of the change that has none.
fn check_paths(document: &mut Document, file: &schema::File) {
    for (name, change) in &file.change {
        let Some(paths) = &change.paths else { continue };
        if name == NONE {
            document.problem(
                &["change", name, "paths"],
                "the change `none` has paths",
                "it takes the commits that alter nothing that the build takes",
            );
        }
        for (index, path) in paths.iter().enumerate() {
            if let Err(error) = glob(path) {
                document.problem(
                    &["change", name, "paths", &format!("[{index}]")],
                    format!("{path:?} is not a glob: {}", error.kind()),
                    "globs are relative to the context, such as \"Gemfile*\" or \"app/**\"",
                );
            }
        }
    }
}

fn glob(text: &str) -> Result<globset::Glob, globset::Error> {
    GlobBuilder::new(text.trim_start_matches("./")).literal_separator(true).build()
}

fn globs<'a>(texts: impl IntoIterator<Item = &'a str>) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    // One that cannot be read is a problem of the file, and reported as such.
    for glob in texts.into_iter().filter_map(|text| glob(text).ok()) {
        set.add(glob);
    }
    set.build().unwrap_or_default()
}

/// Tells which change a commit is.
struct Sorter {
    /// Names of the changes but `none`, the dearest first.
    order: Vec<String>,
    /// Names of changes without a file in any context.
    without_files: Vec<String>,
    places: Vec<Place>,
}

/// A workload's context within the repository.
struct Place {
    /// The context's path from the top of the repository.
    context: PathBuf,
    /// The Dockerfile's path from there, if it lies in the repository, and its name from the
    /// context.
    dockerfile: (Option<PathBuf>, PathBuf),
    ignored: Vec<Ignore>,
    /// What the build's instructions take.
    taken: Vec<Taken>,
    /// Files of each change.
    changes: BTreeMap<String, Files>,
}

/// Files that belong to a change.
struct Files {
    globs: GlobSet,
    /// What the first instruction takes that takes one of them; only if no `paths` are given.
    taken: Option<Taken>,
}

/// How many commits there are of what.
struct Counted {
    changes: Vec<MixCount>,
    merges: u32,
    unmatched: u32,
    /// Paths that belong to no change, with the number of such commits that touch them.
    strays: BTreeMap<String, u32>,
}

/// What a commit is.
enum Kind {
    /// The change at this position of the order.
    Change(usize),
    /// It alters nothing that the build takes.
    None,
    /// It touches these files, which the build takes and no change has.
    Unmatched(BTreeSet<String>),
}

impl Sorter {
    fn new(
        file: &schema::File,
        order: &[String],
        workloads: &BTreeMap<String, Workload>,
        changes: &Changes,
        history: &History,
    ) -> Result<Self, WorkspaceError> {
        // The first instruction that takes a file of the change; the Dockerfile comes before all.
        let mut ranks: BTreeMap<&String, Option<usize>> = BTreeMap::new();
        let mut places = Vec::new();
        for workload in workloads.values() {
            let mut place = Place::new(workload, history.root())?;
            let sent = workspace::sent(workload)?;
            for name in order.iter().filter(|name| *name != NONE) {
                let Some(change) = changes.all.get(name) else { continue };
                let paths = file.change.get(name).and_then(|change| change.paths.as_ref());
                let globs = match paths {
                    Some(paths) => globs(paths.iter().map(String::as_str)),
                    None => globs(change.edits.iter().map(edited)),
                };
                let dockerfile = &place.dockerfile.1;
                let among = |path: &&PathBuf| globs.is_match(path);
                let mut files: Vec<&PathBuf> = sent.iter().filter(among).collect();
                files.extend(Some(dockerfile).filter(among));
                // Files that an edit only makes are not there yet.
                let made: Vec<PathBuf> = change.edits.iter().filter_map(made).collect();
                files.extend(made.iter().filter(among));
                let first = place.taken.iter().position(|taken| {
                    files.iter().any(|path| taken.holds(&path.to_string_lossy()))
                });
                let rank = if files.contains(&dockerfile) {
                    Some(0)
                } else {
                    first.map(|step| step + 1).or((!files.is_empty()).then_some(usize::MAX))
                };
                let best = ranks.entry(name).or_insert(rank);
                *best = best.iter().copied().chain(rank).min();
                let widened = first.filter(|_| paths.is_none() && rank != Some(0));
                let taken = widened.map(|step| place.taken[step].clone());
                place.changes.insert(name.clone(), Files { globs, taken });
            }
            places.push(place);
        }
        let mut sorted: Vec<&String> = ranks.keys().copied().collect();
        sorted.sort_by_key(|name| {
            (ranks[name].unwrap_or(usize::MAX), order.iter().position(|n| n == *name))
        });
        let missing = ranks.iter().filter(|(_, rank)| rank.is_none());
        Ok(Self {
            without_files: missing.map(|(name, _)| (*name).clone()).collect(),
            order: sorted.into_iter().cloned().collect(),
            places,
        })
    }

    /// Changes whose paths match nothing today.
    fn without_files(&self) -> &[String] {
        &self.without_files
    }

    fn count(&self, commits: &[Commit]) -> Counted {
        let mut of_change = vec![0; self.order.len()];
        let (mut merges, mut none, mut unmatched) = (0, 0, 0);
        let mut strays = BTreeMap::new();
        for commit in commits {
            match commit {
                Commit::Merge => merges += 1,
                Commit::Touches(paths) => match self.kind(paths) {
                    Kind::Change(position) => of_change[position] += 1,
                    Kind::None => none += 1,
                    Kind::Unmatched(paths) => {
                        unmatched += 1;
                        paths.into_iter().for_each(|path| *strays.entry(path).or_default() += 1);
                    }
                },
            }
        }
        let named = self.order.iter().cloned().zip(of_change);
        let changes = named
            .chain([(NONE.to_owned(), none)])
            .map(|(change, commits)| MixCount { change, commits })
            .collect();
        Counted { changes, merges, unmatched, strays }
    }

    fn kind(&self, paths: &[String]) -> Kind {
        let mut dearest: Option<usize> = None;
        let mut strays = BTreeSet::new();
        for place in &self.places {
            for path in paths.iter().filter_map(|path| place.within(Path::new(path))) {
                let of = self.order.iter().position(|name| place.has(name, &path));
                match of {
                    Some(position) => {
                        dearest = Some(dearest.map_or(position, |best| best.min(position)));
                    }
                    None if place.takes(&path) => drop(strays.insert(path)),
                    None => {}
                }
            }
        }
        match dearest {
            Some(position) => Kind::Change(position),
            None if strays.is_empty() => Kind::None,
            None => Kind::Unmatched(strays),
        }
    }
}

impl Place {
    fn new(workload: &Workload, root: &Path) -> Result<Self, WorkspaceError> {
        let within = |path: &Path| path.strip_prefix(root).ok().map(Path::to_path_buf);
        let ignored = Builder::ALL
            .into_iter()
            .map(|builder| Ignore::load(&workload.context, &workload.dockerfile, builder))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            context: within(&workload.context).unwrap_or_default(),
            dockerfile: (within(&workload.dockerfile), workspace::dockerfile_name(workload)),
            ignored,
            taken: workload
                .layout
                .iter()
                .flat_map(|stage| &stage.steps)
                .map(|step| step.taken())
                .collect(),
            changes: BTreeMap::new(),
        })
    }

    /// A path of the repository as edits name it, if a builder is sent the file.
    fn within(&self, path: &Path) -> Option<String> {
        let (dockerfile, name) = &self.dockerfile;
        if dockerfile.as_deref() == Some(path) {
            return Some(name.to_string_lossy().into_owned());
        }
        let inside = path.strip_prefix(&self.context).ok()?;
        let sent = self.ignored.iter().any(|rules| !rules.excludes(inside));
        sent.then(|| inside.to_string_lossy().into_owned())
    }

    fn has(&self, change: &str, path: &str) -> bool {
        self.changes.get(change).is_some_and(|files| {
            files.globs.is_match(path)
                || files.taken.as_ref().is_some_and(|taken| taken.holds(path))
        })
    }

    fn takes(&self, path: &str) -> bool {
        self.dockerfile.1 == Path::new(path) || self.taken.iter().any(|taken| taken.holds(path))
    }
}

/// The file that an edit makes.
fn made(edit: &Edit) -> Option<PathBuf> {
    match edit {
        Edit::Create { file, .. } | Edit::Copy { file, .. } => {
            Some(PathBuf::from(file.trim_start_matches("./")))
        }
        _ => None,
    }
}

/// The glob or path of the files that an edit is about.
fn edited(edit: &Edit) -> &str {
    match edit {
        Edit::Append { files, .. } | Edit::Replace { files, .. } | Edit::Delete { files } => files,
        Edit::Create { file, .. } | Edit::Copy { file, .. } => file,
    }
}

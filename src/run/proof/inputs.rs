//! Which steps of a Dockerfile a difference between two workspaces leaves alone.

use super::arguments::Argument;
use crate::model::plan::{StageLayout, StepLayout};
use std::collections::{BTreeMap, BTreeSet};

/// Paths that are in only one of two workspaces, or differ.
pub fn differing(
    one: &BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let missing_or_other =
        |(path, hash): &(&String, &String)| other.get(*path).is_none_or(|known| known != *hash);
    let changed = one.iter().filter(missing_or_other).map(|(path, _)| path);
    let gone = other.keys().filter(|path| !one.contains_key(*path));
    changed.chain(gone).cloned().collect()
}

/// For every stage: how many of its RUN, COPY and ADD instructions, counted from the first, have
/// inputs that the touched paths leave alone. A step after a touched one counts as touched, since
/// it builds on it; so does one that comes after an argument which is not the same.
pub fn untouched(
    layout: &[StageLayout],
    touched: &BTreeSet<String>,
    arguments: &[Argument],
) -> Vec<usize> {
    let mut leading: Vec<usize> = Vec::with_capacity(layout.len());
    let whole = |leading: &[usize], stage: usize| {
        leading.get(stage).is_some_and(|count| *count == layout[stage].steps.len())
    };
    for (index, stage) in layout.iter().enumerate() {
        let count = match stage.base_stage {
            Some(base) if !whole(&leading, base) => 0,
            _ => stage
                .steps
                .iter()
                .enumerate()
                .take_while(|(at, step)| {
                    step.from_stage.is_none_or(|from| whole(&leading, from))
                        && !takes_any(step, touched)
                        && !arguments.iter().any(|argument| argument.is_before(index, *at))
                })
                .count(),
        };
        leading.push(count);
    }
    leading
}

fn takes_any(step: &StepLayout, paths: &BTreeSet<String>) -> bool {
    let taken = step.taken();
    paths.iter().any(|path| taken.holds(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(takes: &[&str]) -> StepLayout {
        StepLayout { takes: takes.iter().map(|s| (*s).to_owned()).collect(), from_stage: None }
    }

    fn article() -> Vec<StageLayout> {
        let run = StepLayout::default();
        let from = StepLayout { from_stage: Some(0), ..StepLayout::default() };
        vec![
            StageLayout {
                name: "builder".to_owned(),
                base_stage: None,
                steps: vec![run.clone(), copy(&["Gemfile"]), run],
                ..StageLayout::default()
            },
            StageLayout {
                name: "1".to_owned(),
                base_stage: None,
                steps: vec![from, copy(&["app"])],
                ..StageLayout::default()
            },
        ]
    }

    fn paths(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn an_application_change_leaves_the_builder_alone() {
        assert_eq!(untouched(&article(), &paths(&["app/a.rb"]), &[]), [3, 1]);
    }

    #[test]
    fn a_manifest_change_touches_what_comes_after_it() {
        assert_eq!(untouched(&article(), &paths(&["Gemfile"]), &[]), [1, 0]);
    }

    #[test]
    fn nothing_touched_and_a_context_that_is_copied_whole() {
        assert_eq!(untouched(&article(), &paths(&[]), &[]), [3, 2]);
        let mut layout = article();
        layout[0].steps[1] = copy(&["."]);
        assert_eq!(untouched(&layout, &paths(&["any/thing"]), &[]), [1, 0]);
        assert_eq!(untouched(&layout, &paths(&[]), &[]), [3, 2]);
    }

    #[test]
    fn globs_and_folders() {
        let layout = [StageLayout {
            steps: vec![copy(&["*.lock"]), copy(&["/src/"])],
            ..Default::default()
        }];
        assert_eq!(untouched(&layout, &paths(&["a/x.lock"]), &[]), [2]);
        assert_eq!(untouched(&layout, &paths(&["x.lock"]), &[]), [0]);
        assert_eq!(untouched(&layout, &paths(&["src/deep/x"]), &[]), [1]);
    }

    #[test]
    fn differences_are_seen_from_both_sides() {
        let map = |list: &[(&str, &str)]| {
            list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let one: BTreeMap<String, String> = map(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let other = map(&[("a", "1"), ("b", "2"), ("d", "1")]);
        assert_eq!(differing(&one, &other), paths(&["b", "c", "d"]));
    }
}

//! Strategies of the user's own: what can be said of their steps before anything is started.

use super::document::Document;
use super::names;
use super::problem::listed;
use super::schema;
use crate::model::Builder;
use crate::model::custom::{BuildTemplate, CustomStep, CustomStrategy};
use crate::strategy::{self, custom::PLACEHOLDERS};
use std::collections::BTreeMap;

/// Checks every strategy under `[strategy.NAME]`.
pub(super) fn strategies(
    document: &mut Document,
    file: &schema::File,
) -> BTreeMap<String, CustomStrategy> {
    for (id, custom) in &file.strategy {
        check(document, id, custom);
    }
    file.strategy.clone()
}

fn check(document: &mut Document, id: &str, custom: &CustomStrategy) {
    let at = ["strategy", id];
    if !names::is_word(id) {
        let allowed = format!("allowed: {}", names::WORD);
        document.problem(&at, format!("`{id}` cannot be the id of a strategy"), allowed);
    }
    if strategy::ours(id).is_some() {
        let advice = "choose another id";
        document.problem(&at, format!("`{id}` is a strategy of Breakeven's own"), advice);
    }
    if custom.builders.is_empty() {
        let advice = format!("allowed: {}", listed(Builder::ALL));
        document.problem(&["strategy", id, "builders"], "`builders` is empty", advice);
    }
    if custom.builders.contains(&Builder::Buildah) {
        let advice = "take `buildah` out; its own strategies are buildah-layers and local";
        let what = "strategies of your own are for the builders of a daemon";
        document.problem(&["strategy", id, "builders"], what, advice);
    }
    let pushes_own =
        |step: &CustomStep| matches!(step, CustomStep::Push(push) if push.push == "{own}");
    if !custom.steps.iter().any(pushes_own) {
        document.problem(
            &["strategy", id, "steps"],
            "no step pushes `{own}`: a job delivers its final image",
            "add `{ push = \"{own}\" }`",
        );
    }
    for (index, step) in custom.steps.iter().enumerate() {
        let index = format!("[{index}]");
        let at = ["strategy", id, "steps", &index];
        for name in strategy::custom::names(step) {
            if let Some(problem) = unusable(name) {
                let advice = format!(
                    "allowed: {}, and the placeholders {}",
                    names::TAG,
                    listed(PLACEHOLDERS)
                );
                document.problem(&at, problem, advice);
            }
        }
        if let CustomStep::Build(build) = step {
            check_build(document, &at, custom, build);
        }
    }
    order(document, id, custom);
}

/// What is wrong with a name, if something is.
fn unusable(name: &str) -> Option<String> {
    let plain = PLACEHOLDERS.iter().fold(name.to_owned(), |text, one| text.replace(one, "x"));
    (!names::is_tag(&plain)).then(|| format!("`{name}` cannot be a tag or the name of an archive"))
}

fn check_build(
    document: &mut Document,
    at: &[&str],
    custom: &CustomStrategy,
    build: &BuildTemplate,
) {
    let exports = build.cache_to.is_some() || build.cache_folder;
    if custom.builders.contains(&Builder::Classic) && (exports || build.inline || build.folder) {
        document.problem(
            at,
            "the classic builder neither exports cache nor writes inline cache metadata",
            "take `classic` out of `builders`, or these keys out of the step",
        );
    }
    if build.cache_to.is_some() && build.cache_folder {
        let advice = "keep `cache_to` or `cache_folder`";
        document.problem(at, "the build exports its cache twice", advice);
    }
    if build.folder && !build.sources.is_empty() {
        let advice = "keep `folder` or `sources`";
        document.problem(at, "the build has a cache folder and other sources", advice);
    }
    if build.mode.is_some() && !exports {
        let advice = "add `cache_to` or `cache_folder`, or take `mode` out";
        document.problem(at, "`mode` says how cache is exported, and none is", advice);
    }
}

/// Steps that need an earlier one.
fn order(document: &mut Document, id: &str, custom: &CustomStrategy) {
    let mut before: Vec<&CustomStep> = Vec::new();
    for (index, step) in custom.steps.iter().enumerate() {
        let has = |test: fn(&CustomStep) -> bool| before.iter().any(|step| test(step));
        let fetched = has(|step| matches!(step, CustomStep::Fetch(_)));
        let lacks = match step {
            CustomStep::Load(_) | CustomStep::Unpack(_) if !fetched => {
                Some("a `fetch` before it: there is no archive yet")
            }
            CustomStep::Pack(_)
                if !has(|step| matches!(step, CustomStep::Build(build) if build.cache_folder)) =>
            {
                Some("a `build` with `cache_folder = true` before it: there is no folder yet")
            }
            CustomStep::Store(store) => {
                let made = before.iter().any(|step| match step {
                    CustomStep::Save(save) => save.archive == store.store,
                    CustomStep::Pack(pack) => pack.pack == store.store,
                    _ => false,
                });
                (!made).then_some("a `save` or `pack` of the same archive before it")
            }
            CustomStep::Build(build)
                if build.folder && !has(|step| matches!(step, CustomStep::Unpack(_))) =>
            {
                Some("an `unpack` before it: there is no cache folder yet")
            }
            CustomStep::Push(push)
                if !before.iter().any(
                    |step| matches!(step, CustomStep::Build(build) if build.build == push.push),
                ) =>
            {
                Some("a `build` of the same tag before it")
            }
            _ => None,
        };
        if let Some(lacks) = lacks {
            let at = ["strategy", id, "steps", &format!("[{index}]")];
            document.problem(&at, format!("step {} needs {lacks}", index + 1), "add it");
        }
        before.push(step);
    }
}

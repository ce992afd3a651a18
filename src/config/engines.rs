//! Engines: one or several, shared or private.

use super::document::Document;
use super::names;
use super::schema::{Engine, EngineKind, Engines};
use crate::model::plan::{EnginePlan, Keep};
use std::collections::BTreeMap;

/// What a private engine is made from, if nothing else is named.
const IMAGE: &str = "docker:dind";

/// The engines of a file by name.
pub(super) fn engines(
    document: &mut Document,
    engines: Option<&Engines>,
) -> BTreeMap<String, EnginePlan> {
    let of_kind =
        |kind| Engine { kind, host: None, image: None, store: None, keep: None, driver: None };
    match engines {
        None => one(document, &of_kind(EngineKind::Shared)),
        Some(Engines::Kind(kind)) => one(document, &of_kind(*kind)),
        Some(Engines::One(engine)) => one(document, engine),
        Some(Engines::Named(engines)) => {
            if engines.is_empty() {
                let advice = "leave it out for your own engine, or name one: [engine.modern]";
                document.problem(&["engine"], "there is no engine", advice);
            }
            let mut checked = BTreeMap::new();
            for (name, engine) in engines {
                if !names::is_word(name) {
                    document.problem(
                        &["engine", name],
                        format!("`{name}` cannot be the name of an engine"),
                        format!("allowed: {}", names::WORD),
                    );
                }
                checked.insert(name.clone(), check(document, &["engine", name], engine));
            }
            checked
        }
    }
}

/// A single engine is called what it is.
fn one(document: &mut Document, engine: &Engine) -> BTreeMap<String, EnginePlan> {
    let name = match engine.kind {
        EngineKind::Shared => "shared",
        EngineKind::Private => "private",
        EngineKind::Buildah => "buildah",
    };
    BTreeMap::from([(name.to_owned(), check(document, &["engine"], engine))])
}

fn check(document: &mut Document, at: &[&str], engine: &Engine) -> EnginePlan {
    let within = |key| at.iter().copied().chain([key]).collect::<Vec<&str>>();
    let Engine { kind, host, image, store, keep, driver } = engine.clone();
    if let Some(host) = &host {
        let place = ["unix://", "tcp://"].iter().find_map(|scheme| host.strip_prefix(scheme));
        if place.is_none_or(str::is_empty) {
            document.problem(
                &within("host"),
                format!("`{host}` is not the address of an engine"),
                "allowed: \"unix:///path/of/docker.sock\" or \"tcp://host:port\"",
            );
        }
    }
    let mut none_of = |given: &[(&'static str, bool)], what: &str, advice: &str| {
        for &(key, _) in given.iter().filter(|(_, given)| *given) {
            let problem = format!("{what}, so it has no `{key}`");
            let at: Vec<&str> = at.iter().copied().chain([key]).collect();
            document.problem(&at, problem, advice);
        }
    };
    let driven = [("driver", driver.is_some())];
    match kind {
        EngineKind::Buildah => {
            let of_daemons = [
                ("host", host.is_some()),
                ("image", image.is_some()),
                ("store", store.is_some()),
                ("keep", keep.is_some()),
            ];
            none_of(&of_daemons, "Buildah is no daemon", "remove it");
            EnginePlan::Buildah { driver }
        }
        EngineKind::Shared => {
            let given =
                [("image", image.is_some()), ("store", store.is_some()), ("keep", keep.is_some())];
            let advice = "remove it, or set `kind = \"private\"`";
            none_of(&given, "a shared engine is used as it is", advice);
            none_of(&driven, "a shared engine is used as it is", "remove it");
            EnginePlan::Shared { host }
        }
        EngineKind::Private => {
            none_of(&driven, "a private engine is a daemon", "remove it; see `store`");
            if image.as_deref().is_some_and(|image| image.trim().is_empty()) {
                let advice = format!("name one with a `dockerd`, or leave it out for {IMAGE}");
                document.problem(&within("image"), "`image` is empty", advice);
            }
            EnginePlan::Private {
                host,
                image: image.unwrap_or_else(|| IMAGE.to_owned()),
                store,
                keep: keep.unwrap_or(Keep::Sample),
            }
        }
    }
}

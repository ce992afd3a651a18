//! A strategy of the user's own: templates of steps, spelled out for a job.

use super::{CacheFrom, Job, Recipe, Strategy};
use crate::model::custom::{BuildTemplate, CustomStep, CustomStrategy};
use crate::model::{ArchiveName, BuildStep, CacheExport, CacheMode, ImageRef, Sources, Step};
use std::borrow::Cow;
use std::sync::Arc;

/// Placeholders that names may hold.
pub const PLACEHOLDERS: [&str; 3] = ["{candidate}", "{own}", "{stage}"];

/// The strategy that templates describe.
pub(super) fn strategy(id: &str, custom: &CustomStrategy) -> Strategy {
    let summary = match custom.summary.as_str() {
        "" => "steps from the configuration",
        summary => summary,
    };
    Strategy {
        id: Cow::Owned(id.to_owned()),
        summary: Cow::Owned(summary.to_owned()),
        builders: Cow::Owned(custom.builders.clone()),
        cache: cache(custom),
        needs_stages: custom.steps.iter().flat_map(names).any(|name| name.contains("{stage}")),
        recipe: Recipe::Custom(Arc::new(custom.clone())),
        left_by: None,
    }
}

/// Where the first source of cache that a step asks for lies.
fn cache(custom: &CustomStrategy) -> CacheFrom {
    let asked = custom.steps.iter().find_map(|step| match step {
        CustomStep::Fetch(_) => Some(CacheFrom::Storage),
        CustomStep::Pull(_) => Some(CacheFrom::Registry),
        CustomStep::Build(build) if !build.sources.is_empty() => Some(CacheFrom::Registry),
        _ => None,
    });
    asked.unwrap_or(CacheFrom::Nowhere)
}

/// Every name in a step that may hold placeholders.
pub fn names(step: &CustomStep) -> Vec<&str> {
    fn texts(list: &[String]) -> Vec<&str> {
        list.iter().map(String::as_str).collect()
    }
    match step {
        CustomStep::Pull(pull) => texts(&pull.pull),
        CustomStep::Fetch(fetch) => texts(&fetch.fetch),
        CustomStep::Load(_) | CustomStep::Unpack(_) => Vec::new(),
        CustomStep::Build(build) => [&build.build]
            .into_iter()
            .chain(&build.target)
            .chain(&build.cache_to)
            .chain(&build.sources)
            .map(String::as_str)
            .collect(),
        CustomStep::Save(save) => {
            texts(&save.save).into_iter().chain([save.archive.as_str()]).collect()
        }
        CustomStep::Pack(pack) => vec![&pack.pack],
        CustomStep::Store(store) => vec![&store.store],
        CustomStep::Push(push) => vec![&push.push],
    }
}

/// The steps of a job.
pub(super) fn steps(custom: &CustomStrategy, job: &Job) -> Vec<Step> {
    custom.steps.iter().flat_map(|step| spelled(step, job)).collect()
}

fn spelled(step: &CustomStep, job: &Job) -> Vec<Step> {
    match step {
        CustomStep::Pull(pull) => {
            let references = images(&pull.pull, job);
            let mode = pull.mode.unwrap_or(job.pull);
            if references.is_empty() { vec![] } else { vec![Step::Pull { references, mode }] }
        }
        CustomStep::Fetch(fetch) => {
            let archives = all(&fetch.fetch, job).into_iter().map(|name| named(&name, job));
            vec![Step::Fetch { archives: archives.collect() }]
        }
        CustomStep::Load(load) => {
            if load.load {
                vec![Step::Load]
            } else {
                vec![]
            }
        }
        CustomStep::Unpack(unpack) => {
            if unpack.unpack {
                vec![Step::Unpack]
            } else {
                vec![]
            }
        }
        CustomStep::Build(build) => builds(build, job),
        CustomStep::Save(save) => vec![Step::Save {
            references: images(&save.save, job),
            archive: archive(&save.archive, job),
        }],
        CustomStep::Pack(pack) => vec![Step::Pack { archive: archive(&pack.pack, job) }],
        CustomStep::Store(store) => vec![Step::Store { archive: archive(&store.store, job) }],
        CustomStep::Push(push) => images(std::slice::from_ref(&push.push), job)
            .into_iter()
            .map(|reference| Step::Push { reference })
            .collect(),
    }
}

/// One build; where its tag names `{stage}`, one for every stage.
fn builds(build: &BuildTemplate, job: &Job) -> Vec<Step> {
    let own = build.build.replace("{own}", &job.own);
    let stages: Vec<Option<&str>> = if own.contains("{stage}") {
        job.stages.iter().map(|stage| Some(stage.as_str())).collect()
    } else {
        vec![None]
    };
    stages
        .into_iter()
        .map(|stage| {
            let of_stage = |text: &str| match stage {
                Some(stage) => text.replace("{own}", &job.own).replace("{stage}", stage),
                None => text.replace("{own}", &job.own),
            };
            let references = images(&build.sources, job);
            let mode = build.mode.unwrap_or(CacheMode::Max);
            let registry = build.cache_to.as_ref().map(|name| CacheExport::Registry {
                reference: ImageRef::new(&job.repository, of_stage(name)),
                mode,
                image_manifest: build.image_manifest,
            });
            Step::Build(BuildStep {
                target: build.target.as_deref().map(of_stage),
                sources: match (build.folder, references.is_empty()) {
                    (true, _) => Sources::Folder,
                    (false, true) => Sources::None,
                    (false, false) if build.present => Sources::Present(references),
                    // Where the job exports its cache to the registry, that is what it imports.
                    (false, false) if build.cache_to.is_some() => Sources::Caches(references),
                    (false, false) => Sources::Named(references),
                },
                tag: ImageRef::new(&job.repository, of_stage(&build.build)),
                inline_cache: build.inline,
                export: registry
                    .or_else(|| build.cache_folder.then_some(CacheExport::Local { mode })),
            })
        })
        .collect()
}

/// Every name that these templates stand for, candidates within stages.
fn all(templates: &[String], job: &Job) -> Vec<String> {
    let mut names = Vec::new();
    for template in templates {
        let own = template.replace("{own}", &job.own);
        let stages = if own.contains("{stage}") {
            job.stages.iter().map(|stage| own.replace("{stage}", stage)).collect()
        } else {
            vec![own]
        };
        for name in stages {
            if name.contains("{candidate}") {
                names.extend(job.candidates.iter().map(|one| name.replace("{candidate}", one)));
            } else {
                names.push(name);
            }
        }
    }
    names
}

fn images(templates: &[String], job: &Job) -> Vec<ImageRef> {
    all(templates, job).into_iter().map(|tag| ImageRef::new(&job.repository, tag)).collect()
}

fn archive(template: &str, job: &Job) -> ArchiveName {
    named(&template.replace("{own}", &job.own), job)
}

fn named(name: &str, job: &Job) -> ArchiveName {
    ArchiveName(format!("{name}.{}", job.suffix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Builder, PullMode, State};
    use crate::strategy;

    fn job(builder: Builder) -> Job {
        Job {
            repository: "127.0.0.1:5000/web".to_owned(),
            candidates: vec!["branch".to_owned(), "main".to_owned()],
            own: "branch".to_owned(),
            stages: vec!["deps".to_owned(), "builder".to_owned()],
            pull: PullMode::First,
            builder,
            suffix: "tar.zst",
            image_manifest: false,
        }
    }

    fn read(toml: &str) -> CustomStrategy {
        toml::from_str(toml).unwrap()
    }

    /// Our own strategies written as a user would write them come out as the same steps.
    #[test]
    fn ours_can_be_written_as_templates() {
        let cases = [
            (
                "pull",
                Builder::Classic,
                r#"builders = ["classic"]
                steps = [
                    { pull = ["{candidate}"] },
                    { build = "{own}", sources = ["{candidate}"], present = true },
                    { push = "{own}" },
                ]"#,
            ),
            (
                "save-load",
                Builder::Buildkit,
                r#"builders = ["buildkit"]
                steps = [
                    { fetch = ["{candidate}"] },
                    { load = true },
                    { build = "{own}", sources = ["{candidate}"], present = true, inline = true },
                    { push = "{own}" },
                    { save = ["{own}"], archive = "{own}" },
                    { store = "{own}" },
                ]"#,
            ),
            (
                "inline-stages",
                Builder::Buildkit,
                r#"builders = ["buildkit"]
                steps = [
                    { build = "{own}-{stage}", target = "{stage}", inline = true, sources = ["{candidate}-{stage}", "{candidate}"] },
                    { build = "{own}", inline = true, sources = ["{candidate}-{stage}", "{candidate}"] },
                    { push = "{own}-{stage}" },
                    { push = "{own}" },
                ]"#,
            ),
            (
                "registry-max",
                Builder::Buildkit,
                r#"builders = ["buildkit"]
                steps = [
                    { build = "{own}", sources = ["{candidate}-cache"], cache_to = "{own}-cache" },
                    { push = "{own}" },
                ]"#,
            ),
            (
                "local-min",
                Builder::Buildkit,
                r#"builders = ["buildkit"]
                steps = [
                    { fetch = ["{candidate}-cache"] },
                    { unpack = true },
                    { build = "{own}", folder = true, cache_folder = true, mode = "min" },
                    { push = "{own}" },
                    { pack = "{own}-cache" },
                    { store = "{own}-cache" },
                ]"#,
            ),
        ];
        for (id, builder, toml) in cases {
            let custom = strategy("mine", &read(toml));
            let ours = strategy::ours(id).unwrap();
            assert_eq!(custom.steps(&job(builder)), ours.steps(&job(builder)), "{id}");
            assert_eq!(custom.state(true), ours.state(true), "{id}");
            assert_eq!(custom.needs_stages, ours.needs_stages, "{id}");
        }
    }

    #[test]
    fn nothing_asked_for_is_cold() {
        let toml = r#"builders = ["classic"]
            steps = [{ build = "{own}" }, { push = "{own}" }]"#;
        assert_eq!(strategy("mine", &read(toml)).state(true), State::Cold);
    }
}

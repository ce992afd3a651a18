//! Workloads: context, Dockerfile, target and stages as they really are on disk.

use super::dockerfile::{Dockerfile, Stage};
use super::document::Document;
use super::names;
use super::problem::{allowed, listed};
use super::schema;
use crate::model::plan::Workload;
use crate::workspace;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Checks every workload. What cannot be read is reported and left out.
pub(super) fn workloads(
    document: &mut Document,
    workloads: &BTreeMap<String, schema::Workload>,
    base: &Path,
) -> BTreeMap<String, Workload> {
    if workloads.is_empty() {
        document.problem(
            &["workload"],
            "there is no workload, so nothing to measure",
            "add a table such as [workload.web] with `context = \".\"`",
        );
    }
    let mut checked = BTreeMap::new();
    for (name, workload) in workloads {
        if !names::is_repository_part(name) {
            document.problem(
                &["workload", name],
                format!("`{name}` cannot be the name of a workload: it is part of a repository"),
                format!("allowed: {}", names::REPOSITORY_PART),
            );
        }
        if let Some(workload) = check(document, name, workload, base) {
            checked.insert(name.clone(), workload);
        }
    }
    checked
}

fn check(
    document: &mut Document,
    name: &str,
    workload: &schema::Workload,
    base: &Path,
) -> Option<Workload> {
    let at = |key| ["workload", name, key];
    let Ok(context) = folder(&base.join(&workload.context)) else {
        document.problem(
            &at("context"),
            format!("the context {} is not a folder", base.join(&workload.context).display()),
            "`context` is a folder, relative to this file",
        );
        return None;
    };
    // Relative to this file as every path is; without one, where the docker client looks.
    let dockerfile = match &workload.dockerfile {
        Some(path) => base.join(path),
        None => context.join("Dockerfile"),
    };
    let text = match workspace::read_regular(&dockerfile) {
        Ok(text) => text,
        Err(error) => {
            document.problem(
                &at("dockerfile"),
                format!("the Dockerfile {} cannot be read: {error}", dockerfile.display()),
                "`dockerfile` is a path relative to this file; `Dockerfile` in the context if \
                 absent",
            );
            return None;
        }
    };
    let (build_args, secret_args) = arguments(document, name, workload);
    let parsed = match Dockerfile::parse(&text, &build_args) {
        Ok(parsed) => parsed,
        Err(error) => {
            document.problem(
                &at("dockerfile"),
                format!("{}:{}: {}", dockerfile.display(), error.line, error.message),
                "a builder would refuse this Dockerfile too; correct it first",
            );
            return None;
        }
    };
    let Some(last) = parsed.final_stage(workload.target.as_deref()) else {
        let target = workload.target.as_deref().unwrap_or_default();
        document.problem(
            &at("target"),
            format!("the Dockerfile has no stage `{target}`"),
            allowed(target, parsed.names()),
        );
        return None;
    };
    let stages = match &workload.stages {
        Some(stages) => named_stages(document, name, stages, &parsed, last),
        None => parsed.carried_stages(last),
    };
    Some(Workload {
        context,
        dockerfile: dockerfile.canonicalize().unwrap_or(dockerfile),
        target: workload.target.clone(),
        build_args,
        secret_args,
        stages,
        bases: parsed.bases(last),
        layout: parsed.layout(last),
    })
}

/// Build arguments that are written in the file, and the variables that hold the secret ones.
fn arguments(
    document: &mut Document,
    name: &str,
    workload: &schema::Workload,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (mut plain, mut secret) = (BTreeMap::new(), BTreeMap::new());
    for (argument, value) in &workload.build_args {
        match value {
            schema::BuildArg::Value(value) => drop(plain.insert(argument.clone(), value.clone())),
            schema::BuildArg::Secret(from) => {
                for (what, variable) in [("argument", argument), ("`env`", &from.env)] {
                    if !names::is_variable(variable) {
                        document.problem(
                            &["workload", name, "build_args", argument],
                            format!("{variable:?} cannot be the {what} of a secret"),
                            format!("allowed: {}", names::VARIABLE),
                        );
                    }
                }
                secret.insert(argument.clone(), from.env.clone());
            }
        }
    }
    (plain, secret)
}

/// A workload whose Dockerfile was another: as a commit has it. The error says what is wrong.
pub(super) fn as_of(
    workload: &Workload,
    asked: Option<&Vec<String>>,
    dockerfile: &str,
) -> Result<Workload, String> {
    let parsed =
        Dockerfile::parse(dockerfile, &workload.build_args).map_err(|error| error.to_string())?;
    let target = workload.target.as_deref();
    let Some(last) = parsed.final_stage(target) else {
        return Err(format!("there is no stage `{}`", target.unwrap_or_default()));
    };
    let stages = match asked {
        Some(asked) => asked_of(asked, parsed.stages[..last].iter()),
        None => parsed.carried_stages(last),
    };
    let (bases, layout) = (parsed.bases(last), parsed.layout(last));
    Ok(Workload { stages, bases, layout, ..workload.clone() })
}

/// Those stages that were asked for, in the order of the Dockerfile.
fn asked_of<'a>(asked: &[String], stages: impl Iterator<Item = &'a Stage>) -> Vec<String> {
    let wanted: Vec<String> = asked.iter().map(|stage| stage.to_lowercase()).collect();
    stages.filter_map(|stage| stage.name.clone()).filter(|name| wanted.contains(name)).collect()
}

/// The stages that were asked for, in the order of the Dockerfile.
fn named_stages(
    document: &mut Document,
    workload: &str,
    stages: &[String],
    parsed: &Dockerfile,
    last: usize,
) -> Vec<String> {
    let before: Vec<&str> =
        parsed.stages[..last].iter().filter_map(|stage| stage.name.as_deref()).collect();
    for (index, stage) in stages.iter().enumerate() {
        if !before.contains(&stage.to_lowercase().as_str()) {
            document.problem(
                &["workload", workload, "stages", &format!("[{index}]")],
                format!("the Dockerfile has no stage `{stage}` before the final one"),
                allowed(stage, before.iter().copied()),
            );
        }
    }
    if stages.is_empty() {
        document.problem(
            &["workload", workload, "stages"],
            "`stages` is empty",
            format!("leave it out for every stage that is used; there are: {}", listed(&before)),
        );
    }
    asked_of(stages, parsed.stages[..last].iter())
}

fn folder(path: &Path) -> std::io::Result<PathBuf> {
    let path = path.canonicalize()?;
    if path.is_dir() { Ok(path) } else { Err(std::io::ErrorKind::NotADirectory.into()) }
}

//! A job of GitLab CI.

use super::{ExportError, Format, Snippet, only_own_archives, yaml};
use crate::strategy::shell::quote;
use std::fmt::Write;

pub(super) static FORMAT: Format =
    Format { id: "gitlab", summary: "a job for .gitlab-ci.yml", write };

/// Below the checkout, since GitLab caches nothing else.
const STORAGE: &str = ".image-storage";

fn write(snippet: &Snippet<'_>) -> Result<String, ExportError> {
    let job = snippet.job_name();
    let mut head = snippet.head();
    let client = snippet.client();
    head.push(
        match client {
            "docker" => {
                "For a runner whose shell is bash and whose docker client reaches an engine."
            }
            _ => "For a runner whose shell is bash and that has buildah.",
        }
        .to_owned(),
    );
    let (host, user, password) = match snippet.registry {
        Some(_) => {
            head.push("Variables of the project: REGISTRY_USER, REGISTRY_PASSWORD.".to_owned());
            ("${repository%%/*}", "$REGISTRY_USER", "$REGISTRY_PASSWORD")
        }
        None => ("$CI_REGISTRY", "$CI_REGISTRY_USER", "$CI_REGISTRY_PASSWORD"),
    };
    if snippet.uses_storage() {
        head.push(format!("Name {STORAGE} in .dockerignore if the context holds it."));
    }
    let mut out = yaml::comments(&head);
    let _ = writeln!(out, "{job}:");
    if snippet.uses_storage() {
        let own = if snippet.has_branches() { "$CI_COMMIT_REF_SLUG" } else { &snippet.job.own };
        let key = yaml::quoted(&format!("{job}-{own}"));
        let _ = writeln!(out, "  cache:\n    key: {key}");
        let others: Vec<String> =
            snippet.others().map(|other| yaml::quoted(&format!("{job}-{other}"))).collect();
        if !others.is_empty() {
            let _ = writeln!(out, "    fallback_keys: [{}]", others.join(", "));
        }
        let _ = writeln!(out, "    paths: [{STORAGE}/]");
    }
    let mut preamble = vec![match snippet.image() {
        Some(image) => format!("repository={}", quote(&image)),
        None => format!("repository=$CI_REGISTRY_IMAGE/{}", snippet.name),
    }];
    if snippet.has_branches() {
        preamble.push("branch=$CI_COMMIT_REF_SLUG".to_owned());
    }
    let mut after = String::new();
    if snippet.uses_storage() {
        preamble.push(format!("storage=$CI_PROJECT_DIR/{STORAGE}\nmkdir -p \"$storage\""));
        after = only_own_archives(snippet);
    }
    preamble.push(format!(
        "printf '%s' \"{password}\" |\n  {client} login --username \"{user}\" --password-stdin \
         \"{host}\""
    ));
    if !snippet.folder.is_empty() {
        preamble.push(format!("cd -- {}", quote(&snippet.folder)));
    }
    let script = snippet.script(&preamble) + &after;
    let _ = writeln!(out, "  script:\n    - {}", yaml::block(&script, 6));
    Ok(out)
}

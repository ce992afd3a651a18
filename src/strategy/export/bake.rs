//! A file for `docker buildx bake`.

use super::{ExportError, Format, Snippet, yaml};
use crate::model::{BuildStep, Builder, CacheExport, ImageRef, Step};
use crate::strategy::shell::Variables;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

pub(super) static FORMAT: Format =
    Format { id: "bake", summary: "a docker-bake.hcl for docker buildx bake", write };

fn write(snippet: &Snippet<'_>) -> Result<String, ExportError> {
    let refuse = |why, advice| ExportError {
        strategy: snippet.strategy.id.to_string(),
        builder: snippet.job.builder,
        format: FORMAT.id,
        why,
        advice,
    };
    if snippet.job.builder != Builder::Buildkit {
        return Err(refuse(
            "bake is a front end of BuildKit",
            "Export it as shell, or measure with `buildkit`",
        ));
    }
    let mut builds: Vec<BuildStep> = Vec::new();
    let mut pushed: Vec<ImageRef> = Vec::new();
    for step in snippet.steps() {
        match step {
            Step::Build(build) => builds.push(build),
            Step::Push { reference } => pushed.push(reference),
            Step::Pull { .. } => {
                return Err(refuse("bake pulls no images", "Export it as shell"));
            }
            _ => return Err(refuse("bake carries no archives", "Export it as shell")),
        }
    }
    if builds.iter().any(|build| !pushed.contains(&build.tag)) {
        return Err(refuse("it builds images that it does not push", "Export it as shell"));
    }
    let mut head = snippet.head();
    head.push(match snippet.folder.as_str() {
        "" => "At the top of the checkout: docker buildx bake --push".to_owned(),
        folder => format!("In {folder}: docker buildx bake --push"),
    });
    let mut out = yaml::comments(&head);
    match snippet.image() {
        Some(image) => {
            let _ = writeln!(out, "variable \"REPOSITORY\" {{\n  default = {}\n}}", text(&image));
        }
        None => out.push_str("variable \"REPOSITORY\" {}\n"),
    }
    if snippet.has_branches() {
        let own = text(&snippet.job.own);
        let _ = writeln!(out, "variable \"BRANCH\" {{\n  default = {own}\n}}");
    }
    for name in snippet.secrets() {
        // Set by the environment variable of the same name.
        let _ = writeln!(out, "variable \"{name}\" {{}}");
    }
    let names = target_names(&builds);
    let _ = writeln!(out, "group \"default\" {{\n  targets = [{}]\n}}", names.join(", "));
    for (build, name) in builds.iter().zip(&names) {
        out.push_str(&target(snippet, build, name));
    }
    Ok(out)
}

/// A name for each build: its stage's, in the letters that bake takes.
fn target_names(builds: &[BuildStep]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (index, build) in builds.iter().enumerate() {
        let kept = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '-' };
        let stage = build.target.as_deref().unwrap_or("image");
        let mut name = format!("\"{}\"", stage.chars().map(kept).collect::<String>());
        if names.contains(&name) {
            name = format!("\"image-{index}\"");
        }
        names.push(name);
    }
    names
}

fn target(snippet: &Snippet<'_>, build: &BuildStep, name: &str) -> String {
    let mut out = format!("target {name} {{\n  context = {}\n", text(&snippet.context));
    if let Some(dockerfile) = &snippet.dockerfile {
        let _ = writeln!(out, "  dockerfile = {}", text(&from(&snippet.context, dockerfile)));
    }
    if let Some(stage) = build.target.as_deref().or(snippet.workload.target.as_deref()) {
        let _ = writeln!(out, "  target = {}", text(stage));
    }
    if !snippet.workload.build_args.is_empty() || !snippet.workload.secret_args.is_empty() {
        out.push_str("  args = {\n");
        for (name, value) in &snippet.workload.build_args {
            let _ = writeln!(out, "    {} = {}", text(name), text(value));
        }
        for (name, variable) in &snippet.workload.secret_args {
            let _ = writeln!(out, "    {} = {variable}", text(name));
        }
        out.push_str("  }\n");
    }
    let variables = Variables {
        repository: (&snippet.job.repository, "REPOSITORY"),
        own: snippet.has_branches().then_some((snippet.job.own.as_str(), "BRANCH")),
        candidates: &snippet.job.candidates,
    };
    let name_of = |reference: &ImageRef| {
        variables.image(reference, |variable| format!("${{{variable}}}"), escaped)
    };
    let sources = build.sources.references();
    if !sources.is_empty() {
        out.push_str("  cache-from = [\n");
        for source in sources {
            let _ = writeln!(out, "    \"type=registry,ref={}\",", name_of(source));
        }
        out.push_str("  ]\n");
    }
    let mut exports = Vec::new();
    if build.inline_cache {
        exports.push("\"type=inline\"".to_owned());
    }
    if let Some(CacheExport::Registry { reference, mode, image_manifest }) = &build.export {
        let manifest = if *image_manifest { ",image-manifest=true" } else { "" };
        exports.push(format!(
            "\"type=registry,ref={},mode={}{manifest}\"",
            name_of(reference),
            mode.as_str()
        ));
    }
    if !exports.is_empty() {
        let _ = writeln!(out, "  cache-to = [{}]", exports.join(", "));
    }
    let _ = writeln!(out, "  tags = [\"{}\"]\n}}", name_of(&build.tag));
    out
}

/// A path from a folder; both from the same place, or the path absolute.
fn from(folder: &str, path: &str) -> String {
    let parts = |text: &str| -> Vec<PathBuf> {
        let components = Path::new(text).components();
        components
            .filter(|part| *part != Component::CurDir)
            .map(|part| PathBuf::from(part.as_os_str()))
            .collect()
    };
    if Path::new(path).is_absolute() {
        return path.to_owned();
    }
    let (folder, path) = (parts(folder), parts(path));
    let shared = folder.iter().zip(&path).take_while(|(one, other)| one == other).count();
    let up = folder.iter().skip(shared).map(|_| PathBuf::from(".."));
    let whole: PathBuf = up.chain(path.iter().skip(shared).cloned()).collect();
    whole.to_string_lossy().into_owned()
}

/// A text of HCL, in quotes.
fn text(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => out.push(c),
        }
    }
    out.replace("${", "$${").replace("%{", "%%{")
}

//! Which cache exporters work, tried with a tiny build each.

use super::subject::Subject;
use super::trial::Trial;
use super::{Check, Line, State};
use crate::engine::EngineError;
use crate::model::{Builder, CacheExport, CacheMode, ImageRef};
use crate::run::RunError;
use crate::run::bench::{Begun, Site};
use futures_util::FutureExt;

pub(super) const CHECK: Check = Check { id: "exporters", run: |subject| lines(subject).boxed() };

const EXPORTERS: [(Builder, &[&str]); 2] =
    [(Builder::Buildkit, &["inline", "registry", "local"]), (Builder::Buildah, &["layers"])];

async fn lines(subject: &Subject<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, site) in subject.sites() {
        let tried = subject
            .on(site, async |begun| {
                let mut found = Vec::new();
                for (builder, exporters) in EXPORTERS {
                    if begun.engine.supports(builder).await.is_err() {
                        continue;
                    }
                    for exporter in exporters {
                        let left = export(subject, site, begun, (builder, exporter)).await;
                        found.push(judge(exporter, left));
                    }
                }
                match found.is_empty() {
                    true => vec![Line::unknown("none without BuildKit")],
                    false => found,
                }
            })
            .await;
        let found = tried.unwrap_or_else(|error| vec![Line::of_error(State::Warn, &error)]);
        lines.extend(
            found.into_iter().map(|line| Line { found: subject.of(name, line.found), ..line }),
        );
    }
    if lines.is_empty() { subject.untried() } else { lines }
}

/// Builds with one exporter; whether it left something.
async fn export(
    subject: &Subject<'_>,
    site: &Site,
    begun: &Begun,
    (builder, exporter): (Builder, &str),
) -> Result<bool, RunError> {
    let trial = Trial::new(subject, site, exporter)?;
    let to = match exporter {
        "registry" => {
            let reference = ImageRef::new(&trial.tag.repository, "cache");
            let image_manifest = subject.plan.image_manifest;
            Some(CacheExport::Registry { reference, mode: CacheMode::Max, image_manifest })
        }
        "local" => Some(CacheExport::Local { mode: CacheMode::Max }),
        "layers" => {
            let repository = format!("{}-layers", trial.tag.repository);
            Some(CacheExport::Layers { repository })
        }
        _ => None,
    };
    let outcome = trial.build(subject, begun, builder, to.is_none(), to.as_ref()).await?;
    Ok(match &to {
        Some(CacheExport::Registry { reference, .. }) => {
            site.registry.digest(reference).await?.is_some()
        }
        Some(CacheExport::Local { .. }) => trial.exported(),
        Some(CacheExport::Layers { .. } | CacheExport::Kept) => match outcome.exported.first() {
            Some(layer) => site.registry.digest(layer).await?.is_some(),
            None => false,
        },
        None => begun
            .engine
            .inspect(&trial.tag.to_string())
            .await?
            .is_some_and(|image| image.inline_cache),
    })
}

fn judge(exporter: &str, outcome: Result<bool, RunError>) -> Line {
    match outcome {
        Ok(true) => Line::ok(format!("{exporter}: a build left its cache")),
        Ok(false) => Line::warn(
            format!("{exporter}: a build ended well and left no cache"),
            "Strategies that need it will be reported as unsupported or invalid; see the builder's \
             own log.",
        ),
        Err(RunError::Engine(EngineError::Failed { cause, .. })) => Line::warn(
            format!("{exporter}: {cause}"),
            match exporter {
                "inline" => "Strategies with an inline cache cannot be measured here.",
                _ => {
                    "Strategies that export their cache this way are left out. An engine with the \
                     containerd image store can do it: switch yours to it, or use engine = \
                     \"private\" with store = \"containerd\"."
                }
            },
        ),
        Err(error) => Line::of_error(State::Warn, &format!("{exporter}: {error}")),
    }
}

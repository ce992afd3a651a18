//! What an engine can do, found out by doing it: no table of versions is trusted.

use super::{BuildRequest, Engine, EngineError, StepLog};
use crate::model::{Builder, CacheExport, CacheMode, ImageRef};
use std::collections::BTreeMap;
use std::path::Path;

/// Something that a strategy needs of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// Building with this builder.
    Builder(Builder),
    /// Exporting cache to a registry or a folder. An engine's builder can do both or neither.
    CacheExport,
}

/// A build that costs next to nothing and needs no image.
const DOCKERFILE: &str = "FROM scratch\nCOPY probe /\n";

/// Tries it. [`EngineError::NotCapable`] says why not and what would make it possible.
///
/// What the trial made on the engine is left to whoever resets the engine; `tag` and the ids that
/// `seen` is told of lead to it.
pub async fn probe(
    engine: &dyn Engine,
    capability: Capability,
    tag: &ImageRef,
    scratch: &Path,
    seen: &(dyn for<'id> Fn(&'id str) + Send + Sync),
) -> Result<(), EngineError> {
    match capability {
        Capability::Builder(builder) => engine.supports(builder).await,
        Capability::CacheExport => {
            engine.supports(Builder::Buildkit).await?;
            let folder = tempfile::tempdir_in(scratch).map_err(|source| EngineError::Io {
                operation: "probe".to_owned(),
                reference: scratch.display().to_string(),
                source,
            })?;
            export(engine, tag, folder.path(), seen).await
        }
    }
}

async fn export(
    engine: &dyn Engine,
    tag: &ImageRef,
    folder: &Path,
    seen: &(dyn for<'id> Fn(&'id str) + Send + Sync),
) -> Result<(), EngineError> {
    let context = folder.join("context");
    let dockerfile = context.join("Dockerfile");
    let written = std::fs::create_dir(&context)
        .and_then(|()| std::fs::write(&dockerfile, DOCKERFILE))
        .and_then(|()| std::fs::write(context.join("probe"), "probe\n"));
    written.map_err(|source| EngineError::Io {
        operation: "probe".to_owned(),
        reference: context.display().to_string(),
        source,
    })?;
    let request = BuildRequest {
        builder: Builder::Buildkit,
        context: &context,
        dockerfile: &dockerfile,
        target: None,
        build_args: &BTreeMap::new(),
        sources: &[],
        tag,
        inline_cache: false,
        cache_folder: None,
        export: Some(&CacheExport::Local { mode: CacheMode::Max }),
        export_folder: &folder.join("cache"),
    };
    match engine.build(&request, seen, &mut StepLog::default()).await {
        Ok(_) => Ok(()),
        Err(EngineError::Failed { cause, .. }) if is_about_the_exporter(&cause) => {
            Err(EngineError::NotCapable {
                what: "exporting cache".to_owned(),
                cause,
                advice: "Use an engine with the containerd image store: `engine = \"private\"` \
                         with `store = \"containerd\"`, or switch your own to it"
                    .to_owned(),
            })
        }
        Err(other) => Err(other),
    }
}

/// Whether a build failed because of the cache exporter, and not for another reason.
fn is_about_the_exporter(cause: &str) -> bool {
    cause.contains("unknown cache exporter") || cause.contains("Cache export is not supported")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_builder_are_told_apart() {
        for unable in [
            "failed to solve: unknown cache exporter: \"local\"",
            "ERROR: Cache export is not supported for the docker driver. Switch to a different driver",
        ] {
            assert!(is_about_the_exporter(unable), "{unable}");
        }
        assert!(!is_about_the_exporter("failed to solve: no space left on device"));
    }
}

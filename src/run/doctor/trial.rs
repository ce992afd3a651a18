//! A build that costs next to nothing and needs no image.

use super::subject::Subject;
use crate::engine::{BuildOutcome, BuildRequest, EngineError, StepLog};
use crate::model::{Builder, CacheExport, ImageRef};
use crate::run::RunError;
use crate::run::bench::{Begun, Site};
use crate::run::job::Made;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// No user's Dockerfile has this instruction, so that what a killed doctor left is surely ours.
const DOCKERFILE: &str = "FROM scratch\nCOPY content /breakeven-doctor\n";

/// Its context, and the name of its image.
pub(super) struct Trial {
    /// Removed with it.
    folder: tempfile::TempDir,
    context: PathBuf,
    dockerfile: PathBuf,
    pub(super) tag: ImageRef,
}

impl Trial {
    /// Makes the context; `name` becomes part of the image's name and content.
    pub(super) fn new(subject: &Subject<'_>, site: &Site, name: &str) -> Result<Self, RunError> {
        let scratch = subject.bench.scratch;
        let folder = tempfile::tempdir_in(scratch).map_err(RunError::scratch(scratch))?;
        let context = folder.path().join("context");
        let dockerfile = context.join("Dockerfile");
        let content = format!("{} {name}\n", subject.plan.run);
        std::fs::create_dir(&context)
            .and_then(|()| std::fs::write(&dockerfile, DOCKERFILE))
            .and_then(|()| std::fs::write(context.join("content"), content))
            .map_err(RunError::scratch(&context))?;
        let tag = ImageRef::new(format!("{}/doctor", site.registry.prefix()), name);
        Ok(Self { folder, context, dockerfile, tag })
    }

    /// Builds it; what it makes is noted down.
    pub(super) async fn build(
        &self,
        subject: &Subject<'_>,
        begun: &Begun,
        builder: Builder,
        inline_cache: bool,
        export: Option<&CacheExport>,
    ) -> Result<BuildOutcome, EngineError> {
        subject.bench.made(Made::Tag(&self.tag.to_string()));
        subject.bench.made(Made::Dockerfile(DOCKERFILE));
        let request = BuildRequest {
            builder,
            context: &self.context,
            dockerfile: &self.dockerfile,
            target: None,
            build_args: &BTreeMap::new(),
            sources: &[],
            layers: None,
            tag: &self.tag,
            inline_cache,
            cache_folder: None,
            export,
            export_folder: &self.folder.path().join("cache"),
        };
        let seen = |id: &str| subject.bench.made(Made::Image(id));
        begun.engine.build(&request, &seen, &mut StepLog::default()).await
    }

    /// Whether a build left cache in the folder that is exported to.
    pub(super) fn exported(&self) -> bool {
        self.folder.path().join("cache/index.json").is_file()
    }
}

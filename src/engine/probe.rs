//! What an engine can do, found out by doing it: no table of versions is trusted.

use super::{BuildOutcome, BuildRequest, Engine, EngineError, StepLog};
use crate::model::plan::ArchivePlan;
use crate::model::{Builder, CacheExport, CacheMode, ImageRef};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Something that a strategy needs of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// Building with this builder.
    Builder(Builder),
    /// Writing inline cache metadata into an image.
    InlineCache,
    /// Exporting cache to a registry or a folder. An engine's builder can do both or neither.
    CacheExport,
    /// Taking an image that another engine made as a cache source of the classic builder, however it
    /// came. Podman's builder has no such sources.
    Source,
    /// Taking an image that came out of an archive as a cache source of BuildKit (trap 30).
    LoadedImage,
    /// Taking an image whose build has an ARG in a stage as a cache source of the classic builder.
    /// Engine 26.1 with the containerd image store fails: it looks for a layer that an ARG has not.
    SourceWithArgument,
}

impl Capability {
    /// Whether an image has to be taken to an engine that does not have it, see [`Trial::next`].
    pub fn needs_another_engine(self) -> bool {
        matches!(self, Self::Source | Self::LoadedImage | Self::SourceWithArgument)
    }

    /// What is built: it costs next to nothing and needs no image. No user's Dockerfile has such
    /// instructions, so that what a killed run left of it is surely ours.
    fn dockerfile(self) -> &'static str {
        match self {
            // Podman finds an image's last step in an image that came, and none before it.
            Self::Source => {
                "FROM scratch\nCOPY probe /breakeven-probe\nCOPY probe /breakeven-probe-again\n"
            }
            Self::SourceWithArgument => {
                "FROM scratch\nARG BREAKEVEN_PROBE=1\nCOPY probe /breakeven-probe\n"
            }
            _ => "FROM scratch\nCOPY probe /breakeven-probe\n",
        }
    }
}

/// A tiny build, and what it leaves. What it makes on the engine is left to whoever resets the
/// engine; its tag and the ids that `seen` is told of lead to it.
pub struct Trial<'a> {
    capability: Capability,
    /// Removed with it.
    folder: tempfile::TempDir,
    tag: ImageRef,
    seen: &'a (dyn for<'id> Fn(&'id str) + Send + Sync),
}

impl<'a> Trial<'a> {
    /// Makes its context in `scratch`. The tag is part of what is built, so that nothing of an
    /// earlier run or of the user's is found instead.
    pub fn new(
        capability: Capability,
        scratch: &Path,
        tag: ImageRef,
        seen: &'a (dyn for<'id> Fn(&'id str) + Send + Sync),
    ) -> Result<Self, EngineError> {
        let trial = |path: &Path| {
            let reference = path.display().to_string();
            move |source| EngineError::Io { operation: "probe".to_owned(), reference, source }
        };
        let folder = tempfile::tempdir_in(scratch).map_err(trial(scratch))?;
        let context = folder.path().join("context");
        std::fs::create_dir(&context)
            .and_then(|()| std::fs::write(context.join("Dockerfile"), capability.dockerfile()))
            .and_then(|()| std::fs::write(context.join("probe"), format!("{tag}\n")))
            .map_err(trial(&context))?;
        Ok(Self { capability, folder, tag, seen })
    }

    /// The name that it builds and loads under.
    pub fn tag(&self) -> &ImageRef {
        &self.tag
    }

    /// What it builds.
    pub fn dockerfile(&self) -> &'static str {
        self.capability.dockerfile()
    }

    /// Tries everything that shows on one engine; of what needs another one the first half, which
    /// leaves an archive. [`EngineError::NotCapable`] says why not and what would make it possible.
    pub async fn first(&self, engine: &dyn Engine) -> Result<(), EngineError> {
        match self.capability {
            Capability::Builder(builder) => engine.supports(builder).await,
            Capability::InlineCache => self.inline(engine).await,
            Capability::CacheExport => self.export(engine).await,
            Capability::LoadedImage => self.leave(engine, Builder::Buildkit).await,
            Capability::Source | Capability::SourceWithArgument => {
                self.leave(engine, Builder::Classic).await
            }
        }
    }

    /// Tries what shows only on the engine as the next job finds it, without what
    /// [`Trial::first`] made there.
    pub async fn next(&self, engine: &dyn Engine) -> Result<(), EngineError> {
        match self.capability {
            Capability::Source => self.find(engine, Builder::Classic).await,
            Capability::LoadedImage => self.find(engine, Builder::Buildkit).await,
            Capability::SourceWithArgument => self.restore(engine).await,
            _ => Ok(()),
        }
    }

    async fn inline(&self, engine: &dyn Engine) -> Result<(), EngineError> {
        engine.supports(Builder::Buildkit).await?;
        self.build(engine, Builder::Buildkit, &[], None).await?;
        match engine.inspect(&self.tag.to_string()).await? {
            Some(image) if !image.inline_cache => Err(EngineError::NotCapable {
                what: "an inline cache".to_owned(),
                cause: "the builder wrote none into the image".to_owned(),
                advice: "Use an exported cache (registry-min, registry-max), or an engine whose \
                         builder takes --build-arg BUILDKIT_INLINE_CACHE=1"
                    .to_owned(),
            }),
            _ => Ok(()),
        }
    }

    async fn export(&self, engine: &dyn Engine) -> Result<(), EngineError> {
        engine.supports(Builder::Buildkit).await?;
        let export = CacheExport::Local { mode: CacheMode::Max };
        match self.build(engine, Builder::Buildkit, &[], Some(&export)).await {
            Ok(_) => Ok(()),
            Err(EngineError::Failed { cause, .. }) if is_about_the_exporter(&cause) => {
                Err(EngineError::NotCapable {
                    what: "exporting cache".to_owned(),
                    cause,
                    advice: "Use an engine with the containerd image store: `engine = \
                             \"private\"` with `store = \"containerd\"`, or switch your own to it"
                        .to_owned(),
                })
            }
            Err(other) => Err(other),
        }
    }

    async fn leave(&self, engine: &dyn Engine, builder: Builder) -> Result<(), EngineError> {
        engine.supports(builder).await?;
        self.build(engine, builder, &[], None).await?;
        let images = std::slice::from_ref(&self.tag);
        let plain = ArchivePlan::default();
        engine.save(images, &self.archive(), &plain, &mut StepLog::default()).await.map(drop)
    }

    async fn find(&self, engine: &dyn Engine, builder: Builder) -> Result<(), EngineError> {
        engine.load(&self.archive(), &mut StepLog::default()).await?;
        // The build takes the name away from the loaded image; its id is then all that leads to it.
        if let Some(image) = engine.inspect(&self.tag.to_string()).await? {
            (self.seen)(&image.id);
        }
        let source = std::slice::from_ref(&self.tag);
        let outcome = self.build(engine, builder, source, None).await?;
        if outcome.steps.iter().any(|step| step.hit && step.makes_content()) {
            return Ok(());
        }
        if builder == Builder::Classic {
            return Err(EngineError::NotCapable {
                what: "taking an image as a cache source".to_owned(),
                cause: "no step hit one that came from another engine".to_owned(),
                advice: "Use Docker's own engine, or `kind = \"buildah\"` with buildah-layers"
                    .to_owned(),
            });
        }
        let asked = outcome.imports.iter().find_map(|(_, error)| error.as_deref());
        Err(EngineError::NotCapable {
            what: format!("taking a loaded image as a cache source with the {builder} builder"),
            cause: match asked {
                Some(error) => format!("the builder asked the registry for it: {error}"),
                None => "no step hit".to_owned(),
            },
            advice: "Carry the cache as a folder (local-min, local-max) or push it (inline, \
                     registry-max), or use an engine without the containerd image store"
                .to_owned(),
        })
    }

    async fn restore(&self, engine: &dyn Engine) -> Result<(), EngineError> {
        match self.find(engine, Builder::Classic).await {
            Err(EngineError::Failed { cause, .. }) if is_about_restoring(&cause) => {
                Err(EngineError::NotCapable {
                    what: "taking an ARG from a cache source with the classic builder".to_owned(),
                    cause,
                    advice:
                        "Use BuildKit there (inline, inline-stages, registry-max), or an engine \
                             without the containerd image store"
                            .to_owned(),
                })
            }
            // Whether a loaded image is a source at all is another question.
            Err(EngineError::NotCapable { .. }) => Ok(()),
            found => found,
        }
    }

    async fn build(
        &self,
        engine: &dyn Engine,
        builder: Builder,
        sources: &[ImageRef],
        export: Option<&CacheExport>,
    ) -> Result<BuildOutcome, EngineError> {
        let context = self.folder.path().join("context");
        let request = BuildRequest {
            builder,
            context: &context,
            dockerfile: &context.join("Dockerfile"),
            target: None,
            build_args: &BTreeMap::new(),
            sources,
            layers: None,
            tag: &self.tag,
            inline_cache: builder == Builder::Buildkit && export.is_none(),
            cache_folder: None,
            export,
            export_folder: &self.folder.path().join("cache"),
        };
        engine.build(&request, self.seen, &mut StepLog::default()).await
    }

    fn archive(&self) -> PathBuf {
        self.folder.path().join("image.tar")
    }
}

/// Whether a build failed because of the cache exporter, and not for another reason.
fn is_about_the_exporter(cause: &str) -> bool {
    cause.contains("unknown cache exporter") || cause.contains("Cache export is not supported")
}

/// Whether a build failed because a step could not be taken from a source.
fn is_about_restoring(cause: &str) -> bool {
    cause.contains("failed to restore cached image")
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

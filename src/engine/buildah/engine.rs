//! Buildah on one storage, as an engine.

use super::output::Output;
use super::place::Place;
use super::program::{Answer, Program};
use crate::engine::buildx::by_environment;
use crate::engine::logins::Logins;
use crate::engine::transfer::says_missing;
use crate::engine::{
    BuildOutcome, BuildRequest, Engine, EngineError, EngineEvent, EngineFacts, ImageFacts, NO_ROOM,
    Owned, PushOutcome, Snapshot, StepLog, Trace, says_full,
};
use crate::model::plan::{ArchivePlan, Compression};
use crate::model::{Builder, CacheExport, ImageRef};
use crate::registry::speaks_tls;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use time::OffsetDateTime;

/// Buildah on one storage.
pub(super) struct BuildahEngine {
    pub(super) program: Program,
    pub(super) place: Place,
    pub(super) logins: Arc<Logins>,
}

/// An image as `buildah images --json` has it.
#[derive(serde::Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
}

/// An image as `buildah inspect` has it.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    #[serde(rename = "FromImageID")]
    id: String,
    #[serde(default)]
    from_image_digest: String,
    #[serde(default)]
    config: String,
}

#[derive(Default, serde::Deserialize)]
struct Config {
    #[serde(default)]
    rootfs: RootFs,
}

#[derive(Default, serde::Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

impl BuildahEngine {
    /// Asks something that is answered or fails.
    pub(super) async fn ask<A: AsRef<OsStr>>(
        &self,
        (operation, reference): (&str, &str),
        arguments: impl IntoIterator<Item = A>,
        log: &mut StepLog,
    ) -> Result<Answer, EngineError> {
        let answer = self.program.ask(&self.place, arguments).await;
        let answer = answer.map_err(|source| io(operation, reference, source))?;
        answer.err.iter().chain(&answer.out).for_each(|line| log.line(line));
        if answer.status.success() {
            return Ok(answer);
        }
        let (operation, reference, cause) =
            (operation.to_owned(), reference.to_owned(), answer.cause());
        Err(EngineError::Failed { operation, reference, cause })
    }

    /// The part of a command that says how a registry is reached. The variables of `login` lead to
    /// what it is shown.
    fn transfer(&self, subcommand: &str, registry: &str) -> Vec<OsString> {
        let mut arguments = vec![subcommand.into()];
        arguments.extend(self.place.policy());
        if !speaks_tls(registry) {
            arguments.push("--tls-verify=false".into());
        }
        arguments
    }

    /// Adds the user's logins for registries that a link stands in front of.
    async fn show_logins(&self, arguments: &mut Vec<OsString>) -> Result<(), EngineError> {
        let folder = self.logins.for_client(&self.place.file("docker")).await?;
        if let Some(folder) = folder {
            arguments.push("--authfile".into());
            arguments.push(folder.join("config.json").into());
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let what = ("list", "images");
        let arguments = ["images", "--all", "--json", "--no-trunc"];
        let answer = self.ask(what, arguments, &mut StepLog::default()).await?;
        let text = answer.out.join("\n");
        let listed: Option<Vec<Listed>> =
            serde_json::from_str(text.trim()).map_err(|error| unreadable(what, &error))?;
        Ok(listed.unwrap_or_default())
    }
}

#[async_trait]
impl Engine for BuildahEngine {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        let store = self.place.driver().map_or("", |driver| driver.as_str()).to_owned();
        Ok(EngineFacts {
            address: self.program.path.display().to_string(),
            version: format!("buildah {}", self.program.version),
            store,
            ..EngineFacts::default()
        })
    }

    async fn supports(&self, builder: Builder) -> Result<(), EngineError> {
        match builder {
            Builder::Buildah => Ok(()),
            Builder::Classic | Builder::Buildkit => Err(EngineError::NotCapable {
                what: format!("building with the {builder} builder"),
                cause: "this engine is Buildah".to_owned(),
                advice: "Take a shared or a private engine for it".to_owned(),
            }),
        }
    }

    async fn build(
        &self,
        request: &BuildRequest<'_>,
        seen: &(dyn for<'id> Fn(&'id str) + Send + Sync),
        log: &mut StepLog,
    ) -> Result<BuildOutcome, EngineError> {
        self.supports(request.builder).await?;
        let tag = request.tag.to_string();
        let id_file = self.place.file("image-id");
        // Of the build before.
        let _ = std::fs::remove_file(&id_file);
        let mut arguments = self.transfer("build", request.tag.registry());
        self.show_logins(&mut arguments).await?;
        arguments.extend(build_arguments(request, &id_file));
        let mut command = self.program.command(&self.place, arguments);
        let args = request.build_args.iter();
        command.envs(args.filter(|(name, value)| by_environment(name, value)));
        let mut output = Output::new(Instant::now());
        let answer = self
            .program
            .run(command, &self.place, |line, _, now| {
                log.line(line);
                output.line(line, now);
            })
            .await
            .map_err(|source| io("build", &tag, source))?;
        if !answer.status.success() {
            let step = output.step().map(|step| format!("{}: ", step.instruction));
            let mut cause = step.unwrap_or_default() + &answer.cause();
            if output.full() && !says_full(&cause) {
                cause = format!("{cause}: {NO_ROOM}");
            }
            let failed =
                EngineError::Failed { operation: "build".to_owned(), reference: tag, cause };
            return Err(self.logins.explain(failed, None).noticing_full());
        }
        let (outcome, _) = output.end(Instant::now());
        let id = std::fs::read_to_string(&id_file).map_err(|source| io("build", &tag, source))?;
        let image = with_algorithm(id.trim());
        seen(&image);
        Ok(BuildOutcome { images_seen: vec![image.clone()], image, ..outcome })
    }

    async fn pull(&self, reference: &ImageRef, log: &mut StepLog) -> Result<(), EngineError> {
        let (name, registry) = (reference.to_string(), reference.registry());
        let mut arguments = self.transfer("pull", registry);
        self.show_logins(&mut arguments).await?;
        arguments.push(format!("docker://{name}").into());
        match self.ask(("pull", &name), arguments, log).await {
            Ok(_) => Ok(()),
            Err(EngineError::Failed { operation, reference, cause }) if says_missing(&cause) => {
                Err(EngineError::NotFound { operation, reference })
            }
            Err(error) => Err(self.logins.explain(error, Some(registry)).noticing_full()),
        }
    }

    async fn push(
        &self,
        reference: &ImageRef,
        log: &mut StepLog,
    ) -> Result<PushOutcome, EngineError> {
        let (name, registry) = (reference.to_string(), reference.registry());
        let digest = self.place.file("digest");
        let mut arguments = self.transfer("push", registry);
        self.show_logins(&mut arguments).await?;
        arguments.push("--digestfile".into());
        arguments.push(digest.clone().into());
        arguments.extend([name.clone().into(), format!("docker://{name}").into()]);
        let answer = self.ask(("push", &name), arguments, log).await;
        let answer = answer.map_err(|error| self.logins.explain(error, Some(registry)))?;
        let copied = answer.err.iter().filter(|line| line.starts_with("Copying blob "));
        let skipped = |line: &&String| line.contains("skipped: already exists");
        let (existed, pushed): (Vec<&String>, Vec<&String>) = copied.partition(skipped);
        let count = |lines: Vec<&String>| u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let digest = std::fs::read_to_string(digest).ok();
        Ok(PushOutcome {
            pushed: count(pushed),
            existed: count(existed),
            mounted: 0,
            digest: digest.map(|digest| digest.trim().to_owned()).filter(|one| !one.is_empty()),
        })
    }

    async fn load(&self, archive: &Path, log: &mut StepLog) -> Result<Vec<String>, EngineError> {
        let name = archive.display().to_string();
        let before: BTreeSet<String> = self.snapshot().await?.tags.into_keys().collect();
        let mut arguments = vec![OsString::from("pull")];
        arguments.extend(self.place.policy());
        arguments.push(format!("docker-archive:{name}").into());
        self.ask(("load", &name), arguments, log).await.map_err(EngineError::noticing_full)?;
        let after = self.snapshot().await?.tags.into_keys();
        Ok(after.filter(|tag| !before.contains(tag)).collect())
    }

    async fn save(
        &self,
        references: &[ImageRef],
        archive: &Path,
        packing: &ArchivePlan,
        log: &mut StepLog,
    ) -> Result<u64, EngineError> {
        let name = archive.display().to_string();
        let ([reference], Compression::None) = (references, packing.compression) else {
            return Err(EngineError::NotCapable {
                what: "saving".to_owned(),
                cause: "Buildah writes one image into an archive, not packed".to_owned(),
                advice: "Save one image, with `compression = \"none\"`".to_owned(),
            });
        };
        let partial = archive.with_extension("partial");
        // Buildah adds to no archive that is there.
        let _ = std::fs::remove_file(&partial);
        let mut arguments = vec![OsString::from("push")];
        arguments.extend(self.place.policy());
        let to = format!("docker-archive:{}:{reference}", partial.display());
        arguments.extend([reference.to_string().into(), to.into()]);
        self.ask(("save", &name), arguments, log).await.map_err(EngineError::noticing_full)?;
        std::fs::rename(&partial, archive)
            .and_then(|()| std::fs::metadata(archive))
            .map(|file| file.len())
            .map_err(|source| io("save", &name, source))
    }

    async fn inspect(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError> {
        // Looking into a storage that is not there would make it.
        if !self.place.is_own() && !super::place::user_has_one() {
            return Ok(None);
        }
        let what = ("inspect", reference);
        let arguments = ["inspect", "--type", "image", without_algorithm(reference)];
        let answer = match self.ask(what, arguments, &mut StepLog::default()).await {
            Err(EngineError::Failed { cause, .. }) if says_unknown(&cause) => return Ok(None),
            answer => answer?,
        };
        let text = answer.out.join("\n");
        let image: Inspected = serde_json::from_str(&text).map_err(|e| unreadable(what, &e))?;
        let config: Config = serde_json::from_str(&image.config).unwrap_or_default();
        let repository = reference.rsplit_once(':').map_or(reference, |(repository, _)| repository);
        let digests = Some(&image.from_image_digest).filter(|digest| !digest.is_empty());
        Ok(Some(ImageFacts {
            id: with_algorithm(&image.id),
            repo_digests: digests.map(|d| format!("{repository}@{d}")).into_iter().collect(),
            size: self.place.layer_bytes(&config.rootfs.diff_ids),
            layers: config.rootfs.diff_ids,
            by_buildkit: false,
            by_classic: false,
            inline_cache: false,
        }))
    }

    /// Nothing: nobody else builds in a storage of this run's.
    async fn events(
        &self,
        _from: OffsetDateTime,
        _to: OffsetDateTime,
    ) -> Result<Vec<EngineEvent>, EngineError> {
        Ok(Vec::new())
    }

    async fn snapshot(&self) -> Result<Snapshot, EngineError> {
        let listed = self.list().await?;
        let tags: BTreeMap<String, String> = listed
            .iter()
            .flat_map(|image| {
                let names = image.names.iter().flatten();
                names.map(|name| (name.clone(), with_algorithm(&image.id)))
            })
            .collect();
        let images = listed.iter().map(|image| with_algorithm(&image.id)).collect();
        Ok(Snapshot { images, tags, ..Snapshot::default() })
    }

    /// Empties it: everything in it is this run's.
    async fn reset(&self, _owned: &Owned, _before: &Snapshot) -> Result<(), EngineError> {
        let arguments = ["rmi", "--all", "--force"];
        self.ask(("remove", "images"), arguments, &mut StepLog::default()).await.map(drop)
    }

    /// Nothing: a storage whose run was killed is removed as a whole.
    async fn leftovers(
        &self,
        _owned: &Owned,
        _before: &Snapshot,
        _trace: &Trace,
    ) -> Result<Owned, EngineError> {
        Ok(Owned::default())
    }
}

fn build_arguments(request: &BuildRequest<'_>, id_file: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        ["--isolation", "chroot", "--pull=false", "--iidfile"].map(OsString::from).to_vec();
    arguments.push(id_file.into());
    let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    add("--file", request.dockerfile.into());
    add("--tag", request.tag.to_string().into());
    if let Some(target) = request.target {
        add("--target", target.into());
    }
    for (name, value) in request.build_args {
        let hidden = by_environment(name, value);
        add("--build-arg", if hidden { name.into() } else { format!("{name}={value}").into() });
    }
    if let Some(repository) = request.layers {
        add("--cache-from", repository.into());
    }
    if let Some(CacheExport::Layers { repository }) = request.export {
        add("--cache-to", repository.into());
    }
    let kept = matches!(request.export, Some(CacheExport::Layers { .. } | CacheExport::Kept));
    if kept || request.layers.is_some() {
        arguments.push("--layers".into());
    }
    arguments.push(request.context.into());
    arguments
}

fn io(operation: &str, reference: &str, source: std::io::Error) -> EngineError {
    EngineError::Io {
        operation: format!("{operation} with buildah"),
        reference: reference.to_owned(),
        source,
    }
}

fn unreadable((operation, reference): (&str, &str), error: &serde_json::Error) -> EngineError {
    EngineError::Failed {
        operation: operation.to_owned(),
        reference: reference.to_owned(),
        cause: format!("Buildah's answer cannot be read: {error}"),
    }
}

/// Whether Buildah does not know an image.
fn says_unknown(cause: &str) -> bool {
    cause.contains("image not known") || cause.contains("no such image")
}

fn with_algorithm(id: &str) -> String {
    if id.starts_with("sha256:") { id.to_owned() } else { format!("sha256:{id}") }
}

fn without_algorithm(reference: &str) -> &str {
    reference.strip_prefix("sha256:").unwrap_or(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(layers: Option<&str>, export: Option<&CacheExport>) -> String {
        let request = BuildRequest {
            builder: Builder::Buildah,
            context: Path::new("/c"),
            dockerfile: Path::new("/c/Dockerfile"),
            target: None,
            build_args: &BTreeMap::from([("A".to_owned(), "1".to_owned())]),
            sources: &[],
            layers,
            tag: &ImageRef::new("127.0.0.1:5000/x", "main"),
            inline_cache: false,
            cache_folder: None,
            export,
            export_folder: Path::new("/out"),
        };
        let all = build_arguments(&request, Path::new("/id")).into_iter();
        all.map(|one| one.into_string().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn layers_are_kept_only_where_they_are_asked_for() {
        let plain = typed(None, None);
        assert_eq!(
            plain,
            "--isolation chroot --pull=false --iidfile /id --file /c/Dockerfile --tag \
             127.0.0.1:5000/x:main --build-arg A=1 /c"
        );
        let to = CacheExport::Layers { repository: "127.0.0.1:5000/x-layers".to_owned() };
        let both = typed(Some("127.0.0.1:5000/x-layers"), Some(&to));
        assert!(both.contains("--cache-from 127.0.0.1:5000/x-layers --cache-to"), "{both}");
        assert!(both.ends_with("--layers /c"), "{both}");
        assert!(typed(None, Some(&CacheExport::Kept)).ends_with("A=1 --layers /c"));
    }
}

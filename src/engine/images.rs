//! What is known about a local image.

use super::shared::failure;
use super::{EngineError, ImageFacts};
use bollard::Docker;
use bollard::errors::Error;
use futures_util::TryStreamExt;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use std::path::Path;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// Inspects an image by reference or id.
///
/// Two small requests, and for an image that BuildKit made one more look at its configuration:
/// a file of the engine's where it can be read (no cost), else an export of the image (as slow as
/// `docker save`).
pub(super) async fn inspect(
    docker: &Docker,
    address: &str,
    root: Option<&Path>,
    reference: &str,
) -> Result<Option<ImageFacts>, EngineError> {
    let fail = |error| failure("inspect", reference, address, error);
    let image = match docker.inspect_image(reference).await {
        Ok(image) => image,
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let id = image.id.unwrap_or_default();
    let history = match docker.image_history(&id).await {
        Ok(history) => history,
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let made_by: Vec<Maker> =
        history.iter().filter_map(|layer| Maker::of(&layer.created_by, &layer.comment)).collect();
    // The newest instruction decides: a base may have been built by the other builder.
    let maker = made_by.first().copied();
    let inline_cache = match (maker, root) {
        (Some(Maker::Buildkit), Some(root)) => match config_file(root, &id).await {
            Some(config) => has_inline_cache(&config),
            None => exported_inline_cache(docker, &id).await.map_err(fail)?,
        },
        (Some(Maker::Buildkit), None) => exported_inline_cache(docker, &id).await.map_err(fail)?,
        _ => false,
    };
    Ok(Some(ImageFacts {
        id,
        repo_digests: image.repo_digests.unwrap_or_default(),
        layers: image.root_fs.and_then(|fs| fs.layers).unwrap_or_default(),
        size: image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        by_buildkit: maker == Some(Maker::Buildkit),
        by_classic: maker == Some(Maker::Classic),
        inline_cache,
    }))
}

/// Which builder made a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    Buildkit,
    Classic,
}

impl Maker {
    /// By the layer's history; `None` for an import or another tool.
    fn of(created_by: &str, comment: &str) -> Option<Self> {
        if comment.contains("buildkit") || created_by.ends_with("# buildkit") {
            return Some(Self::Buildkit);
        }
        // The classic builder runs everything through the shell, except RUN in exec form, which
        // it writes down bare; all other tools leave a comment or nothing.
        (!created_by.is_empty() && comment.is_empty()).then_some(Self::Classic)
    }
}

/// The image's configuration from the engine's own folder, if it can be read and is the right
/// one: its digest is the image's id.
async fn config_file(root: &Path, id: &str) -> Option<Vec<u8>> {
    let digest = id.strip_prefix("sha256:")?;
    let mut drivers = tokio::fs::read_dir(root.join("image")).await.ok()?;
    while let Some(driver) = drivers.next_entry().await.ok()? {
        let file = driver.path().join("imagedb/content/sha256").join(digest);
        if let Ok(config) = tokio::fs::read(file).await {
            let found = Sha256::digest(&config);
            let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
            if found == digest {
                return Some(config);
            }
        }
    }
    None
}

/// The same from `docker save`, whose archive holds the configuration as `ID.json` or as a blob.
async fn exported_inline_cache(docker: &Docker, id: &str) -> Result<bool, Error> {
    let digest = id.strip_prefix("sha256:").unwrap_or(id).to_owned();
    let pieces = docker.export_image(id).map_err(std::io::Error::other);
    let reader = StreamReader::new(Box::pin(pieces));
    let bridge = SyncIoBridge::new(reader);
    let search = tokio::task::spawn_blocking(move || search_archive(bridge, &digest));
    match search.await {
        Ok(found) => found.map_err(Error::from),
        Err(error) => Err(Error::from(std::io::Error::other(error))),
    }
}

fn search_archive(archive: impl std::io::Read, digest: &str) -> std::io::Result<bool> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if path == Path::new(&format!("{digest}.json"))
            || path == Path::new("blobs/sha256").join(digest)
        {
            let mut config = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut config)?;
            return Ok(has_inline_cache(&config));
        }
    }
    Ok(false)
}

fn has_inline_cache(config: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "moby.buildkit.cache.v0")]
        cache: Option<IgnoredAny>,
    }
    serde_json::from_slice::<Config>(config).is_ok_and(|config| config.cache.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builders_are_told_by_the_history() {
        let of = Maker::of;
        assert_eq!(of("COPY app ./ # buildkit", "buildkit.dockerfile.v0"), Some(Maker::Buildkit));
        assert_eq!(of("RUN /bin/sh -c make # buildkit", ""), Some(Maker::Buildkit));
        assert_eq!(of("/bin/sh -c #(nop) COPY dir:1 in ./ ", ""), Some(Maker::Classic));
        assert_eq!(of("|1 A=1 /bin/sh -c make", ""), Some(Maker::Classic));
        assert_eq!(of("", "Imported from -"), None);
    }

    #[test]
    fn the_inline_cache_is_a_key_of_the_configuration() {
        assert!(has_inline_cache(br#"{"moby.buildkit.cache.v0":"W10=","rootfs":{}}"#));
        assert!(!has_inline_cache(br#"{"rootfs":{},"note":"moby.buildkit.cache.v0"}"#));
        let mut archive = tar::Builder::new(Vec::new());
        let config = br#"{"moby.buildkit.cache.v0":"W10="}"#;
        let mut header = tar::Header::new_gnu();
        header.set_size(config.len() as u64);
        archive.append_data(&mut header, "abc.json", config.as_slice()).unwrap();
        let archive = archive.into_inner().unwrap();
        assert!(search_archive(archive.as_slice(), "abc").unwrap());
        assert!(!search_archive(archive.as_slice(), "abd").unwrap());
    }
}

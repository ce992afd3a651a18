//! What is known about a local image.

use super::connection::failure;
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
    let inline_cache = if maker == Some(Maker::Buildkit) {
        let configs = root.map_or_else(Vec::new, |root| configs(root, &id));
        if configs.is_empty() {
            exported_inline_cache(docker, &id).await.map_err(fail)?
        } else {
            configs.iter().any(|config| has_inline_cache(config))
        }
    } else {
        false
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

/// The image's configuration from the engine's own folder, where it can be read. In the daemon's
/// own store the configuration's digest is the image's id; in the containerd image store that is
/// the digest of a manifest, or of an index of several, which lead to it.
fn configs(root: &Path, id: &str) -> Vec<Vec<u8>> {
    #[derive(Deserialize)]
    struct Descriptor {
        digest: Option<String>,
    }
    #[derive(Deserialize)]
    struct Content {
        rootfs: Option<IgnoredAny>,
        // A configuration has a `config` as well, without a digest.
        config: Option<Descriptor>,
        manifests: Option<Vec<Descriptor>>,
    }
    let mut found = Vec::new();
    let mut digests = vec![id.to_owned()];
    // An index leads to manifests, these to configurations; nothing leads further.
    for _ in 0..3 {
        for digest in std::mem::take(&mut digests) {
            let Some(bytes) = blob(root, &digest) else { continue };
            let Ok(content) = serde_json::from_slice::<Content>(&bytes) else { continue };
            if content.rootfs.is_some() {
                found.push(bytes);
                continue;
            }
            let next = content.manifests.into_iter().flatten().chain(content.config);
            digests.extend(next.filter_map(|descriptor| descriptor.digest));
        }
    }
    found
}

/// A blob of the engine's by its digest, if it can be read and is the right one.
fn blob(root: &Path, digest: &str) -> Option<Vec<u8>> {
    let hash = digest.strip_prefix("sha256:")?;
    let content = "io.containerd.content.v1.content/blobs/sha256";
    let mut places = vec![root.join("containerd/daemon").join(content)];
    // A containerd of the system's own.
    places.extend(root.parent().map(|beside| beside.join("containerd").join(content)));
    if let Ok(drivers) = std::fs::read_dir(root.join("image")) {
        places.extend(drivers.flatten().map(|driver| driver.path().join("imagedb/content/sha256")));
    }
    places.iter().find_map(|place| {
        let content = std::fs::read(place.join(hash)).ok()?;
        (hex::encode(Sha256::digest(&content)) == hash).then_some(content)
    })
}

/// The same from `docker save`. Its archive holds nothing but this image.
async fn exported_inline_cache(docker: &Docker, id: &str) -> Result<bool, Error> {
    let pieces = docker.export_image(id).map_err(std::io::Error::other);
    let reader = StreamReader::new(Box::pin(pieces));
    let bridge = SyncIoBridge::new(reader);
    let search = tokio::task::spawn_blocking(move || search_archive(bridge));
    match search.await {
        Ok(found) => found.map_err(Error::from),
        Err(error) => Err(Error::from(std::io::Error::other(error))),
    }
}

/// Configurations are small; layers are not, and are passed over.
const LARGEST_CONFIG: u64 = 8 << 20;

fn search_archive(archive: impl std::io::Read) -> std::io::Result<bool> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.size() <= LARGEST_CONFIG {
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content)?;
            if has_inline_cache(&content) {
                return Ok(true);
            }
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
        assert!(search_archive(archive.as_slice()).unwrap());
        assert!(!search_archive(&[0; 1024][..]).unwrap());
    }

    #[test]
    fn a_configuration_is_found_through_index_and_manifest() {
        let root = tempfile::tempdir().unwrap();
        let folder =
            root.path().join("containerd/daemon/io.containerd.content.v1.content/blobs/sha256");
        std::fs::create_dir_all(&folder).unwrap();
        let put = |text: &str| {
            let hash = hex::encode(Sha256::digest(text));
            std::fs::write(folder.join(&hash), text).unwrap();
            format!("sha256:{hash}")
        };
        let text = r#"{"moby.buildkit.cache.v0":"W10=","rootfs":{}}"#;
        let config = put(text);
        let manifest = put(&format!(r#"{{"config":{{"digest":"{config}"}},"layers":[]}}"#));
        let index = put(&format!(r#"{{"manifests":[{{"digest":"{manifest}"}}]}}"#));
        for id in [&config, &manifest, &index] {
            assert_eq!(configs(root.path(), id), [text.as_bytes()], "{id}");
        }
        std::fs::write(folder.join(&config[7..]), "another content").unwrap();
        assert_eq!(configs(root.path(), &index), Vec::<Vec<u8>>::new());
    }
}

//! Where Buildah keeps its files, and the options and variables that say so.

use crate::model::plan::Driver;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Variables by which a user's settings would reach into a run.
const SETTINGS: [&str; 6] = [
    "BUILDAH_LAYERS",
    "BUILDAH_ISOLATION",
    "BUILDAH_FORMAT",
    "STORAGE_DRIVER",
    "STORAGE_OPTS",
    "CONTAINERS_STORAGE_CONF",
];

/// A storage of Buildah's.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// A folder of the run's own; `None`: the user's own storage, which is only read.
    own: Option<Own>,
}

#[derive(Debug, Clone)]
struct Own {
    folder: PathBuf,
    driver: Driver,
    /// A `registries.conf` in the place of the user's.
    registries: Option<PathBuf>,
}

impl Place {
    /// The user's own storage, for looking for base images.
    pub(super) const fn users() -> Self {
        Self { own: None }
    }

    /// Makes a storage in a folder that does not exist yet.
    pub(super) fn make(
        folder: &Path,
        driver: Driver,
        registries: Option<&Path>,
    ) -> io::Result<Self> {
        for name in ["root", "run", "tmp", "data/containers/cache"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        let own = Own {
            folder: folder.to_owned(),
            driver,
            registries: registries.map(Path::to_path_buf),
        };
        let mut text = String::from("[storage]\n");
        for (key, value) in [
            ("driver", driver.as_str().to_owned()),
            ("graphroot", folder.join("root").display().to_string()),
            ("runroot", folder.join("run").display().to_string()),
        ] {
            let _ = writeln!(text, "{key} = {}", toml::Value::from(value));
        }
        std::fs::write(folder.join("storage.conf"), text)?;
        // Where the machine has none, Buildah refuses to do anything.
        std::fs::write(
            folder.join("policy.json"),
            "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}\n",
        )?;
        Ok(Self { own: Some(own) })
    }

    /// Whether it is the run's own.
    pub(super) const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The run's own folder, if it is one.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.folder.as_path())
    }

    /// How it keeps layers; of the user's it is not asked.
    pub(super) fn driver(&self) -> Option<Driver> {
        self.own.as_ref().map(|own| own.driver)
    }

    /// A file of this place's.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        let folder = self.folder().map_or_else(std::env::temp_dir, Path::to_path_buf);
        folder.join(name)
    }

    /// Where Buildah notes which registry has which layer.
    pub(super) fn notes(&self) -> PathBuf {
        self.file("data/containers/cache")
    }

    /// Options before the subcommand.
    pub(super) fn options(&self) -> Vec<OsString> {
        let Some(own) = &self.own else { return Vec::new() };
        vec![
            "--root".into(),
            own.folder.join("root").into(),
            "--runroot".into(),
            own.folder.join("run").into(),
            "--storage-driver".into(),
            own.driver.as_str().into(),
        ]
    }

    /// `--signature-policy` with a policy of ours, where the machine has none.
    pub(super) fn policy(&self) -> Vec<OsString> {
        let config = std::env::home_dir().map(|home| home.join(".config/containers/policy.json"));
        let has = |path: PathBuf| path.is_file();
        if !self.is_own() || config.is_some_and(has) || has("/etc/containers/policy.json".into()) {
            return Vec::new();
        }
        vec!["--signature-policy".into(), self.file("policy.json").into()]
    }

    /// Variables of a command.
    pub(super) fn environment(&self, command: &mut Command) {
        let Some(own) = &self.own else { return };
        for name in SETTINGS {
            command.env_remove(name);
        }
        command
            .env("CONTAINERS_STORAGE_CONF", own.folder.join("storage.conf"))
            .env("TMPDIR", own.folder.join("tmp"))
            // There Buildah, run by others than root, notes which registry has which layer.
            .env("XDG_DATA_HOME", own.folder.join("data"));
        if let Some(file) = &own.registries {
            command.env("CONTAINERS_REGISTRIES_CONF", file);
        }
    }

    /// Bytes of layers, uncompressed, by the digests of their content.
    pub(super) fn layer_bytes(&self, layers: &[String]) -> u64 {
        let Some(own) = &self.own else { return 0 };
        let file = own.folder.join(format!("root/{0}-layers/layers.json", own.driver.as_str()));
        let known: Vec<Layer> = std::fs::read(file)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let size = |digest: &String| known.iter().find(|one| one.digest == *digest);
        layers.iter().filter_map(size).map(|layer| layer.size).sum()
    }
}

/// A line of the storage's own list of layers.
#[derive(serde::Deserialize)]
struct Layer {
    #[serde(rename = "diff-digest", default)]
    digest: String,
    #[serde(rename = "diff-size", default)]
    size: u64,
}

/// A `registries.conf` that knows Docker Hub, and asks this registry (`host:port`, without TLS)
/// first for its images.
pub(super) fn registries(mirror: &str) -> String {
    let mirror = toml::Value::from(mirror);
    format!(
        "unqualified-search-registries = [\"docker.io\"]\nshort-name-mode = \"disabled\"\n\n\
         [[registry]]\nlocation = \"docker.io\"\n\n[[registry.mirror]]\nlocation = {mirror}\n\
         insecure = true\n\n[[registry]]\nlocation = {mirror}\ninsecure = true\n"
    )
}

/// Whether the user has a storage of images, which looking into it would make otherwise.
pub(super) fn user_has_one() -> bool {
    let home = std::env::home_dir();
    let data = std::env::var_os("XDG_DATA_HOME").filter(|value| !value.is_empty());
    let data = data.map(PathBuf::from).or_else(|| home.map(|home| home.join(".local/share")));
    match rustix::process::geteuid().is_root() {
        true => Path::new("/var/lib/containers/storage").is_dir(),
        false => data.is_some_and(|data| data.join("containers/storage").is_dir()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_for_buildah_is_toml() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("with \"quotes\"");
        Place::make(&place, Driver::Vfs, None).unwrap();
        let text = std::fs::read_to_string(place.join("storage.conf")).unwrap();
        let read: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(read["storage"]["driver"].as_str(), Some("vfs"));
        let read: toml::Table = toml::from_str(&registries("127.0.0.1:5000")).unwrap();
        assert_eq!(read["registry"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn an_images_size_is_that_of_its_layers() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::make(&folder.path().join("x"), Driver::Overlay, None).unwrap();
        assert_eq!(place.layer_bytes(&["sha256:1".to_owned()]), 0);
        let list = folder.path().join("x/root/overlay-layers");
        std::fs::create_dir(&list).unwrap();
        let text = r#"[{"diff-digest":"sha256:1","diff-size":5},{"diff-digest":"sha256:2","diff-size":7},{"id":"x"}]"#;
        std::fs::write(list.join("layers.json"), text).unwrap();
        let layers = ["sha256:2", "sha256:1", "sha256:9"].map(str::to_owned);
        assert_eq!(place.layer_bytes(&layers), 12);
    }
}

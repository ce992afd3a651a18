//! Which engine is meant: the same places, in the same order, as the docker client looks in.

use super::EngineError;
use crate::registry::config_folder;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

const DEFAULT: &str = "unix:///var/run/docker.sock";

/// Where an engine's address may come from.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Given by the caller.
    pub given: Option<String>,
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// The docker config folder.
    pub config: Option<PathBuf>,
}

impl Places {
    /// Those of this process.
    pub(super) fn of_process(given: Option<&str>) -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            given: given.map(str::to_owned),
            host: variable("DOCKER_HOST"),
            context: variable("DOCKER_CONTEXT"),
            config: config_folder(),
        }
    }

    /// The engine's address.
    pub(super) fn resolve(&self) -> Result<String, EngineError> {
        if let Some(address) = self.given.as_ref().or(self.host.as_ref()) {
            return Ok(address.clone());
        }
        let Some(config) = &self.config else { return Ok(DEFAULT.to_owned()) };
        let current = || {
            let text = std::fs::read_to_string(config.join("config.json")).ok()?;
            let json: serde_json::Value = serde_json::from_str(&text).ok()?;
            Some(json.get("currentContext")?.as_str()?.to_owned())
        };
        match self.context.clone().or_else(current) {
            None => Ok(DEFAULT.to_owned()),
            Some(name) if name.is_empty() || name == "default" => Ok(DEFAULT.to_owned()),
            Some(name) => of_context(config, &name),
        }
    }
}

fn of_context(config: &Path, name: &str) -> Result<String, EngineError> {
    let id = hex::encode(Sha256::digest(name));
    let file = config.join("contexts/meta").join(id).join("meta.json");
    let unusable = |cause: String| EngineError::Unavailable {
        address: format!("docker context {name:?}"),
        cause: format!("{}: {cause}", file.display()),
        advice: "Choose another with `docker context use`, or set DOCKER_HOST".to_owned(),
    };
    let text = std::fs::read_to_string(&file).map_err(|error| unusable(error.to_string()))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let host = json.pointer("/Endpoints/docker/Host").and_then(|host| host.as_str());
    host.map(str::to_owned).ok_or_else(|| unusable("it names no docker endpoint".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(current: &str, name: &str, meta: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let id = hex::encode(Sha256::digest(name));
        let of = folder.path().join("contexts/meta").join(id);
        std::fs::create_dir_all(&of).unwrap();
        std::fs::write(of.join("meta.json"), meta).unwrap();
        let text = format!("{{\"auths\":{{}},\"currentContext\":\"{current}\"}}");
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        folder
    }

    const META: &str = r#"{"Name":"ci","Endpoints":{"docker":{"Host":"tcp://127.0.0.1:2375"}}}"#;

    fn places(folder: &tempfile::TempDir) -> Places {
        Places { config: Some(folder.path().to_path_buf()), ..Places::default() }
    }

    #[test]
    fn the_caller_wins_over_the_environment_and_that_over_the_context() {
        let folder = config("ci", "ci", META);
        let mut all = places(&folder);
        assert_eq!(all.resolve().unwrap(), "tcp://127.0.0.1:2375");
        all.host = Some("tcp://127.0.0.1:1".into());
        assert_eq!(all.resolve().unwrap(), "tcp://127.0.0.1:1");
        all.given = Some("unix:///x".into());
        assert_eq!(all.resolve().unwrap(), "unix:///x");
    }

    #[test]
    fn the_default_context_and_no_config_mean_the_default_socket() {
        assert_eq!(places(&config("default", "ci", META)).resolve().unwrap(), DEFAULT);
        assert_eq!(places(&config("", "ci", META)).resolve().unwrap(), DEFAULT);
        assert_eq!(Places::default().resolve().unwrap(), DEFAULT);
        let folder = config("default", "ci", META);
        let chosen = Places { context: Some("ci".into()), ..places(&folder) };
        assert_eq!(chosen.resolve().unwrap(), "tcp://127.0.0.1:2375");
    }

    #[test]
    fn a_context_without_an_engine_is_named() {
        for (name, meta) in [("gone", META), ("ci", "{}"), ("ci", "no json")] {
            let error = places(&config(name, "ci", meta)).resolve().unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("docker context use"), "{error}");
        }
    }
}

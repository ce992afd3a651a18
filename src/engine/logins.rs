//! The user's credentials for registries, also for one that is reached under a link's address.
//!
//! `docker login` leaves credentials under a registry's own name. A job that goes through a link
//! names the link's proxy instead, so that neither the engine nor buildx would find them. They are
//! looked up under the registry's name each time, for a helper may give another token later, and
//! shown under the link's address. Nothing is kept in memory, logged or written, but for the
//! configuration folder of one build.

use super::EngineError;
use crate::registry::{self, Credential, RegistryError, config_folder};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bollard::auth::DockerCredentials;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// File name of docker's configuration.
const CONFIG: &str = "config.json";

/// Which registry stands behind which address.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<BTreeMap<String, String>>);

impl Logins {
    /// From now on the registry's credentials are shown at this address (`host:port`) as well.
    pub(super) fn alias(&self, address: &str, registry: &str) {
        let mut aliases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        aliases.insert(address.to_owned(), registry.to_owned());
    }

    fn aliases(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The registry at this address, by its own name.
    fn registry(&self, address: &str) -> String {
        self.aliases().remove(address).unwrap_or_else(|| address.to_owned())
    }

    /// What the engine is to show the registry at this address; `None` if there is no login.
    pub(super) async fn for_engine(
        &self,
        address: &str,
    ) -> Result<Option<DockerCredentials>, EngineError> {
        let registry = self.registry(address);
        let folder = config_folder();
        let found = registry::credential(&registry, folder.as_deref()).await;
        // The engine shows them only where this is.
        let shown = DockerCredentials {
            serveraddress: Some(address.to_owned()),
            ..DockerCredentials::default()
        };
        Ok(found.map_err(|error| unusable(&registry, error))?.map(|credential| match credential {
            Credential::Password { user, password } => {
                DockerCredentials { username: Some(user), password: Some(password), ..shown }
            }
            Credential::IdentityToken(token) => {
                DockerCredentials { identitytoken: Some(token), ..shown }
            }
        }))
    }

    /// A configuration folder for docker's clients, made as `to`, that is the user's with what they
    /// are to show at the addresses of links; `None` if the user's own will do. It holds secrets:
    /// to be removed after its use.
    pub(super) async fn for_client(&self, to: &Path) -> Result<Option<PathBuf>, EngineError> {
        let folder = config_folder();
        let mut logins = Vec::new();
        for (address, registry) in self.aliases() {
            let found = registry::credential(&registry, folder.as_deref()).await;
            let found = found.map_err(|error| unusable(&registry, error))?;
            logins.extend(found.map(|credential| (address, credential)));
        }
        let (Some(folder), false) = (folder, logins.is_empty()) else { return Ok(None) };
        write(&folder, to, &logins).map_err(|source| EngineError::Io {
            operation: "write docker's configuration for a link to".to_owned(),
            reference: to.display().to_string(),
            source,
        })?;
        Ok(Some(to.to_owned()))
    }

    /// An error in which a registry refused what it was shown says whose login is at fault. For a
    /// build, which may ask several registries, that is one of whose address the error speaks.
    pub(super) fn explain(&self, error: EngineError, address: Option<&str>) -> EngineError {
        let EngineError::Failed { operation, reference, cause } = error else { return error };
        let aliases = self.aliases();
        let spoken_of = aliases.iter().find(|(alias, _)| cause.contains(alias.as_str()));
        let registry = match address {
            Some(address) => Some(self.registry(address)),
            None => spoken_of.map(|(_, registry)| registry.clone()),
        };
        match registry {
            Some(registry) if says_refused(&cause) => {
                EngineError::LoginRefused { operation, reference, cause, registry }
            }
            _ => EngineError::Failed { operation, reference, cause },
        }
    }
}

fn unusable(registry: &str, error: RegistryError) -> EngineError {
    let (cause, advice) = match error {
        RegistryError::Credentials { cause, advice, .. } => (cause, advice),
        other => (other.to_string(), format!("Try `docker login {registry}`")),
    };
    EngineError::NotCapable {
        what: format!("a login at {registry}"),
        cause: format!("the credentials could not be had: {cause}"),
        advice,
    }
}

/// Registries and clients say it in one of several ways.
fn says_refused(cause: &str) -> bool {
    let cause = cause.to_lowercase();
    let signs = ["unauthorized", "authentication required", "no basic auth credentials"];
    let others = ["authorization failed", "access denied", "access to the resource is denied"];
    signs.iter().chain(&others).any(|sign| cause.contains(sign))
}

/// Everything that the user's folder holds, by links, and a configuration with these logins.
fn write(user: &Path, to: &Path, logins: &[(String, Credential)]) -> io::Result<()> {
    let user = std::path::absolute(user)?;
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(&user)? {
        let name = entry?.file_name();
        if name != CONFIG {
            symlink(user.join(&name), to.join(&name))?;
        }
    }
    let config = serde_json::from_slice(&std::fs::read(user.join(CONFIG))?)?;
    let text = serde_json::to_vec(&with_logins(config, logins))?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to.join(CONFIG))?;
    file.write_all(&text)
}

/// Docker's configuration with these logins.
fn with_logins(mut config: Map<String, Value>, logins: &[(String, Credential)]) -> Value {
    for (address, credential) in logins {
        let login = match credential {
            Credential::Password { user, password } => {
                json!({ "auth": BASE64_STANDARD.encode(format!("{user}:{password}")) })
            }
            Credential::IdentityToken(token) => json!({ "identitytoken": token }),
        };
        set(&mut config, "auths", address, login);
        // For this one address the client asks no helper, which knows nothing of it.
        set(&mut config, "credHelpers", address, json!(""));
    }
    Value::Object(config)
}

fn set(config: &mut Map<String, Value>, table: &str, key: &str, value: Value) {
    let table = config.entry(table).or_insert_with(|| json!({}));
    if !table.is_object() {
        *table = json!({});
    }
    table[key] = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const LINK: &str = "127.0.0.1:4000";

    fn login() -> Vec<(String, Credential)> {
        let password = "secret".to_owned();
        vec![(LINK.to_owned(), Credential::Password { user: "me".to_owned(), password })]
    }

    #[test]
    fn the_users_configuration_stays_in_force_beside_a_links_login() {
        let dir = tempfile::tempdir().unwrap();
        let (user, to) = (dir.path().join("user"), dir.path().join("ours"));
        std::fs::create_dir_all(user.join("contexts/meta")).unwrap();
        std::fs::write(user.join("contexts/meta/x"), "context").unwrap();
        let text = r#"{"credsStore":"desktop","credHelpers":{"a.invalid":"a"},
            "auths":{"b.invalid":{"auth":"eDp5"}},"proxies":{"default":{"noProxy":"c"}}}"#;
        std::fs::write(user.join(CONFIG), text).unwrap();
        write(&user, &to, &login()).unwrap();
        let file = to.join(CONFIG);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        // `me:secret` in base64.
        let expected = json!({
            "credsStore": "desktop",
            "credHelpers": { "a.invalid": "a", LINK: "" },
            "auths": { "b.invalid": { "auth": "eDp5" }, LINK: { "auth": "bWU6c2VjcmV0" } },
            "proxies": { "default": { "noProxy": "c" } },
        });
        assert_eq!(written, expected);
        assert_eq!(std::fs::read_to_string(to.join("contexts/meta/x")).unwrap(), "context");
        // What it leads to is not removed with it.
        std::fs::remove_dir_all(&to).unwrap();
        assert_eq!(std::fs::read_to_string(user.join("contexts/meta/x")).unwrap(), "context");
        assert_eq!(std::fs::read_to_string(user.join(CONFIG)).unwrap(), text);
    }

    #[test]
    fn a_token_is_a_login_too() {
        let token = [(LINK.to_owned(), Credential::IdentityToken("t".to_owned()))];
        let config = with_logins(Map::new(), &token);
        assert_eq!(config["auths"][LINK], json!({ "identitytoken": "t" }));
    }

    #[tokio::test]
    async fn without_a_link_the_users_own_folder_will_do() {
        let to = tempfile::tempdir().unwrap().path().join("ours");
        assert_eq!(Logins::default().for_client(&to).await.unwrap(), None);
        assert!(!to.exists());
    }

    #[test]
    fn a_refusal_names_the_registry_behind_the_link_and_what_to_do() {
        let logins = Logins::default();
        logins.alias(LINK, "registry.invalid");
        let failed = |cause: &str| EngineError::Failed {
            operation: "push".to_owned(),
            reference: format!("{LINK}/x:1"),
            cause: cause.to_owned(),
        };
        let said = |cause: &str, address| logins.explain(failed(cause), address).to_string();
        let advice = "docker login registry.invalid";
        let text = said("unauthorized: authentication required", Some(LINK));
        assert!(text.contains("authentication required") && text.contains(advice), "{text}");
        let text = said("GET http://127.0.0.1:4000/v2/x: 401 Unauthorized", None);
        assert!(text.contains(advice), "{text}");
        // Another registry's refusal, and another fault.
        for cause in ["https://elsewhere.invalid/v2/: 401 Unauthorized", "127.0.0.1:4000: EOF"] {
            assert!(!said(cause, None).contains("docker login"), "{cause}");
        }
        assert!(!said("EOF", Some(LINK)).contains("docker login"));
        let text = said("denied: requested access to the resource is denied", Some("other:1"));
        assert!(text.contains("docker login other:1"), "{text}");
    }
}

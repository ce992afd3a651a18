//! The user's credentials for a registry, from docker's configuration and its helpers.

use super::RegistryError;
use crate::secret;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::secrets::RegistryAuth;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time for a credential helper.
const HELPER_LIMIT: Duration = Duration::from_secs(20);

/// What a user shows a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user's name and password.
    Password {
        /// The name.
        user: String,
        /// The password, or an access token in its place.
        password: String,
    },
    /// A token that stands for both.
    IdentityToken(String),
}

/// Without the secret.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password",
            Self::IdentityToken(_) => "IdentityToken",
        })
    }
}

/// Docker's configuration folder: `DOCKER_CONFIG`, else `.docker` in the home folder.
pub fn config_folder() -> Option<PathBuf> {
    match std::env::var_os("DOCKER_CONFIG").filter(|value| !value.is_empty()) {
        Some(folder) => Some(PathBuf::from(folder)),
        None => std::env::home_dir().map(|home| home.join(".docker")),
    }
}

/// What our own client shows this registry; anonymous if there is nothing.
pub(super) async fn auth(
    address: &str,
    folder: Option<&Path>,
) -> Result<RegistryAuth, RegistryError> {
    match credential(address, folder).await? {
        None => Ok(RegistryAuth::Anonymous),
        Some(Credential::Password { user, password }) => Ok(RegistryAuth::Basic(user, password)),
        Some(Credential::IdentityToken(_)) => Err(RegistryError::Credentials {
            address: address.to_owned(),
            cause: "docker's configuration holds an identity token, which is not supported"
                .to_owned(),
            advice: "Log in with a user name and a password or access token.".to_owned(),
        }),
    }
}

/// What `docker login` left for this registry in this configuration folder or with its helpers;
/// `None` if it left nothing.
///
/// # Errors
/// If the configuration cannot be read, or a helper fails or is silent.
pub async fn credential(
    address: &str,
    folder: Option<&Path>,
) -> Result<Option<Credential>, RegistryError> {
    let Some(file) = folder.map(|folder| folder.join("config.json")) else {
        return Ok(None);
    };
    let refused = |cause: String, advice: &str| RegistryError::Credentials {
        address: address.to_owned(),
        cause,
        advice: advice.to_owned(),
    };
    let opened = match std::fs::File::open(&file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RegistryError::io("read", &file, error)),
    };
    let server = match address {
        // Docker's own name for its registry's entry.
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => "https://index.docker.io/v1/",
        other => other,
    }
    .to_owned();
    // A helper is a program: it may take its time, or wait for something.
    let asked = tokio::task::spawn_blocking(move || {
        let reader = std::io::BufReader::new(opened);
        docker_credential::get_credential_from_reader(reader, &server)
    });
    let login = format!("Log in again: docker login {address}");
    let answer = tokio::time::timeout(HELPER_LIMIT, asked)
        .await
        .map_err(|_| {
            let limit = HELPER_LIMIT.as_secs();
            let advice = format!("Try it by hand: docker login {address}");
            refused(format!("the credential helper gave no answer within {limit} s"), &advice)
        })?
        .map_err(|error| refused(error.to_string(), &login))?;
    match answer {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            secret::keep_login(&user, &password);
            Ok(Some(Credential::Password { user, password }))
        }
        Ok(DockerCredential::IdentityToken(token)) => {
            secret::keep(&token);
            Ok(Some(Credential::IdentityToken(token)))
        }
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // A helper's word for "I have none for this registry".
        Err(CredentialRetrievalError::HelperFailure { stdout, .. })
            if stdout.contains("credentials not found") =>
        {
            Ok(None)
        }
        // Not the helper's whole output: it may hold what it should not.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(refused(format!("the credential helper {helper} failed"), &login))
        }
        Err(error) => Err(refused(format!("{}: {error}", file.display()), &login)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    async fn with(config: &str) -> Result<RegistryAuth, RegistryError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), config).unwrap();
        auth("127.0.0.1:5000", Some(folder.path())).await
    }

    #[tokio::test]
    async fn a_login_is_found_and_none_is_anonymous() {
        let found = with(r#"{"auths":{"127.0.0.1:5000":{"auth":"bWU6c2VjcmV0"}}}"#).await.unwrap();
        assert_eq!(found, RegistryAuth::Basic("me".to_owned(), "secret".to_owned()));
        for config in ["{}", r#"{"auths":{"127.0.0.1:6000":{"auth":"bWU6c2VjcmV0"}}}"#] {
            assert_eq!(with(config).await.unwrap(), RegistryAuth::Anonymous);
        }
        let nowhere = Path::new("/nowhere");
        let found = auth("127.0.0.1:5000", Some(nowhere)).await.unwrap();
        assert_eq!(found, RegistryAuth::Anonymous);
    }

    #[test]
    fn a_secret_is_not_printed() {
        let user = "me".to_owned();
        let password = Credential::Password { user, password: "s3cret".to_owned() };
        for credential in [password, Credential::IdentityToken("s3cret".to_owned())] {
            assert!(!format!("{credential:?}").contains("s3cret"));
        }
    }

    #[tokio::test]
    async fn a_broken_configuration_and_a_missing_helper_are_errors_with_advice() {
        for config in ["{", r#"{"credsStore":"breakeven-nowhere"}"#] {
            let error = with(config).await.unwrap_err().to_string();
            assert!(error.contains("docker login 127.0.0.1:5000"), "{error}");
        }
        let token = r#"{"auths":{"127.0.0.1:5000":{"auth":"","identitytoken":"x"}}}"#;
        let error = with(token).await.unwrap_err().to_string();
        assert!(error.contains("identity token"), "{error}");
    }

    #[test]
    fn helpers_are_asked() {
        // Helpers are looked up on PATH, so this test runs itself again with one on it.
        const CHILD: &str = "BREAKEVEN_TEST_HELPER_CONFIG";
        if let Some(folder) = std::env::var_os(CHILD) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let found = runtime
                .unwrap()
                .block_on(auth("127.0.0.1:5000", Some(Path::new(&folder))))
                .unwrap();
            assert_eq!(found, RegistryAuth::Basic("helped".to_owned(), "s3".to_owned()));
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let helper = folder.path().join("docker-credential-breakeventest");
        let answer = r#"{"ServerURL":"127.0.0.1:5000","Username":"helped","Secret":"s3"}"#;
        fs::write(&helper, format!("#!/bin/sh\ncat >/dev/null\necho '{answer}'\n")).unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        let config = r#"{"credsStore":"breakeventest"}"#;
        fs::write(folder.path().join("config.json"), config).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "registry::credentials::tests::helpers_are_asked"])
            .env(CHILD, folder.path())
            .env("PATH", path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
}

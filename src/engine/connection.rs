//! Reaching an engine's API, and its client's errors as ours.

use super::{EngineError, address};
use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};

/// The client's own limit for the head of an answer, in seconds: none in practice, since every
/// call has a limit of its caller's. bollard's default of 120 s would end long builds.
const NO_LIMIT_S: u64 = 7 * 24 * 3600;

/// A connection to the engine at this address, else to the one that the docker client would use;
/// it has answered.
pub(super) async fn connect(docker_host: Option<&str>) -> Result<(Docker, String), EngineError> {
    let address = address::Places::of_process(docker_host).resolve()?;
    let docker = match address.split_once("://") {
        Some(("unix", _)) => Docker::connect_with_unix(&address, NO_LIMIT_S, API_DEFAULT_VERSION),
        Some(("tcp" | "http", _)) => {
            Docker::connect_with_http(&address, NO_LIMIT_S, API_DEFAULT_VERSION)
        }
        _ => {
            return Err(EngineError::Unavailable {
                cause: "only unix:// and tcp:// addresses without TLS are spoken".to_owned(),
                advice: "Forward the engine's socket (`ssh -L`) and name that in DOCKER_HOST"
                    .to_owned(),
                address,
            });
        }
    };
    let docker = docker.map_err(|error| unavailable(&address, said(&error)))?;
    let docker = docker.negotiate_version().await;
    let docker = docker.map_err(|error| unavailable(&address, said(&error)))?;
    Ok((docker, address))
}

pub(super) fn unavailable(address: &str, cause: String) -> EngineError {
    EngineError::Unavailable {
        address: address.to_owned(),
        cause,
        advice: "Start it, or name another in DOCKER_HOST".to_owned(),
    }
}

/// bollard's error as ours.
pub(super) fn failure(
    operation: &str,
    reference: &str,
    address: &str,
    error: Error,
) -> EngineError {
    let (operation, reference) = (operation.to_owned(), reference.to_owned());
    match error {
        // What a build lacks is not the image that it is to make; the message names it.
        Error::DockerResponseServerError { status_code: 404, .. } if operation != "build" => {
            EngineError::NotFound { operation, reference }
        }
        Error::DockerResponseServerError { status_code: 409, message } if operation == "remove" => {
            // A container that `docker ps` does not show: Podman's Buildah left it.
            let cause = match external_container(&message) {
                Some(id) => format!(
                    "{message}. A build that was broken off, on Podman, left that container: `docker \
                     rm --force {id}` removes it, if nobody of yours works in it; then call \
                     `breakeven clean`"
                ),
                None => format!(
                    "{message}. Something else on this engine uses it (`docker ps --all` and `docker \
                 image ls --all` show what): leave it to whoever made that, or end it and call \
                 `breakeven clean`"
                ),
            };
            EngineError::Failed { operation, reference, cause }
        }
        Error::DockerResponseServerError { message, .. } => {
            EngineError::Failed { operation, reference, cause: message }
        }
        Error::DockerStreamError { error } => {
            EngineError::Failed { operation, reference, cause: error }
        }
        Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::IOError { .. }
        | Error::SocketNotFoundError(_) => EngineError::Unavailable {
            address: address.to_owned(),
            cause: format!("{}: {}", format!("{operation} {reference}").trim_end(), said(&error)),
            advice: "See whether it still runs, and its log".to_owned(),
        },
        other => EngineError::Failed { operation, reference, cause: said(&other) },
    }
}

/// The container of Podman's storage, and not of its own, that a message says uses an image.
fn external_container(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("image used by ")?;
    let id = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    (id.len() == 64 && message.contains("external containers")).then(|| &id[..12])
}

/// An error with its causes: hyper's own text is only "client error (Connect)".
pub(super) fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_removed_says_what_to_do() {
        let error = |operation: &str| {
            let message = "conflict: unable to delete 1f2 (cannot be forced) - image is being used \
                           by running container 9ab";
            let message = message.to_owned();
            let error = Error::DockerResponseServerError { status_code: 409, message };
            failure(operation, "sha256:1f2", "unix:///x.sock", error).to_string()
        };
        let said = error("remove");
        assert!(said.contains("container 9ab. Something else on this engine uses it"), "{said}");
        assert!(said.contains("`breakeven clean`"), "{said}");
        assert!(!error("pull").contains("breakeven clean"));
    }

    #[test]
    fn a_container_that_only_podman_shows_is_named() {
        let id = "d0d0c18748f36cb54c57347a03921661073ce536b6c3356dbcca37d0ecca8ed2";
        let message = format!(
            "image sha256:164b is in use: image used by {id}: image is in use by a container: \
             consider listing external containers and force-removing image"
        );
        let error = Error::DockerResponseServerError { status_code: 409, message };
        let said = failure("remove", "sha256:164b", "unix:///x.sock", error).to_string();
        assert!(said.contains("`docker rm --force d0d0c18748f3`"), "{said}");
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let failed = |cause: &str| EngineError::Failed {
            operation: "load".to_owned(),
            reference: "a.tar".to_owned(),
            cause: cause.to_owned(),
        };
        let full = failed("write /x: No space left on device").noticing_full();
        assert!(matches!(full, EngineError::Full { .. }));
        assert!(full.to_string().contains("docker system df"), "{full}");
        assert!(matches!(failed("unexpected EOF").noticing_full(), EngineError::Failed { .. }));
    }
}

//! Pull and push.

use super::connection::failure;
use super::{EngineError, PushOutcome, StepLog};
use crate::model::ImageRef;
use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{CreateImageOptions, PushImageOptions};
use futures_util::StreamExt;

/// Pulls an image.
pub(super) async fn pull(
    docker: &Docker,
    address: &str,
    reference: &ImageRef,
    credentials: Option<DockerCredentials>,
    log: &mut StepLog,
) -> Result<(), EngineError> {
    let name = reference.to_string();
    let options = CreateImageOptions {
        from_image: Some(reference.repository.clone()),
        tag: Some(reference.tag.clone()),
        ..CreateImageOptions::default()
    };
    let mut answer = Box::pin(docker.create_image(Some(options), None, credentials));
    while let Some(part) = answer.next().await {
        let part = part.map_err(|error| missing(failure("pull", &name, address, error)))?;
        if let Some(detail) = part.error_detail {
            let cause = detail.message.unwrap_or_default();
            return Err(missing(failed("pull", &name, cause)));
        }
        // Progress of bytes comes many times a second and says nothing afterwards.
        if let (Some(status), None) = (&part.status, &part.progress_detail.and_then(|p| p.total)) {
            log.line(match &part.id {
                Some(id) => format!("{id}: {status}"),
                None => status.clone(),
            });
        }
    }
    Ok(())
}

/// Pushes an image.
pub(super) async fn push(
    docker: &Docker,
    address: &str,
    reference: &ImageRef,
    credentials: Option<DockerCredentials>,
    log: &mut StepLog,
) -> Result<PushOutcome, EngineError> {
    let name = reference.to_string();
    let options =
        PushImageOptions { tag: Some(reference.tag.clone()), ..PushImageOptions::default() };
    let mut answer = Box::pin(docker.push_image(&reference.repository, Some(options), credentials));
    let mut outcome = PushOutcome::default();
    while let Some(part) = answer.next().await {
        let part = part.map_err(|error| failure("push", &name, address, error))?;
        if let Some(detail) = part.error_detail {
            return Err(failed("push", &name, detail.message.unwrap_or_default()));
        }
        let Some(status) = part.status else { continue };
        if part.progress_detail.and_then(|progress| progress.total).is_none() {
            log.line(&status);
        }
        count(&mut outcome, &status, &reference.tag);
    }
    Ok(outcome)
}

/// Counts one answer of a push. Each layer ends in exactly one of these.
fn count(outcome: &mut PushOutcome, status: &str, tag: &str) {
    match status {
        "Pushed" => outcome.pushed += 1,
        "Layer already exists" => outcome.existed += 1,
        _ if status.starts_with("Mounted from ") => outcome.mounted += 1,
        _ => {
            let digest = status.strip_prefix(tag).and_then(|rest| rest.strip_prefix(": digest: "));
            if let Some(digest) = digest.and_then(|rest| rest.split_whitespace().next()) {
                outcome.digest = Some(digest.to_owned());
            }
        }
    }
}

fn failed(operation: &str, reference: &str, cause: String) -> EngineError {
    EngineError::Failed { operation: operation.to_owned(), reference: reference.to_owned(), cause }
}

/// A registry without the tag or the repository says so in one of several ways.
fn missing(error: EngineError) -> EngineError {
    match error {
        EngineError::Failed { operation, reference, cause } if says_missing(&cause) => {
            EngineError::NotFound { operation, reference }
        }
        other => other,
    }
}

pub(super) fn says_missing(cause: &str) -> bool {
    let cause = cause.to_lowercase();
    ["manifest unknown", "name unknown", "repository name not known", "not found: manifest"]
        .iter()
        .any(|sign| cause.contains(sign))
        || (cause.contains("manifest for") && cause.contains("not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_a_push_are_counted_by_kind() {
        let mut outcome = PushOutcome::default();
        for status in [
            "The push refers to repository [127.0.0.1:5000/x]",
            "Preparing",
            "Waiting",
            "Pushing",
            "Pushed",
            "Pushed",
            "Layer already exists",
            "Mounted from other/repository",
            "main: digest: sha256:abc size: 1155",
        ] {
            count(&mut outcome, status, "main");
        }
        assert_eq!((outcome.pushed, outcome.existed, outcome.mounted), (2, 1, 1));
        assert_eq!(outcome.digest.as_deref(), Some("sha256:abc"));
    }

    #[test]
    fn only_a_missing_image_is_missing() {
        for cause in [
            "manifest for 127.0.0.1:5000/x:1 not found: manifest unknown: manifest unknown",
            "name unknown: repository name not known to registry",
        ] {
            assert!(says_missing(cause), "{cause}");
        }
        for cause in ["Get http://x/v2/: dial tcp: lookup x: host not found", "received 500"] {
            assert!(!says_missing(cause), "{cause}");
        }
    }
}

//! Talking to a registry: manifests and configurations through `oci-client`, every wait limited.

use super::RegistryError;
use crate::model::ImageRef;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation, manifest};
use reqwest::StatusCode;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use std::error::Error;
use std::future::Future;
use std::time::Duration;

/// Longest time to get a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Longest time for one request; none of them moves a layer.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// Every kind of manifest that docker or buildx pushes.
const MANIFEST_TYPES: [&str; 4] = [
    manifest::IMAGE_MANIFEST_MEDIA_TYPE,
    manifest::IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    manifest::OCI_IMAGE_MEDIA_TYPE,
    manifest::OCI_IMAGE_INDEX_MEDIA_TYPE,
];

/// A manifest as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) digest: String,
    pub(super) media_type: String,
    pub(super) bytes: bytes::Bytes,
}

impl Manifest {
    /// Whether it is an index that lists attestations, as buildx writes them.
    pub(super) fn attests(&self) -> bool {
        let json: serde_json::Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        let listed = json.get("manifests").and_then(|list| list.as_array());
        let kind = |one: &serde_json::Value| {
            let kind = one.pointer("/annotations/vnd.docker.reference.type")?;
            kind.as_str().map(str::to_owned)
        };
        let mut kinds = listed.into_iter().flatten().filter_map(kind);
        kinds.any(|kind| kind == "attestation-manifest")
    }
}

/// A client of one registry.
pub(super) struct Client {
    address: String,
    scheme: &'static str,
    auth: RegistryAuth,
    oci: oci_client::Client,
    http: reqwest::Client,
}

/// Whether the registry at `host:port` is spoken to with TLS: as docker does it, anywhere but on
/// this machine's loopback.
pub fn speaks_tls(address: &str) -> bool {
    !is_loopback(address)
}

impl Client {
    /// A client for `host:port`: without TLS on this machine's loopback, as docker does it, and
    /// with TLS anywhere else.
    pub(super) fn new(address: &str, auth: RegistryAuth) -> Result<Self, RegistryError> {
        let loopback = is_loopback(address);
        let mut config = ClientConfig {
            protocol: if loopback { ClientProtocol::Http } else { ClientProtocol::Https },
            connect_timeout: Some(CONNECT_LIMIT),
            read_timeout: Some(REQUEST_LIMIT),
            ..ClientConfig::default()
        };
        let mut http =
            reqwest::Client::builder().connect_timeout(CONNECT_LIMIT).timeout(REQUEST_LIMIT);
        if loopback {
            // As docker, never through a proxy to this machine itself. `oci-client` has no switch
            // for it; any proxy that is given takes the place of the environment's.
            config.http_proxy = Some("http://127.0.0.1:9".to_owned());
            config.no_proxy = Some("localhost,127.0.0.0/8,::1".to_owned());
            http = http.no_proxy();
        }
        let broken = |cause: String| RegistryError::Unavailable {
            address: address.to_owned(),
            cause,
            advice: "No client could be made for it.".to_owned(),
        };
        Ok(Self {
            address: address.to_owned(),
            scheme: if loopback { "http" } else { "https" },
            auth,
            oci: oci_client::Client::try_from(config).map_err(|error| broken(chain(&error)))?,
            http: http.build().map_err(|error| broken(chain(&error)))?,
        })
    }

    /// Asks for `/v2/` without credentials: whether a registry answers at all. The answer's
    /// headers are returned.
    pub(super) async fn ping(&self) -> Result<reqwest::header::HeaderMap, RegistryError> {
        let url = format!("{}://{}/v2/", self.scheme, self.address);
        let answer =
            self.http.get(url).send().await.map_err(|error| self.unavailable(&chain(&error)))?;
        match answer.status() {
            StatusCode::OK | StatusCode::UNAUTHORIZED => Ok(answer.headers().clone()),
            status => {
                let advice = if status.is_server_error() {
                    "Look at its log; try again when it works."
                } else {
                    "Check that a registry (API version 2) is at this address."
                };
                Err(self.refused("ask", &self.address, &status.to_string(), advice))
            }
        }
    }

    /// Checks that the credentials allow to push to the repository of `reference`.
    pub(super) async fn authenticate(&self, reference: &ImageRef) -> Result<(), RegistryError> {
        let name = self.name(reference);
        let request = self.oci.auth(&name, &self.auth, RegistryOperation::Push);
        self.limited("log in for", reference, request).await?;
        self.digest(reference).await.map(|_| ())
    }

    /// Digest of a tag's manifest; `None` if there is no such tag.
    pub(super) async fn digest(
        &self,
        reference: &ImageRef,
    ) -> Result<Option<String>, RegistryError> {
        let name = self.name(reference);
        let request = self.oci.fetch_manifest_digest(&name, &self.auth);
        self.limited("look up", reference, existing(request)).await
    }

    /// A tag's manifest; `None` if there is no such tag.
    pub(super) async fn manifest(
        &self,
        reference: &ImageRef,
    ) -> Result<Option<Manifest>, RegistryError> {
        let name = self.name(reference);
        let request = self.oci.pull_manifest_raw(&name, &self.auth, &MANIFEST_TYPES);
        let found = self.limited("read the manifest of", reference, existing(request)).await?;
        Ok(found.map(|(bytes, digest)| Manifest { media_type: media_type(&bytes), digest, bytes }))
    }

    /// A tag's image configuration; `None` if there is no such tag.
    pub(super) async fn config(
        &self,
        reference: &ImageRef,
    ) -> Result<Option<serde_json::Value>, RegistryError> {
        let name = self.name(reference);
        let request = self.oci.pull_manifest_and_config(&name, &self.auth);
        let operation = "read the configuration of";
        let found = self.limited(operation, reference, existing(request)).await?;
        let Some((_, _, text)) = found else {
            return Ok(None);
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            let advice = "Push the image again.";
            self.refused(operation, &reference.to_string(), &error.to_string(), advice)
        })
    }

    /// Puts a manifest under a tag. Its layers must be in the repository.
    pub(super) async fn put(
        &self,
        reference: &ImageRef,
        manifest: &Manifest,
    ) -> Result<(), RegistryError> {
        let operation = "put the manifest of";
        let name = self.name(reference);
        let content_type = HeaderValue::from_str(&manifest.media_type).map_err(|error| {
            let advice = "Push the image again.";
            self.refused(operation, &reference.to_string(), &error.to_string(), advice)
        })?;
        self.oci.store_auth_if_needed(&self.address, &self.auth).await;
        let request = self.oci.push_manifest_raw(&name, manifest.bytes.clone(), content_type);
        self.limited(operation, reference, request).await.map(|_| ())
    }

    /// Every tag of the repository that `reference` is in; none if there is no such repository.
    pub(super) async fn tags(&self, reference: &ImageRef) -> Result<Vec<String>, RegistryError> {
        const PAGE: usize = 1000;
        let name = self.name(reference);
        let mut tags: Vec<String> = Vec::new();
        loop {
            let last = tags.last().cloned();
            let request = self.oci.list_tags(&name, &self.auth, Some(PAGE), last.as_deref());
            let found = self.limited("list the tags of", reference, existing(request)).await?;
            let page = found.map(|answer| answer.tags).unwrap_or_default();
            let complete = page.len() < PAGE;
            tags.extend(page);
            if complete {
                return Ok(tags);
            }
        }
    }

    /// Deletes a manifest with every tag of it. No error if it is not there.
    pub(super) async fn delete(
        &self,
        reference: &ImageRef,
        digest: &str,
    ) -> Result<(), RegistryError> {
        let target = format!("{}@{digest}", reference.repository);
        let path = reference.path();
        let url = format!("{}://{}/v2/{path}/manifests/{digest}", self.scheme, self.address);
        let send = async |request: reqwest::RequestBuilder| {
            request.send().await.map_err(|error| self.unavailable(&chain(&error)))
        };
        let mut request = self.http.delete(&url);
        if let RegistryAuth::Basic(user, password) = &self.auth {
            request = request.basic_auth(user, Some(password));
        }
        let mut answer = send(request).await?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let Some(token) = self.token(answer.headers().get(WWW_AUTHENTICATE)).await?
        {
            // `oci-client` has no deletion, and asks for no token that allows one.
            answer = send(self.http.delete(&url).bearer_auth(token)).await?;
        }
        let advice = match answer.status() {
            status if status.is_success() || status == StatusCode::NOT_FOUND => return Ok(()),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::BAD_REQUEST => {
                "It does not allow deletion, so its state cannot be put back between samples: \
                 enable deletion (for CNCF distribution: storage.delete.enabled) or use the \
                 managed registry."
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "The credentials do not allow deletion: use an account that may delete manifests, \
                 or the managed registry."
            }
            _ => "Look at the registry's log.",
        };
        Err(self.refused("delete", &target, &answer.status().to_string(), advice))
    }

    /// A token from the service that the registry's challenge names.
    async fn token(
        &self,
        challenge: Option<&HeaderValue>,
    ) -> Result<Option<String>, RegistryError> {
        let Some(header) = challenge.and_then(|value| value.to_str().ok()) else {
            return Ok(None);
        };
        let Some(bearer) = http_auth::ChallengeParser::new(header)
            .filter_map(Result::ok)
            .find(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"))
        else {
            return Ok(None);
        };
        let parameter = |wanted: &str| {
            let mut all = bearer.params.iter();
            all.find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.to_unescaped())
        };
        let Some(mut url) = parameter("realm").and_then(|realm| reqwest::Url::parse(&realm).ok())
        else {
            return Ok(None);
        };
        for name in ["service", "scope"] {
            if let Some(value) = parameter(name) {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        let mut request = self.http.get(url);
        if let RegistryAuth::Basic(user, password) = &self.auth {
            request = request.basic_auth(user, Some(password));
        }
        let answer = request.send().await.map_err(|error| self.unavailable(&chain(&error)))?;
        let body = answer.bytes().await.map_err(|error| self.unavailable(&chain(&error)))?;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let token = body.get("token").or_else(|| body.get("access_token"));
        Ok(token.and_then(|token| token.as_str()).map(str::to_owned))
    }

    /// The reference at this registry, whatever address (a link's, say) the caller knows it by.
    fn name(&self, reference: &ImageRef) -> Reference {
        let path = reference.path().to_owned();
        Reference::with_tag(self.address.clone(), path, reference.tag.clone())
    }

    async fn limited<T>(
        &self,
        operation: &str,
        reference: &ImageRef,
        request: impl Future<Output = Result<T, OciDistributionError>>,
    ) -> Result<T, RegistryError> {
        match tokio::time::timeout(REQUEST_LIMIT, request).await {
            Ok(answer) => answer.map_err(|error| self.translate(operation, reference, error)),
            Err(_) => {
                let limit = REQUEST_LIMIT.as_secs();
                Err(self.unavailable(&format!("{operation} {reference}: nothing for {limit} s")))
            }
        }
    }

    fn translate(
        &self,
        operation: &str,
        reference: &ImageRef,
        error: OciDistributionError,
    ) -> RegistryError {
        let (cause, advice) = match &error {
            OciDistributionError::RequestError(error) => return self.unavailable(&chain(error)),
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_) => {
                ("401 Unauthorized".to_owned(), self.login_advice())
            }
            OciDistributionError::ServerError { code: code @ (401 | 403), .. } => {
                (format!("HTTP {code}"), self.login_advice())
            }
            OciDistributionError::ServerError { code, message, .. } => {
                (format!("HTTP {code} {message}"), "Look at the registry's log.".to_owned())
            }
            OciDistributionError::RegistryError { envelope, .. } => {
                let denied = [OciErrorCode::Denied, OciErrorCode::Unauthorized];
                let advice = if envelope.errors.iter().any(|error| denied.contains(&error.code)) {
                    self.login_advice()
                } else {
                    "Look at the registry's log.".to_owned()
                };
                (envelope.to_string(), advice)
            }
            other => (chain(other), "Look at the registry's log.".to_owned()),
        };
        self.refused(operation, &reference.to_string(), cause.trim(), &advice)
    }

    fn login_advice(&self) -> String {
        format!(
            "Log in with an account that may pull, push and delete there: docker login {}",
            self.address
        )
    }

    fn unavailable(&self, cause: &str) -> RegistryError {
        RegistryError::Unavailable {
            address: self.address.clone(),
            cause: cause.to_owned(),
            advice: "Check the address, that the registry runs, and the network in between."
                .to_owned(),
        }
    }

    fn refused(
        &self,
        operation: &str,
        reference: &str,
        cause: &str,
        advice: &str,
    ) -> RegistryError {
        RegistryError::Refused {
            operation: operation.to_owned(),
            reference: reference.to_owned(),
            cause: cause.to_owned(),
            advice: advice.to_owned(),
        }
    }
}

/// Whether `host:port` is this machine itself, where docker does without TLS.
pub(super) fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Turns "there is no such thing" into `None`.
async fn existing<T>(
    request: impl Future<Output = Result<T, OciDistributionError>>,
) -> Result<Option<T>, OciDistributionError> {
    match request.await {
        Ok(found) => Ok(Some(found)),
        Err(OciDistributionError::ImageManifestNotFoundError(_))
        | Err(OciDistributionError::ServerError { code: 404, .. }) => Ok(None),
        Err(OciDistributionError::RegistryError { envelope, .. })
            if envelope.errors.iter().any(|error| {
                matches!(
                    error.code,
                    OciErrorCode::ManifestUnknown
                        | OciErrorCode::NameUnknown
                        | OciErrorCode::NotFound
                )
            }) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The type that a manifest states, or that follows from its form where it states none.
fn media_type(bytes: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    match json.get("mediaType").and_then(|stated| stated.as_str()) {
        Some(stated) => stated.to_owned(),
        None if json.get("manifests").is_some() => manifest::OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned(),
        None => manifest::OCI_IMAGE_MEDIA_TYPE.to_owned(),
    }
}

/// An error with all its causes: the outermost alone seldom says more than "error sending request".
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attestations_are_known_by_their_annotation() {
        let manifest = |text: &str| Manifest {
            digest: String::new(),
            media_type: String::new(),
            bytes: bytes::Bytes::copy_from_slice(text.as_bytes()),
        };
        let with = r#"{"manifests":[{"digest":"a"},{"digest":"b","annotations":
            {"vnd.docker.reference.type":"attestation-manifest"}}]}"#;
        assert!(manifest(with).attests());
        for without in [r#"{"manifests":[{"digest":"a"}]}"#, r#"{"layers":[]}"#, "no json"] {
            assert!(!manifest(without).attests(), "{without}");
        }
    }

    #[test]
    fn loopback_is_known_by_its_address() {
        for address in ["127.0.0.1:5000", "127.9.8.7", "localhost", "localhost:80", "[::1]:5000"] {
            assert!(is_loopback(address), "{address}");
        }
        for address in ["10.0.0.1:5000", "registry.example:443", "localhost.example:5000"] {
            assert!(!is_loopback(address), "{address}");
        }
    }

    #[test]
    fn a_manifests_type_is_stated_or_follows_from_its_form() {
        assert_eq!(media_type(br#"{"mediaType":"a/b"}"#), "a/b");
        assert_eq!(media_type(br#"{"manifests":[]}"#), manifest::OCI_IMAGE_INDEX_MEDIA_TYPE);
        assert_eq!(media_type(br#"{"layers":[]}"#), manifest::OCI_IMAGE_MEDIA_TYPE);
    }
}

//! What stands behind a proxy, and the client that talks to it.

use super::LinkError;
use super::body::Carried;
use super::origins::Origin;
use hyper::http::uri::{Authority, Scheme};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use std::sync::Arc;
use std::time::Duration;

/// Longest time to get a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Shorter than any server keeps an idle connection, so that none is closed as it is used again.
const IDLE_LIMIT: Duration = Duration::from_secs(15);
/// Longest time in which nothing moves.
const PATIENCE: Duration = Duration::from_secs(120);
/// Read and write buffer of a connection. Twice as much is hardly faster, and takes 32 busy
/// connections near to 64 MiB.
pub(super) const BUFFER: usize = 128 * 1024;

pub(super) type Client = legacy::Client<HttpsConnector<HttpConnector>, Carried>;

/// A registry that a proxy stands in front of.
#[derive(Debug, Clone)]
pub struct Upstream {
    address: String,
    scheme: Scheme,
    roots: Vec<Vec<u8>>,
    pub(super) patience: Duration,
}

impl Upstream {
    /// A registry at `host:port` without TLS: the managed one.
    pub fn http(address: impl Into<String>) -> Self {
        Self::new(Scheme::HTTP, address.into())
    }

    /// A registry at `host` or `host:port` with TLS. Its certificate is checked as the system does
    /// it.
    pub fn https(address: impl Into<String>) -> Self {
        Self::new(Scheme::HTTPS, address.into())
    }

    fn new(scheme: Scheme, address: String) -> Self {
        Self { address, scheme, roots: Vec::new(), patience: PATIENCE }
    }

    /// Trusts certificates that are signed by this one (DER) as well.
    pub fn with_root(mut self, certificate: Vec<u8>) -> Self {
        self.roots.push(certificate);
        self
    }

    /// Gives up a request when nothing has moved for this long; two minutes unless told otherwise.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(super) fn origin(&self) -> Result<Origin, LinkError> {
        let wrong = |cause: String| LinkError::Address { address: self.address.clone(), cause };
        let authority: Authority =
            self.address.parse().map_err(|error| wrong(format!("{error}")))?;
        Origin::new(self.scheme.clone(), authority)
            .ok_or_else(|| wrong("a user's name or no host".to_owned()))
    }

    pub(super) fn client(&self) -> Result<Client, LinkError> {
        let failed = |error: rustls::Error| LinkError::Certificates {
            address: self.address.clone(),
            cause: error.to_string(),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = self.roots.iter().map(|root| CertificateDer::from(root.clone()));
        let config = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(failed)?;
        let config = match Verifier::new_with_extra_roots(roots, provider) {
            Ok(verifier) => {
                let verifier: Arc<dyn ServerCertVerifier> = Arc::new(verifier);
                config.dangerous().with_custom_certificate_verifier(verifier)
            }
            Err(error) if self.scheme == Scheme::HTTPS => return Err(failed(error)),
            // A managed registry works on a machine that knows no authority.
            Err(error) => {
                tracing::debug!("no certificate authorities: {error}");
                config.with_root_certificates(RootCertStore::empty())
            }
        };
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_LIMIT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .http1_max_buf_size(BUFFER)
            .build(connector))
    }
}

//! Servers behind the link: a real registry, and ones that say exactly what a test wants.

use breakeven::link::{Proxy, Upstream};
use breakeven::registry::{ManagedRegistry, Program, Registry};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Long enough for a loaded machine, short enough for a test.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// A real registry with a proxy in front of it.
pub struct Rig {
    pub proxy: Proxy,
    pub http: reqwest::Client,
    registry: ManagedRegistry,
    _dir: tempfile::TempDir,
}

impl Rig {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = Program::Binary("/usr/bin/docker-registry".into());
        let registry = ManagedRegistry::start(&program, "link", dir.path()).await.unwrap();
        let address = registry.prefix().split('/').next().unwrap().to_owned();
        let proxy = Proxy::start(HERE, Upstream::http(address)).await.unwrap();
        Self { proxy, http: client(), registry, _dir: dir }
    }

    /// A path of the registry as seen through the proxy.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.proxy.address())
    }

    /// Puts a blob there in one request, and says its digest.
    pub async fn upload(&self, repository: &str, content: &[u8]) -> String {
        let place = self.begin_upload(repository).await;
        let digest = digest(content);
        let request = self.http.put(with_digest(&place, &digest)).body(content.to_vec());
        assert_eq!(request.send().await.unwrap().status(), 201);
        digest
    }

    /// Where the registry wants a blob put; on the proxy, or the test fails.
    pub async fn begin_upload(&self, repository: &str) -> String {
        let url = self.url(&format!("/v2/{repository}/blobs/uploads/"));
        let answer = self.http.post(url).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        let place = header(&answer, "location");
        assert!(place.starts_with(&self.url("/v2/")), "{place}");
        place
    }

    pub async fn close(self) {
        self.proxy.close().await;
        self.registry.close().await.unwrap();
    }
}

/// A client that never leaves this machine and follows no redirect by itself.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

pub fn header(answer: &reqwest::Response, name: &str) -> String {
    answer.headers()[name].to_str().unwrap().to_owned()
}

pub fn digest(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

pub fn with_digest(place: &str, digest: &str) -> String {
    let joint = if place.contains('?') { '&' } else { '?' };
    format!("{place}{joint}digest={digest}")
}

/// Bytes that no run repeats and no two places share.
pub fn content(size: usize, seed: u8) -> Vec<u8> {
    (0..size).map(|index| (index as u64 * 31 + u64::from(seed)).to_le_bytes()[index % 2]).collect()
}

/// A request as a server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Such as `GET /v2/ HTTP/1.1`.
    pub line: String,
    /// With names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }
}

/// What a server does with a request.
#[derive(Clone)]
pub enum Reply {
    /// Sends these bytes and keeps the connection.
    Keep(String),
    /// Sends these bytes and ends the connection.
    Close(String),
    /// Says nothing more and keeps the connection.
    Hang(String),
}

/// A server that answers as a test wants. Its tasks end with the test's runtime.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// DER, if it speaks TLS.
    pub certificate: Vec<u8>,
}

impl Server {
    pub async fn plain(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Vec::new(), reply).await
    }

    /// With a certificate of its own for `localhost`.
    pub async fn tls(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().to_vec();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate.clone())], key)
            .unwrap();
        Self::start(Some(TlsAcceptor::from(Arc::new(config))), certificate, reply).await
    }

    async fn start(
        tls: Option<TlsAcceptor>,
        certificate: Vec<u8>,
        reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, reply) = (seen.clone(), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, log, reply) = (tls.clone(), log.clone(), reply.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &log, &*reply).await,
                        // A client that does not trust it ends the handshake.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &log, &*reply).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, certificate }
    }

    /// `localhost:port`, which its certificate is for.
    pub fn name(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn plain_upstream(&self) -> Upstream {
        Upstream::http(self.address.to_string()).with_patience(PATIENCE)
    }

    pub fn tls_upstream(&self) -> Upstream {
        Upstream::https(self.name()).with_root(self.certificate.clone()).with_patience(PATIENCE)
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    log: &Mutex<Vec<Seen>>,
    reply: &(impl Fn(&Seen) -> Reply + ?Sized),
) {
    while let Some(seen) = read_request(&mut stream).await {
        log.lock().unwrap().push(seen.clone());
        let (bytes, keep) = match reply(&seen) {
            Reply::Keep(bytes) => (bytes, true),
            Reply::Close(bytes) => (bytes, false),
            Reply::Hang(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                std::future::pending().await
            }
        };
        if stream.write_all(bytes.as_bytes()).await.is_err() || !keep {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// A request whose body has a known length, or none.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut seen = Seen { line, headers, body: Vec::new() };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    seen.body.resize(length, 0);
    stream.read_exact(&mut seen.body).await.ok()?;
    Some(seen)
}

/// An answer with a body of known length.
pub fn ok(body: &str) -> String {
    answer("200 OK", &[], body)
}

pub fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

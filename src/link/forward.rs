//! What a client of the shared storage is given as its HTTP proxy.

use super::body::Label;
use super::exchange::{Answer, Exchange, refusal};
use super::listener::{self, Connection, Listener, Tasks};
use super::traffic::{Counters, Kind, Method, Traffic};
use super::{Direction, Limiter, LinkError, Upstream};
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::http::uri::Scheme;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest time to get a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Bytes that a tunnel holds in each direction.
const TUNNEL_BUFFER: usize = 64 * 1024;
/// How bytes of tunnels are counted: what is in them is not seen.
const TUNNEL: Label = Some((Method::Connect, Kind::Storage));

/// A forward proxy for plain HTTP and tunnels that shapes and counts. It is closed when it is
/// dropped.
pub struct Forward {
    listener: Listener,
    exchange: Arc<Exchange>,
}

impl Forward {
    /// Listens on a free port of `listen`, and nowhere else. What goes through it shares the line
    /// of `limiter`.
    ///
    /// # Errors
    /// If the address is not one of this machine.
    pub async fn start(listen: IpAddr, limiter: &Limiter) -> Result<Self, LinkError> {
        // Only for its client: each request says itself where it goes.
        let upstream = Upstream::http("localhost");
        let exchange = Arc::new(Exchange {
            client: upstream.client()?,
            limiter: limiter.clone(),
            counters: Arc::new(Counters::default()),
            patience: upstream.patience,
        });
        let served = exchange.clone();
        let listener = Listener::start(listen, move |stream, tasks| {
            let exchange = served.clone();
            listener::serve(stream, move |request, connection| {
                answer(exchange.clone(), tasks.clone(), request, connection)
            })
        })
        .await?;
        Ok(Self { listener, exchange })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// What has gone through it so far.
    pub fn traffic(&self) -> Traffic {
        self.exchange.counters.traffic()
    }

    /// Breaks off what is under way and ends it. Idempotent.
    pub async fn close(&self) {
        self.listener.close().await;
    }
}

async fn answer(
    exchange: Arc<Exchange>,
    tasks: Tasks,
    request: Request<Incoming>,
    connection: Arc<Connection>,
) -> Response<Answer> {
    connection.count(&exchange.counters);
    if request.method() == hyper::Method::CONNECT {
        exchange.counters.request(Method::Connect, Kind::Storage);
        let answer = tunnel(&exchange, &tasks, request).await;
        exchange.counters.answer(answer.status());
        return answer;
    }
    if request.uri().scheme() != Some(&Scheme::HTTP) {
        let message = format!("{} is no http:// address; use CONNECT for TLS", request.uri());
        return refusal(StatusCode::BAD_REQUEST, &message);
    }
    let label = (Method::from(request.method()), Kind::Storage);
    exchange.counters.request(label.0, label.1);
    exchange.connected(connection.opened).await;
    let result = exchange.carry(request, Some(label)).await;
    exchange.answer(result, Some(label))
}

/// Opens a tunnel. Its set-up takes the round trip of a TCP connection; TLS takes its own inside.
async fn tunnel(
    exchange: &Arc<Exchange>,
    tasks: &Tasks,
    request: Request<Incoming>,
) -> Response<Answer> {
    let Some(authority) = request.uri().authority().cloned() else {
        return refusal(StatusCode::BAD_REQUEST, "CONNECT needs host:port");
    };
    let port = authority.port_u16().unwrap_or(443);
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let connecting = TcpStream::connect((host, port));
    let connected = match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    let server = match connected.and_then(|server| server.set_nodelay(true).map(|()| server)) {
        Ok(server) => server,
        Err(error) => {
            let message = format!("{authority} cannot be reached through the link: {error}");
            return refusal(StatusCode::BAD_GATEWAY, &message);
        }
    };
    exchange.limiter.round_trip().await;
    let exchange = exchange.clone();
    tasks.spawn(async move {
        let result = match hyper::upgrade::on(request).await {
            Ok(client) => exchange.relay(TokioIo::new(client), server).await,
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = result {
            tracing::debug!("the tunnel to {authority} ended: {error}");
        }
    });
    Response::new(Either::Right(Full::from(Bytes::new())))
}

impl Exchange {
    /// Carries bytes both ways until both sides have ended, or one fails.
    async fn relay(
        &self,
        client: impl AsyncRead + AsyncWrite,
        mut server: TcpStream,
    ) -> io::Result<()> {
        let (client_reads, client_writes) = tokio::io::split(client);
        let (server_reads, server_writes) = server.split();
        // Whether the job has sent anything since something came to it.
        let asked = AtomicBool::new(false);
        let up = self.carry_bytes(Direction::Up, client_reads, server_writes, &asked);
        let down = self.carry_bytes(Direction::Down, server_reads, client_writes, &asked);
        tokio::try_join!(up, down).map(drop)
    }

    async fn carry_bytes(
        &self,
        direction: Direction,
        from: impl AsyncRead,
        to: impl AsyncWrite,
        asked: &AtomicBool,
    ) -> io::Result<()> {
        let (mut from, mut to) = (std::pin::pin!(from), std::pin::pin!(to));
        let mut stream = self.limiter.stream(direction);
        let mut buffer = vec![0; TUNNEL_BUFFER];
        loop {
            let bytes = from.read(&mut buffer).await?;
            if bytes == 0 {
                return to.shutdown().await;
            }
            match direction {
                Direction::Up => asked.store(true, Ordering::Relaxed),
                Direction::Down if asked.swap(false, Ordering::Relaxed) => {
                    self.limiter.round_trip().await;
                }
                Direction::Down => {}
            }
            let mut rest = &buffer[..bytes];
            while !rest.is_empty() {
                let piece = std::future::poll_fn(|cx| stream.poll_piece(rest.len(), cx)).await;
                let (piece, later) = rest.split_at(piece);
                if let Some((method, kind)) = TUNNEL {
                    self.counters.bytes(method, kind, direction, piece.len() as u64);
                }
                to.write_all(piece).await?;
                rest = later;
            }
        }
    }
}

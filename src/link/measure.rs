//! Measuring a link through the proxy's own data path, before it is used.

use super::origins::Origin;
use super::{LinkError, Proxy, Shape};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1 as client;
use hyper::header::{CONTENT_LENGTH, HOST};
use hyper::http::uri::{Authority, Scheme};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt::Display;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// Time that a transfer is meant to take.
const AIM_S: f64 = 1.0;
/// Time after which a transfer is broken off, and what has passed is what counts.
const LIMIT: Duration = Duration::from_secs(2);
/// Bytes of a transfer, at most: a fast link shows its rate in less time.
const MOST_BYTES: u64 = 64 << 20;
/// Round trips measured; the shortest counts, as longer ones are the machine's.
const ROUND_TRIPS: usize = 5;
/// What a measured value may be off, as a share of what was asked.
const TOLERANCE: f64 = 0.05;
/// What a round trip takes on this machine alone.
const OWN_RTT: Duration = Duration::from_millis(1);

/// What a link does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Bits a second to the job.
    pub down_bps: f64,
    /// Bits a second from the job.
    pub up_bps: f64,
    /// Time from a request to the first byte of its answer.
    pub rtt: Duration,
}

impl Measured {
    /// What is more than 5 % off what was asked, as a sentence's part for each; empty if nothing
    /// is. An unlimited direction cannot be off.
    pub fn off(&self, asked: &Shape) -> Vec<String> {
        let rate = |name: &str, asked: Option<f64>, got: f64| {
            let asked = asked.filter(|asked| (got - asked).abs() > asked * TOLERANCE)?;
            Some(format!("{name} {:.2} Mbit/s instead of {:.2}", got / 1e6, asked / 1e6))
        };
        let (asked_rtt, rtt) = (asked.rtt.as_secs_f64(), self.rtt.as_secs_f64());
        let slack = (asked_rtt * TOLERANCE).max(OWN_RTT.as_secs_f64());
        let rtt = ((rtt - asked_rtt).abs() > slack)
            .then(|| format!("round trip {:.2} ms instead of {:.2}", rtt * 1e3, asked_rtt * 1e3));
        let down = rate("down", asked.down_bps, self.down_bps);
        let up = rate("up", asked.up_bps, self.up_bps);
        [down, up, rtt].into_iter().flatten().collect()
    }
}

/// Measures the proxy's link as it is shaped now. Data goes from a place on this machine through
/// the proxy to us and back, not to the registry, and is not counted. Each direction takes about a
/// second, two at most.
///
/// # Errors
/// If the proxy does not answer.
pub async fn measure(proxy: &Proxy) -> Result<Measured, LinkError> {
    let failed = |cause: String| LinkError::Measure { address: proxy.address().to_string(), cause };
    let (place, origin) = Place::start().await.map_err(failed)?;
    let path = proxy.lead_to(&origin);
    let shape = proxy.limiter().shape();
    let mut probe = Probe::connect(proxy, &path).await.map_err(failed)?;
    let rtt = probe.round_trip().await.map_err(failed)?;
    let down_bps = probe.down(size(shape.down_bps), shape.rtt).await.map_err(failed)?;
    // A transfer that was broken off has taken its connection along.
    let mut probe = Probe::connect(proxy, &path).await.map_err(failed)?;
    probe.round_trip().await.map_err(failed)?;
    let up_bps = probe.up(size(shape.up_bps), shape.rtt, &place).await.map_err(failed)?;
    Ok(Measured { down_bps, up_bps, rtt })
}

/// Bytes of a transfer at this rate.
fn size(bps: Option<f64>) -> u64 {
    // Saturating, as float to integer is.
    bps.map_or(MOST_BYTES, |bps| (bps / 8.0 * AIM_S) as u64).clamp(1, MOST_BYTES)
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn bps(bytes: u64, time: Duration) -> f64 {
    bytes as f64 * 8.0 / time.as_secs_f64().max(1e-9)
}

/// A body of this many zero bytes.
fn zeros(bytes: u64) -> impl Body<Data = Bytes, Error = Infallible> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let steps = (0..bytes).step_by(ZEROS.len());
    StreamBody::new(stream::iter(steps.map(move |start| {
        let size = usize::try_from(bytes - start).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        Ok(Frame::data(Bytes::from_static(&ZEROS[..size])))
    })))
}

/// Where measured data comes from and goes to: a server on loopback that sends as many bytes as
/// its path asks for and swallows all that it is sent.
struct Place {
    swallowed: Arc<AtomicU64>,
    _serves: AbortOnDropHandle<()>,
}

impl Place {
    async fn start() -> Result<(Self, Origin), String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(text)?;
        let address = listener.local_addr().map_err(text)?;
        let authority: Authority = address.to_string().parse().map_err(text)?;
        let origin = Origin::new(Scheme::HTTP, authority).ok_or("no origin")?;
        let swallowed = Arc::new(AtomicU64::new(0));
        let counter = swallowed.clone();
        let serves = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let counter = counter.clone();
                let service = service_fn(move |request| serve(request, counter.clone()));
                let io = TokioIo::new(stream);
                connections.spawn(server::Builder::new().serve_connection(io, service));
            }
        });
        Ok((Self { swallowed, _serves: AbortOnDropHandle::new(serves) }, origin))
    }
}

async fn serve(
    request: Request<Incoming>,
    swallowed: Arc<AtomicU64>,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible>>, hyper::Error> {
    let bytes = request.uri().path().trim_start_matches('/').parse().unwrap_or(0);
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            swallowed.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
    }
    let mut answer = Response::new(zeros(bytes));
    answer.headers_mut().insert(CONTENT_LENGTH, bytes.into());
    Ok(answer)
}

type Zeros = std::pin::Pin<Box<dyn Body<Data = Bytes, Error = Infallible> + Send>>;

/// A client that measures over one connection.
struct Probe {
    sender: client::SendRequest<Zeros>,
    path: String,
    host: String,
    _drives: AbortOnDropHandle<()>,
}

impl Probe {
    async fn connect(proxy: &Proxy, path: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(proxy.address()).await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let (sender, connection) = client::handshake(TokioIo::new(stream)).await.map_err(text)?;
        let drives = tokio::spawn(async move {
            // The request that it carries says the same.
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            path: path.to_owned(),
            host: proxy.address().to_string(),
            _drives: AbortOnDropHandle::new(drives),
        })
    }

    /// Sends `up` bytes and asks for `down` ones.
    async fn ask(&mut self, up: u64, down: u64) -> Result<Response<Incoming>, String> {
        self.sender.ready().await.map_err(text)?;
        let body: Zeros = Box::pin(zeros(up));
        let request = Request::post(format!("{}/{down}", self.path))
            .header(HOST, &self.host)
            .header(CONTENT_LENGTH, up)
            .body(body)
            .map_err(text)?;
        let answer = self.sender.send_request(request).await.map_err(text)?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()));
        }
        Ok(answer)
    }

    /// The shortest of several round trips, after one that sets the connection up.
    async fn round_trip(&mut self) -> Result<Duration, String> {
        let mut shortest = Duration::MAX;
        for count in 0..=ROUND_TRIPS {
            let start = Instant::now();
            let answer = self.ask(0, 0).await?;
            if count > 0 {
                shortest = shortest.min(start.elapsed());
            }
            answer.into_body().collect().await.map_err(text)?;
        }
        Ok(shortest)
    }

    /// Bits a second to us, without the round trip of the answer.
    async fn down(&mut self, bytes: u64, rtt: Duration) -> Result<f64, String> {
        // Not from the answer's head on: if we are late to see it, the rest seems to come fast.
        let start = Instant::now() + rtt;
        let mut body = self.ask(0, bytes).await?.into_body();
        let (mut received, mut last) = (0, start);
        // Enough of it has come when the time is up.
        let _ = tokio::time::timeout(LIMIT, async {
            while let Some(Ok(frame)) = body.frame().await {
                received += frame.data_ref().map_or(0, |data| data.len() as u64);
                last = Instant::now();
            }
        })
        .await;
        if received == 0 {
            return Err(format!("not one of {bytes} bytes came within {LIMIT:?}"));
        }
        Ok(bps(received, last.saturating_duration_since(start)))
    }

    /// Bits a second from us, without the round trip of the answer.
    async fn up(&mut self, bytes: u64, rtt: Duration, place: &Place) -> Result<f64, String> {
        let start = Instant::now();
        match tokio::time::timeout(LIMIT + rtt, self.ask(bytes, 0)).await {
            Ok(answer) => {
                let time = start.elapsed().saturating_sub(rtt);
                answer.map(|_| bps(bytes, time))
            }
            Err(_) => match place.swallowed.load(Ordering::Relaxed) {
                0 => Err(format!("not one of {bytes} bytes arrived within {LIMIT:?}")),
                swallowed => Ok(bps(swallowed, start.elapsed())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_more_than_five_percent_off_is_named() {
        let asked =
            Shape { down_bps: Some(100e6), up_bps: Some(20e6), rtt: Duration::from_millis(40) };
        let good = Measured { down_bps: 96e6, up_bps: 20.9e6, rtt: Duration::from_millis(41) };
        assert_eq!(good.off(&asked), Vec::<String>::new());
        assert_eq!(good.off(&Shape { up_bps: None, ..asked }), Vec::<String>::new());
        let bad = Measured { down_bps: 94e6, up_bps: 21.5e6, rtt: Duration::from_millis(44) };
        assert_eq!(
            bad.off(&asked),
            [
                "down 94.00 Mbit/s instead of 100.00",
                "up 21.50 Mbit/s instead of 20.00",
                "round trip 44.00 ms instead of 40.00",
            ]
        );
    }
}

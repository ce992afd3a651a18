//! A listening address and all that it serves.

use super::LinkError;
use super::exchange::Answer;
use super::traffic::Counters;
use super::upstream::BUFFER;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after a connection could not be taken, as when file descriptors have run out.
const PAUSE: Duration = Duration::from_millis(20);

/// Ends everything that it serves when it is dropped.
pub(super) struct Listener {
    address: SocketAddr,
    tasks: Tasks,
}

/// What is served, all of it ended together.
#[derive(Clone, Default)]
pub(super) struct Tasks {
    end: CancellationToken,
    tracker: TaskTracker,
}

impl Tasks {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let end = self.end.clone();
        self.tracker.spawn(async move {
            end.run_until_cancelled(task).await;
        });
    }
}

impl Listener {
    /// Listens on a free port of this address, and nowhere else.
    pub(super) async fn start<Served>(
        address: IpAddr,
        serve: impl Fn(TcpStream, Tasks) -> Served + Send + 'static,
    ) -> Result<Self, LinkError>
    where
        Served: Future<Output = ()> + Send + 'static,
    {
        let failed = |source| LinkError::Listen { address, source };
        let listener = TcpListener::bind((address, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let tasks = Tasks::default();
        let served = tasks.clone();
        tasks.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        // Without it small answers wait for the client's acknowledgement.
                        if let Err(error) = stream.set_nodelay(true) {
                            tracing::debug!("TCP_NODELAY: {error}");
                        }
                        served.spawn(serve(stream, served.clone()));
                    }
                    Err(error) => {
                        tracing::warn!("accept on {address}: {error}");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        });
        Ok(Self { address, tasks })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends everything and waits until it has ended.
    pub(super) async fn close(&self) {
        self.tasks.end.cancel();
        self.tasks.tracker.close();
        self.tasks.tracker.wait().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tasks.end.cancel();
    }
}

/// A client's connection.
pub(super) struct Connection {
    /// When it was opened.
    pub(super) opened: Instant,
    /// Our own address as the client found it.
    pub(super) address: SocketAddr,
    counted: AtomicBool,
}

impl Connection {
    /// Counts it, once.
    pub(super) fn count(&self, counters: &Counters) {
        if !self.counted.swap(true, Ordering::Relaxed) {
            counters.connection();
        }
    }
}

/// Answers the requests of a connection, one after another, until it ends.
pub(super) async fn serve<Answered>(
    stream: TcpStream,
    answer: impl Fn(Request<Incoming>, Arc<Connection>) -> Answered,
) where
    Answered: Future<Output = Response<Answer>>,
{
    let opened = Instant::now();
    let Ok(address) = stream.local_addr() else {
        return;
    };
    let connection = Arc::new(Connection { opened, address, counted: AtomicBool::new(false) });
    let service = service_fn(|request| {
        let answer = answer(request, connection.clone());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // A client may keep its connection for as long as it likes.
        .header_read_timeout(None)
        .max_buf_size(BUFFER)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!("a connection to the link's proxy ended: {error}");
    }
}

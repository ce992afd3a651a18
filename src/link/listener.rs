//! A listening address and all that it serves, on a thread of its own.
//!
//! What one connection brings goes out by another at once: on one thread without waking a second
//! one, and out of a processor's cache instead of another's. The thread also keeps the link's pace
//! whatever else the program does.

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
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after a connection could not be taken, as when file descriptors have run out.
const PAUSE: Duration = Duration::from_millis(20);

/// Ends everything that it serves when it is dropped.
pub(super) struct Listener {
    address: SocketAddr,
    tasks: Tasks,
    /// Cancelled when its thread has nothing left to do.
    ended: CancellationToken,
}

/// What is served, all of it ended together.
#[derive(Clone)]
pub(super) struct Tasks {
    end: CancellationToken,
    /// Ends what is served now and, until there is another one, what comes.
    current: Arc<Mutex<CancellationToken>>,
    tracker: TaskTracker,
}

impl Default for Tasks {
    fn default() -> Self {
        let end = CancellationToken::new();
        let current = Arc::new(Mutex::new(end.child_token()));
        Self { end, current, tracker: TaskTracker::default() }
    }
}

impl Tasks {
    fn current(&self) -> MutexGuard<'_, CancellationToken> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let end = self.current().clone();
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
        let (tasks, ended) = (Tasks::default(), CancellationToken::new());
        let (served, end) = (tasks.clone(), ended.clone().drop_guard());
        let (tell, told) = oneshot::channel();
        let thread = std::thread::Builder::new().name("link".to_owned()).spawn(move || {
            let _end = end;
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            runtime.block_on(async {
                let listener = match listen(address).await {
                    Ok((listener, address)) => {
                        drop(tell.send(Ok(address)));
                        listener
                    }
                    Err(error) => return drop(tell.send(Err(error))),
                };
                served.end.run_until_cancelled(accept(listener, serve, &served)).await;
                served.tracker.close();
                served.tracker.wait().await;
            });
            // A look-up of a name may go on for long; nobody waits for it.
            runtime.shutdown_background();
        });
        thread.map_err(failed)?;
        let told = told.await.unwrap_or_else(|_| Err(io::Error::other("its thread ended at once")));
        Ok(Self { address: told.map_err(failed)?, tasks, ended })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and those that come, until [`Listener::answer_again`].
    pub(super) fn hang_up(&self) {
        self.tasks.current().cancel();
    }

    /// Serves connections again. Nothing if it does.
    pub(super) fn answer_again(&self) {
        let mut current = self.tasks.current();
        if current.is_cancelled() {
            *current = self.tasks.end.child_token();
        }
    }

    /// Ends everything and waits until it has ended.
    pub(super) async fn close(&self) {
        self.tasks.end.cancel();
        self.ended.cancelled().await;
    }
}

async fn listen(address: IpAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((address, 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Takes connections.
async fn accept<Served>(
    listener: TcpListener,
    serve: impl Fn(TcpStream, Tasks) -> Served,
    tasks: &Tasks,
) where
    Served: Future<Output = ()> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it small answers wait for the client's acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!("TCP_NODELAY: {error}");
                }
                tasks.spawn(serve(stream, tasks.clone()));
            }
            Err(error) => {
                tracing::warn!("the link's proxy takes no connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
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

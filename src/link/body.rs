//! A body on its way: shaped, counted, and never held as a whole.

use super::traffic::{Counters, Kind, Method};
use super::{Direction, Limiter, Stream};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The other side broke it off.
    #[error("{0}")]
    Ended(#[from] hyper::Error),
    /// The other side fell silent.
    #[error("nothing came for {0:?}")]
    Silent(Duration),
}

/// What the bytes of a request are counted as; `None` if they are not.
pub(super) type Label = Option<(Method, Kind)>;

/// When data last moved, so that a slow transfer is not taken for a dead one.
#[derive(Clone)]
pub(super) struct Progress(Arc<(Instant, AtomicU64)>);

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new((Instant::now(), AtomicU64::new(0))))
    }

    fn moved(&self) {
        let (start, millis) = &*self.0;
        let now = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        millis.store(now, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Instant {
        let (start, millis) = &*self.0;
        *start + Duration::from_millis(millis.load(Ordering::Relaxed))
    }
}

/// A body that goes over the line.
pub(super) struct Carried {
    body: Incoming,
    /// What has come and is not yet over the line.
    rest: Bytes,
    stream: Stream,
    direction: Direction,
    counters: Arc<Counters>,
    label: Label,
    progress: Progress,
    /// How long a silence is borne, and its end.
    patience: Option<Duration>,
    silence: Option<Pin<Box<Sleep>>>,
}

impl Carried {
    pub(super) fn new(
        body: Incoming,
        direction: Direction,
        limiter: &Limiter,
        counters: Arc<Counters>,
        label: Label,
    ) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            stream: limiter.stream(direction),
            direction,
            counters,
            label,
            progress: Progress::new(),
            patience: None,
            silence: None,
        }
    }

    /// Breaks the body off when nothing comes for this long.
    pub(super) fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    fn poll_inner(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.silence = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Broken::from)));
        }
        if let Some(patience) = self.patience {
            let silence =
                self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            ready!(silence.as_mut().poll(context));
            return Poll::Ready(Some(Err(Broken::Silent(patience))));
        }
        Poll::Pending
    }
}

impl Body for Carried {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            let frame = match ready!(this.poll_inner(context)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) => this.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let piece = ready!(this.stream.poll_piece(this.rest.len(), context));
        let piece = this.rest.split_to(piece);
        this.progress.moved();
        if let Some((method, kind)) = this.label {
            this.counters.bytes(method, kind, this.direction, piece.len() as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

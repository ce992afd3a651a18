//! One token bucket for each direction, shared by all connections.
//!
//! The bucket keeps one time: when the line will have carried everything that it was given. What
//! comes next is due when that time and its own bits have passed. So a rate is exact by the wall
//! clock whatever single waits overshoot, nothing ever arrives too early, and connections take
//! turns, for each has at most one piece on the line.

use super::Shape;
use super::alarm::{self, Alarm};
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// A stream of data that comes back for its next piece within this time kept the line busy; the
/// time between is our own work, and not to be taken from its rate.
const BUSY: Duration = Duration::from_millis(10);
/// The most that such a stream can catch up.
const CATCH_UP: Duration = Duration::from_millis(40);
/// Time on the line of one piece, if that lies within the sizes below.
const PIECE_S: f64 = 0.002;
/// What an Ethernet frame carries of a TCP stream.
const SMALLEST_PIECE: usize = 1448;
const LARGEST_PIECE: usize = 256 * 1024;

/// Which way data goes, seen from the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From registry or storage to the job.
    Down,
    /// From the job to registry or storage.
    Up,
}

/// The line that all connections of a link share. A clone is the same line.
#[derive(Clone)]
pub struct Limiter(Arc<Lines>);

struct Lines {
    down: Line,
    up: Line,
    rtt_ns: AtomicU64,
}

struct Line {
    /// Bits a second as the bits of an `f64`; zero for unlimited.
    rate: AtomicU64,
    /// When everything that it was given has been carried.
    free_at: Mutex<Instant>,
}

impl Line {
    fn new() -> Self {
        Self { rate: AtomicU64::new(0), free_at: Mutex::new(Instant::now()) }
    }

    /// Bits a second.
    fn rate(&self) -> Option<f64> {
        let rate = f64::from_bits(self.rate.load(Ordering::Relaxed));
        (rate > 0.0).then_some(rate)
    }

    fn set_rate(&self, rate: Option<f64>) {
        let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0).unwrap_or(0.0);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.rate.store(rate.to_bits(), Ordering::Relaxed);
        *free_at = Instant::now();
    }

    /// Puts a piece on the line and says when it will have passed.
    fn reserve(&self, bytes: u64, rate: f64, busy: bool) -> Instant {
        let now = Instant::now();
        let earliest = if busy { now.checked_sub(CATCH_UP).unwrap_or(now) } else { now };
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let time = Duration::try_from_secs_f64(bytes as f64 * 8.0 / rate);
        *free_at = (*free_at).max(earliest) + time.unwrap_or(Duration::from_secs(3600));
        *free_at
    }
}

impl Limiter {
    /// A line of this shape.
    pub fn new(shape: &Shape) -> Self {
        let lines = Lines { down: Line::new(), up: Line::new(), rtt_ns: AtomicU64::new(0) };
        let limiter = Self(Arc::new(lines));
        limiter.set_shape(shape);
        limiter
    }

    /// Changes the line's shape. What is on the line at this moment, one piece of each stream,
    /// arrives as the earlier shape had it.
    pub fn set_shape(&self, shape: &Shape) {
        self.0.down.set_rate(shape.down_bps);
        self.0.up.set_rate(shape.up_bps);
        let rtt = u64::try_from(shape.rtt.as_nanos()).unwrap_or(u64::MAX);
        self.0.rtt_ns.store(rtt, Ordering::Relaxed);
    }

    /// The line's shape.
    pub fn shape(&self) -> Shape {
        Shape { down_bps: self.0.down.rate(), up_bps: self.0.up.rate(), rtt: self.rtt() }
    }

    pub(super) fn rtt(&self) -> Duration {
        Duration::from_nanos(self.0.rtt_ns.load(Ordering::Relaxed))
    }

    /// Waits for one round trip.
    pub async fn round_trip(&self) {
        alarm::sleep_until(Instant::now() + self.rtt()).await;
    }

    /// A stream of data over the line.
    pub fn stream(&self, direction: Direction) -> Stream {
        Stream { limiter: self.clone(), direction, alarm: None, on_line: None, passed: None }
    }

    /// Waits for as long as the line needs to bring this many bytes to the job.
    pub async fn down(&self, bytes: u64) {
        self.stream(Direction::Down).carry(bytes).await;
    }

    /// Waits for as long as the line needs to take this many bytes from the job.
    pub async fn up(&self, bytes: u64) {
        self.stream(Direction::Up).carry(bytes).await;
    }
}

/// One stream of data in one direction; streams share the line piece by piece.
pub struct Stream {
    limiter: Limiter,
    direction: Direction,
    alarm: Option<Alarm>,
    /// The piece on the line, and when it will have passed.
    on_line: Option<(usize, Instant)>,
    /// When the last piece passed.
    passed: Option<Instant>,
}

impl Stream {
    /// Waits for as long as the line needs for this many bytes more.
    pub async fn carry(&mut self, mut bytes: u64) {
        while bytes > 0 {
            let left = usize::try_from(bytes).unwrap_or(usize::MAX);
            let piece = poll_fn(|context| self.poll_piece(left, context)).await;
            bytes -= piece as u64;
        }
    }

    /// Puts the first piece of `left` bytes, which must not be none, on the line, and is ready with
    /// its size when it has passed.
    pub(super) fn poll_piece(&mut self, left: usize, context: &mut Context<'_>) -> Poll<usize> {
        let (piece, due) = match self.on_line {
            Some(on_line) => on_line,
            None => {
                let line = match self.direction {
                    Direction::Down => &self.limiter.0.down,
                    Direction::Up => &self.limiter.0.up,
                };
                let Some(rate) = line.rate() else {
                    return Poll::Ready(left);
                };
                // Saturating, as float to integer is.
                let size = (rate / 8.0 * PIECE_S) as usize;
                let piece = left.min(size.clamp(SMALLEST_PIECE, LARGEST_PIECE));
                let busy = self.passed.is_some_and(|passed| passed.elapsed() < BUSY);
                *self.on_line.insert((piece, line.reserve(piece as u64, rate, busy)))
            }
        };
        if due > Instant::now() {
            ready!(self.alarm.get_or_insert_with(Alarm::new).poll(due, context));
        }
        self.on_line = None;
        self.passed = Some(Instant::now());
        Poll::Ready(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MBIT: f64 = 1e6;

    fn shape(down_bps: Option<f64>, rtt: Duration) -> Shape {
        Shape { down_bps, up_bps: None, rtt }
    }

    #[tokio::test]
    async fn bytes_are_never_carried_faster_than_the_line() {
        let limiter = Limiter::new(&shape(Some(8.0 * MBIT), Duration::ZERO));
        let start = Instant::now();
        let streams = (0..4).map(|_| limiter.down(50_000));
        futures_util::future::join_all(streams).await;
        assert!(start.elapsed() >= Duration::from_millis(200));
    }

    #[tokio::test]
    async fn an_idle_line_saves_nothing_up() {
        let limiter = Limiter::new(&shape(Some(8.0 * MBIT), Duration::ZERO));
        limiter.down(1_000).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        let start = Instant::now();
        limiter.down(50_000).await;
        assert!(start.elapsed() >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn a_shape_can_be_changed_at_any_time() {
        let slow = shape(Some(1e3), Duration::from_millis(30));
        let limiter = Limiter::new(&slow);
        assert_eq!(limiter.shape(), slow);
        // A backlog of hours, which the next shape does not inherit.
        let backlog = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.down(1_000_000).await }
        });
        tokio::task::yield_now().await;
        limiter.set_shape(&Shape::default());
        limiter.down(u64::MAX).await;
        limiter.up(u64::MAX).await;
        assert_eq!(limiter.shape(), Shape::default());
        backlog.abort();
    }

    #[tokio::test]
    async fn streams_take_turns() {
        let limiter = Limiter::new(&shape(Some(8.0 * MBIT), Duration::ZERO));
        let mut large = Box::pin(limiter.down(1_000_000));
        // One piece of the large stream is on the line; the small one follows it, not the rest.
        assert!(futures_util::poll!(&mut large).is_pending());
        tokio::select! {
            () = large => panic!("a million bytes passed before a hundred"),
            () = limiter.down(100) => {}
        }
    }

    #[tokio::test]
    async fn a_round_trip_is_waited_for() {
        let limiter = Limiter::new(&shape(None, Duration::from_millis(20)));
        let start = Instant::now();
        limiter.round_trip().await;
        assert!(start.elapsed() >= Duration::from_millis(20));
    }
}

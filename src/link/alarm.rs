//! Waiting to within a fraction of a millisecond. Tokio's own timer has whole ones, which is more
//! than a small answer takes on a fast link.

use async_io::Timer;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// A timer that is used again and again.
pub(super) struct Alarm {
    timer: Timer,
    due: Option<Instant>,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { timer: Timer::never(), due: None }
    }

    /// Ready once `due` has passed.
    pub(super) fn poll(&mut self, due: Instant, context: &mut Context<'_>) -> Poll<()> {
        while due > Instant::now() {
            if self.due != Some(due) {
                self.timer.set_at(due);
                self.due = Some(due);
            }
            ready!(Pin::new(&mut self.timer).poll(context));
            self.due = None;
        }
        Poll::Ready(())
    }
}

/// Waits until `due`.
pub(super) async fn sleep_until(due: Instant) {
    if due > Instant::now() {
        Timer::at(due).await;
    }
}

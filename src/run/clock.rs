//! Time, behind a trait so that a whole run can be replayed with a virtual clock in tests.

use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// A monotonic clock for durations and a wall clock for time stamps.
pub trait Clock: Send + Sync {
    /// Monotonic time since some fixed point.
    fn now(&self) -> Duration;

    /// Wall clock, UTC.
    fn wall(&self) -> OffsetDateTime;
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// A wall-clock time as it stands in files: RFC 3339, UTC, whole milliseconds.
pub fn stamp(at: OffsetDateTime) -> String {
    let whole = at.replace_millisecond(at.millisecond()).unwrap_or(at);
    whole.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

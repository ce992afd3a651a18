//! When an engine was building for us: what was made at other times is not ours.

use super::GivenUp;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// From a build's start to its end, by this machine's clock; open while it builds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: OffsetDateTime,
    pub(super) to: Option<OffsetDateTime>,
    /// Whether it was broken off, so that the engine may not have noticed yet.
    pub(super) broken_off: bool,
}

/// How long after its answer a builder may still note that it used a record.
const RELEASE: time::Duration = time::Duration::milliseconds(250);
/// How long an engine that is told to stop may still be finishing a record.
const LAST: time::Duration = time::Duration::seconds(2);

impl Window {
    /// Closes it now, so long after it was opened. If the clock was set meanwhile, records have
    /// times by both.
    fn close(&mut self, now: OffsetDateTime, ran: Duration) {
        self.to = Some(now.max(self.from + ran) + LAST);
        self.from = self.from.min(now - ran);
    }

    pub(super) fn covers(&self, moment: OffsetDateTime) -> bool {
        self.from <= moment && self.to.is_none_or(|to| moment <= to + RELEASE)
    }
}

/// Notes what a classic build that is broken off was building, while its file is still there.
pub(super) struct ClassicBuilding<'a> {
    pub(super) building: Building<'a>,
    pub(super) broken_off: &'a Mutex<Vec<String>>,
    pub(super) dockerfile: &'a Path,
}

impl Drop for ClassicBuilding<'_> {
    fn drop(&mut self) {
        if !self.building.answered
            && let Ok(text) = std::fs::read_to_string(self.dockerfile)
        {
            self.broken_off.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    }
}

/// What a list holds, and nothing afterwards.
pub(super) fn taken<T>(list: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The builds among these that were broken off, as one.
pub(super) fn of_broken_off(windows: &[Window], before: &BTreeSet<String>) -> Option<GivenUp> {
    let broken = || windows.iter().filter(|window| window.broken_off);
    let ns = |at: OffsetDateTime| i64::try_from(at.unix_timestamp_nanos()).ok();
    Some(GivenUp {
        from_ns: ns(broken().map(|window| window.from).min()?)?,
        to_ns: ns(broken().filter_map(|window| window.to).max()?)?,
        before: before.clone(),
    })
}

/// Closes the window of a build however the build ends.
pub(super) struct Building<'a> {
    windows: &'a Mutex<Vec<Window>>,
    index: usize,
    began: Instant,
    /// Whether the builder's answer came; else the build was broken off.
    pub(super) answered: bool,
}

impl<'a> Building<'a> {
    pub(super) fn begin(windows: &'a Mutex<Vec<Window>>) -> Self {
        let mut list = windows.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(Window { from: OffsetDateTime::now_utc(), to: None, broken_off: false });
        Self { windows, index: list.len() - 1, began: Instant::now(), answered: false }
    }
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        let mut list = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = list.get_mut(self.index) {
            window.broken_off = !self.answered;
            window.close(OffsetDateTime::now_utc(), self.began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_covers_a_build_by_either_clock_if_it_was_set_meanwhile() {
        let began = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20);
        let ran = Duration::from_secs(60);
        let half = time::Duration::seconds(30);
        for moved in [-3600, 0, 3600].map(time::Duration::seconds) {
            let mut window = Window { from: began, to: None, broken_off: false };
            assert!(window.covers(began + half));
            let ended = began + ran + moved;
            window.close(ended, ran);
            for inside in [began + half, ended - half, ended + time::Duration::SECOND] {
                assert!(window.covers(inside), "{moved}: {inside}");
            }
            let first = began.min(ended - ran);
            assert!(!window.covers(first - time::Duration::SECOND), "{moved}");
            assert!(!window.covers(began.max(ended) + ran + half), "{moved}");
        }
    }
}

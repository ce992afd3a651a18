//! One request of a job: between two readings of the clock, within its limit, as often as it may be
//! tried.

use super::{JobContext, JobError};
use crate::link::{Count, Proxy};
use crate::model::Phase;
use crate::model::plan::Limits;
use std::future::Future;
use std::time::Duration;

impl JobContext<'_> {
    /// The attempts that a transfer has.
    pub(super) fn tries(&self, phase: Phase, what: &impl ToString) -> Tries {
        let left = self.limits.retries;
        Tries { left, what: format!("{phase} {}", what.to_string()), failed: Vec::new() }
    }

    /// Awaits one request between two readings of the clock. It is abandoned at its time limit
    /// and when the user stops the run.
    pub(super) async fn timed<T, E: Into<JobError>>(
        &self,
        phase: Phase,
        what: &impl ToString,
        request: impl Future<Output = Result<T, E>>,
    ) -> Timed<T> {
        let (limit_s, key) = limit(self.limits, phase);
        let clock = self.clock;
        let before = self.link.map(Proxy::traffic);
        let started = clock.now();
        let ended = tokio::select! {
            biased;
            ended = tokio::time::timeout(Duration::from_secs_f64(limit_s), request) => Some(ended),
            () = self.cancel.cancelled() => None,
        };
        let seconds = (clock.now() - started).as_secs_f64();
        let after = self.link.map(Proxy::traffic);
        if let (None | Some(Err(_)), Some(link)) = (&ended, self.link) {
            // An engine that imports a cache goes on with it although its client is gone, for as
            // long as the registry lets it wait. Until the engine is given back.
            link.hang_up();
        }
        let moved = before.zip(after).map(|(before, after)| (after - before).total());
        let step = || format!("{phase} {}", what.to_string());
        let result = match ended {
            Some(Ok(Ok(answer))) => Ok(answer),
            Some(Ok(Err(error))) => Err(error.into()),
            Some(Err(_)) => Err(JobError::TimedOut { step: step(), limit_s, key }),
            None => Err(JobError::Interrupted { step: step() }),
        };
        Timed { result, cost: Cost { seconds, moved } }
    }
}

/// How often a transfer may still be tried again, at once, as a job's `retry` does it. All
/// attempts together are one request: they share its time and its limit.
pub(super) struct Tries {
    left: u32,
    what: String,
    /// Attempts that failed and were followed by another one, with the reason.
    pub(super) failed: Vec<String>,
}

impl Tries {
    /// Whether there is another attempt after this error.
    pub(super) fn again(&mut self, error: &impl std::fmt::Display) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.failed.push(format!("{}: {error}", self.what));
        true
    }
}

/// How a timed request ended, and what it cost.
pub(super) struct Timed<T> {
    pub(super) result: Result<T, JobError>,
    pub(super) cost: Cost,
}

/// What a request cost.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub(super) seconds: f64,
    /// What went over the link to the registry meanwhile, where that is counted.
    pub(super) moved: Option<Count>,
}

/// The time limit of a phase in seconds, and the key of `[limits]` that holds it.
fn limit(limits: &Limits, phase: Phase) -> (f64, &'static str) {
    match phase {
        Phase::Build => (limits.build_s, "build"),
        Phase::Fetch | Phase::Store => (limits.storage_s, "storage"),
        Phase::Load | Phase::Pull | Phase::Save | Phase::Push => (limits.transfer_s, "transfer"),
    }
}

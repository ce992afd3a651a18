//! One request over the line and back.

use super::body::{Carried, Label};
use super::headers::remove_hop_by_hop;
use super::traffic::Counters;
use super::upstream::Client;
use super::{Direction, Limiter, alarm};
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode, Version};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Body of an answer: from behind the link, or a few words of our own.
pub(super) type Answer = Either<Carried, Full<Bytes>>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("{address} cannot be reached through the link: {cause}")]
    Unreachable { address: String, cause: String },
    #[error("{address} gave no answer for {patience:?}")]
    Silent { address: String, patience: Duration },
}

/// Everything that requests share.
pub(super) struct Exchange {
    pub(super) client: Client,
    pub(super) limiter: Limiter,
    pub(super) counters: Arc<Counters>,
    pub(super) patience: Duration,
}

impl Exchange {
    /// Waits until a connection that was opened then is there: a round trip for TCP and one for
    /// TLS.
    pub(super) async fn connected(&self, opened: Instant) {
        alarm::sleep_until(opened + 2 * self.limiter.rtt()).await;
    }

    /// Carries a request to where its address says, and brings the answer after a round trip. Its
    /// own headers are those that the server is to see.
    pub(super) async fn carry(
        &self,
        mut request: Request<Incoming>,
        label: Label,
    ) -> Result<Response<Carried>, Failed> {
        let address = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        remove_hop_by_hop(request.headers_mut());
        *request.version_mut() = Version::HTTP_11;
        let request = request.map(|body| self.carried(body, Direction::Up, label));
        let progress = request.body().progress();
        let mut answer = std::pin::pin!(self.client.request(request));
        let answer = loop {
            let limit = progress.last() + self.patience;
            tokio::select! {
                answer = &mut answer => break answer,
                () = tokio::time::sleep_until(limit.into()) => {
                    if progress.last() + self.patience <= Instant::now() {
                        return Err(Failed::Silent { address, patience: self.patience });
                    }
                }
            }
        };
        let mut answer = answer
            .map_err(|error| Failed::Unreachable { address, cause: root_causes(&error) })?
            .map(|body| self.carried(body, Direction::Down, label).with_patience(self.patience));
        remove_hop_by_hop(answer.headers_mut());
        *answer.version_mut() = Version::HTTP_11;
        self.limiter.round_trip().await;
        Ok(answer)
    }

    fn carried(&self, body: Incoming, direction: Direction, label: Label) -> Carried {
        Carried::new(body, direction, &self.limiter, self.counters.clone(), label)
    }

    /// Counts an answer and puts an error into words that registry clients show.
    pub(super) fn answer(
        &self,
        result: Result<Response<Carried>, Failed>,
        label: Label,
    ) -> Response<Answer> {
        let answer = match result {
            Ok(answer) => answer.map(Either::Left),
            Err(error) => {
                tracing::warn!("{error}");
                refusal(StatusCode::BAD_GATEWAY, &error.to_string())
            }
        };
        if label.is_some() {
            self.counters.answer(answer.status());
        }
        answer
    }
}

/// An answer of our own, in the form of a registry's errors.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response<Answer> {
    let message = format!("breakeven's link: {message}");
    let errors = serde_json::json!({ "errors": [{ "code": "UNAVAILABLE", "message": message }] });
    let mut answer = Response::new(Either::Right(Full::from(errors.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// An error with everything that it came from; libraries keep the reason at the bottom.
fn root_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

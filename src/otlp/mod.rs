//! Recorded jobs as OpenTelemetry spans, sent over OTLP (HTTP, protobuf) to whoever collects traces.
//!
//! The protocol and its messages: OpenTelemetry Protocol Specification 1.x,
//! `POST /v1/traces` with `application/x-protobuf`.

mod spans;

pub use spans::requests;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// Where a receiver listens that is told nothing else.
pub const DEFAULT_ENDPOINT: &str = "http://localhost:4318";

/// The variables that every OpenTelemetry exporter reads.
pub const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Headers of each request, `name=value,name=value`: where a receiver asks who sends.
pub const HEADERS_VARIABLE: &str = "OTEL_EXPORTER_OTLP_HEADERS";

const LIMIT: Duration = Duration::from_secs(30);

/// Why spans did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The receiver did not answer.
    #[error(
        "sending spans to {url}: {reason}. Name a receiver of OTLP over HTTP with --otlp=URL or \
         {ENDPOINT_VARIABLE}; the run directory is complete without it"
    )]
    Unreachable {
        /// Where they were sent to.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The receiver refused.
    #[error("{url} refused spans with status {status}: {answer}")]
    Refused {
        /// Where they were sent to.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        answer: String,
    },
    /// The receiver took some.
    #[error("{url} took a part only: {rejected} spans were rejected: {reason}")]
    Partial {
        /// Where they were sent to.
        url: String,
        /// How many it rejected.
        rejected: i64,
        /// Its reason.
        reason: String,
    },
    /// The variable for headers cannot be read.
    #[error("{HEADERS_VARIABLE} must be name=value pairs with commas between: {0}")]
    Headers(String),
}

/// Sends requests one after another; the first that fails ends it. Spans have the same ids each
/// time, so sending a run again harms nothing.
pub async fn send(
    endpoint: &str,
    headers: &str,
    requests: Vec<ExportTraceServiceRequest>,
) -> Result<(), OtlpError> {
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let unreachable = |error: reqwest::Error| {
        use std::error::Error as _;
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            reason += &format!(": {inner}");
            cause = inner.source();
        }
        OtlpError::Unreachable { url: url.clone(), reason }
    };
    let client = reqwest::Client::builder()
        .timeout(LIMIT)
        .default_headers(parse_headers(headers)?)
        .build()
        .map_err(unreachable)?;
    for request in requests {
        let sent = client
            .post(&url)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(request.encode_to_vec())
            .send()
            .await
            .map_err(unreachable)?;
        let status = sent.status();
        let answer = sent.bytes().await.map_err(unreachable)?;
        if !status.is_success() {
            let answer = String::from_utf8_lossy(&answer).chars().take(200).collect();
            return Err(OtlpError::Refused { url, status: status.as_u16(), answer });
        }
        // An answer that is no message of the protocol says nothing against the spans.
        let partial = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
        if let Some(partial) = partial.partial_success.filter(|p| p.rejected_spans > 0) {
            let (rejected, reason) = (partial.rejected_spans, partial.error_message);
            return Err(OtlpError::Partial { url, rejected, reason });
        }
    }
    Ok(())
}

fn parse_headers(text: &str) -> Result<HeaderMap, OtlpError> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        // The value may be a secret: the message has the name at most.
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| OtlpError::Headers("a part has no `=`".to_owned()))?;
        let name = name.trim();
        let wrong = |_| OtlpError::Headers(format!("header `{name}`"));
        let key = HeaderName::try_from(name).map_err(|_| wrong(()))?;
        let mut value = HeaderValue::try_from(value.trim()).map_err(|_| wrong(()))?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs() {
        let headers = parse_headers("authorization=Bearer a=b, x-tenant = t ,").unwrap();
        assert_eq!(headers["authorization"], "Bearer a=b");
        assert_eq!(headers["x-tenant"], "t");
        let said = parse_headers("x=1,s3cr3t-without-name").unwrap_err().to_string();
        assert!(!said.contains("s3cr3t"), "{said}");
        assert!(parse_headers("a b=c").is_err());
    }
}

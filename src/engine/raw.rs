//! Two requests that bollard cannot make: before Engine 29 its typed answer of `/system/df` has no
//! build cache records, and containers that are not Podman's own are listed by an API of Podman's alone.
//! HTTP/1.0, so that the answer ends with the connection.

use serde::Deserialize;
use std::io::{Error, ErrorKind};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// One of BuildKit's build cache records.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct CacheRecord {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// What it is of, such as `mount / from exec /bin/sh -c make`.
    #[serde(rename = "Description", default)]
    pub description: String,
    /// Its kind, such as `regular` or `exec.cachemount`.
    #[serde(rename = "Type", default)]
    pub kind: String,
    #[serde(rename = "CreatedAt", default)]
    created_at: String,
    #[serde(rename = "LastUsedAt", default)]
    last_used_at: Option<String>,
}

impl CacheRecord {
    /// When it was created and when it was last used, by the engine's clock, as far as known. A
    /// record that a cache import brought says that it was created when its original was.
    pub(super) fn moments(&self) -> impl Iterator<Item = OffsetDateTime> {
        let used = self.last_used_at.as_ref();
        let used = used.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        self.created().into_iter().chain(used)
    }

    /// When it was created, likewise.
    pub(super) fn created(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(&self.created_at, &Rfc3339).ok()
    }
}

#[derive(Deserialize)]
struct DiskUsage {
    #[serde(rename = "BuildCache", default)]
    before_29: Option<Vec<CacheRecord>>,
    #[serde(rename = "BuildCacheUsage", default)]
    from_29: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(rename = "Items", default)]
    items: Option<Vec<CacheRecord>>,
}

/// All build cache records of the engine at this address.
pub(super) async fn cache_records(address: &str, api: &str) -> Result<Vec<CacheRecord>, Error> {
    // Older engines ignore the query and count everything else as well.
    let path = format!("/v{api}/system/df?type=build-cache&verbose=1");
    let answer = get(address, &path).await?;
    let usage: DiskUsage = serde_json::from_slice(&answer).map_err(Error::other)?;
    Ok(usage.before_29.or(usage.from_29.and_then(|usage| usage.items)).unwrap_or_default())
}

/// A container of Podman's storage.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PodmanContainer {
    id: String,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    #[serde(default)]
    state: String,
}

/// Ids of the containers that Buildah works in, on the Podman at this address, and when they were made.
/// Podman shows them neither to `docker ps` nor to its own `ps` without `--external`.
pub(super) async fn working_containers(
    address: &str,
) -> Result<Vec<(String, OffsetDateTime)>, Error> {
    let answer = get(address, "/v4.0.0/libpod/containers/json?all=true&external=true").await?;
    read_working(&answer)
}

fn read_working(answer: &[u8]) -> Result<Vec<(String, OffsetDateTime)>, Error> {
    let all: Vec<PodmanContainer> = serde_json::from_slice(answer).map_err(Error::other)?;
    // Podman's own have the state of a process.
    let working = all.into_iter().filter(|one| one.state == "storage");
    Ok(working.map(|one| (one.id, one.created)).collect())
}

async fn get(address: &str, path: &str) -> Result<Vec<u8>, Error> {
    if let Some(socket) = address.strip_prefix("unix://") {
        exchange(tokio::net::UnixStream::connect(socket).await?, path).await
    } else {
        let host = address.trim_start_matches("tcp://").trim_start_matches("http://");
        exchange(tokio::net::TcpStream::connect(host.trim_end_matches('/')).await?, path).await
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
) -> Result<Vec<u8>, Error> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    body(&answer).map(<[u8]>::to_vec)
}

fn body(answer: &[u8]) -> Result<&[u8], Error> {
    let broken = |what: String| Error::new(ErrorKind::InvalidData, what);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = match end {
        Some(at) => (String::from_utf8_lossy(&answer[..at]), &answer[at + 4..]),
        None => return Err(broken("the answer has no end of its head".to_owned())),
    };
    let status = head.lines().next().unwrap_or_default();
    if status.split_whitespace().nth(1) != Some("200") {
        return Err(broken(format!("{status}: {}", String::from_utf8_lossy(body).trim())));
    }
    // A shortened answer would look like an engine with fewer records.
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    if length.is_some_and(|length| length != body.len()) {
        return Err(Error::new(ErrorKind::UnexpectedEof, "the answer is cut off"));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_what_follows_the_head() {
        assert_eq!(body(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap(), b"{}");
        assert_eq!(body(b"HTTP/1.0 200 OK\r\n\r\n{}").unwrap(), b"{}");
    }

    #[test]
    fn cut_off_refused_and_empty_answers_are_errors() {
        for answer in [
            &b""[..],
            b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n{}",
            b"HTTP/1.0 500 Internal Server Error\r\n\r\n{\"message\":\"x\"}",
        ] {
            assert!(body(answer).is_err());
        }
    }

    #[test]
    fn containers_that_are_podmans_own_are_left_out() {
        let answer = br#"[{"Id":"9f","Created":"2026-11-29T12:30:16.274055149Z","State":"storage",
            "Command":["buildah"],"Labels":null},{"Id":"a1","Created":"2026-11-29T12:30:17Z",
            "State":"running"}]"#;
        let found = read_working(answer).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.as_str(), found[0].1.nanosecond()), ("9f", 274_055_149));
        assert!(read_working(br#"{"message":"x"}"#).is_err());
    }

    #[test]
    fn records_of_old_and_new_engines_are_read() {
        let old = r#"{"LayersSize":1,"BuildCache":[{"ID":"a","Description":"d",
            "CreatedAt":"2026-11-24T06:29:42.506680759Z","LastUsedAt":null},{"ID":"c",
            "CreatedAt":"2020-01-01T00:00:00Z","LastUsedAt":"2026-11-24T06:29:43Z"}]}"#;
        let new = r#"{"BuildCacheUsage":{"Items":[{"ID":"b"}]}}"#;
        let old: DiskUsage = serde_json::from_str(old).unwrap();
        let years = |record: &CacheRecord| record.moments().map(|at| at.year()).collect::<Vec<_>>();
        let records = old.before_29.unwrap();
        assert_eq!((records[0].id.as_str(), years(&records[0])), ("a", vec![2026]));
        assert_eq!(years(&records[1]), [2020, 2026]);
        let new: DiskUsage = serde_json::from_str(new).unwrap();
        assert_eq!(new.from_29.unwrap().items.unwrap()[0].id, "b");
    }
}

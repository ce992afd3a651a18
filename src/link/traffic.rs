//! What went over a link: bytes of bodies and requests, by method and by kind.

use super::Direction;
use std::ops::{AddAssign, Sub};
use std::sync::atomic::{AtomicU64, Ordering};

/// Kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A manifest, by tag or by digest.
    Manifest,
    /// A layer or a configuration that is read, wherever the registry keeps it.
    Blob,
    /// A layer or a configuration that is written.
    Upload,
    /// `/v2/`, and every HEAD.
    Probe,
    /// A token server.
    Token,
    /// The shared storage.
    Storage,
    /// Anything else, such as a list of tags.
    Other,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Manifest,
        Self::Blob,
        Self::Upload,
        Self::Probe,
        Self::Token,
        Self::Storage,
        Self::Other,
    ];

    /// What a path of a registry's API is about.
    pub(super) fn of_path(path: &str) -> Self {
        let Some(rest) = path.strip_prefix("/v2") else {
            return Self::Other;
        };
        // A repository's name may hold these words as well: the last one counts.
        let at = |word: &str| rest.rfind(word);
        match (at("/manifests/"), at("/blobs/")) {
            (manifest, blob) if manifest > blob => Self::Manifest,
            (_, Some(blob)) if rest[blob..].starts_with("/blobs/uploads/") => Self::Upload,
            (_, Some(_)) => Self::Blob,
            _ if rest.is_empty() || rest == "/" => Self::Probe,
            _ => Self::Other,
        }
    }
}

/// Methods of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// CONNECT, a tunnel of the shared storage.
    Connect,
    /// Anything else.
    Other,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Patch,
        Self::Delete,
        Self::Connect,
        Self::Other,
    ];
}

impl From<&hyper::Method> for Method {
    fn from(method: &hyper::Method) -> Self {
        match method.as_str() {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

const KINDS: usize = Kind::ALL.len();
const METHODS: usize = Method::ALL.len();
/// Classes of status codes, from 1xx to 5xx.
const CLASSES: usize = 5;

/// Requests, and bytes of their bodies and of the bodies of their answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Requests that began.
    pub requests: u64,
    /// Bytes that came to the job.
    pub bytes_down: u64,
    /// Bytes that the job sent.
    pub bytes_up: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.bytes_down += other.bytes_down;
        self.bytes_up += other.bytes_up;
    }
}

impl Sub for Count {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            bytes_down: self.bytes_down.saturating_sub(earlier.bytes_down),
            bytes_up: self.bytes_up.saturating_sub(earlier.bytes_up),
        }
    }
}

/// What had gone over a link at one moment; `after - before` is what went in between.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    counts: [[Count; KINDS]; METHODS],
    answers: [u64; CLASSES],
    /// Blobs that the registry took over from another repository instead of receiving them.
    pub mounted: u64,
    /// Connections that the job opened.
    pub connections: u64,
}

impl Traffic {
    /// Requests of one method and kind.
    pub fn count(&self, method: Method, kind: Kind) -> Count {
        self.counts[method as usize][kind as usize]
    }

    /// Requests of one kind.
    pub fn kind(&self, kind: Kind) -> Count {
        sum(Method::ALL.map(|method| self.count(method, kind)))
    }

    /// Requests of one method.
    pub fn method(&self, method: Method) -> Count {
        sum(Kind::ALL.map(|kind| self.count(method, kind)))
    }

    /// All requests.
    pub fn total(&self) -> Count {
        sum(Kind::ALL.map(|kind| self.kind(kind)))
    }

    /// Answers whose status has this hundreds digit, failures of the link itself (502) included.
    pub fn answers(&self, hundreds: u16) -> u64 {
        let class = usize::from(hundreds).checked_sub(1);
        class.and_then(|class| self.answers.get(class)).copied().unwrap_or(0)
    }
}

fn sum(counts: impl IntoIterator<Item = Count>) -> Count {
    counts.into_iter().fold(Count::default(), |mut sum, count| {
        sum += count;
        sum
    })
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(mut self, earlier: Self) -> Self {
        for (counts, earlier) in self.counts.iter_mut().zip(earlier.counts) {
            for (count, earlier) in counts.iter_mut().zip(earlier) {
                *count = *count - earlier;
            }
        }
        for (answers, earlier) in self.answers.iter_mut().zip(earlier.answers) {
            *answers = answers.saturating_sub(earlier);
        }
        self.mounted = self.mounted.saturating_sub(earlier.mounted);
        self.connections = self.connections.saturating_sub(earlier.connections);
        self
    }
}

/// Counters that all connections add to.
#[derive(Default)]
pub(super) struct Counters {
    counts: [[Tally; KINDS]; METHODS],
    answers: [AtomicU64; CLASSES],
    mounted: AtomicU64,
    connections: AtomicU64,
}

#[derive(Default)]
struct Tally {
    requests: AtomicU64,
    bytes_down: AtomicU64,
    bytes_up: AtomicU64,
}

impl Counters {
    pub(super) fn connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn request(&self, method: Method, kind: Kind) {
        self.tally(method, kind).requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self, method: Method, kind: Kind, direction: Direction, bytes: u64) {
        let tally = self.tally(method, kind);
        let counter = match direction {
            Direction::Down => &tally.bytes_down,
            Direction::Up => &tally.bytes_up,
        };
        counter.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn answer(&self, status: hyper::StatusCode) {
        let class = usize::from(status.as_u16() / 100).checked_sub(1);
        if let Some(answers) = class.and_then(|class| self.answers.get(class)) {
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn mounted(&self) {
        self.mounted.fetch_add(1, Ordering::Relaxed);
    }

    fn tally(&self, method: Method, kind: Kind) -> &Tally {
        &self.counts[method as usize][kind as usize]
    }

    pub(super) fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            counts: std::array::from_fn(|method| {
                std::array::from_fn(|kind| {
                    let tally = &self.counts[method][kind];
                    Count {
                        requests: read(&tally.requests),
                        bytes_down: read(&tally.bytes_down),
                        bytes_up: read(&tally.bytes_up),
                    }
                })
            }),
            answers: std::array::from_fn(|class| read(&self.answers[class])),
            mounted: read(&self.mounted),
            connections: read(&self.connections),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;

    #[test]
    fn paths_tell_the_kind() {
        for (path, kind) in [
            ("/v2/", Kind::Probe),
            ("/v2", Kind::Probe),
            ("/v2/a/b/manifests/latest", Kind::Manifest),
            ("/v2/a/blobs/sha256:00", Kind::Blob),
            ("/v2/a/blobs/uploads/", Kind::Upload),
            ("/v2/a/blobs/uploads/0-1-2", Kind::Upload),
            ("/v2/team/blobs/x/manifests/1", Kind::Manifest),
            ("/v2/team/manifests/x/blobs/sha256:00", Kind::Blob),
            ("/v2/a/tags/list", Kind::Other),
            ("/healthz", Kind::Other),
        ] {
            assert_eq!(Kind::of_path(path), kind, "{path}");
        }
    }

    #[test]
    fn the_difference_of_two_moments_is_what_went_in_between() {
        let counters = Counters::default();
        counters.request(Method::Get, Kind::Blob);
        counters.bytes(Method::Get, Kind::Blob, Direction::Down, 10);
        counters.answer(StatusCode::OK);
        let before = counters.traffic();
        counters.request(Method::Get, Kind::Blob);
        counters.bytes(Method::Get, Kind::Blob, Direction::Down, 7);
        counters.request(Method::Patch, Kind::Upload);
        counters.bytes(Method::Patch, Kind::Upload, Direction::Up, 5);
        counters.answer(StatusCode::BAD_GATEWAY);
        counters.mounted();
        counters.connection();
        let between = counters.traffic() - before;
        let blob = Count { requests: 1, bytes_down: 7, bytes_up: 0 };
        let upload = Count { requests: 1, bytes_down: 0, bytes_up: 5 };
        assert_eq!(between.kind(Kind::Blob), blob);
        assert_eq!(between.method(Method::Patch), upload);
        assert_eq!(between.count(Method::Patch, Kind::Blob), Count::default());
        assert_eq!(between.total(), Count { requests: 2, bytes_down: 7, bytes_up: 5 });
        assert_eq!((between.answers(2), between.answers(5), between.answers(9)), (0, 1, 0));
        assert_eq!((between.mounted, between.connections), (1, 1));
        assert_eq!(between - between, Traffic::default());
    }
}

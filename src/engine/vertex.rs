//! One vertex of BuildKit's graph: what it is to us, and its latest state.

use time::OffsetDateTime;

/// What a vertex is to us.
#[derive(Debug)]
pub(super) enum Role {
    /// A Dockerfile instruction; `position` as the builder counts, from 1.
    Step { stage: String, position: u32, instruction: String },
    /// `importing cache manifest from REFERENCE`.
    Import(String),
    /// `exporting to image` and the like.
    Export,
    /// `exporting cache to registry`, `preparing build cache for export`, …
    CacheExport,
    /// FROM, `[internal] …`, `[auth] …`, and whatever comes later.
    Other,
}

impl Role {
    pub(super) fn of(name: &str) -> Self {
        if let Some(reference) = name.strip_prefix("importing cache manifest from ") {
            return Self::Import(reference.trim().to_owned());
        }
        let of_cache =
            ["exporting cache", "preparing build cache", "preparing layers for", "sending cache"];
        if of_cache.iter().any(|start| name.starts_with(start)) {
            return Self::CacheExport;
        }
        if name.starts_with("exporting ") {
            return Self::Export;
        }
        Self::step(name).unwrap_or(Self::Other)
    }

    /// `[builder 2/4] RUN …`, `[2/5] COPY …`, `[linux/amd64 stage-1  2/12] COPY …`.
    fn step(name: &str) -> Option<Self> {
        let (place, instruction) = name.strip_prefix('[')?.split_once("] ")?;
        let mut words = place.split_whitespace().rev();
        let (position, total) = words.next()?.split_once('/')?;
        let position: u32 = position.parse().ok()?;
        total.parse::<u32>().ok()?;
        // A file with one unnamed stage has no name here; a platform is no name.
        let stage = words.next().filter(|word| !word.contains('/')).unwrap_or("0");
        let stage = stage.strip_prefix("stage-").filter(is_number).unwrap_or(stage);
        let from = instruction.split_whitespace().next()?.eq_ignore_ascii_case("FROM");
        (!from && position > 0).then(|| Self::Step {
            stage: stage.to_owned(),
            position,
            instruction: instruction.to_owned(),
        })
    }
}

fn is_number(text: &&str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The latest state of a vertex.
#[derive(Debug)]
pub(super) struct Vertex {
    pub(super) name: String,
    pub(super) role: Role,
    first_start: Option<OffsetDateTime>,
    last_end: Option<OffsetDateTime>,
    /// Start and seconds of the interval in hand; a vertex may run several times (cache key
    /// first, then for real).
    interval: Option<(OffsetDateTime, f64)>,
    earlier_s: f64,
    pub(super) cached: bool,
    /// Whether layers were fetched for it: then it was found in an imported cache, although the
    /// builder does not call it cached.
    pub(super) fetched: bool,
    pub(super) error: Option<String>,
}

impl Vertex {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::of(name),
            first_start: None,
            last_end: None,
            interval: None,
            earlier_s: 0.0,
            cached: false,
            fetched: false,
            error: None,
        }
    }

    /// The last word counts: a vertex may be called cached while it is looked up, and run after.
    pub(super) fn change(
        &mut self,
        started: Option<OffsetDateTime>,
        completed: Option<OffsetDateTime>,
        cached: bool,
        error: Option<&str>,
    ) {
        self.cached = cached;
        if let Some(error) = error.filter(|error| !error.is_empty()) {
            self.error = Some(error.to_owned());
        }
        let Some(started) = started else { return };
        self.first_start = Some(self.first_start.map_or(started, |known| known.min(started)));
        let Some(completed) = completed else { return };
        self.last_end = Some(self.last_end.map_or(completed, |known| known.max(completed)));
        let seconds = (completed - started).as_seconds_f64().max(0.0);
        if let Some((start, earlier)) = self.interval
            && start != started
        {
            self.earlier_s += earlier;
        }
        self.interval = Some((started, seconds));
    }

    pub(super) fn ran_s(&self) -> Option<f64> {
        self.interval.map(|(_, seconds)| self.earlier_s + seconds)
    }
}

#[derive(Debug, Default)]
pub(super) struct Span {
    start: Option<OffsetDateTime>,
    pub(super) end: Option<OffsetDateTime>,
}

impl Span {
    pub(super) fn cover(&mut self, vertex: &Vertex) {
        let Some(end) = vertex.last_end else { return };
        self.end = Some(self.end.map_or(end, |known| known.max(end)));
        if let Some(start) = vertex.first_start {
            self.start = Some(self.start.map_or(start, |known| known.min(start)));
        }
    }

    pub(super) fn seconds(&self) -> Option<f64> {
        Some((self.end? - self.start?).as_seconds_f64().max(0.0))
    }
}

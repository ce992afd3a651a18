//! What is measured: the axes of a run.

use super::shared::Table;
use foldhash::fast::RandomState;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// The program that turns a Dockerfile into an image.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Builder {
    /// The Engine API's own builder (version 1).
    Classic,
    /// BuildKit, driven through `docker buildx build`.
    Buildkit,
    /// Buildah, which needs no daemon: `buildah build`.
    Buildah,
}

impl Builder {
    /// Every builder, in the order in which reports show them.
    pub const ALL: [Self; 3] = [Self::Classic, Self::Buildkit, Self::Buildah];
    /// Those of a Docker-compatible daemon.
    pub const OF_DAEMONS: [Self; 2] = [Self::Classic, Self::Buildkit];

    /// The word used in files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Buildkit => "buildkit",
            Self::Buildah => "buildah",
        }
    }
}

impl fmt::Display for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a sample had to do with a cache.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No cache is asked for.
    Cold,
    /// A cache is asked for, nothing is there, one is left behind.
    Populate,
    /// A cache is found and left behind.
    Steady,
    /// A cache is found and none is left behind.
    ReadOnly,
}

impl State {
    /// The word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Populate => "populate",
            Self::Steady => "steady",
            Self::ReadOnly => "read-only",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One point of workload × change × availability × strategy × builder × link × engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// Name of the workload.
    pub workload: String,
    /// Name of the change.
    pub change: String,
    /// Name of the availability: the candidates that exist joined by `+`, or `none`.
    pub availability: String,
    /// Id of the strategy.
    pub strategy: String,
    /// The builder.
    pub builder: Builder,
    /// Name of the link.
    pub link: String,
    /// Name of the engine.
    pub engine: String,
    /// The state that a sample of this cell is meant to be in.
    pub state: State,
    /// Whether it is the A/A cell: the baseline's cell of the same axes, measured a second time in
    /// every round. It is compared with that cell alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// A cell as one string, `workload/change/availability/strategy/builder/link/engine`.
///
/// The strategy of an A/A cell has `+again` behind it. `--only` filters are matched against it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CellKey(pub String);

impl CellKey {
    /// Of what a cell is on each axis: workload, change, availability, strategy, builder, link,
    /// engine.
    pub fn of(axes: [&str; 7]) -> Self {
        Self(axes.join("/"))
    }
}

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Cell {
    /// The key of this cell.
    pub fn key(&self) -> CellKey {
        CellKey::of([
            &self.workload,
            &self.change,
            &self.availability,
            &self.measured_as(),
            self.builder.as_str(),
            &self.link,
            &self.engine,
        ])
    }

    /// The strategy as samples are listed under it: `cold`, and `cold+again` for an A/A cell. No id
    /// of a strategy has a `+`.
    pub fn measured_as(&self) -> Cow<'_, str> {
        match self.again {
            false => Cow::Borrowed(&self.strategy),
            true => Cow::Owned(format!("{}+again", self.strategy)),
        }
    }

    /// Whether another cell is the same on every axis: itself, or its A/A cell.
    pub fn is_as(&self, other: &Self) -> bool {
        let axes = |cell: &Self| (cell.builder, cell.state);
        let names: fn(&Self) -> [&str; 6] = |cell| {
            [
                &cell.workload,
                &cell.change,
                &cell.availability,
                &cell.strategy,
                &cell.link,
                &cell.engine,
            ]
        };
        axes(self) == axes(other) && names(self) == names(other)
    }

    /// `strategy` with its builder, as reports name a competitor: `inline (buildkit)`.
    pub fn competitor(&self) -> String {
        format!("{} ({})", self.strategy, self.builder)
    }
}

/// Numbers of cells, from 0 in the order in which they are first met.
#[derive(Debug, Default)]
pub struct CellNumbers<'a> {
    numbers: HashMap<&'a Cell, usize, RandomState>,
    /// The same by where a cell lies, which is quicker to look up than its names.
    places: HashMap<usize, usize, RandomState>,
}

impl<'a> CellNumbers<'a> {
    /// The number of a cell.
    pub fn of(&mut self, cell: &'a Arc<Cell>) -> usize {
        let numbers = &mut self.numbers;
        *self.places.entry(Arc::as_ptr(cell).addr()).or_insert_with(|| {
            let next = numbers.len();
            *numbers.entry(cell).or_insert(next)
        })
    }
}

/// Writes a shared cell as a cell.
pub(super) fn as_it_is<S: Serializer>(cell: &Arc<Cell>, serializer: S) -> Result<S::Ok, S::Error> {
    cell.as_ref().serialize(serializer)
}

thread_local! {
    static CELLS: RefCell<Table<Cell>> = RefCell::default();
}

/// A cell as it stands in a line of JSON, its names where they are.
#[derive(Hash, Deserialize)]
struct CellIn<'a> {
    #[serde(borrow)]
    workload: Cow<'a, str>,
    #[serde(borrow)]
    change: Cow<'a, str>,
    #[serde(borrow)]
    availability: Cow<'a, str>,
    #[serde(borrow)]
    strategy: Cow<'a, str>,
    builder: Builder,
    #[serde(borrow)]
    link: Cow<'a, str>,
    #[serde(borrow)]
    engine: Cow<'a, str>,
    state: State,
    #[serde(default)]
    again: bool,
}

impl CellIn<'_> {
    fn is(&self, known: &Cell) -> bool {
        self.strategy == known.strategy
            && self.change == known.change
            && self.availability == known.availability
            && self.builder == known.builder
            && self.workload == known.workload
            && self.link == known.link
            && self.engine == known.engine
            && self.state == known.state
            && self.again == known.again
    }

    fn cell(&self) -> Cell {
        Cell {
            workload: self.workload.to_string(),
            change: self.change.to_string(),
            availability: self.availability.to_string(),
            strategy: self.strategy.to_string(),
            builder: self.builder,
            link: self.link.to_string(),
            engine: self.engine.to_string(),
            state: self.state,
            again: self.again,
        }
    }
}

/// Reads a cell and shares it with other samples of the same one.
pub(super) fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Cell>, D::Error> {
    let cell = CellIn::deserialize(deserializer)?;
    Ok(CELLS.with_borrow_mut(|known| {
        let hash = |mut hasher: &mut dyn std::hash::Hasher| cell.hash(&mut hasher);
        known.get(hash, |known| cell.is(known), || Arc::new(cell.cell()))
    }))
}

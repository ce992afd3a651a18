//! The words of the design as types. No I/O, and nothing of ours is imported here.

pub mod cell;
pub mod content_hash;
pub mod custom;
pub mod deploy;
pub mod event;
pub mod finding;
pub mod layout;
pub mod left;
pub mod mix;
pub mod noise;
pub mod plan;
pub mod prices;
pub mod reference;
pub mod rows;
pub mod sample;
pub mod shard;
mod shared;
pub mod step;

pub use cell::{Builder, Cell, CellKey, State};
pub use content_hash::ContentHash;
pub use deploy::DeployPull;
pub use event::Event;
pub use finding::{Finding, FindingKind, Severity};
pub use left::Left;
pub use mix::{MixCount, MixPlan, MixSource};
pub use noise::Noise;
pub use plan::Plan;
pub use prices::{Prices, Rounding};
pub use reference::{ArchiveName, ImageRef};
pub use rows::{PhaseRow, Phases, StepRow, Steps};
pub use sample::{PhaseRecord, Sample, Status, StepRecord};
pub use shard::Shard;
pub use step::{BuildStep, CacheExport, CacheMode, Phase, PullMode, Sources, Step};

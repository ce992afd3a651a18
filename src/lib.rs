//! Breakeven measures whether carrying a container-image build cache from one CI job to the next
//! pays for itself, and proves that every sample was what it claims to be.
//!
//! A strategy is data ([`strategy`]), an engine carries it out ([`engine`]), all that happens is an
//! event ([`model::event`]), and all that is shown is computed from recorded events ([`report`]).

// Here and not in Cargo.toml, because the integration tests may unwrap.
#![warn(clippy::unwrap_used)]

pub mod cli;
pub mod compare;
pub mod config;
pub mod decision;
pub mod engine;
#[doc(hidden)]
pub mod fuzz;
pub mod gate;
pub mod history;
pub mod link;
pub mod model;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod registry;
pub mod report;
pub mod run;
pub mod secret;
pub mod stats;
pub mod storage;
pub mod strategy;
pub mod trend;
pub mod workspace;

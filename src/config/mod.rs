//! `breakeven.toml`: its schema, its defaults, and a validation that names every problem at once.

pub mod dockerfile;
mod document;
mod problem;
pub mod schema;

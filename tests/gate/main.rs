//! Runs held against each other, against rules and a history, and put together: `compare`, `check`,
//! `history`, `merge` and the examples of `deploy/`, as a CI job calls them.

mod check;
mod compare;
mod compared;
mod deploy;
#[cfg(feature = "parquet")]
mod exported;
mod kept;
mod made;
mod merged;
mod parts;
#[path = "../report_support/mod.rs"]
mod report_support;
#[path = "../storage/server.rs"]
mod server;
mod shown;
mod support;
mod unfinished;

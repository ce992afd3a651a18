//! Runs held against each other and against rules: `compare` and `check`, as a CI job calls them.

mod check;
mod compare;
#[path = "../report_support/mod.rs"]
mod report_support;
mod support;

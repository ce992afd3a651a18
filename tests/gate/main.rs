//! Runs held against each other, against rules, and put together: `compare`, `check`, `merge` and
//! the examples of `deploy/`, as a CI job calls them.

mod check;
mod compare;
mod deploy;
mod merged;
mod parts;
#[path = "../report_support/mod.rs"]
mod report_support;
mod support;

//! What this machine can do, and what would disturb a measurement: `breakeven doctor`.
//!
//! A check is one file and one line in [`CHECKS`]. It looks, and says what it found in lines that
//! are ok, warn or fail; those that are not ok say what to do. What checks make is written to a
//! ledger as a run's is, and removed the same way.

mod activity;
mod builders;
mod clock;
mod disk;
mod engine;
mod exporters;
mod load;
mod noise;
mod pressure;
mod registry;
mod steal;
mod storage;
mod store;
mod subject;
mod trial;
mod versions;

pub use subject::examine;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;
use subject::Subject;

/// Version of [`Examination`].
pub const EXAMINATION_VERSION: u32 = 1;

/// Something that is looked at.
pub struct Check {
    /// Its name in every line.
    id: &'static str,
    run: for<'a> fn(&'a Subject<'_>) -> BoxFuture<'a, Vec<Line>>,
}

/// Every check, in the order in which they are made and shown. Those that look at what others do
/// come before those that do something themselves.
const CHECKS: [Check; 13] = [
    engine::CHECK,
    store::CHECK,
    versions::CHECK,
    activity::CHECK,
    builders::CHECK,
    exporters::CHECK,
    registry::CHECK,
    storage::CHECK,
    disk::CHECK,
    load::CHECK,
    steal::CHECK,
    pressure::CHECK,
    clock::CHECK,
];

/// What is looked at where only the noise is asked for.
const NOISE_CHECKS: [Check; 4] = [load::CHECK, steal::CHECK, pressure::CHECK, noise::CHECK];

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything that a run needs.
    Everything,
    /// Which differences this machine can show, watched for so long.
    Noise(Duration),
}

impl Extent {
    fn checks(self) -> &'static [Check] {
        match self {
            Self::Everything => &CHECKS,
            Self::Noise(_) => &NOISE_CHECKS,
        }
    }
}

/// How good something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It cannot be found out here.
    #[serde(rename = "n/a")]
    Unknown,
    /// A run is possible; less of it, or less exact.
    Warn,
    /// No run is possible.
    Fail,
}

impl State {
    /// As it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "n/a",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Line {
    /// The check that found it.
    pub check: String,
    /// How good it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it, if anything.
    pub advice: Option<String>,
}

impl Line {
    fn new(state: State, found: String, advice: Option<&str>) -> Self {
        let advice = advice.map(str::to_owned);
        Self { check: String::new(), state, found, advice }
    }

    fn ok(found: impl Into<String>) -> Self {
        Self::new(State::Ok, found.into(), None)
    }

    fn unknown(found: impl Into<String>) -> Self {
        Self::new(State::Unknown, found.into(), None)
    }

    fn warn(found: impl Into<String>, advice: &str) -> Self {
        Self::new(State::Warn, found.into(), Some(advice))
    }

    fn fail(found: impl Into<String>, advice: &str) -> Self {
        Self::new(State::Fail, found.into(), Some(advice))
    }

    /// From an error, whose own text ends with what to do.
    fn of_error(state: State, error: &impl std::fmt::Display) -> Self {
        Self::new(state, error.to_string(), None)
    }
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Examination {
    /// [`EXAMINATION_VERSION`].
    pub version: u32,
    /// Version of Breakeven.
    pub breakeven: String,
    /// Whether a run is possible: no line says `fail`.
    pub able: bool,
    /// What was found, in the order of the checks.
    pub lines: Vec<Line>,
}

impl Examination {
    /// From lines.
    pub fn new(lines: Vec<Line>) -> Self {
        Self {
            version: EXAMINATION_VERSION,
            breakeven: env!("CARGO_PKG_VERSION").to_owned(),
            able: lines.iter().all(|line| line.state < State::Fail),
            lines,
        }
    }
}

/// The schema of [`Examination`], committed as `docs/doctor.schema.json`.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Examination)
}

/// A share in percent.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fail_makes_a_run_impossible() {
        let lines = [Line::ok("a"), Line::unknown("b"), Line::warn("c", "d")];
        assert!(Examination::new(lines.to_vec()).able);
        assert!(!Examination::new(vec![Line::ok("a"), Line::fail("b", "c")]).able);
    }

    #[test]
    fn every_check_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(names.len(), CHECKS.len());
    }

    #[test]
    fn the_committed_schema_is_the_generated_one() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.schema.json");
        let generated = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("BREAKEVEN_UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            generated,
            "BREAKEVEN_UPDATE_SCHEMAS=1 cargo test --lib writes it anew"
        );
    }
}

//! Trends for programs. Versioned, with a JSON schema that is committed as
//! `docs/history.schema.json`.

use super::{ReportError, Style, TrendFormat, View};
use crate::trend::Trends;
use schemars::JsonSchema;
use serde::Serialize;

/// Version of trends as JSON.
pub const TREND_VERSION: u32 = 1;

/// The row of `TREND_FORMATS` for JSON.
pub(super) const FORMAT: TrendFormat =
    TrendFormat { id: "json", summary: "for programs (docs/history.schema.json)", render };

/// A history of Breakeven. Times are in seconds, shares from 0 to 1.
#[derive(Serialize, JsonSchema)]
struct TrendsOut<'a> {
    /// Version of this format: 1.
    version: u32,
    /// Where the history lies.
    address: &'a str,
    /// Objects that could not be used.
    damaged: Vec<DamagedOut<'a>>,
    #[serde(flatten)]
    trends: &'a Trends,
}

/// An object that could not be used.
#[derive(Serialize, JsonSchema)]
struct DamagedOut<'a> {
    /// Its name.
    name: &'a str,
    /// What is wrong with it.
    why: &'a str,
}

/// The JSON schema of trends, as committed.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(TrendsOut)
}

fn render(view: &View<'_>, _: Style) -> Result<String, ReportError> {
    let out = TrendsOut {
        version: TREND_VERSION,
        address: view.address,
        damaged: view
            .damaged
            .iter()
            .map(|one| DamagedOut { name: &one.name, why: &one.why })
            .collect(),
        trends: view.trends,
    };
    let text = serde_json::to_string_pretty(&out)
        .map_err(|error| ReportError::format("the history", error))?;
    Ok(text + "\n")
}

//! A comparison for programs. Versioned, with a JSON schema that is committed as
//! `docs/compare.schema.json`.

use super::{Comparison, ComparisonFormat, ReportError, Style};
use schemars::JsonSchema;
use serde::Serialize;

/// Version of a comparison as JSON.
pub const COMPARISON_VERSION: u32 = 1;

/// The row of `COMPARISON_FORMATS` for JSON.
pub(super) const FORMAT: ComparisonFormat =
    ComparisonFormat { id: "json", summary: "for programs (docs/compare.schema.json)", render };

/// Two runs of Breakeven, compared. Times are in seconds, sizes in bytes, shares from 0 to 1.
#[derive(Serialize, JsonSchema)]
struct ComparisonOut<'a> {
    /// Version of this format: 1.
    version: u32,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// The JSON schema of a comparison, as committed.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(ComparisonOut)
}

fn render(comparison: &Comparison, _: Style) -> Result<String, ReportError> {
    let out = ComparisonOut { version: COMPARISON_VERSION, comparison };
    let text = serde_json::to_string_pretty(&out)
        .map_err(|error| ReportError::format("the comparison", error))?;
    Ok(text + "\n")
}

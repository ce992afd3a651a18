//! Many runs in a row: what is known of each ([`Summary`]), and of each cell on each machine model
//! the series of its values with the shifts of its level ([`Trends`]). Pure.

mod conditions;
mod series;
mod summary;

pub use conditions::{changed, conditions};
pub use series::{
    CellTrend, Level, MachineTrends, Point, Series, Shift, Trends, VerdictChange, trends,
};
pub use summary::{CellSummary, Summary, VerdictSummary, machine};

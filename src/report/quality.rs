//! How good a run's measurements are: noise, drift and order.

use crate::model::{Cell, Plan, Sample, sample};
use crate::stats::Values;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Noise, drift and order of a run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Quality {
    /// Every cell of the plan, in its order, A/A cells behind the others.
    pub cells: Vec<CellQuality>,
    /// Every counted round with samples that count.
    pub rounds: Vec<RoundQuality>,
}

/// One cell's measurements.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CellQuality {
    /// Key of the cell.
    pub cell: String,
    /// Samples that count.
    pub n: usize,
    /// Standard deviation of whole jobs as a share of their mean; absent below two samples.
    pub cv: Option<f64>,
    /// Median of the later half of its samples against that of the earlier half, as a share of the
    /// median of all; absent below four samples.
    pub drift: Option<f64>,
    /// Position within each counted round, by round.
    pub positions: BTreeMap<u32, u32>,
}

impl CellQuality {
    /// The mean position within its rounds.
    pub fn mean_position(&self) -> Option<f64> {
        let sum: f64 = self.positions.values().copied().map(f64::from).sum();
        (!self.positions.is_empty()).then(|| sum / self.positions.len() as f64)
    }
}

/// One round: how far its samples lie from the medians of their cells, as shares of these.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RoundQuality {
    /// The round.
    pub round: u32,
    /// Samples that count.
    pub n: usize,
    /// Lower quartile.
    pub low: f64,
    /// Median.
    pub median: f64,
    /// Upper quartile.
    pub high: f64,
}

/// Looks at all samples of a run.
pub(super) fn of(plan: &Plan, samples: &[&Sample]) -> Quality {
    let counted = samples.iter().copied().filter(|sample| sample.round > 0);
    let groups = sample::by_cell(counted).into_iter();
    let mut by_cell: HashMap<&Cell, Vec<&Sample>> =
        groups.map(|(cell, samples)| (cell.as_ref(), samples)).collect();
    let mut deviations: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    let cells = plan.measured().map(|cell| {
        let measured = by_cell.remove(cell).unwrap_or_default();
        let counted: Vec<&Sample> = measured
            .iter()
            .copied()
            .filter(|sample| sample.counts() && sample.total_s().is_finite())
            .collect();
        let totals: Vec<f64> = counted.iter().map(|sample| sample.total_s()).collect();
        let median = median(&totals).filter(|median| *median > 0.0);
        for (sample, total) in counted.iter().zip(&totals) {
            if let Some(median) = median {
                deviations.entry(sample.round).or_default().push(total / median - 1.0);
            }
        }
        CellQuality {
            cell: cell.key().0,
            n: totals.len(),
            cv: cv(&totals),
            drift: median.and_then(|median| drift(&totals, median)),
            positions: measured.iter().map(|sample| (sample.round, sample.position)).collect(),
        }
    });
    let cells = cells.collect();
    let rounds = deviations
        .into_iter()
        .filter_map(|(round, shares)| {
            let values = Values::new(shares).ok()?;
            Some(RoundQuality {
                round,
                n: values.count(),
                low: values.quantile(0.25),
                median: values.median(),
                high: values.quantile(0.75),
            })
        })
        .collect();
    Quality { cells, rounds }
}

fn median(numbers: &[f64]) -> Option<f64> {
    Values::new(numbers.iter().copied()).ok().map(|values| values.median())
}

fn cv(totals: &[f64]) -> Option<f64> {
    let values = Values::new(totals.iter().copied()).ok()?;
    let (mean, n) = (values.mean(), values.count() as f64);
    if n < 2.0 || mean <= 0.0 {
        return None;
    }
    let squares: f64 = totals.iter().map(|total| (total - mean).powi(2)).sum();
    Some((squares / (n - 1.0)).sqrt() / mean)
}

fn drift(totals: &[f64], of_all: f64) -> Option<f64> {
    let half = totals.len() / 2;
    if half < 2 {
        return None;
    }
    let (earlier, later) = (&totals[..half], &totals[totals.len() - half..]);
    Some((median(later)? - median(earlier)?) / of_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_the_deviation_as_a_share_of_the_mean() {
        assert_eq!(cv(&[9.0, 11.0]).map(|cv| (cv * 1e4).round()), Some(1414.0));
        assert_eq!((cv(&[5.0, 5.0]), cv(&[5.0]), cv(&[])), (Some(0.0), None, None));
    }

    #[test]
    fn drift_compares_the_later_half_with_the_earlier() {
        assert_eq!(drift(&[10.0, 10.0, 99.0, 12.0, 12.0], 10.0), Some(0.2));
        assert_eq!(drift(&[10.0, 10.0, 12.0], 10.0), None);
    }
}

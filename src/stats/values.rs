//! Finite numbers, checked once, and what describes them.

use super::StatsError;

/// At least one number, all finite, sorted.
///
/// Called values and not a sample, because a sample is one measured run of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Values(Vec<f64>);

impl Values {
    /// Checks and sorts.
    pub fn new(numbers: impl IntoIterator<Item = f64>) -> Result<Self, StatsError> {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        if numbers.is_empty() {
            return Err(StatsError::Empty);
        }
        if let Some(position) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(StatsError::NotFinite { position, value: numbers[position] });
        }
        numbers.sort_by(f64::total_cmp);
        Ok(Self(numbers))
    }

    /// The numbers, smallest first.
    pub fn sorted(&self) -> &[f64] {
        &self.0
    }

    /// How many there are; at least 1.
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// Smallest.
    pub fn min(&self) -> f64 {
        self.0[0]
    }

    /// Largest.
    pub fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// Whether all are the same number.
    pub fn all_equal(&self) -> bool {
        self.min() == self.max()
    }

    /// Arithmetic mean.
    pub fn mean(&self) -> f64 {
        if self.all_equal() { self.min() } else { self.0.iter().sum::<f64>() / self.0.len() as f64 }
    }

    /// The quantile of a share between 0 and 1 (beyond it: the nearer end), see [`quantile`].
    pub fn quantile(&self, share: f64) -> f64 {
        quantile(&self.0, share)
    }

    /// The middle number; of an even count, the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Median absolute deviation from the median, not scaled to a normal distribution.
    pub fn mad(&self) -> f64 {
        let median = self.median();
        let mut deviations: Vec<f64> =
            self.0.iter().map(|number| (number - median).abs()).collect();
        deviations.sort_by(f64::total_cmp);
        quantile(&deviations, 0.5)
    }
}

/// The quantile of sorted numbers by linear interpolation between the two nearest: position
/// `share · (n − 1)`, counted from 0.
///
/// This is definition 7 of Hyndman & Fan, "Sample Quantiles in Statistical Packages", The American
/// Statistician 50 (1996), the default of R and NumPy. `sorted` must not be empty.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    let position = share.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    let (low, high) = (sorted[below], sorted[above]);
    // Not `low + (high - low) * part`, which is not exact where both are the same large number
    // and is NaN where both are infinite.
    if low == high { low } else { low + (high - low) * (position - below as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(numbers: &[f64]) -> Values {
        Values::new(numbers.iter().copied()).unwrap()
    }

    #[test]
    fn refuses_nothing_and_what_is_not_finite() {
        assert_eq!(Values::new([]), Err(StatsError::Empty));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = Values::new([1.0, bad]).unwrap_err();
            assert!(matches!(error, StatsError::NotFinite { position: 1, .. }), "{error}");
        }
    }

    #[test]
    fn quantiles_follow_definition_7() {
        // By hand: positions 0, 0.75, 1.5, 2.7 and 3.
        let four = values(&[8.0, 1.0, 4.0, 2.0]);
        let shares = [0.0, 0.25, 0.5, 0.9, 1.0];
        let expected = [1.0, 1.75, 3.0, 6.8, 8.0];
        for (share, expected) in shares.into_iter().zip(expected) {
            assert!((four.quantile(share) - expected).abs() < 1e-12, "{share}");
        }
        assert_eq!(four.quantile(-1.0), 1.0);
        assert_eq!(four.quantile(2.0), 8.0);
    }

    #[test]
    fn one_number_describes_itself() {
        let one = values(&[3.5]);
        assert_eq!((one.median(), one.mean(), one.mad(), one.count()), (3.5, 3.5, 0.0, 1));
        assert!(one.all_equal());
    }

    #[test]
    fn the_mad_ignores_one_outlier() {
        assert_eq!(values(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 900.0]).mad(), 1.0);
    }

    proptest! {
        #[test]
        fn quantiles_grow_with_the_share(
            numbers in prop::collection::vec(-1e6..1e6, 1..40),
            a in 0.0..1.0,
            b in 0.0..1.0,
        ) {
            let sorted = values(&numbers);
            let (a, b) = (f64::min(a, b), f64::max(a, b));
            prop_assert!(sorted.quantile(a) <= sorted.quantile(b));
            prop_assert!(sorted.min() <= sorted.quantile(a) && sorted.quantile(b) <= sorted.max());
        }

        #[test]
        fn order_of_input_does_not_matter(numbers in prop::collection::vec(-1e6..1e6, 1..40)) {
            let mut turned = numbers.clone();
            turned.reverse();
            prop_assert_eq!(values(&numbers), values(&turned));
        }
    }
}

//! Whether differences of pairs lie around 0.

use super::Values;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The chance that the mean of differences lies as far from 0, on either side, where nothing but
/// noise makes them: Student's t test of pairs ("The Probable Error of a Mean", Biometrika 6, 1908).
/// 1 of a single difference, which has no spread to be held against.
///
/// Two measurements of the same thing are exchangeable within a pair, so that their differences are
/// symmetric whatever the noise is like: skewed noise does no harm, and outliers make the chance too
/// large rather than too small.
pub fn chance(differences: &Values) -> f64 {
    let n = differences.count() as f64;
    let mean = differences.mean();
    if n < 2.0 || mean == 0.0 {
        return 1.0;
    }
    if differences.all_equal() {
        return 0.0;
    }
    let squares: f64 = differences.sorted().iter().map(|one| (one - mean).powi(2)).sum();
    let error = (squares / (n - 1.0) / n).sqrt();
    // The parameters are valid from two differences on; an error could only mean a library's fault,
    // and then nothing may be told apart.
    StudentsT::new(0.0, 1.0, n - 1.0).map_or(1.0, |t| 2.0 * t.cdf(-(mean / error).abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(differences: &[f64]) -> f64 {
        chance(&Values::new(differences.iter().copied()).unwrap())
    }

    #[test]
    fn chances_are_those_of_students_own_example() {
        // Hours of sleep gained with the second drug against the first, from the paper: t = 4.06
        // with 9 degrees of freedom, which is a chance of 0.0028.
        let sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        assert!((of(&sleep) - 0.00283).abs() < 1e-4, "{}", of(&sleep));
        let turned = sleep.map(|hours| -hours);
        assert_eq!(of(&turned), of(&sleep));
    }

    #[test]
    fn what_has_no_spread_or_no_difference_is_told_plainly() {
        assert_eq!((of(&[3.0]), of(&[0.0, 0.0]), of(&[-1.0, 1.0])), (1.0, 1.0, 1.0));
        assert_eq!(of(&[2.0, 2.0, 2.0]), 0.0);
    }
}

//! Where one more value probably lies, after so many of the same kind.

use super::Values;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// How far one more value lies from the mean of these at most, with this confidence: `t · s · √(1 +
/// 1/n)`, with Student's quantile for n − 1 degrees of freedom (Hahn & Meeker, "Statistical
/// Intervals", 1991, section 4.8). 0 where none differs from the others; `None` of fewer than two.
pub fn reach(values: &Values, confidence: f64) -> Option<f64> {
    let n = values.count() as f64;
    if values.count() < 2 {
        return None;
    }
    let mean = values.mean();
    let squares: f64 = values.sorted().iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (n - 1.0)).sqrt();
    let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(f64::midpoint(1.0, confidence));
    Some(t * deviation * (1.0 + 1.0 / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn one_more_value_lies_within_as_often_as_it_says() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>();
        for (n, confidence) in [(5, 0.95), (20, 0.997)] {
            let beyond = (0..4_000).filter(|_| {
                let values = Values::new((0..n).map(|_| normal())).unwrap();
                (normal() - values.mean()).abs() > reach(&values, confidence).unwrap()
            });
            let share = beyond.count() as f64 / 4_000.0;
            assert!((share - (1.0 - confidence)).abs() < 0.012, "{n}: {share}");
        }
    }

    #[test]
    fn equal_values_and_single_ones() {
        let values = |numbers: &[f64]| Values::new(numbers.iter().copied()).unwrap();
        assert_eq!(reach(&values(&[2.0, 2.0, 2.0]), 0.95), Some(0.0));
        assert_eq!(reach(&values(&[2.0]), 0.95), None);
        // 1, 2, 3: s = 1, t(2) = 4.303, √(4/3).
        assert!((reach(&values(&[1.0, 2.0, 3.0]), 0.95).unwrap() - 4.968).abs() < 0.002);
    }
}

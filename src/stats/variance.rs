//! Whether several groups of numbers have the same mean: analysis of variance, one way.

use super::Values;
use statrs::distribution::{ContinuousCDF, FisherSnedecor};

/// The chance that groups of equal means differ as much as these do, by Fisher's F test (Fisher,
/// *Statistical Methods for Research Workers*, 1925, chapter 7). It is exact for normal noise of the
/// same spread in all groups. `None` for fewer than two groups, and where no group has two numbers,
/// so that nothing says how large chance is; groups without numbers are no groups.
pub fn one_way(groups: &[Vec<f64>]) -> Option<f64> {
    let groups: Vec<Values> =
        groups.iter().filter_map(|group| Values::new(group.iter().copied()).ok()).collect();
    let count: usize = groups.iter().map(Values::count).sum();
    let (between, within) = (groups.len().checked_sub(1)?, count - groups.len());
    if between == 0 || within == 0 {
        return None;
    }
    let sum: f64 = groups.iter().map(|group| group.mean() * group.count() as f64).sum();
    let mean = sum / count as f64;
    let of_means = |group: &Values| group.count() as f64 * (group.mean() - mean).powi(2);
    let of_group =
        |group: &Values| group.sorted().iter().map(|x| (x - group.mean()).powi(2)).sum::<f64>();
    let between_squares: f64 = groups.iter().map(of_means).sum();
    let within_squares: f64 = groups.iter().map(of_group).sum();
    // Rounding leaves a little of what is nothing.
    let nothing = 1e-18 * mean.powi(2) * count as f64;
    if within_squares <= nothing {
        return Some(if between_squares <= nothing { 1.0 } else { 0.0 });
    }
    let ratio = (between_squares / between as f64) / (within_squares / within as f64);
    let f = FisherSnedecor::new(between as f64, within as f64).ok()?;
    Some(f.sf(ratio))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::bootstrap::normals;

    #[test]
    fn a_worked_example() {
        // Means 2, 3 and 6, squares 26 between and 6 within: F = 13 with 2 and 6 degrees of freedom,
        // for which the chance is (1 + 2 F / 6)^(-3).
        let groups = [vec![1.0, 2.0, 3.0], vec![2.0, 3.0, 4.0], vec![5.0, 6.0, 7.0]];
        let expected = (1.0_f64 + 26.0 / 6.0).powi(-3);
        assert!((one_way(&groups).unwrap() - expected).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        for groups in [vec![], vec![vec![1.0, 2.0]], vec![vec![1.0], vec![2.0], vec![]]] {
            assert_eq!(one_way(&groups), None, "{groups:?}");
        }
        assert_eq!(one_way(&[vec![1.0, 1.0], vec![1.0]]), Some(1.0));
        assert_eq!(one_way(&[vec![1.0, 1.0], vec![2.0]]), Some(0.0));
    }

    #[test]
    fn groups_that_are_alike_are_rarely_said_to_differ() {
        let mut noise = normals(42);
        let mut said = 0;
        for _ in 0..2_000 {
            let groups: Vec<Vec<f64>> = (0..4).map(|_| noise.by_ref().take(3).collect()).collect();
            said += u32::from(one_way(&groups).unwrap() < 0.05);
        }
        assert!((60..=140).contains(&said), "{said} of 2,000 at 5 %");
    }
}

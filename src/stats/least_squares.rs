//! Least squares whose coefficients cannot be negative, for a handful of columns.

/// Columns at most.
pub const COLUMNS: usize = 4;

/// One observation: its column values and what they should add up to.
pub type Row = ([f64; COLUMNS], f64);

/// Part of a column's squared length that must be its own, not explained by the others, so that a
/// coefficient can be told apart from theirs: measured values that are meant to be the same differ
/// by a few per cent.
const OWN_PART: f64 = 0.01;

/// Those of `wanted`, in this order, that are independent of the ones before.
pub fn independent(rows: &[[f64; COLUMNS]], wanted: &[usize]) -> Vec<usize> {
    let mut chosen = Vec::new();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for &column in wanted {
        let mut rest: Vec<f64> = rows.iter().map(|row| row[column]).collect();
        let whole = dot(&rest, &rest);
        for one in &basis {
            let along = dot(&rest, one);
            rest.iter_mut().zip(one).for_each(|(value, unit)| *value -= along * unit);
        }
        let own = dot(&rest, &rest);
        if own > OWN_PART * whole {
            let length = own.sqrt();
            basis.push(rest.into_iter().map(|value| value / length).collect());
            chosen.push(column);
        }
    }
    chosen
}

/// The coefficients of `columns`, none below zero, that make the sum of squared misses the least;
/// 0 for the other columns. `None` if there is nothing to fit.
///
/// With at most four columns, every choice of those that stay above zero is tried: exact, and
/// simpler than the active-set method of Lawson & Hanson that larger problems need.
pub fn non_negative(rows: &[Row], columns: &[usize]) -> Option<[f64; COLUMNS]> {
    if rows.is_empty() {
        return None;
    }
    let is_allowed = |fit: &[f64; COLUMNS]| fit.iter().all(|coefficient| *coefficient >= 0.0);
    // Nothing is below the least of all, if that is allowed.
    if let Some(fit) = solve(rows, columns).filter(is_allowed) {
        return Some(fit);
    }
    let mut best: Option<(f64, [f64; COLUMNS])> = None;
    for choice in 0..1_usize << columns.len() {
        let used: Vec<usize> = (0..columns.len())
            .filter(|bit| choice >> bit & 1 == 1)
            .map(|bit| columns[bit])
            .collect();
        let Some(fit) = solve(rows, &used).filter(is_allowed) else { continue };
        let miss = squared_miss(rows, &fit);
        if best.is_none_or(|(least, _)| miss < least) {
            best = Some((miss, fit));
        }
    }
    best.map(|(_, fit)| fit)
}

fn squared_miss(rows: &[Row], fit: &[f64; COLUMNS]) -> f64 {
    rows.iter().map(|(x, y)| (dot(x, fit) - y).powi(2)).sum()
}

/// Plain least squares over some columns, by normal equations on columns of length 1; `None` where
/// they depend on each other.
fn solve(rows: &[Row], used: &[usize]) -> Option<[f64; COLUMNS]> {
    let n = used.len();
    let mut lengths = [0.0; COLUMNS];
    for (slot, &column) in used.iter().enumerate() {
        let length = rows.iter().map(|(x, _)| x[column].powi(2)).sum::<f64>().sqrt();
        if length <= 0.0 {
            return None;
        }
        lengths[slot] = length;
    }
    let mut system = [[0.0; COLUMNS + 1]; COLUMNS];
    for (x, y) in rows {
        for i in 0..n {
            let left = x[used[i]] / lengths[i];
            for j in 0..n {
                system[i][j] += left * x[used[j]] / lengths[j];
            }
            system[i][n] += left * y;
        }
    }
    // The matrix is symmetric and positive, so that no pivot has to be looked for.
    for i in 0..n {
        if system[i][i] < 1e-9 {
            return None;
        }
        let pivot = system[i];
        for line in system.iter_mut().take(n).skip(i + 1) {
            let factor = line[i] / pivot[i];
            line.iter_mut().zip(&pivot).skip(i).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut fit = [0.0; COLUMNS];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| system[i][j] * fit[used[j]] * lengths[j]).sum();
        fit[used[i]] = (system[i][n] - known) / system[i][i] / lengths[i];
    }
    Some(fit)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(x: [f64; COLUMNS], fit: &[f64; COLUMNS]) -> Row {
        (x, dot(&x, fit))
    }

    #[test]
    fn a_coefficient_that_would_be_negative_is_zero() {
        // The best line falls; the best one that does not is flat, at the mean.
        let rows = [([1.0, 1.0, 0.0, 0.0], 4.0), ([1.0, 2.0, 0.0, 0.0], 2.0)];
        let fit = non_negative(&rows, &[0, 1]).unwrap();
        assert!((fit[0] - 3.0).abs() < 1e-12 && fit[1] == 0.0, "{fit:?}");
        assert_eq!(non_negative(&[], &[0]), None);
        assert_eq!(non_negative(&rows, &[]), Some([0.0; COLUMNS]));
    }

    #[test]
    fn columns_that_nearly_say_the_same_are_one() {
        let rows = [[1.0, 0.020, 2.0, 0.0], [1.0, 0.0204, 8.0, 0.0], [1.0, 0.0199, 5.0, 0.0]];
        assert_eq!(independent(&rows, &[0, 1, 2, 3]), [0, 2]);
        assert_eq!(independent(&rows, &[2, 0, 1]), [2, 0]);
    }

    proptest! {
        #[test]
        fn coefficients_that_made_the_numbers_are_found(
            fit in prop::array::uniform4(0.0..100.0),
            lines in prop::collection::vec(prop::array::uniform3(0.0..10.0), 5..9),
        ) {
            let rows: Vec<Row> =
                lines.iter().map(|[a, b, c]| row([1.0, *a, *b, *c], &fit)).collect();
            let xs: Vec<[f64; COLUMNS]> = rows.iter().map(|(x, _)| *x).collect();
            prop_assume!(independent(&xs, &[0, 1, 2, 3]).len() == COLUMNS);
            let found = non_negative(&rows, &[0, 1, 2, 3]).unwrap();
            for (found, made) in found.iter().zip(fit) {
                prop_assert!((found - made).abs() < 1e-4, "{found} {made}");
            }
        }

        #[test]
        fn the_order_of_observations_does_not_matter(
            numbers in prop::collection::vec((0.1..10.0, 0.0..50.0), 3..8),
        ) {
            let rows: Vec<Row> =
                numbers.iter().map(|&(x, y)| ([1.0, x, 0.0, 0.0], y)).collect();
            let mut turned = rows.clone();
            turned.reverse();
            let (a, b) = (non_negative(&rows, &[0, 1]).unwrap(), non_negative(&turned, &[0, 1]).unwrap());
            for (a, b) in a.iter().zip(b) {
                prop_assert!((a - b).abs() < 1e-6 * a.abs().max(1.0), "{a} {b}");
            }
        }
    }
}

//! The coefficients of a link model: fitted to what was measured over each link, and held against
//! the links that a fit was not made from.

use super::link_model::BytesFrom;
use crate::stats::least_squares::{COLUMNS, Row, independent, non_negative};

/// Columns: what multiplies `c`, `down`, `up` and `r`.
const CONSTANT: usize = 0;
const DOWN: usize = 1;
const UP: usize = 2;
const RTT: usize = 3;

/// A link as the model sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    pub(super) down_bps: Option<f64>,
    pub(super) up_bps: Option<f64>,
    pub(super) rtt_s: f64,
}

impl Shape {
    /// What each coefficient is multiplied with.
    fn columns(&self) -> [f64; COLUMNS] {
        let per_byte = |bps: Option<f64>| bps.map_or(0.0, |bps| 8.0 / bps);
        [1.0, per_byte(self.down_bps), per_byte(self.up_bps), self.rtt_s]
    }
}

/// What a job took over a link on average, and what it moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moved {
    pub(super) seconds: f64,
    pub(super) bytes_down: f64,
    pub(super) bytes_up: f64,
}

/// `c`, `down`, `up` and `r`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Coefficients(pub(super) [f64; COLUMNS]);

impl Coefficients {
    /// Seconds over a link.
    pub(super) fn seconds(&self, shape: &Shape) -> f64 {
        self.0.iter().zip(shape.columns()).map(|(coefficient, of)| coefficient * of).sum()
    }
}

/// How a model is fitted over some links: decided by the links and by whether bytes were counted,
/// not by the times.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Method {
    shapes: Vec<Shape>,
    bytes: BytesFrom,
    /// Columns whose coefficients are fitted.
    fitted: Vec<usize>,
    /// Links that can be left out: the others tell the same coefficients.
    testable: Vec<usize>,
}

impl Method {
    /// The method for these links; in words, why there is none.
    pub(super) fn new(shapes: Vec<Shape>, bytes: BytesFrom) -> Result<Self, String> {
        let links = shapes.len();
        if links < 3 {
            let noun = if links == 1 { "link was" } else { "links were" };
            return Err(format!(
                "{links} {noun} measured; at least three are needed, two to fit and one to hold \
                 against"
            ));
        }
        let fitted = choose(&shapes, bytes, links - 1);
        let testable: Vec<usize> = (0..links)
            .filter(|&out| choose(&without(&shapes, out), bytes, links - 1) == fitted)
            .collect();
        if testable.is_empty() {
            return Err(
                "no link can be held against the others: without any of them, these do not \
                        tell bandwidth from round trip"
                    .to_owned(),
            );
        }
        Ok(Self { shapes, bytes, fitted, testable })
    }

    /// Whether the round trips are fitted.
    pub(super) fn has_round_trips(&self) -> bool {
        self.fitted.contains(&RTT)
    }

    /// The coefficients for what was measured over each link.
    pub(super) fn fit(&self, moved: &[Moved]) -> Option<Coefficients> {
        self.fit_to(self.shapes.iter().zip(moved))
    }

    /// Links that were left out one at a time: which, and the seconds that the others' fit says.
    pub(super) fn held_out(&self, moved: &[Moved]) -> Vec<(usize, f64)> {
        let predicted = |&out: &usize| {
            let others = self.shapes.iter().zip(moved).enumerate();
            let others = others.filter(|(index, _)| *index != out).map(|(_, pair)| pair);
            Some((out, self.fit_to(others)?.seconds(&self.shapes[out])))
        };
        self.testable.iter().filter_map(predicted).collect()
    }

    /// Each link's miss counts relative to its time: the model is judged by per cent, and slow
    /// links vary more.
    fn fit_to<'a>(
        &self,
        links: impl Iterator<Item = (&'a Shape, &'a Moved)>,
    ) -> Option<Coefficients> {
        let links: Vec<(&Shape, &Moved)> = links.collect();
        let known = match self.bytes {
            BytesFrom::Counted => {
                let mean = |of: fn(&Moved) -> f64| {
                    links.iter().map(|(_, moved)| of(moved)).sum::<f64>() / links.len() as f64
                };
                [mean(|moved| moved.bytes_down), mean(|moved| moved.bytes_up)]
            }
            BytesFrom::Fitted => [0.0; 2],
        };
        let rows: Vec<Row> = links
            .iter()
            .map(|(shape, moved)| {
                let columns = shape.columns();
                let left = moved.seconds - known[0] * columns[DOWN] - known[1] * columns[UP];
                let weight = if moved.seconds > 0.0 { 1.0 / moved.seconds } else { 1.0 };
                (columns.map(|column| column * weight), left * weight)
            })
            .collect();
        let mut found = non_negative(&rows, &self.fitted)?;
        found[DOWN] += known[0];
        found[UP] += known[1];
        Some(Coefficients(found))
    }
}

/// Columns that these links tell apart, `most` at most. Bytes come before round trips: they are
/// the larger part on slow links.
fn choose(shapes: &[Shape], bytes: BytesFrom, most: usize) -> Vec<usize> {
    let wanted: &[usize] = match bytes {
        BytesFrom::Counted => &[CONSTANT, RTT],
        BytesFrom::Fitted => &[CONSTANT, DOWN, UP, RTT],
    };
    let columns: Vec<[f64; COLUMNS]> = shapes.iter().map(Shape::columns).collect();
    let mut chosen = independent(&columns, wanted);
    chosen.truncate(most);
    chosen
}

fn without(shapes: &[Shape], out: usize) -> Vec<Shape> {
    let kept = shapes.iter().enumerate().filter(|(index, _)| *index != out);
    kept.map(|(_, shape)| *shape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(mbit: f64, rtt_ms: f64) -> Shape {
        let bps = mbit * 1e6;
        Shape { down_bps: Some(bps), up_bps: Some(bps / 5.0), rtt_s: rtt_ms / 1e3 }
    }

    /// Jobs that follow the model, with 20 MB down and 5 MB up.
    fn moved(shapes: &[Shape], c: f64, r: f64) -> Vec<Moved> {
        let of = Coefficients([c, 20e6, 5e6, r]);
        let moved =
            |shape: &Shape| Moved { seconds: of.seconds(shape), bytes_down: 20e6, bytes_up: 5e6 };
        shapes.iter().map(moved).collect()
    }

    #[test]
    fn counted_bytes_leave_the_constant_and_the_round_trips_to_fit() {
        let shapes = vec![shape(10.0, 40.0), shape(100.0, 20.0), shape(1000.0, 2.0)];
        let measured = moved(&shapes, 7.0, 30.0);
        let method = Method::new(shapes, BytesFrom::Counted).unwrap();
        let Coefficients([c, down, up, r]) = method.fit(&measured).unwrap();
        assert!((c - 7.0).abs() < 1e-6 && (r - 30.0).abs() < 1e-4, "{c} {r}");
        assert_eq!((down, up), (20e6, 5e6));
        for (link, predicted) in method.held_out(&measured) {
            assert!((predicted - measured[link].seconds).abs() < 1e-4, "{link}: {predicted}");
        }
        assert_eq!(method.testable, [0, 1, 2]);
    }

    #[test]
    fn bytes_that_were_not_counted_are_fitted() {
        // Up and down have one ratio, so that only their sum can be told.
        let shapes: Vec<Shape> = [10.0, 50.0, 100.0, 400.0].map(|mbit| shape(mbit, 20.0)).into();
        let measured = moved(&shapes, 7.0, 30.0);
        let method = Method::new(shapes.clone(), BytesFrom::Fitted).unwrap();
        assert_eq!(method.fitted, [CONSTANT, DOWN]);
        let fit = method.fit(&measured).unwrap();
        assert!((fit.0[DOWN] - 45e6).abs() < 1.0 && !method.has_round_trips(), "{fit:?}");
        for (shape, moved) in shapes.iter().zip(&measured) {
            assert!((fit.seconds(shape) - moved.seconds).abs() < 1e-6);
        }
    }

    #[test]
    fn too_few_or_too_similar_links_are_refused_in_words() {
        let two = vec![shape(10.0, 1.0), shape(20.0, 1.0)];
        let why = Method::new(two, BytesFrom::Counted).unwrap_err();
        assert!(why.contains("at least three"), "{why}");
        // Without the third link the others have one bandwidth.
        let tied = vec![shape(10.0, 1.0), shape(10.0, 50.0), shape(99.0, 1.0)];
        let testable = Method::new(tied, BytesFrom::Fitted).map(|method| method.testable);
        assert_eq!(testable, Ok(vec![0, 1]));
    }
}

//! Drift: how far each round's jobs lie from the medians of their cells.

use super::axis::Linear;
use super::canvas::{About, draw};
use super::frame::{self, ACROSS, SIZE, UPWARDS};
use super::palette::INK;
use super::{Drawing, Figure, Part};
use crate::report::quality::RoundQuality;
use crate::report::{Model, ReportError, text};

/// The row of `FIGURES`.
pub(super) const FIGURE: Figure = Figure { name: "drift", draw: draw_all };

fn draw_all(model: &Model<'_>) -> Result<Vec<Drawing>, ReportError> {
    let rounds = &model.quality.rounds;
    if rounds.len() < 2 {
        return Ok(Vec::new());
    }
    let drawn = shown(rounds);
    let svg = draw_rounds(&drawn, drawn.len() < rounds.len())?;
    Ok(vec![Drawing { figure: FIGURE.name, part: Part::Run, file: String::new(), svg }])
}

/// Most rounds that are drawn: more than there are pixels would hide one another.
const MOST_ROUNDS: usize = 500;

/// The rounds that are drawn: all of them, or of too many evenly spaced ones, and the fastest and
/// the slowest, which the description names.
fn shown(rounds: &[RoundQuality]) -> Vec<RoundQuality> {
    let step = rounds.len().div_ceil(MOST_ROUNDS);
    let by = |a: &&RoundQuality, b: &&RoundQuality| a.median.total_cmp(&b.median);
    let ends = [rounds.iter().min_by(by), rounds.iter().max_by(by)];
    let is_end = |round: &RoundQuality| ends.iter().flatten().any(|end| end.round == round.round);
    let drawn = |(at, round): &(usize, &RoundQuality)| at % step == 0 || is_end(round);
    rounds.iter().enumerate().filter(drawn).map(|(_, round)| round.clone()).collect()
}

fn draw_rounds(rounds: &[RoundQuality], some: bool) -> Result<String, ReportError> {
    let per_cent = |share: f64| share * 100.0;
    let ends = rounds.iter().fold((-1.0_f64, 1.0_f64), |(low, high), round| {
        (low.min(per_cent(round.low)), high.max(per_cent(round.high)))
    });
    let upwards = Linear::over(UPWARDS, ends);
    let (first, last) = (rounds[0].round, rounds[rounds.len() - 1].round);
    let span = f64::from(last - first).max(1.0);
    let across = |round: u32| {
        let share = f64::from(round - first) / span;
        ACROSS.0 + 20 + (share * f64::from(ACROSS.1 - ACROSS.0 - 40)).round() as i32
    };
    let desc = sentence(rounds);
    let about = About { title: "Drift over rounds", desc: &desc };
    draw(SIZE, about, |canvas| {
        frame::begin(canvas, "Drift over rounds", &upwards, "% of the cell's median")?;
        let every = rounds.len().div_ceil(20);
        for round in rounds.iter().step_by(every) {
            frame::tick(canvas, across(round.round), &round.round.to_string())?;
        }
        let at = |round: &RoundQuality, share| (across(round.round), upwards.at(per_cent(share)));
        for round in rounds {
            canvas.line(at(round, round.low), at(round, round.high), INK, 1)?;
            canvas.dot(at(round, round.median), INK)?;
        }
        let medians: Vec<_> = rounds.iter().map(|round| at(round, round.median)).collect();
        canvas.path(&medians, INK, 2)?;
        let text = match some {
            false => LINES,
            true => LINES_OF_SOME,
        };
        frame::end(canvas, "round", text)
    })
}

const LINES: &str = "Line: median of the round's jobs, each against the median of its cell. Bar: \
                     their quartiles. Level is good.";
const LINES_OF_SOME: &str = "Of many rounds, evenly spaced ones. Line: median of the round's jobs \
                             against their cells' medians. Bar: their quartiles.";

fn sentence(rounds: &[RoundQuality]) -> String {
    let by = |a: &&RoundQuality, b: &&RoundQuality| a.median.total_cmp(&b.median);
    let (Some(fast), Some(slow)) = (rounds.iter().min_by(by), rounds.iter().max_by(by)) else {
        return String::new();
    };
    format!(
        "The fastest round, {}, lies {} from the cells' medians, the slowest, {}, {}.",
        fast.round,
        text::deviation(fast.median),
        slow.round,
        text::deviation(slow.median)
    )
}

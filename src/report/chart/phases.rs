//! Stacked phases: one chart per workload, change and availability, one bar per strategy.
//!
//! A bar is the medians of its phases one after another. Across its end lies the median of the
//! whole job with its interval, and beneath it a dot for each sample.

use super::canvas::{Anchor, Canvas, Pen, draw};
use super::palette::{GREY, GRID, INK, of};
use super::{Drawing, Figure};
use crate::decision::{Group, Row, Verdict};
use crate::model::Phase;
use crate::report::model::plural;
use crate::report::{Model, ReportError, columns, text};

/// The row of `FIGURES`.
pub(super) const FIGURE: Figure = Figure { name: "phases", draw: draw_all };

const WIDTH: i32 = 900;
const LEFT: i32 = 200;
const RIGHT: i32 = 690;
const TOP: i32 = 92;
const ROW: i32 = 58;
const BAR: i32 = 22;
/// From the top of a bar to the middle of its dots.
const DOTS: i32 = BAR + 11;
const FOOT: i32 = 66;

const TITLE: Pen = Pen { size: 17, color: INK, bold: true };
const LABEL: Pen = Pen { size: 14, color: INK, bold: true };
const VALUE: Pen = Pen { size: 13, color: INK, bold: false };
const SMALL: Pen = Pen { size: 12, color: GREY, bold: false };

fn draw_all(model: &Model<'_>) -> Result<Vec<Drawing>, ReportError> {
    let groups = model.decision.groups.iter().enumerate();
    groups.map(|(number, group)| draw_group(model, number, group)).collect()
}

fn draw_group(model: &Model<'_>, number: usize, group: &Group) -> Result<Drawing, ReportError> {
    let title = model.title(group).line();
    let bars: Vec<Bar<'_>> = group.rows.iter().map(|row| Bar::new(model, group, row)).collect();
    let scale = Scale::over(bars.iter().map(Bar::longest));
    // More strategies than anyone could look at would not fit the numbers of pixels either.
    let rows = bars.len().clamp(1, 500) as i32;
    let height = u32::try_from(TOP + rows * ROW + FOOT).unwrap_or(u32::MAX);
    let svg = draw((WIDTH as u32, height), |canvas| {
        let bottom = TOP + rows * ROW;
        canvas.text((20, 26), Anchor::Left, TITLE, &text::shortened(&text::visible(&title), 78))?;
        legend(canvas, &bars)?;
        grid(canvas, &scale, bottom)?;
        for (number, bar) in (0..rows).zip(&bars) {
            bar.draw(canvas, &scale, TOP + number * ROW + 8)?;
        }
        foot(canvas, bottom)
    })?;
    let mut place = vec![group.workload.as_str(), &group.change, &group.availability];
    if model.decision.groups.iter().any(|other| other.link != group.link) {
        place.push(&group.link);
    }
    if model.decision.groups.iter().any(|other| other.engine != group.engine) {
        place.push(&group.engine);
    }
    Ok(Drawing { group: number, file: place.join("-"), title, svg })
}

struct Bar<'a> {
    row: &'a Row,
    totals: Vec<f64>,
}

impl<'a> Bar<'a> {
    fn new(model: &Model<'_>, group: &Group, row: &'a Row) -> Self {
        let totals = model.samples_of(group, row).map(|sample| sample.total_s());
        Self { row, totals: totals.filter(|total| total.is_finite()).collect() }
    }

    fn stacked(&self) -> f64 {
        self.row.phases.values().filter(|value| value.is_finite()).sum()
    }

    fn longest(&self) -> f64 {
        let high = self.row.total_s.map_or(0.0, |total| total.high);
        self.totals.iter().copied().fold(self.stacked().max(high), f64::max)
    }

    fn draw(&self, canvas: &Canvas<'_>, scale: &Scale, top: i32) -> Result<(), ReportError> {
        let row = self.row;
        let label = text::shortened(&text::visible(&row.strategy), 18);
        canvas.text((LEFT - 14, top + 9), Anchor::Right, LABEL, &label)?;
        let under = format!("{} · {} · n = {}", row.builder, row.state, row.n);
        canvas.text((LEFT - 14, top + 29), Anchor::Right, SMALL, &under)?;
        let mut from = 0.0;
        for phase in Phase::ALL {
            let Some(value) = row.phases.get(&phase).filter(|value| value.is_finite()) else {
                continue;
            };
            let (left, right) = (scale.x(from), scale.x(from + value));
            canvas.filled((left, top), (right, top + BAR), of(phase))?;
            from += value;
        }
        self.whole_job(canvas, scale, top)?;
        self.figures(canvas, top)
    }

    fn whole_job(&self, canvas: &Canvas<'_>, scale: &Scale, top: i32) -> Result<(), ReportError> {
        // Three heights, so that jobs that took the same time do not hide one another.
        for (total, lift) in self.totals.iter().zip([0, -4, 4].into_iter().cycle()) {
            canvas.dot((scale.x(*total), top + DOTS + lift), INK)?;
        }
        let Some(total) = self.row.total_s else { return Ok(()) };
        let y = top + BAR / 2;
        let [low, point, high] = [total.low, total.point, total.high].map(|value| scale.x(value));
        canvas.line((low, y), (high, y), INK, 2)?;
        for end in [low, high] {
            canvas.line((end, y - 5), (end, y + 5), INK, 2)?;
        }
        canvas.line((point, top - 2), (point, top + BAR + 2), INK, 2)
    }

    /// Median and saving in figures, right of the bar.
    fn figures(&self, canvas: &Canvas<'_>, top: i32) -> Result<(), ReportError> {
        let x = RIGHT + 24;
        let total = self.row.total_s.as_ref().map(text::seconds_parts).map(text::joined);
        let total = total.unwrap_or_else(|| text::NOT_MEASURED.to_owned());
        canvas.text((x, top + 5), Anchor::Left, VALUE, &total)?;
        let (saving, verdict) = match columns::compared(self.row.saving.as_ref()) {
            None => (Verdict::Baseline.label().to_owned(), String::new()),
            Some(None) => (format!("saving {}", text::NOT_MEASURED), String::new()),
            Some(Some(saving)) => (
                text::joined(text::saving_parts(&saving.seconds)),
                format!("{}, {}", short(saving.verdict), plural(saving.pairs, "pair")),
            ),
        };
        canvas.text((x, top + 21), Anchor::Left, SMALL, &saving)?;
        canvas.text((x, top + 36), Anchor::Left, SMALL, &verdict)
    }
}

/// A verdict that fits beside a bar.
const fn short(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::TooFewRounds => "no verdict",
        other => other.label(),
    }
}

fn legend(canvas: &Canvas<'_>, bars: &[Bar<'_>]) -> Result<(), ReportError> {
    let mut x = LEFT;
    for phase in Phase::ALL {
        if !bars.iter().any(|bar| bar.row.phases.contains_key(&phase)) {
            continue;
        }
        canvas.filled((x, 50), (x + 14, 64), of(phase))?;
        canvas.text((x + 20, 57), Anchor::Left, VALUE, phase.as_str())?;
        x += 78;
    }
    Ok(())
}

fn grid(canvas: &Canvas<'_>, scale: &Scale, bottom: i32) -> Result<(), ReportError> {
    for tick in scale.ticks() {
        let x = scale.x(tick);
        canvas.line((x, TOP - 6), (x, bottom), GRID, 1)?;
        canvas.text((x, bottom + 12), Anchor::Middle, SMALL, &scale.label(tick))?;
    }
    canvas.line((LEFT, TOP - 6), (LEFT, bottom), GREY, 1)
}

fn foot(canvas: &Canvas<'_>, bottom: i32) -> Result<(), ReportError> {
    canvas.text((20, bottom + 50), Anchor::Left, SMALL, FOOT_TEXT)?;
    canvas.text(
        (f64::midpoint(f64::from(LEFT), f64::from(RIGHT)) as i32, bottom + 28),
        Anchor::Middle,
        SMALL,
        "seconds a job",
    )
}

const FOOT_TEXT: &str = "Bar: median of each phase. Dots: whole jobs, one per sample. \
                         Whisker: their median with its 95 % interval. + is faster.";

/// Seconds to pixels.
struct Scale {
    end: f64,
    step: f64,
}

impl Scale {
    /// From 0 over all of these values, in at most eight round steps.
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let longest = values.filter(|value| value.is_finite()).fold(0.0, f64::max).max(0.001);
        let raw = longest / 8.0;
        let power = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= raw)
            .unwrap_or(10.0 * power);
        Self { end: (longest / step).ceil() * step, step }
    }

    fn x(&self, value: f64) -> i32 {
        let share = (value / self.end).clamp(0.0, 1.0);
        LEFT + (share * f64::from(RIGHT - LEFT)).round() as i32
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let count = (self.end / self.step).round() as u32;
        let step = self.step;
        (0..=count).map(move |number| f64::from(number) * step)
    }

    fn label(&self, tick: f64) -> String {
        let decimals = (-self.step.log10().floor()).max(0.0) as usize;
        format!("{tick:.decimals$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_everything() {
        for (longest, expected) in [
            (12.4, vec!["0", "2", "4", "6", "8", "10", "12", "14"]),
            (0.55, vec!["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]),
        ] {
            let scale = Scale::over([longest].into_iter());
            let labels: Vec<String> = scale.ticks().map(|tick| scale.label(tick)).collect();
            assert_eq!(labels, expected);
            assert!(scale.x(longest) <= RIGHT);
        }
    }

    #[test]
    fn nothing_measured_still_has_a_scale() {
        let scale = Scale::over(std::iter::empty());
        assert!(scale.ticks().count() > 1);
        assert_eq!(scale.x(0.0), LEFT);
        assert_eq!(scale.x(f64::INFINITY), RIGHT);
    }
}

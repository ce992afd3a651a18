//! Stacked phases: one chart per workload, change and availability, one bar per strategy.
//!
//! A bar is the medians of its phases one after another. Across its end lies the median of the
//! whole job with its interval, and beneath it a dot for each sample.

use super::axis::Linear;
use super::canvas::{About, Anchor, Canvas, LABEL, SMALL, TITLE, VALUE, draw};
use super::palette::{BUILD_PARTS, GREY, GRID, INK, of};
use super::{Drawing, Figure, Part};
use crate::decision::{Group, Row, Verdict};
use crate::model::Phase;
use crate::report::text::plural;
use crate::report::{Model, ReportError, columns, text};
use plotters::style::RGBColor;

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

fn draw_all(model: &Model<'_>) -> Result<Vec<Drawing>, ReportError> {
    let groups = model.decision.groups.iter().enumerate();
    groups.map(|(number, group)| draw_group(model, number, group)).collect()
}

fn draw_group(model: &Model<'_>, number: usize, group: &Group) -> Result<Drawing, ReportError> {
    let title = model.title(group).line();
    let bars: Vec<Bar<'_>> = group.rows.iter().map(|row| Bar::new(model, group, row)).collect();
    let scale = Linear::from_zero((LEFT, RIGHT), bars.iter().map(Bar::longest));
    // More strategies than anyone could look at would not fit the numbers of pixels either.
    let rows = bars.len().clamp(1, 500) as i32;
    let size = (WIDTH, TOP + rows * ROW + FOOT);
    let desc = bars.iter().map(Bar::sentence).collect::<Vec<_>>().join(" ");
    let about = About { title: &format!("Where the time goes: {title}"), desc: &desc };
    let svg = draw(size, about, |canvas| {
        let bottom = TOP + rows * ROW;
        canvas.text((20, 26), Anchor::Left, TITLE, &text::shortened(&text::visible(&title), 78))?;
        legend(canvas, &bars)?;
        grid(canvas, &scale, bottom)?;
        for (number, bar) in (0..rows).zip(&bars) {
            bar.draw(canvas, &scale, TOP + number * ROW + 8)?;
        }
        foot(canvas, bottom, bars.iter().any(|bar| bar.row.n > MOST_DOTS))
    })?;
    let mut place = vec![group.workload.as_str(), &group.change, &group.availability];
    if model.decision.groups.iter().any(|other| other.link != group.link) {
        place.push(&group.link);
    }
    if model.decision.groups.iter().any(|other| other.engine != group.engine) {
        place.push(&group.engine);
    }
    Ok(Drawing { figure: FIGURE.name, part: Part::Group(number), file: place.join("-"), svg })
}

struct Bar<'a> {
    row: &'a Row,
    totals: Vec<f64>,
}

impl<'a> Bar<'a> {
    fn new(model: &Model<'_>, group: &Group, row: &'a Row) -> Self {
        let totals = model.samples_of(group, row).map(|sample| sample.total_s());
        Self { row, totals: shown(totals.filter(|total| total.is_finite()).collect()) }
    }

    fn stacked(&self) -> f64 {
        self.row.phases.values().filter(|value| value.is_finite()).sum()
    }

    fn longest(&self) -> f64 {
        let high = self.row.total_s.map_or(0.0, |total| total.high);
        self.totals.iter().copied().fold(self.stacked().max(high), f64::max)
    }

    fn draw(&self, canvas: &Canvas<'_>, scale: &Linear, top: i32) -> Result<(), ReportError> {
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
            let (left, right) = (scale.at(from), scale.at(from + value));
            canvas.filled((left, top), (right, top + BAR), of(phase))?;
            if phase == Phase::Build {
                self.build_parts(canvas, scale, top, (from, from + value))?;
            }
            from += value;
        }
        self.whole_job(canvas, scale, top)?;
        self.figures(canvas, top)
    }

    /// What the builder itself timed, within the build's box; what remains of it keeps the colour
    /// of the build. The median of a part is its own, so that parts may be longer than the whole.
    fn build_parts(
        &self,
        canvas: &Canvas<'_>,
        scale: &Linear,
        top: i32,
        (mut from, end): (f64, f64),
    ) -> Result<(), ReportError> {
        for (part, color) in BUILD_PARTS {
            let seconds = self.row.build_parts.get(part).copied().filter(|value| value.is_finite());
            let until = (from + seconds.unwrap_or(0.0)).min(end);
            let (left, right) = (scale.at(from), scale.at(until));
            if right > left {
                canvas.filled((left, top), (right, top + BAR), color)?;
            }
            from = until;
        }
        Ok(())
    }

    /// The bar in words.
    fn sentence(&self) -> String {
        let row = self.row;
        let total = row.total_s.as_ref().map(text::seconds_parts).map(text::joined);
        let phases: Vec<String> = Phase::ALL
            .iter()
            .filter_map(|phase| {
                let value = row.phases.get(phase)?;
                Some(format!("{phase} {} s", text::plain_seconds(*value)))
            })
            .collect();
        let phases =
            if phases.is_empty() { String::new() } else { format!(": {}", phases.join(", ")) };
        format!(
            "{} ({}), {}: median {}{phases}.",
            row.strategy,
            row.builder,
            row.state,
            total.unwrap_or_else(|| text::NOT_MEASURED.to_owned())
        )
    }

    fn whole_job(&self, canvas: &Canvas<'_>, scale: &Linear, top: i32) -> Result<(), ReportError> {
        // Three heights, so that jobs that took the same time do not hide one another.
        for (total, lift) in self.totals.iter().zip([0, -4, 4].into_iter().cycle()) {
            canvas.dot((scale.at(*total), top + DOTS + lift), INK)?;
        }
        let Some(total) = self.row.total_s else { return Ok(()) };
        let y = top + BAR / 2;
        let [low, point, high] = [total.low, total.point, total.high].map(|value| scale.at(value));
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

/// Most dots under a bar. More would be one black line, and large.
const MOST_DOTS: usize = 500;

/// The jobs that get a dot: all of them, or of too many evenly spaced ones by their time, the
/// shortest and the longest among them.
fn shown(mut totals: Vec<f64>) -> Vec<f64> {
    if totals.len() <= MOST_DOTS {
        return totals;
    }
    totals.sort_by(f64::total_cmp);
    let last = totals.len() - 1;
    (0..MOST_DOTS).map(|at| totals[at * last / (MOST_DOTS - 1)]).collect()
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
        if bars.iter().any(|bar| bar.row.phases.contains_key(&phase)) {
            x = entry(canvas, x, of(phase), phase.as_str())?;
        }
        if phase == Phase::Build {
            for (part, color) in BUILD_PARTS {
                if bars.iter().any(|bar| bar.row.build_parts.contains_key(part)) {
                    x = entry(canvas, x, color, part)?;
                }
            }
        }
    }
    Ok(())
}

/// One entry of the legend; says where the next one begins.
fn entry(canvas: &Canvas<'_>, x: i32, color: RGBColor, name: &str) -> Result<i32, ReportError> {
    canvas.filled((x, 50), (x + 14, 64), color)?;
    canvas.text((x + 20, 57), Anchor::Left, VALUE, name)?;
    Ok(x + 38 + 7 * name.len() as i32)
}

fn grid(canvas: &Canvas<'_>, scale: &Linear, bottom: i32) -> Result<(), ReportError> {
    for tick in scale.ticks() {
        let x = scale.at(tick);
        canvas.line((x, TOP - 6), (x, bottom), GRID, 1)?;
        canvas.text((x, bottom + 12), Anchor::Middle, SMALL, &scale.label(tick))?;
    }
    canvas.line((LEFT, TOP - 6), (LEFT, bottom), GREY, 1)
}

fn foot(canvas: &Canvas<'_>, bottom: i32, many: bool) -> Result<(), ReportError> {
    let text = if many { FOOT_TEXT_OF_MANY } else { FOOT_TEXT };
    canvas.text((20, bottom + 50), Anchor::Left, SMALL, text)?;
    canvas.text(
        (f64::midpoint(f64::from(LEFT), f64::from(RIGHT)) as i32, bottom + 28),
        Anchor::Middle,
        SMALL,
        "seconds a job",
    )
}

const FOOT_TEXT: &str = "Bar: median of each phase. Dots: whole jobs, one per sample. \
                         Whisker: their median with its 95 % interval. + is faster.";
const FOOT_TEXT_OF_MANY: &str = "Bar: median of each phase. Dots: 500 of the whole jobs, evenly by \
                                 time. Whisker: their median with its 95 % interval. + is faster.";

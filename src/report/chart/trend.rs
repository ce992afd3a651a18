//! Values of several cells, run after run, with their levels and where these shift.

use super::axis::Linear;
use super::canvas::{About, draw};
use super::frame::{self, ACROSS, SIZE, UPWARDS};
use super::palette::{INK, competitor};
use crate::report::{ReportError, text};
use crate::trend::{Point, Series};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Columns into which many points are put together.
const BINS: usize = 180;

/// A line of the figure: its name and its values.
pub(in crate::report) type Line<'a> = (String, &'a Series);

/// What the figure is of.
#[derive(Debug, Clone, Copy)]
pub(in crate::report) struct Subject<'a> {
    /// Its title.
    pub title: &'a str,
    /// What the upright axis is in.
    pub unit: &'a str,
    /// What a value is multiplied with for that unit.
    pub scale: f64,
}

/// Draws the lines; `None` where no run has a value.
pub(in crate::report) fn draw_lines(
    subject: Subject<'_>,
    lines: &[Line<'_>],
) -> Result<Option<String>, ReportError> {
    let points = || lines.iter().flat_map(|(_, series)| &series.points);
    let times = || points().map(seconds);
    let (first, last) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    if points().next().is_none() {
        return Ok(None);
    }
    let value = |point: &Point| point.value * subject.scale;
    let upwards = Linear::over(
        UPWARDS,
        (points().map(value).fold(0.0, f64::min), points().map(value).fold(0.0, f64::max)),
    );
    let (left, right) = (ACROSS.0 + 12, ACROSS.1 - 12);
    let across = |time: f64| {
        let share = if last > first { (time - first) / (last - first) } else { 0.5 };
        left + (share * f64::from(right - left)).round() as i32
    };
    let desc: Vec<String> = lines.iter().map(|line| sentence(subject, line)).collect();
    let about = About { title: subject.title, desc: &desc.join(" ") };
    let svg = draw(SIZE, about, |canvas| {
        frame::begin(canvas, subject.title, &upwards, subject.unit)?;
        for step in 0..=5 {
            let time = first + (last - first) * f64::from(step) / 5.0;
            frame::tick(canvas, across(time), &day(time))?;
            if last <= first {
                break;
            }
        }
        let mut entries = Vec::new();
        for (place, (name, series)) in lines.iter().enumerate() {
            let (color, shape) = competitor(place);
            entries.push((name.clone(), color, shape));
            for bin in bins(series) {
                let x = across(bin.at);
                let [low, high] = [bin.low, bin.high].map(|v| upwards.at(v * subject.scale));
                if low == high {
                    canvas.dot((x, low), color)?;
                } else {
                    canvas.line((x, low), (x, high), color, 1)?;
                }
            }
            let mut path = Vec::new();
            for level in &series.levels {
                let y = upwards.at(level.value * subject.scale);
                let [from, to] =
                    [level.from, level.to - 1].map(|at| across(seconds(&series.points[at])));
                path.extend([(from, y), (to, y)]);
            }
            canvas.path(&path, color, 2)?;
            for shift in series.shifts.iter().filter(|shift| shift.matters) {
                let at = across(seconds(&series.points[shift.place]));
                canvas.ring((at, upwards.at(shift.after * subject.scale)), INK)?;
            }
            if let Some(end) = path.last() {
                canvas.mark(*end, shape, color)?;
            }
        }
        frame::legend(canvas, &entries)?;
        frame::end(
            canvas,
            "start of the run",
            "Dot: a run's median (bar: lowest to highest of several runs). Line: level. Ring: a \
             shift that matters.",
        )
    })?;
    Ok(Some(svg))
}

/// Neighbouring points as one.
struct Bin {
    at: f64,
    low: f64,
    high: f64,
}

/// Points, put together where there are more than can be told apart.
fn bins(series: &Series) -> Vec<Bin> {
    let each = series.points.len().div_ceil(BINS).max(1);
    let bin = |points: &[Point]| Bin {
        at: seconds(&points[points.len() / 2]),
        low: points.iter().map(|point| point.value).fold(f64::INFINITY, f64::min),
        high: points.iter().map(|point| point.value).fold(f64::NEG_INFINITY, f64::max),
    };
    series.points.chunks(each).map(bin).collect()
}

/// Seconds since 1970; 0 where the time cannot be read.
fn seconds(point: &Point) -> f64 {
    OffsetDateTime::parse(&point.at, &Rfc3339).map_or(0.0, |at| at.unix_timestamp() as f64)
}

fn day(time: f64) -> String {
    OffsetDateTime::from_unix_timestamp(time as i64)
        .map_or_else(|_| text::NOT_MEASURED.to_owned(), |at| at.date().to_string())
}

fn sentence(subject: Subject<'_>, (name, series): &Line<'_>) -> String {
    let mattering = series.shifts.iter().filter(|shift| shift.matters).count();
    let level = series.levels.last().map_or(f64::NAN, |level| level.value * subject.scale);
    format!(
        "{name}: {} runs, level now {} {}, {mattering} shifts that matter.",
        series.points.len(),
        text::plain_seconds(level),
        subject.unit
    )
}

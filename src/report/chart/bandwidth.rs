//! Time against bandwidth: what was measured over each link, the model's lines, and where a
//! strategy takes as long as the baseline.

use super::axis::{Linear, Log};
use super::canvas::{About, Anchor, Canvas, SMALL, Shape, draw};
use super::frame::{self, ACROSS, SIZE, UPWARDS};
use super::palette::{GREY, INK, competitor};
use super::{Drawing, Figure, Part};
use crate::decision::{LinkModel, LinkPoint};
use crate::report::scope::Across;
use crate::report::{Model, ReportError, columns, text};
use plotters::style::RGBColor;

/// The row of `FIGURES`.
pub(super) const FIGURE: Figure = Figure { name: "bandwidth", draw: draw_all };

/// Pixels at the right that links without a limit have for themselves.
const UNLIMITED: i32 = 70;

fn draw_all(model: &Model<'_>) -> Result<Vec<Drawing>, ReportError> {
    let mut drawings = Vec::new();
    for (number, across) in model.across.iter().enumerate() {
        let models = across.over_the_mix();
        if models.is_empty() || across.only_link().is_some() {
            continue;
        }
        let svg = draw_models(model, across, &models)?;
        let file = format!("{}-{}", across.workload, across.engine);
        drawings.push(Drawing { figure: FIGURE.name, part: Part::Across(number), file, svg });
    }
    Ok(drawings)
}

/// How it is to be read: a line is for one round trip, and links differ in theirs.
fn foot(models: &[&LinkModel]) -> String {
    let lines = models.iter().find(|one| !one.curve.is_empty()).map_or_else(
        || "No line: see the table.".to_owned(),
        |one| {
            format!(
                "Lines: the model at {} round trip and {} of it upwards; other links lie off them.",
                text::milliseconds(one.at.rtt_s),
                text::weight(one.at.up_per_down)
            )
        },
    );
    format!("Marks: means, 95 % interval. {lines} Ring: as the baseline.")
}

/// Bandwidth to pixels. What has no limit stands apart at the right.
struct Rates {
    axis: Log,
    unlimited: bool,
}

impl Rates {
    fn over(models: &[&LinkModel]) -> Self {
        let points = || models.iter().flat_map(|model| &model.points);
        let unlimited = points().any(|point| point.down_bps.is_none());
        let measured = points().filter_map(|point| point.down_bps);
        let drawn = models.iter().flat_map(|model| model.curve.iter().map(|at| at.down_bps));
        let (low, high) = measured
            .chain(drawn)
            .filter(|bps| bps.is_finite() && *bps > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), bps| (low.min(bps), high.max(bps)));
        let ends = if low <= high { (low, high) } else { (1e6, 1e9) };
        let right = if unlimited { ACROSS.1 - UNLIMITED } else { ACROSS.1 };
        Self { axis: Log::over((ACROSS.0, right), ends), unlimited }
    }

    fn at(&self, bps: Option<f64>) -> i32 {
        bps.map_or(ACROSS.1 - UNLIMITED / 2, |bps| self.axis.at(bps))
    }
}

fn draw_models(
    model: &Model<'_>,
    across: &Across<'_>,
    models: &[&LinkModel],
) -> Result<String, ReportError> {
    let rates = Rates::over(models);
    let highs = models.iter().flat_map(|model| model.points.iter().map(|point| point.mean_s.high));
    let curves = models.iter().flat_map(|model| model.curve.iter().map(|at| at.seconds));
    let upwards = Linear::from_zero(UPWARDS, highs.chain(curves));
    let place = if across.title.is_empty() { String::new() } else { format!(": {}", across.title) };
    let title = format!("Time against bandwidth{place}");
    let desc: Vec<String> =
        models.iter().map(|one| sentence(one, &model.decision.baseline)).collect();
    draw(SIZE, About { title: &title, desc: &desc.join(" ") }, |canvas| {
        frame::begin(canvas, &title, &upwards, "seconds a build, over the mix")?;
        for tick in rates.axis.ticks() {
            frame::tick(canvas, rates.axis.at(tick), &text::rate(tick))?;
        }
        if rates.unlimited {
            frame::tick(canvas, rates.at(None), "unlimited")?;
        }
        let look = |one: &LinkModel| competitor(model.place_of(&one.strategy, one.builder));
        let entries: Vec<_> = models
            .iter()
            .map(|one| {
                let (color, shape) = look(one);
                (format!("{} ({})", one.strategy, one.builder), color, shape)
            })
            .collect();
        frame::legend(canvas, &entries)?;
        for one in models {
            line(canvas, &rates, &upwards, one, look(one).0)?;
        }
        for one in models {
            for point in &one.points {
                measured(canvas, &rates, &upwards, point, look(one))?;
            }
        }
        crossings(canvas, &rates, &upwards, models)?;
        frame::end(canvas, "bandwidth towards the job", &foot(models))
    })
}

fn line(
    canvas: &Canvas<'_>,
    rates: &Rates,
    upwards: &Linear,
    model: &LinkModel,
    color: RGBColor,
) -> Result<(), ReportError> {
    let points: Vec<(i32, i32)> = model
        .curve
        .iter()
        .filter(|at| at.seconds.is_finite())
        .map(|at| (rates.axis.at(at.down_bps), upwards.at(at.seconds)))
        .collect();
    if points.len() > 1 { canvas.path(&points, color, 2) } else { Ok(()) }
}

fn measured(
    canvas: &Canvas<'_>,
    rates: &Rates,
    upwards: &Linear,
    point: &LinkPoint,
    (color, shape): (RGBColor, Shape),
) -> Result<(), ReportError> {
    let x = rates.at(point.down_bps);
    let (low, high) = (upwards.at(point.mean_s.low), upwards.at(point.mean_s.high));
    canvas.line((x, low), (x, high), color, 2)?;
    canvas.mark((x, upwards.at(point.mean_s.point)), shape, color)
}

/// Where a strategy takes as long as the baseline: a ring on its line, the bandwidth beside it.
fn crossings(
    canvas: &Canvas<'_>,
    rates: &Rates,
    upwards: &Linear,
    models: &[&LinkModel],
) -> Result<(), ReportError> {
    for model in models {
        let Some(crossing) = model.break_even_bps.crossing() else { continue };
        let near = |at: &f64| (at / crossing.point).ln().abs();
        let on_curve = model
            .curve
            .iter()
            .min_by(|a, b| near(&a.down_bps).total_cmp(&near(&b.down_bps)))
            .filter(|at| near(&at.down_bps) < 0.5);
        let Some(at) = on_curve else { continue };
        let (x, y) = (rates.axis.at(crossing.point), upwards.at(at.seconds));
        canvas.ring((x, y), INK)?;
        canvas.line((x, y + 9), (x, UPWARDS.0), GREY, 1)?;
        canvas.text((x + 6, UPWARDS.0 - 10), Anchor::Left, SMALL, &text::rate(crossing.point))?;
    }
    Ok(())
}

fn sentence(model: &LinkModel, baseline: &str) -> String {
    let points: Vec<String> = model
        .points
        .iter()
        .map(|point| {
            format!("{} over {}", text::joined(text::seconds_parts(&point.mean_s)), point.link)
        })
        .collect();
    let even = if model.strategy == baseline {
        String::new()
    } else {
        format!("; saves time {}", columns::bandwidth(&model.break_even_bps))
    };
    format!("{} ({}): {}{even}.", model.strategy, model.builder, points.join(", "))
}

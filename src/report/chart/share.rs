//! What a strategy saves against the share of builds that are the dearest change.

use super::axis::Linear;
use super::canvas::{About, Anchor, SMALL, draw};
use super::frame::{self, ACROSS, SIZE, UPWARDS};
use super::palette::{GREY, INK, competitor};
use super::{Drawing, Figure, Part};
use crate::decision::{ShareOf, Weighted};
use crate::report::scope::Scope;
use crate::report::{Model, ReportError, columns, text};

/// The row of `FIGURES`.
pub(super) const FIGURE: Figure = Figure { name: "share", draw: draw_all };

fn draw_all(model: &Model<'_>) -> Result<Vec<Drawing>, ReportError> {
    let mut drawings = Vec::new();
    for (number, scope) in model.scopes.iter().enumerate() {
        let lines = lines(model, scope);
        let Some((first, _)) = lines.first() else { continue };
        let svg = draw_lines(model, scope, &lines)?;
        let file = format!("{}-{}-{}", first.workload, first.link, first.engine);
        drawings.push(Drawing { figure: FIGURE.name, part: Part::Scope(number), file, svg });
    }
    Ok(drawings)
}

type Line<'a> = (&'a Weighted, &'a ShareOf);

/// Every strategy's saving against the share of the dearest change.
fn lines<'a>(model: &Model<'_>, scope: &Scope<'a>) -> Vec<Line<'a>> {
    scope
        .weighted
        .iter()
        .filter(|one| one.strategy != model.decision.baseline)
        .filter_map(|one| {
            let dearest = one.shares.iter().find(|share| share.dearest)?;
            (dearest.points.len() > 1).then_some((one, dearest))
        })
        .collect()
}

fn draw_lines(
    model: &Model<'_>,
    scope: &Scope<'_>,
    lines: &[Line<'_>],
) -> Result<String, ReportError> {
    let (change, now) = lines.first().map_or(("", 0.0), |(_, of)| (of.change.as_str(), of.now));
    let savings = || lines.iter().flat_map(|(_, of)| of.points.iter().map(|at| at.saving_s));
    let finite = |value: &f64| value.is_finite();
    let low = savings().map(|saving| saving.low).filter(finite).fold(0.0, f64::min);
    let high = savings().map(|saving| saving.high).filter(finite).fold(0.0, f64::max);
    let upwards = Linear::over(UPWARDS, (low, high));
    let across = Linear::over(ACROSS, (0.0, 100.0));
    let place = if scope.title.is_empty() { String::new() } else { format!(": {}", scope.title) };
    let title = format!("Saving against the share of {change} builds{place}");
    let desc: Vec<String> = lines.iter().map(|(one, of)| sentence(one, of)).collect();
    draw(SIZE, About { title: &title, desc: &desc.join(" ") }, |canvas| {
        frame::begin(canvas, &title, &upwards, "seconds saved a build")?;
        for tick in across.ticks() {
            frame::tick(canvas, across.at(tick), &format!("{tick:.0} %"))?;
        }
        let here = across.at(now * 100.0);
        canvas.line((here, UPWARDS.0), (here, UPWARDS.1), GREY, 1)?;
        let label = format!("now {}", text::weight(now));
        canvas.text((here + 6, UPWARDS.1 + 8), Anchor::Left, SMALL, &label)?;
        let mut entries = Vec::new();
        for (one, of) in lines {
            let (color, shape) = competitor(model.place_of(&one.strategy, one.builder));
            entries.push((format!("{} ({})", one.strategy, one.builder), color, shape));
            let at = |share: f64, seconds: f64| (across.at(share * 100.0), upwards.at(seconds));
            let edge = of.points.iter().map(|point| at(point.share, point.saving_s.high));
            let back = of.points.iter().rev().map(|point| at(point.share, point.saving_s.low));
            canvas.band(&edge.chain(back).collect::<Vec<_>>(), color)?;
            let middle: Vec<_> =
                of.points.iter().map(|point| at(point.share, point.saving_s.point)).collect();
            canvas.path(&middle, color, 2)?;
            let every = (middle.len() / 5).max(1);
            for point in middle.iter().step_by(every) {
                canvas.mark(*point, shape, color)?;
            }
            if let Some(crossing) = of.break_even.crossing() {
                canvas.ring(at(crossing.point, 0.0), INK)?;
            }
        }
        frame::legend(canvas, &entries)?;
        frame::end(
            canvas,
            &format!("share of builds whose change is {change}"),
            "Above 0 the strategy saves time. Band: 95 % interval. Ring: as long as the baseline.",
        )
    })
}

fn sentence(one: &Weighted, of: &ShareOf) -> String {
    format!(
        "{} ({}) saves time {} of {} builds; now {}.",
        one.strategy,
        one.builder,
        columns::share(&of.break_even),
        of.change,
        text::weight(of.now)
    )
}

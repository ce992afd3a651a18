//! What figures with two axes have in common: title, grid, ticks and legend.

use super::axis::Linear;
use super::canvas::{Anchor, Canvas, SMALL, Shape, TITLE, VALUE};
use super::palette::{GREY, GRID};
use crate::report::{ReportError, text};
use plotters::style::RGBColor;

/// Pixels of the picture.
pub(super) const SIZE: (i32, i32) = (900, 420);
/// Pixels of the axes: left and right, bottom and top (an axis runs upwards).
pub(super) const ACROSS: (i32, i32) = (80, 870);
pub(super) const UPWARDS: (i32, i32) = (350, 92);

/// Title, and the upright axis with its grid.
pub(super) fn begin(
    canvas: &Canvas<'_>,
    title: &str,
    upwards: &Linear,
    unit: &str,
) -> Result<(), ReportError> {
    canvas.text((20, 26), Anchor::Left, TITLE, &text::shortened(&text::visible(title), 84))?;
    for tick in upwards.ticks() {
        let y = upwards.at(tick);
        let color = if tick.abs() < f64::EPSILON { GREY } else { GRID };
        canvas.line((ACROSS.0, y), (ACROSS.1, y), color, 1)?;
        canvas.text((ACROSS.0 - 10, y), Anchor::Right, SMALL, &upwards.label(tick))?;
    }
    canvas.upright((24, i32::midpoint(UPWARDS.0, UPWARDS.1)), SMALL, unit)
}

/// A tick of the axis across.
pub(super) fn tick(canvas: &Canvas<'_>, x: i32, label: &str) -> Result<(), ReportError> {
    canvas.line((x, UPWARDS.0), (x, UPWARDS.0 + 5), GREY, 1)?;
    canvas.text((x, UPWARDS.0 + 16), Anchor::Middle, SMALL, label)
}

/// What the axis across is, and how the figure is to be read.
pub(super) fn end(canvas: &Canvas<'_>, unit: &str, foot: &str) -> Result<(), ReportError> {
    let middle = i32::midpoint(ACROSS.0, ACROSS.1);
    canvas.text((middle, UPWARDS.0 + 36), Anchor::Middle, SMALL, unit)?;
    canvas.text((20, SIZE.1 - 12), Anchor::Left, SMALL, foot)
}

/// Names of what is drawn, each with its mark; as many as fit two lines.
pub(super) fn legend(
    canvas: &Canvas<'_>,
    entries: &[(String, RGBColor, Shape)],
) -> Result<(), ReportError> {
    let (mut x, mut y) = (ACROSS.0, 52);
    for (number, (name, color, shape)) in entries.iter().enumerate() {
        let name = text::shortened(&text::visible(name), 34);
        let width = 34 + 7 * name.chars().count() as i32;
        if x + width > ACROSS.1 {
            (x, y) = (ACROSS.0, y + 20);
        }
        if y > 72 {
            let more = format!("and {} more", entries.len() - number);
            return canvas.text((ACROSS.1, 72), Anchor::Right, VALUE, &more);
        }
        canvas.mark((x + 6, y), *shape, *color)?;
        canvas.text((x + 18, y), Anchor::Left, VALUE, &name)?;
        x += width;
    }
    Ok(())
}

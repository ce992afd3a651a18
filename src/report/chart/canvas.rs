//! A thin layer over `plotters`: text, lines and boxes at pixels, with errors of ours.

use super::palette::PAPER;
use crate::report::{ReportError, text};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Fonts are named, not embedded: the reader's own are used.
const FONT: &str = "Helvetica, Arial, 'DejaVu Sans', sans-serif";

/// Where a text is fixed to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    pub size: u32,
    pub color: RGBColor,
    pub bold: bool,
}

/// A picture that is being drawn.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

fn fault(error: impl ToString) -> ReportError {
    ReportError::format("charts", error)
}

/// Draws a picture of this size in pixels.
pub(super) fn draw(
    (width, height): (u32, u32),
    paint: impl FnOnce(&Canvas<'_>) -> Result<(), ReportError>,
) -> Result<String, ReportError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        area.fill(&PAPER).map_err(fault)?;
        let canvas = Canvas { area };
        paint(&canvas)?;
        canvas.area.present().map_err(fault)?;
    }
    Ok(svg)
}

impl Canvas<'_> {
    /// Text, centred vertically on its point. Characters that an SVG must not have are spelled
    /// out; `plotters` escapes the others.
    pub fn text(
        &self,
        at: (i32, i32),
        anchor: Anchor,
        pen: Pen,
        text: &str,
    ) -> Result<(), ReportError> {
        let horizontal = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let weight = if pen.bold { FontStyle::Bold } else { FontStyle::Normal };
        // The backend divides sizes by this factor; pixels are meant here.
        let size = f64::from(pen.size) * 1.24;
        let style = TextStyle::from((FONT, size, weight).into_font())
            .color(&pen.color)
            .pos(Pos::new(horizontal, VPos::Center));
        self.area.draw_text(&text::visible(text), &style, at).map_err(fault)
    }

    /// A filled box.
    pub fn filled(
        &self,
        from: (i32, i32),
        to: (i32, i32),
        color: RGBColor,
    ) -> Result<(), ReportError> {
        self.area.draw(&Rectangle::new([from, to], color.filled())).map_err(fault)
    }

    /// A straight line.
    pub fn line(
        &self,
        from: (i32, i32),
        to: (i32, i32),
        color: RGBColor,
        width: u32,
    ) -> Result<(), ReportError> {
        self.area.draw(&PathElement::new([from, to], color.stroke_width(width))).map_err(fault)
    }

    /// A translucent dot.
    pub fn dot(&self, at: (i32, i32), color: RGBColor) -> Result<(), ReportError> {
        self.area.draw(&Circle::new(at, 3, color.mix(0.45).filled())).map_err(fault)
    }
}

//! A thin layer over `plotters`: text, lines, boxes and dots at pixels, with errors of ours.
//!
//! Colours are those of a light page. [`super::palette::dark_rules`] turns them into those of a
//! dark one by their value, so that a picture needs no classes and reads well without any style.

use super::palette::{GREY, INK, PAPER};
use crate::report::{ReportError, text};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Fonts are named, not embedded: the reader's own are used.
const FONT: &str = "sans-serif";
const FONTS: &str = "system-ui, Helvetica, Arial, 'DejaVu Sans', sans-serif";

/// What `plotters` writes at every element although it is so anyway. A chart of thousands of
/// samples is half as large without. Text from outside cannot hold them: its quotes are escaped.
const NEEDLESS: [&str; 5] = [
    " opacity=\"1\"",
    " stroke=\"none\"",
    " stroke-width=\"1\"",
    " text-anchor=\"start\"",
    " font-family=\"sans-serif\"",
];

/// What a picture is about, for those who cannot see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// Its name.
    pub title: &'a str,
    /// What it shows, in figures.
    pub desc: &'a str,
}

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

/// Pens of every figure.
pub(super) const TITLE: Pen = Pen { size: 17, color: INK, bold: true };
pub(super) const LABEL: Pen = Pen { size: 14, color: INK, bold: true };
pub(super) const VALUE: Pen = Pen { size: 13, color: INK, bold: false };
pub(super) const SMALL: Pen = Pen { size: 12, color: GREY, bold: false };

/// The shape of a mark, so that colour is never all that tells two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Diamond,
    Triangle,
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
    (width, height): (i32, i32),
    about: About<'_>,
    paint: impl FnOnce(&Canvas<'_>) -> Result<(), ReportError>,
) -> Result<String, ReportError> {
    let size = |pixels: i32| u32::try_from(pixels).unwrap_or(1);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (size(width), size(height)));
        let area = area.into_drawing_area();
        area.fill(&PAPER).map_err(fault)?;
        let canvas = Canvas { area };
        paint(&canvas)?;
        canvas.area.present().map_err(fault)?;
    }
    Ok(labelled(&svg, about))
}

/// The picture without needless attributes, with a name and a description.
fn labelled(svg: &str, about: About<'_>) -> String {
    let svg = NEEDLESS.iter().fold(svg.to_owned(), |svg, needless| svg.replace(needless, ""));
    let named = format!("<svg role=\"img\" font-family=\"{}\" ", FONTS.replace('\'', "&apos;"));
    let (head, body) = svg.split_once('\n').unwrap_or((&svg, ""));
    format!(
        "{}\n<title>{}</title>\n<desc>{}</desc>\n{body}",
        head.replacen("<svg ", &named, 1),
        text::html(about.title),
        text::html(about.desc)
    )
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

    /// A line through several points.
    pub fn path(
        &self,
        points: &[(i32, i32)],
        color: RGBColor,
        width: u32,
    ) -> Result<(), ReportError> {
        self.area.draw(&PathElement::new(points, color.stroke_width(width))).map_err(fault)
    }

    /// A translucent band between corners.
    pub fn band(&self, corners: &[(i32, i32)], color: RGBColor) -> Result<(), ReportError> {
        self.area.draw(&Polygon::new(corners, color.mix(0.14))).map_err(fault)
    }

    /// A translucent dot: one sample.
    pub fn dot(&self, at: (i32, i32), color: RGBColor) -> Result<(), ReportError> {
        self.area.draw(&Circle::new(at, 3, color.mix(0.45).filled())).map_err(fault)
    }

    /// A mark of a competitor: its shape and its colour.
    pub fn mark(
        &self,
        (x, y): (i32, i32),
        shape: Shape,
        color: RGBColor,
    ) -> Result<(), ReportError> {
        match shape {
            Shape::Circle => self.area.draw(&Circle::new((x, y), 5, color.filled())),
            Shape::Square => {
                self.area.draw(&Rectangle::new([(x - 5, y - 5), (x + 5, y + 5)], color.filled()))
            }
            Shape::Diamond => {
                let corners = [(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)];
                self.area.draw(&Polygon::new(corners, color))
            }
            Shape::Triangle => {
                let corners = [(x, y - 6), (x + 6, y + 5), (x - 6, y + 5)];
                self.area.draw(&Polygon::new(corners, color))
            }
        }
        .map_err(fault)
    }

    /// A ring around a point of interest.
    pub fn ring(&self, at: (i32, i32), color: RGBColor) -> Result<(), ReportError> {
        self.area.draw(&Circle::new(at, 8, color.stroke_width(2))).map_err(fault)
    }

    /// Text that is read from below.
    pub fn upright(&self, at: (i32, i32), pen: Pen, text: &str) -> Result<(), ReportError> {
        let size = f64::from(pen.size) * 1.24;
        let style = TextStyle::from((FONT, size).into_font().transform(FontTransform::Rotate270))
            .color(&pen.color)
            .pos(Pos::new(HPos::Center, VPos::Center));
        self.area.draw_text(&text::visible(text), &style, at).map_err(fault)
    }
}

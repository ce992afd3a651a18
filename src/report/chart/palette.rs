//! Colours that differ for colour-blind eyes too: Okabe and Ito, "Color Universal Design", 2008.

use super::canvas::Shape;
use crate::model::Phase;
use plotters::style::RGBColor;
use std::fmt::Write as _;

/// Text and whiskers.
pub(super) const INK: RGBColor = RGBColor(0x1f, 0x24, 0x28);
/// Less important text.
pub(super) const GREY: RGBColor = RGBColor(0x5b, 0x64, 0x6e);
/// Lines of the grid.
pub(super) const GRID: RGBColor = RGBColor(0xe3, 0xe6, 0xea);
/// Background.
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

const SKY: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
const PURPLE: RGBColor = RGBColor(0xcc, 0x79, 0xa7);
const VERMILION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
const YELLOW: RGBColor = RGBColor(0xf0, 0xe4, 0x42);

/// What a colour is on a dark page. Those that are not here serve on both.
const ON_DARK: [(RGBColor, RGBColor); 6] = [
    (INK, RGBColor(0xe6, 0xe9, 0xec)),
    (GREY, RGBColor(0x9a, 0xa4, 0xae)),
    (GRID, RGBColor(0x33, 0x3a, 0x41)),
    (PAPER, RGBColor(0x15, 0x19, 0x1d)),
    (BLUE, RGBColor(0x3d, 0x9b, 0xd9)),
    (GREEN, RGBColor(0x1f, 0xb8, 0x8c)),
];

/// Style rules that turn the colours of a picture into those of a dark page.
pub(super) fn dark_rules() -> String {
    let mut rules = String::new();
    for (RGBColor(r, g, b), RGBColor(dark_r, dark_g, dark_b)) in ON_DARK {
        for attribute in ["fill", "stroke"] {
            // Writing into a string cannot fail.
            let _ = writeln!(
                rules,
                "svg [{attribute}=\"#{r:02X}{g:02X}{b:02X}\"] \
                 {{ {attribute}: #{dark_r:02x}{dark_g:02x}{dark_b:02x} }}"
            );
        }
    }
    rules
}

/// The colour of a phase. Neighbours in a job differ in lightness as well as in hue.
pub(super) const fn of(phase: Phase) -> RGBColor {
    match phase {
        Phase::Fetch => SKY,
        Phase::Load => BLUE,
        Phase::Pull => GREEN,
        Phase::Build => ORANGE,
        Phase::Save => PURPLE,
        Phase::Store => VERMILION,
        Phase::Push => YELLOW,
    }
}

/// The parts of a build, in its own hue, and the colour of each.
pub(super) const BUILD_PARTS: [(&str, RGBColor); 3] = [
    ("import", RGBColor(0xfa, 0xe0, 0xa6)),
    ("steps", RGBColor(0xf2, 0xbf, 0x56)),
    ("export", RGBColor(0xa8, 0x6f, 0x00)),
];

/// Colour and shape of the competitor in this place of a figure's list.
pub(super) fn competitor(place: usize) -> (RGBColor, Shape) {
    const COLORS: [RGBColor; 6] = [GREY, BLUE, VERMILION, GREEN, PURPLE, ORANGE];
    const SHAPES: [Shape; 4] = [Shape::Circle, Shape::Square, Shape::Diamond, Shape::Triangle];
    let color = COLORS[place % COLORS.len()];
    (color, SHAPES[place % SHAPES.len()])
}

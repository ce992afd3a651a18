//! Colours that differ for colour-blind eyes too: Okabe and Ito, "Color Universal Design", 2008.

use crate::model::Phase;
use plotters::style::RGBColor;

/// Text and whiskers.
pub(super) const INK: RGBColor = RGBColor(0x1f, 0x24, 0x28);
/// Less important text.
pub(super) const GREY: RGBColor = RGBColor(0x5b, 0x64, 0x6e);
/// Lines of the grid.
pub(super) const GRID: RGBColor = RGBColor(0xe3, 0xe6, 0xea);
/// Background. Always there, so that a chart is legible on a dark page as well.
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// The colour of a phase. Neighbours in a job differ in lightness as well as in hue.
pub(super) const fn of(phase: Phase) -> RGBColor {
    match phase {
        Phase::Fetch => RGBColor(0x56, 0xb4, 0xe9),
        Phase::Load => RGBColor(0x00, 0x72, 0xb2),
        Phase::Pull => RGBColor(0x00, 0x9e, 0x73),
        Phase::Build => RGBColor(0xe6, 0x9f, 0x00),
        Phase::Save => RGBColor(0xcc, 0x79, 0xa7),
        Phase::Store => RGBColor(0xd5, 0x5e, 0x00),
        Phase::Push => RGBColor(0xf0, 0xe4, 0x42),
    }
}

//! Figures, as SVG. `plotters` stays in this folder.
//!
//! A new figure is one new file here and one line in [`FIGURES`].

mod canvas;
mod palette;
mod phases;

use super::{Format, Model, ReportError, ReportFile};

/// One figure: a row of [`FIGURES`].
#[derive(Debug)]
pub struct Figure {
    /// What its file names begin with.
    pub name: &'static str,
    /// Draws it, once for each part of the run that has one.
    pub draw: fn(&Model<'_>) -> Result<Vec<Drawing>, ReportError>,
}

/// A drawn figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// Which of the decision's groups it shows, by position.
    pub group: usize,
    /// File name below `charts/`.
    pub file: String,
    /// What it shows, for those who cannot see it.
    pub title: String,
    /// The picture.
    pub svg: String,
}

/// Every figure, in the order in which reports show them.
pub static FIGURES: &[Figure] = &[phases::FIGURE];

/// The row of `FORMATS` for charts.
pub(super) const FORMAT: Format = Format {
    name: "charts",
    files: &["charts/phases-*.svg"],
    summary: "stacked phases of every strategy, with each sample and the interval",
    render,
};

fn render(model: &Model<'_>) -> Result<Vec<ReportFile>, ReportError> {
    let mut files = Vec::new();
    for drawing in drawings(model)? {
        files.push(ReportFile {
            path: ["charts", &drawing.file].iter().collect(),
            bytes: drawing.svg.into_bytes(),
        });
    }
    Ok(files)
}

/// Every figure of a report.
pub(super) fn drawings(model: &Model<'_>) -> Result<Vec<Drawing>, ReportError> {
    let mut drawings: Vec<Drawing> = Vec::new();
    for figure in FIGURES {
        for mut drawing in (figure.draw)(model)? {
            let stem = format!("{}-{}", figure.name, file_part(&drawing.file));
            let mut name = format!("{stem}.svg");
            let mut number = 2;
            while drawings.iter().any(|other| other.file == name) {
                name = format!("{stem}-{number}.svg");
                number += 1;
            }
            drawing.file = name;
            drawings.push(drawing);
        }
    }
    Ok(drawings)
}

/// A name from outside as part of a file name: nothing but small letters, digits and `-`.
fn file_part(name: &str) -> String {
    let mut part = String::new();
    for c in name.chars().take(80) {
        if c.is_ascii_alphanumeric() {
            part.push(c.to_ascii_lowercase());
        } else if !part.is_empty() && !part.ends_with('-') {
            part.push('-');
        }
    }
    let part = part.trim_end_matches('-');
    if part.is_empty() { "unnamed".to_owned() } else { part.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::file_part;

    #[test]
    fn a_file_name_leads_nowhere_else() {
        assert_eq!(file_part("../../etc/Pass wd"), "etc-pass-wd");
        assert_eq!(file_part("web/app/branch+main"), "web-app-branch-main");
        assert_eq!(file_part("\u{1b}[31m"), "31m");
        assert_eq!(file_part("///"), "unnamed");
    }
}

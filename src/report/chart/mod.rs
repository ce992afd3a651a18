//! Figures, as SVG. `plotters` stays in this folder.
//!
//! A new figure is one new file here and one line in [`FIGURES`].

mod axis;
mod bandwidth;
mod canvas;
mod drift;
mod frame;
mod palette;
mod phases;
mod share;
pub(super) mod trend;

use super::{Format, Model, ReportError, ReportFile};

/// One figure: a row of [`FIGURES`].
#[derive(Debug)]
pub struct Figure {
    /// What its file names begin with.
    pub name: &'static str,
    /// Draws it, once for each part of the run that has one.
    pub draw: fn(&Model<'_>) -> Result<Vec<Drawing>, ReportError>,
}

/// What part of the run a figure shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// One of the decision's groups, by position.
    Group(usize),
    /// One of the model's scopes, by position.
    Scope(usize),
    /// One workload on one engine across all links, by position in the model.
    Across(usize),
    /// All of it.
    Run,
}

/// A drawn figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// Which of [`FIGURES`] it is.
    pub figure: &'static str,
    /// What it shows.
    pub part: Part,
    /// File name below `charts/`.
    pub file: String,
    /// The picture.
    pub svg: String,
}

/// Every figure, in the order in which reports show them.
pub static FIGURES: &[Figure] = &[phases::FIGURE, bandwidth::FIGURE, share::FIGURE, drift::FIGURE];

/// The row of `FORMATS` for charts.
pub(super) const FORMAT: Format = Format {
    name: "charts",
    files: &["charts/*.svg"],
    summary: "every figure of the page as a file of its own",
    render,
    stream: None,
};

fn render(model: &Model<'_>) -> Result<Vec<ReportFile>, ReportError> {
    let style = format!("<style>\n{}</style>\n<title>", dark_style());
    let file = |drawing: &Drawing| ReportFile {
        path: ["charts", &drawing.file].iter().collect(),
        bytes: drawing.svg.replacen("<title>", &style, 1).into_bytes(),
    };
    Ok(model.drawings()?.iter().map(file).collect())
}

/// The style that makes pictures fit for a dark page, on screens; paper stays white.
pub(super) fn dark_style() -> String {
    format!("@media screen and (prefers-color-scheme: dark) {{\n{}}}\n", palette::dark_rules())
}

/// Every figure of a report.
pub(super) fn drawings(model: &Model<'_>) -> Result<Vec<Drawing>, ReportError> {
    let mut drawings: Vec<Drawing> = Vec::new();
    for figure in FIGURES {
        for mut drawing in (figure.draw)(model)? {
            let stem = match drawing.part {
                Part::Run => figure.name.to_owned(),
                Part::Group(_) | Part::Scope(_) | Part::Across(_) => {
                    format!("{}-{}", figure.name, file_part(&drawing.file))
                }
            };
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

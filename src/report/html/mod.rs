//! `report.html`: one file that needs nothing else, with the charts in it. All of it can be read
//! without the script, which only sorts the table of samples.
//!
//! A new section is one new file here and one line in [`SECTIONS`].

mod break_even;
mod machines;
pub(super) mod markup;
mod mix;
mod money;
mod phases;
mod quality;
mod samples;
mod states;
mod verdict;

use super::model::Model;
use super::text;
use super::{Format, ReportError, ReportFile, chart};
use crate::decision::{Saving, Verdict};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

const FILE: &str = "report.html";

/// The row of `FORMATS` for HTML.
pub(super) const FORMAT: Format = Format {
    name: "html",
    files: &[FILE],
    summary: "one self-contained page with the charts",
    render,
    stream: None,
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("sort.js");

/// One section of the page: a row of [`SECTIONS`].
struct Section {
    /// Where links within the page lead.
    id: &'static str,
    /// Its heading.
    title: &'static str,
    /// What is in it; `None` where the run has nothing of the kind.
    html: fn(&Model<'_>) -> Result<Option<String>, ReportError>,
}

/// Every section, in the order of the page.
static SECTIONS: &[Section] = &[
    verdict::SECTION,
    mix::SECTION,
    break_even::SECTION,
    phases::SECTION,
    states::SECTION,
    money::SECTION,
    machines::SECTION,
    quality::SECTION,
    samples::SECTION,
];

fn render(model: &Model<'_>) -> Result<Vec<ReportFile>, ReportError> {
    let page = page(model)?;
    Ok(vec![ReportFile { path: FILE.into(), bytes: page.into_bytes() }])
}

fn page(model: &Model<'_>) -> Result<String, ReportError> {
    let mut parts = Vec::new();
    for Section { id, title, html } in SECTIONS {
        let Some(html) = html(model)? else { continue };
        parts.push(Part { id, title, html });
    }
    Ok(document(&format!("Breakeven {}", model.plan.run), &head(model), &parts))
}

/// A section that is written.
pub(super) struct Part {
    /// Where links within the page lead.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What is in it.
    pub html: String,
}

/// A whole page: its title as text, its head as HTML, and its sections.
pub(super) fn document(title: &str, head: &str, parts: &[Part]) -> String {
    let mut links = String::new();
    let mut sections = String::new();
    for Part { id, title, html } in parts {
        links += &format!("<li><a href=#{id}>{title}</a>\n");
        sections += &format!(
            "<section id={id} aria-labelledby={id}-title>\n<h2 id={id}-title>{title}</h2>\n\
             {html}</section>\n"
        );
    }
    let title = text::html(title);
    let policy = policy();
    let dark = chart::dark_style();
    format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta name=viewport content='width=device-width, initial-scale=1'>\n\
         <meta http-equiv=Content-Security-Policy content=\"{policy}\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{dark}</style>\n</head>\n<body>\n\
         {head}<nav aria-label='Sections of this report'><ul>\n{links}</ul></nav>\n<main>\n{sections}</main>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// Nothing is fetched and no other script runs, even if a name from outside got past the escaping.
fn policy() -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; \
         base-uri 'none'; form-action 'none'"
    )
}

fn head(model: &Model<'_>) -> String {
    let class = if model.run.is_partial() { "warning" } else { "quiet" };
    let reason = match model.run.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({})", text::html(reason)),
    };
    format!(
        "<header>\n<h1>Does carrying the build cache pay off?</h1>\n<p class={class}>Run {}: {}{reason}\
         <br>{}</p>\n</header>\n",
        text::html(&model.plan.run),
        model.run.ending_text(),
        text::html(&model.counts_line())
    )
}

/// The class of the style sheet for a verdict.
fn tone(saving: Option<&Saving>) -> &'static str {
    match saving.map(|saving| saving.verdict) {
        Some(Verdict::PaysOff) => "pays",
        Some(Verdict::DoesNotPayOff) => "loses",
        _ => "quiet",
    }
}

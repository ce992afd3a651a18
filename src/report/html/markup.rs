//! Pieces of the page: tables that a screen reader can follow, figures, lists.
//!
//! Text goes in as it is and is escaped here. What is HTML already has `html` in its name.

use crate::report::chart::Drawing;
use crate::report::text;
use std::fmt::Write as _;

/// A table with a caption. The first cell of a row names it.
#[derive(Debug)]
pub(in crate::report) struct Table {
    /// What it shows.
    pub caption: String,
    /// What stands above the columns.
    pub heads: Vec<Head>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
}

/// What stands above a column.
#[derive(Debug)]
pub(in crate::report) struct Head {
    text: String,
    /// Whether it is set flush right.
    number: bool,
    /// Whether it is left out where there is little room.
    less: bool,
}

/// One cell.
#[derive(Debug)]
pub(in crate::report) struct Cell {
    html: String,
    tone: &'static str,
}

impl Head {
    /// A column of words.
    pub fn words(text: impl Into<String>) -> Self {
        Self { text: text.into(), number: false, less: false }
    }

    /// A column of numbers.
    pub fn number(text: impl Into<String>) -> Self {
        Self { number: true, ..Self::words(text) }
    }

    /// The same, left out where there is little room.
    pub fn less(self) -> Self {
        Self { less: true, ..self }
    }

    fn class(&self) -> &'static str {
        match (self.number, self.less) {
            (false, false) => "",
            (true, false) => " class=n",
            (false, true) => " class=less",
            (true, true) => " class='n less'",
        }
    }
}

impl Cell {
    /// Text.
    pub fn text(text: &str) -> Self {
        Self { html: text::html(text), tone: "" }
    }

    /// A point and, smaller, its interval.
    pub fn parts((point, interval): (String, String)) -> Self {
        let mut html = text::html(&point);
        if !interval.is_empty() {
            // Writing into a string cannot fail.
            let _ = write!(html, " <small>{}</small>", text::html(&interval));
        }
        Self { html, tone: "" }
    }

    /// The same in the colour of a class of the style sheet.
    pub fn toned(self, tone: &'static str) -> Self {
        Self { tone, ..self }
    }
}

impl Table {
    /// As HTML. It scrolls by itself where it is too wide, so that the page never does.
    pub fn html(&self) -> String {
        self.with_class("wide")
    }

    /// The same for cells that hold sentences, which are broken into lines.
    pub fn prose(&self) -> String {
        self.with_class("wide prose")
    }

    fn with_class(&self, class: &str) -> String {
        let caption = text::html(&self.caption);
        let mut html = format!(
            "<div class=\"{class}\" role=group tabindex=0 aria-label=\"{caption}\"><table>\
             <caption>{caption}</caption><thead><tr>"
        );
        for head in &self.heads {
            let _ = write!(html, "<th scope=col{}>{}", head.class(), text::html(&head.text));
        }
        html.push_str("<tbody>\n");
        for row in &self.rows {
            html.push_str("<tr>");
            for (place, (cell, head)) in row.iter().zip(&self.heads).enumerate() {
                let tag = if place == 0 { "th scope=row" } else { "td" };
                let class = head.class();
                if cell.tone.is_empty() {
                    let _ = write!(html, "<{tag}{class}>{}", cell.html);
                } else {
                    let tone = cell.tone;
                    let _ = write!(html, "<{tag}{class}><span class={tone}>{}</span>", cell.html);
                }
            }
            html.push('\n');
        }
        html.push_str("</table></div>\n");
        html
    }
}

/// A figure with a line beneath it.
pub(in crate::report) fn figure(drawing: &Drawing, caption: &str) -> String {
    let caption = text::html(caption);
    format!(
        "<figure><div class='wide picture' role=group tabindex=0 aria-label=\"{caption}\">{}</div>\
         <figcaption>{caption} <a href=\"charts/{file}\">{file}</a></figcaption></figure>\n",
        without_title(&drawing.svg),
        file = text::html(&drawing.file)
    )
}

/// A figure that is no file of its own, with its title in it.
pub(in crate::report) fn picture(svg: &str, caption: &str) -> String {
    let caption = text::html(caption);
    format!(
        "<figure><div class='wide picture' role=group tabindex=0 aria-label=\"{caption}\">{svg}</div>\
         </figure>\n"
    )
}

/// Pixels that a figure's title takes.
const TITLE: u32 = 38;

/// A picture without the line of its title, which stands above it as a heading already.
fn without_title(svg: &str) -> String {
    let size = |name: &str| -> Option<(&str, u32)> {
        let (_, rest) = svg.split_once(&format!(" {name}=\""))?;
        let (value, _) = rest.split_once('"')?;
        Some((value, value.parse().ok()?))
    };
    let (Some((width, _)), Some((height, pixels))) = (size("width"), size("height")) else {
        return svg.to_owned();
    };
    let rest = pixels.saturating_sub(TITLE);
    svg.replacen(
        &format!("height=\"{height}\" viewBox=\"0 0 {width} {height}\""),
        &format!("height=\"{rest}\" viewBox=\"0 {TITLE} {width} {rest}\""),
        1,
    )
}

/// A paragraph of quiet text.
pub(in crate::report) fn note(text: &str) -> String {
    format!("<p class=quiet>{}</p>\n", text::html(text))
}

/// A heading within a section; nothing where the text is empty.
pub(in crate::report) fn heading(level: u8, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("<h{level}>{}</h{level}>\n", text::html(text))
}

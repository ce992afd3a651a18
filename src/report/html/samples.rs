//! Every sample as measured. Cells are short and tags are left open where HTML lets them, since
//! there may be ten thousand rows.

use super::Section;
use crate::model::{Cell, Sample, Status};
use crate::report::model::Model;
use crate::report::text::plural;
use crate::report::{ReportError, text};
use std::fmt::Write as _;

pub(super) const SECTION: Section = Section { id: "samples", title: "All samples", html };

const FILES: [(&str, &str); 3] = [
    ("samples.csv", "every job"),
    ("phases.csv", "every request"),
    ("steps.csv", "every Dockerfile instruction"),
];

/// Most samples that are listed. A browser takes long for more, and nobody reads them.
const MOST_ROWS: usize = 10_000;

/// A column of the table.
struct Column {
    heading: &'static str,
    number: bool,
    cell: fn(&Sample, &mut String),
}

/// An axis of the run: what a cell is on it, and its column.
struct Axis {
    of: fn(&Cell) -> &str,
    column: Column,
}

fn html(model: &Model<'_>) -> Result<Option<String>, ReportError> {
    let links: Vec<String> = FILES
        .iter()
        .map(|(file, what)| format!("<a href=\"{file}\">{file}</a> ({what})"))
        .collect();
    let mut html = format!("<p>As files: {}.</p>\n", links.join(", "));
    if model.samples.is_empty() {
        html += "<p>There is none.</p>\n";
        return Ok(Some(html));
    }
    let all = plural(model.samples.len(), "sample");
    let listed = match model.samples.len() {
        ..=MOST_ROWS => all,
        _ => format!("The first {MOST_ROWS} of {all}; all of them are in samples.csv"),
    };
    let _ = writeln!(html, "<details class=long><summary>{listed}</summary>");
    table(&mut html, model);
    html += "</details>\n";
    Ok(Some(html))
}

fn words(heading: &'static str, cell: fn(&Sample, &mut String)) -> Column {
    Column { heading, number: false, cell }
}

fn number(heading: &'static str, cell: fn(&Sample, &mut String)) -> Column {
    Column { heading, number: true, cell }
}

/// An axis has a column only where it has several values; the caption names the others.
fn columns(model: &Model<'_>) -> Vec<Column> {
    let several = |axis: fn(&Cell) -> &str| {
        let mut values = model.samples.iter().map(|sample| axis(&sample.cell));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let mut columns = vec![
        number("sample", |sample, out| push(out, sample.sample)),
        number("round", |sample, out| push(out, sample.round)),
        number("position", |sample, out| push(out, sample.position)),
    ];
    let axes = [
        Axis {
            of: |cell| &cell.workload,
            column: words("workload", |sample, out| escaped(out, &sample.cell.workload)),
        },
        Axis {
            of: |cell| &cell.change,
            column: words("change", |sample, out| escaped(out, &sample.cell.change)),
        },
        Axis {
            of: |cell| &cell.availability,
            column: words("candidates", |sample, out| escaped(out, &sample.cell.availability)),
        },
        Axis {
            of: |cell| &cell.link,
            column: words("link", |sample, out| escaped(out, &sample.cell.link)),
        },
        Axis {
            of: |cell| &cell.engine,
            column: words("engine", |sample, out| escaped(out, &sample.cell.engine)),
        },
    ];
    columns.extend(axes.into_iter().filter(|axis| several(axis.of)).map(|axis| axis.column));
    columns.extend([
        words("strategy", |sample, out| escaped(out, &sample.cell.measured_as())),
        words("builder", |sample, out| push(out, sample.cell.builder)),
        words("state", |sample, out| push(out, sample.cell.state)),
        words("status", |sample, out| push(out, sample.status)),
        number("total s", total),
        number("hits", |sample, out| {
            let _ = write!(out, "{}/{}", sample.step_hits(), sample.step_count());
        }),
    ]);
    let counted = |bytes: fn(&Sample) -> Option<u64>| {
        model.samples.iter().any(|sample| bytes(sample).is_some())
    };
    if counted(Sample::bytes_down) {
        columns.push(number("down MB", |sample, out| megabytes(out, sample.bytes_down())));
    }
    if counted(Sample::bytes_up) {
        columns.push(number("up MB", |sample, out| megabytes(out, sample.bytes_up())));
    }
    columns
}

fn push(out: &mut String, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

fn escaped(out: &mut String, text: &str) {
    out.push_str(&text::html(text));
}

/// What a job that broke off took is no total.
fn total(sample: &Sample, out: &mut String) {
    let whole = matches!(sample.status, Status::Ok | Status::Invalid);
    match sample.total_s() {
        total if whole && total.is_finite() => push(out, format_args!("{total:.3}")),
        _ => out.push_str(text::NOT_MEASURED),
    }
}

fn megabytes(out: &mut String, bytes: Option<u64>) {
    match bytes {
        Some(bytes) => push(out, format_args!("{:.2}", bytes as f64 / 1e6)),
        None => out.push_str(text::NOT_MEASURED),
    }
}

fn table(html: &mut String, model: &Model<'_>) {
    let columns = columns(model);
    let first = model.samples.first().map(|sample| &sample.cell);
    let same: Vec<String> = first
        .into_iter()
        .flat_map(|cell| {
            [
                ("workload", &cell.workload),
                ("change", &cell.change),
                ("candidates", &cell.availability),
                ("link", &cell.link),
                ("engine", &cell.engine),
            ]
        })
        .filter(|(axis, _)| columns.iter().all(|column| column.heading != *axis))
        .map(|(axis, value)| format!("{axis} {value}"))
        .collect();
    let of_all =
        if same.is_empty() { String::new() } else { format!(" All: {}.", same.join(", ")) };
    let caption = text::html(&format!(
        "In the order of measuring. Round 0 is the warm-up and does not count.{of_all}"
    ));
    let _ = write!(
        html,
        "<div class='wide tall' role=group tabindex=0 aria-label=\"All samples\">\
         <table id=all-samples><caption>{caption}</caption><thead><tr>"
    );
    for column in &columns {
        let class = if column.number { " class=n" } else { "" };
        let _ = write!(html, "<th scope=col{class}>{}", column.heading);
    }
    html.push_str("<tbody>");
    for sample in model.samples.iter().take(MOST_ROWS) {
        for (place, column) in columns.iter().enumerate() {
            html.push_str(if place == 0 { "\n<tr><th>" } else { "<td>" });
            (column.cell)(sample, html);
        }
    }
    html.push_str("\n</table></div>\n");
    // Columns of numbers are set flush right by their place: a class in each cell would cost more
    // than what is in it.
    let right: Vec<String> = (1..)
        .zip(&columns)
        .filter(|(_, column)| column.number)
        .map(|(place, _)| format!("#all-samples tr>:nth-child({place})"))
        .collect();
    let _ = writeln!(html, "<style>{} {{ text-align: right }}</style>", right.join(", "));
}

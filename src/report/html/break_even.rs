//! Where each strategy begins or ceases to save time: along the share of a change, the share of
//! builds that find the cache, and the bandwidth.

use super::Section;
use super::markup::{Cell, Head, Table, figure, heading, note};
use crate::decision::{BreakEven, LinkModel};
use crate::report::chart::Part;
use crate::report::model::Model;
use crate::report::scope::{Across, Scope};
use crate::report::text::{self, NOT_MEASURED};
use crate::report::{ReportError, columns};

pub(super) const SECTION: Section = Section { id: "break-even", title: "Break-even", html };

fn html(model: &Model<'_>) -> Result<Option<String>, ReportError> {
    let mut html = String::new();
    for (number, across) in model.across.iter().enumerate() {
        html += &heading(3, &titled("Time against bandwidth", &across.title));
        if let Some(reason) = across.only_link() {
            html += &note(&format!("{NOT_MEASURED}: {reason}."));
            continue;
        }
        if let Some(drawing) = model.drawing("bandwidth", Part::Across(number))? {
            html += &figure(drawing, "Seconds a build over the mix, against bandwidth.");
        }
        html += &bandwidth(model, across).prose();
        html += &at(across);
    }
    for (number, scope) in model.scopes.iter().enumerate() {
        let shares = shares(model, scope);
        if shares.rows.is_empty() {
            continue;
        }
        html += &heading(3, &titled("Shares of builds", &scope.title));
        if let Some(drawing) = model.drawing("share", Part::Scope(number))? {
            html +=
                &figure(drawing, "Seconds saved a build, against the share of the dearest change.");
        }
        html += &shares.prose();
    }
    Ok((!html.is_empty()).then_some(html))
}

fn titled(title: &str, place: &str) -> String {
    if place.is_empty() { title.to_owned() } else { format!("{title}: {place}") }
}

fn even(text: &str, even: &BreakEven) -> Cell {
    let cell = match text.split_once(" [") {
        Some((point, interval)) => Cell::parts((point.to_owned(), format!("[{interval}"))),
        None => Cell::text(text),
    };
    match even {
        BreakEven::Always => cell.toned("pays"),
        BreakEven::Never => cell.toned("loses"),
        BreakEven::NotKnown { .. } => cell.toned("quiet"),
        BreakEven::Above(_) | BreakEven::Below(_) => cell,
    }
}

fn bandwidth(model: &Model<'_>, across: &Across<'_>) -> Table {
    let compared = across.models.iter().filter(|one| one.strategy != model.decision.baseline);
    let rows = compared.map(|one| {
        let seconds = |estimate: Option<&crate::stats::Estimate>| {
            Cell::parts(
                estimate
                    .map_or_else(|| (NOT_MEASURED.to_owned(), String::new()), text::saving_parts),
            )
        };
        let outside = if one.extrapolated { ", beyond what was measured" } else { "" };
        let at = columns::bandwidth(&one.break_even_bps);
        vec![
            Cell::text(&format!("{} ({})", one.strategy, one.builder)),
            Cell::text(&place(one)),
            even(&format!("{at}{outside}"), &one.break_even_bps),
            seconds(one.saving_per_10ms_s.as_ref()),
            Cell::text(&held_out(one)),
        ]
    });
    Table {
        caption: format!(
            "Bandwidth towards the job at which a strategy saves time against {}",
            model.decision.baseline
        ),
        rows: rows.collect(),
        heads: vec![
            Head::words("strategy"),
            Head::words("builds"),
            Head::words("saves time"),
            Head::number("saving per 10 ms of round trip").less(),
            Head::words("held against links left out").less(),
        ],
    }
}

/// Which builds a model is about.
fn place(model: &LinkModel) -> String {
    match (&model.change, &model.availability) {
        (Some(change), Some(availability)) => format!("{change}, candidates {availability}"),
        (Some(change), None) => change.clone(),
        _ => "the mix".to_owned(),
    }
}

/// How far the model misses, or why there is no line.
fn held_out(model: &LinkModel) -> String {
    if let Some(reason) = &model.not_drawn {
        let said =
            matches!(&model.break_even_bps, BreakEven::NotKnown { reason: r } if r == reason);
        return if said { "no line".to_owned() } else { format!("no line: {reason}") };
    }
    let errors: Vec<String> = model
        .held_out
        .iter()
        .map(|one| format!("{} {}", one.link, text::deviation(one.error)))
        .collect();
    if errors.is_empty() { NOT_MEASURED.to_owned() } else { errors.join(", ") }
}

/// What the lines are drawn for.
fn at(across: &Across<'_>) -> String {
    across.models.first().map_or_else(String::new, |one| {
        note(&format!(
            "Lines and break-even are for a round trip of {} and {} of the bandwidth upwards. The \
             model: seconds that no link changes, bytes by bandwidth, round trips one after another.",
            text::milliseconds(one.at.rtt_s),
            text::weight(one.at.up_per_down)
        ))
    })
}

fn shares(model: &Model<'_>, scope: &Scope<'_>) -> Table {
    let compared = || scope.weighted.iter().filter(|one| one.strategy != model.decision.baseline);
    let mut changes: Vec<&str> = Vec::new();
    for share in compared().flat_map(|one| &one.shares) {
        if !changes.contains(&share.change.as_str()) {
            changes.push(&share.change);
        }
    }
    let any = !changes.is_empty()
        || compared().any(|one| !matches!(one.hit_share, BreakEven::NotKnown { .. }));
    let rows = compared().filter(|_| any).map(|one| {
        let mut cells = vec![
            Cell::text(&format!("{} ({})", one.strategy, one.builder)),
            even(&columns::share(&one.hit_share), &one.hit_share),
        ];
        cells.extend(changes.iter().map(|change| {
            match one.shares.iter().find(|share| share.change == **change) {
                Some(share) => even(&columns::share(&share.break_even), &share.break_even),
                None => Cell::text(NOT_MEASURED),
            }
        }));
        cells
    });
    let rows = rows.collect();
    let mut heads = vec![Head::words("strategy"), Head::words("builds that find the cache")];
    heads.extend(changes.iter().map(|change| Head::words(format!("{change} builds"))));
    Table {
        caption: "Share of builds at which a strategy saves time, all else as it is".to_owned(),
        heads,
        rows,
    }
}

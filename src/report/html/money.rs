//! What builds cost in money, and what a node pays for the image at the other end.

use super::Section;
use super::markup::{Cell, Head, Table, heading, note};
use crate::decision::{Deploy, Money, MoneyKind, MoneyVerdict, RoundingEffect, Trade};
use crate::model::Prices;
use crate::report::model::Model;
use crate::report::scope::Scope;
use crate::report::text::{self, NOT_MEASURED};
use crate::report::{ReportError, columns, deploy};
use crate::stats::Estimate;
use std::collections::BTreeSet;

pub(super) const SECTION: Section = Section { id: "money", title: "Money and deploy", html };

fn html(model: &Model<'_>) -> Result<Option<String>, ReportError> {
    let mut html = String::new();
    if let Some(prices) = &model.plan.prices {
        html += &money(model, prices);
    }
    if !model.decision.deploys.is_empty() {
        html += &heading(3, "Deploy");
        html += &deploys(&model.decision.deploys).html();
        html += &note(
            "Measured: an engine that does not have the image pulled it, outside of every job. \
             Computed: the transfer alone, from bytes, layers and link, to a node that has the \
             base image.",
        );
    }
    if !model.decision.trade.is_empty() {
        html += &heading(3, "Build against deploy");
        html += &trade(&model.decision.trade).html();
    }
    Ok((!html.is_empty()).then_some(html))
}

fn money(model: &Model<'_>, prices: &Prices) -> String {
    let tables: Vec<String> = model
        .scopes
        .iter()
        .map(|scope| table(scope, prices))
        .filter(|table| !table.rows.is_empty())
        .map(|table| table.html())
        .collect();
    if tables.is_empty() {
        return String::new();
    }
    let left_out: BTreeSet<&str> = model
        .decision
        .weighted
        .iter()
        .filter_map(|one| one.money.as_ref())
        .flat_map(|money| money.left_out.iter().map(String::as_str))
        .collect();
    let mut html = heading(3, "Money a month") + &tables.concat();
    html += &note(&price_list(prices));
    if !left_out.is_empty() {
        let left_out: Vec<&str> = left_out.into_iter().collect();
        html += &note(&format!("Not in these sums: {}.", left_out.join("; ")));
    }
    html
}

/// The prices that count, in a sentence.
fn price_list(prices: &Prices) -> String {
    let amount = |value: f64| format!("{value} {}", prices.currency);
    format!(
        "Prices seen {}: {} a runner minute, each job rounded up to a {}; {} a GB out, {} a GB in; \
         {} a GB-month kept for {} builds; {} per 10,000 requests; {} builds a day. Yours may \
         differ: [prices] in breakeven.toml.",
        prices.seen,
        amount(prices.per_minute),
        prices.rounding.as_str(),
        amount(prices.out_per_gb),
        amount(prices.in_per_gb),
        amount(prices.storage_per_gb_month),
        prices.keep_builds,
        amount(prices.per_10k_requests),
        prices.builds_per_day
    )
}

fn table(scope: &Scope<'_>, prices: &Prices) -> Table {
    let monies: Vec<(String, &Money)> = scope
        .weighted
        .iter()
        .filter_map(|one| {
            Some((format!("{} ({})", one.strategy, one.builder), one.money.as_ref()?))
        })
        .collect();
    let kinds: Vec<MoneyKind> = MoneyKind::ALL
        .into_iter()
        .filter(|kind| {
            monies.iter().any(|(_, money)| money.parts.iter().any(|part| part.kind == *kind))
        })
        .collect();
    let month = prices.builds_a_month();
    let rows = monies.iter().map(|(name, money)| {
        let mut cells = vec![
            Cell::text(name),
            Cell::parts(columns::amount_parts(&money.minutes)),
            Cell::parts(columns::amount_parts(&money.billed_minutes)),
        ];
        cells.extend(kinds.iter().map(|kind| {
            let part = money.parts.iter().find(|part| part.kind == *kind);
            Cell::parts(part.and_then(|part| part.per_build.as_ref()).map_or_else(
                || (NOT_MEASURED.to_owned(), String::new()),
                |part| columns::amount_parts(&scaled(part, month)),
            ))
        }));
        cells.push(Cell::parts(
            money
                .storage_per_month
                .as_ref()
                .map_or_else(|| (NOT_MEASURED.to_owned(), String::new()), columns::amount_parts),
        ));
        cells.push(Cell::parts(columns::amount_parts(&money.per_month)));
        cells.extend(saving(money));
        cells
    });
    let rows = rows.collect();
    let mut heads = vec![
        Head::words("strategy"),
        Head::number("minutes a build").less(),
        Head::number("billed minutes").less(),
    ];
    heads.extend(kinds.iter().map(|kind| Head::number(kind.label()).less()));
    heads.extend([
        Head::number("storage").less(),
        Head::number("all a month"),
        Head::number("saving a month"),
        Head::words("verdict on money"),
    ]);
    let of = if scope.title.is_empty() { String::new() } else { format!(": {}", scope.title) };
    Table { caption: format!("{} a month at {month:.0} builds{of}", prices.currency), heads, rows }
}

fn scaled(estimate: &Estimate, factor: f64) -> Estimate {
    Estimate {
        point: estimate.point * factor,
        low: estimate.low * factor,
        high: estimate.high * factor,
    }
}

fn saving(money: &Money) -> [Cell; 2] {
    let Some(saving) = &money.saving else { return [Cell::text(""), Cell::text("")] };
    let tone = match saving.verdict {
        MoneyVerdict::Cheaper => "pays",
        MoneyVerdict::Dearer => "loses",
        MoneyVerdict::Same | MoneyVerdict::Undecided | MoneyVerdict::TooFewRounds => "quiet",
    };
    let rounding = match saving.rounding {
        RoundingEffect::None => "",
        RoundingEffect::Hides => "rounding up hides what time shows",
        RoundingEffect::Makes => "rounding up alone makes it",
    };
    [
        Cell::parts(columns::gain_parts(&saving.per_month)).toned(tone),
        Cell::parts((saving.verdict.label().to_owned(), rounding.to_owned())).toned(tone),
    ]
}

fn or_unknown<T>(value: Option<T>, show: impl Fn(T) -> String) -> Cell {
    Cell::text(&value.map_or_else(|| NOT_MEASURED.to_owned(), show))
}

fn deploys(deploys: &[Deploy]) -> Table {
    let rows = deploys.iter().map(|one| {
        let place = format!("{}, link {}, engine {}", one.workload, one.link, one.engine);
        vec![
            Cell::text(&place),
            Cell::text(one.builder.as_str()),
            or_unknown(one.image_bytes, text::bytes),
            or_unknown(one.bytes, text::bytes),
            or_unknown(one.layers, |layers| layers.to_string()),
            Cell::parts(deploy::parts(one)),
            Cell::text(&deploy::node(one)),
            or_unknown(one.fetched, text::bytes),
            or_unknown(one.computed_s, |seconds| format!("{} s", text::plain_seconds(seconds))),
        ]
    });
    Table {
        caption: "What a node pays to pull the final image".to_owned(),
        rows: rows.collect(),
        heads: vec![
            Head::words("image"),
            Head::words("builder").less(),
            Head::number("size"),
            Head::number("compressed").less(),
            Head::number("layers").less(),
            Head::number("pull"),
            Head::words("the node had").less(),
            Head::number("fetched").less(),
            Head::number("computed").less(),
        ],
    }
}

fn trade(trade: &[Trade]) -> Table {
    let rows = trade.iter().map(|one| {
        vec![
            Cell::text(&format!("{}, link {}, engine {}", one.workload, one.link, one.engine)),
            Cell::text(&one.stages.to_string()),
            Cell::text(&format!("{} ({})", one.strategy, one.builder)),
            Cell::parts(text::seconds_parts(&one.build_s)),
            or_unknown(one.image_bytes, text::bytes),
            Cell::parts(deploy::parts_of_trade(one)),
        ]
    });
    Table {
        caption: "What is paid at build time, and what at every deploy".to_owned(),
        rows: rows.collect(),
        heads: vec![
            Head::words("workload"),
            Head::number("stages").less(),
            Head::words("strategy").less(),
            Head::number("expected a build"),
            Head::number("image"),
            Head::number("pull by a node"),
        ],
    }
}

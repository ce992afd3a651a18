//! How good the measurements are: order, drift, noise, what was lost and noticed, the machine.

use super::Section;
use super::markup::{Cell, Head, Table, figure, heading, note};
use crate::decision::{FALSE_ALARM, Resolved};
use crate::model::Severity;
use crate::model::plan::LinkPlan;
use crate::report::chart::Part;
use crate::report::model::Model;
use crate::report::text::plural;
use crate::report::text::{self, NOT_MEASURED};
use crate::report::{FindingGroup, ReportError};

pub(super) const SECTION: Section = Section { id: "quality", title: "Quality of the run", html };

fn html(model: &Model<'_>) -> Result<Option<String>, ReportError> {
    let mut html = String::new();
    html += &findings(model);
    html += &lost(model);
    html += &unsupported(model);
    html += &links(model);
    html += "<h3>Drift over rounds</h3>\n";
    match model.drawing("drift", Part::Run)? {
        Some(drawing) => {
            html += &figure(drawing, "How far whole jobs lie from the median of their cell.");
        }
        None => html += &note("n/a: it takes two rounds with samples that count."),
    }
    html += &drift(model);
    html += &resolution(model);
    html += &disturbed(model);
    html += &order(model);
    html += &machine(model);
    Ok(Some(html))
}

/// The test of the drift in words.
fn drift(model: &Model<'_>) -> String {
    let Some(drift) = &model.decision.drift else { return String::new() };
    let words = drift.in_words();
    note(&if drift.is_shown() {
        format!("Drift is shown: {words}. Savings are paired within rounds and stand.")
    } else {
        format!("No drift is shown: {words}; less than {FALSE_ALARM} would show one.")
    })
}

/// What difference the machine resolves.
fn resolution(model: &Model<'_>) -> String {
    let html = heading(3, "What this machine resolves");
    let all = &model.decision.resolution;
    if all.is_empty() {
        return html + &note("n/a: no cell of the baseline was measured twice.");
    }
    let rows = all.iter().map(|one| {
        let found = one.resolved.as_ref();
        let parts = |parts: Option<(String, String)>| {
            Cell::parts(parts.unwrap_or_else(|| (NOT_MEASURED.to_owned(), String::new())))
        };
        let text =
            |text: Option<String>| Cell::text(&text.unwrap_or_else(|| NOT_MEASURED.to_owned()));
        let unlike = found.is_some_and(Resolved::is_unlike);
        vec![
            Cell::text(&[&*one.workload, &one.link, &one.engine].join(" · ")),
            Cell::text(&format!("{} ({}), {}", one.strategy, one.builder, one.place())),
            Cell::text(&one.pairs.to_string()),
            parts(found.map(|found| text::saving_parts(&found.seconds))).toned(if unlike {
                "loses"
            } else {
                "quiet"
            }),
            text(found.map(Resolved::chance)),
            text(found.map(|found| text::plain_seconds(found.smallest_s))),
            text(found.map(|found| format!("{:.1} %", found.smallest_share * 100.0))),
        ]
    });
    let table = Table {
        caption: "A cell of the baseline against itself, measured twice in every round".to_owned(),
        heads: vec![
            Head::words("workload · link · engine"),
            Head::words("cell"),
            Head::number("rounds").less(),
            Head::number("difference"),
            Head::number("chance").less(),
            Head::number("smallest that is resolved, s"),
            Head::number("of the job"),
        ],
        rows: rows.collect(),
    };
    html + &table.html()
        + &note(
            "Between the two lie noise and order, and nothing else. Half the width of the interval is \
             the smallest difference that so many rounds resolve on this machine; a chance below \
             0.01 (shared among the rows) is a finding.",
        )
}

/// Most disturbed samples that are listed; all of them are in report.json.
const DISTURBED_LISTED: usize = 20;

fn disturbed(model: &Model<'_>) -> String {
    let html = heading(3, "Disturbed samples");
    let disturbance = &model.decision.disturbance;
    if disturbance.samples.is_empty() {
        return html
            + &note(
                "None: no steal, no want of memory, no work of others on the engine, no clock that \
                 was moved, no heat, and no sample that waited much longer than its cell's others.",
            );
    }
    let samples = disturbance.samples.iter().take(DISTURBED_LISTED).map(|one| {
        vec![
            Cell::text(&one.sample.to_string()),
            Cell::text(&one.round.to_string()),
            Cell::text(&one.cell),
            Cell::text(&one.reasons.join("; ")),
        ]
    });
    let samples = Table {
        caption: format!(
            "{} of {}",
            disturbance.samples.len().min(DISTURBED_LISTED),
            plural(disturbance.samples.len(), "disturbed sample")
        ),
        heads: vec![
            Head::number("sample"),
            Head::number("round").less(),
            Head::words("cell"),
            Head::words("what disturbed it"),
        ],
        rows: samples.collect(),
    };
    let verdicts = disturbance.verdicts.iter().map(|one| {
        let saving = one.without.as_ref();
        vec![
            Cell::text(&[&*one.workload, &one.link, &one.engine].join(" · ")),
            Cell::text(&format!("{} ({})", one.strategy, one.builder)),
            Cell::text(one.with.label()),
            Cell::parts(text::verdict_parts(saving)).toned(super::tone(saving)),
            Cell::text(&saving.map_or(0, |saving| saving.pairs).to_string()),
        ]
    });
    let verdicts = Table {
        caption: "Verdicts with them, as they stand above, and without them".to_owned(),
        heads: vec![
            Head::words("workload · link · engine"),
            Head::words("strategy"),
            Head::words("with"),
            Head::words("without"),
            Head::number("rounds without").less(),
        ],
        rows: verdicts.collect(),
    };
    html + &samples.prose() + &verdicts.html()
}

fn findings(model: &Model<'_>) -> String {
    let mut html = heading(3, "Findings");
    if model.findings.is_empty() {
        return html + &note("None: nothing was noticed that a reader must know.");
    }
    html += "<dl>\n";
    for group in &model.findings {
        html += &finding(group);
    }
    html + "</dl>\n"
}

fn finding(group: &FindingGroup) -> String {
    let (class, word) = match group.severity {
        Severity::Invalid => ("loses", "invalid"),
        Severity::Warning => ("warning", "warning"),
        Severity::Note => ("quiet", "note"),
    };
    let mut html = format!(
        "<dt><span class={class}>{word}</span> {}<dd>{} <i>{}</i>\n",
        text::html(&group.heading()),
        text::html(&group.meaning),
        text::html(&group.advice)
    );
    for (what, detail) in [("Seen: ", group.seen()), ("In: ", group.places())] {
        if let Some(detail) = detail {
            html += &format!("<dd class=quiet>{what}{}\n", text::html(&detail));
        }
    }
    html
}

fn lost(model: &Model<'_>) -> String {
    let mut html = heading(3, "Samples that do not count");
    if model.lost.is_empty() {
        return html + &note("None: every sample was proved to be what it claims.");
    }
    html += "<dl>\n";
    for group in &model.lost {
        html += &format!(
            "<dt><span class=loses>{}</span> {}<dd>{}\n",
            group.status,
            text::html(&group.cell),
            text::html(&group.line())
        );
    }
    html + "</dl>\n"
}

fn unsupported(model: &Model<'_>) -> String {
    if model.unsupported.is_empty() {
        return String::new();
    }
    let rows = model.unsupported.iter().map(|one| {
        vec![
            Cell::text(&one.what),
            Cell::text(&one.cells.to_string()),
            Cell::text(&one.reason),
            Cell::text(&one.advice),
        ]
    });
    let table = Table {
        caption: "Left out, because the engine cannot do it".to_owned(),
        heads: vec![
            Head::words("what"),
            Head::number("cells").less(),
            Head::words("why"),
            Head::words("what would help"),
        ],
        rows: rows.collect(),
    };
    heading(3, "Not measured") + &table.prose()
}

fn links(model: &Model<'_>) -> String {
    let shaped = |plan: &LinkPlan| !plan.is_unshaped();
    if model
        .links
        .iter()
        .all(|link| link.measured.is_none() && !link.asked.as_ref().is_some_and(shaped))
    {
        return heading(3, "Links")
            + &note(
                "None was shaped: times are those of the network between this machine's engine, \
                 registry and storage, which makes every transfer look cheap.",
            );
    }
    let rate = |bps: Option<f64>| bps.map_or_else(|| NOT_MEASURED.to_owned(), text::rate);
    let asked = |bps: Option<f64>| bps.map_or_else(|| "unlimited".to_owned(), text::rate);
    let rows = model.links.iter().map(|link| {
        let plan = link.asked;
        let (down, up, rtt) = link
            .measured
            .map_or((None, None, None), |(down, up, rtt)| (Some(down), Some(up), Some(rtt)));
        let unknown = || NOT_MEASURED.to_owned();
        vec![
            Cell::text(&link.name),
            Cell::text(&plan.map_or_else(unknown, |plan| asked(plan.down_bps))),
            Cell::text(&rate(down)),
            Cell::text(&plan.map_or_else(unknown, |plan| asked(plan.up_bps))),
            Cell::text(&rate(up)),
            Cell::text(&plan.map_or_else(unknown, |plan| text::milliseconds(plan.rtt_s))),
            Cell::text(&rtt.map_or_else(unknown, text::milliseconds)),
        ]
    });
    let table = Table {
        caption: "What was asked of each link, and what it gave before its first use".to_owned(),
        heads: vec![
            Head::words("link"),
            Head::number("down, asked").less(),
            Head::number("down, measured"),
            Head::number("up, asked").less(),
            Head::number("up, measured"),
            Head::number("round trip, asked").less(),
            Head::number("round trip, measured"),
        ],
        rows: rows.collect(),
    };
    heading(3, "Links")
        + &table.html()
        + &note(
            "A link paces bytes and delays the first byte of each answer. The slow start of a \
             connection and lost packets are not imitated: a real link of this rate is a little \
             slower.",
        )
}

/// Most rounds whose positions are listed one by one.
const ROUNDS_LISTED: usize = 20;

fn order(model: &Model<'_>) -> String {
    let quality = &model.quality;
    let rounds: Vec<u32> = quality.rounds.iter().map(|round| round.round).collect();
    let listed = if rounds.len() <= ROUNDS_LISTED { rounds.as_slice() } else { &[] };
    let deviation =
        |share: Option<f64>| share.map_or_else(|| NOT_MEASURED.to_owned(), text::deviation);
    let rows = quality.cells.iter().map(|cell| {
        let mut cells = vec![
            Cell::text(&cell.cell),
            Cell::text(&cell.n.to_string()),
            Cell::text(
                &cell
                    .cv
                    .map_or_else(|| NOT_MEASURED.to_owned(), |cv| format!("{:.1} %", cv * 100.0)),
            ),
            Cell::text(&deviation(cell.drift)),
            Cell::text(
                &cell
                    .mean_position()
                    .map_or_else(|| NOT_MEASURED.to_owned(), |mean| format!("{mean:.1}")),
            ),
        ];
        cells.extend(listed.iter().map(|round| {
            Cell::text(&cell.positions.get(round).map_or_else(String::new, ToString::to_string))
        }));
        cells
    });
    let mut heads = vec![
        Head::words("cell"),
        Head::number("n"),
        Head::number("noise (cv)"),
        Head::number("drift"),
        Head::number("mean position"),
    ];
    heads.extend(listed.iter().map(|round| Head::number(format!("round {round}"))));
    let table = Table {
        caption: "Noise, drift and position of every cell".to_owned(),
        heads,
        rows: rows.collect(),
    };
    format!(
        "<details><summary>Noise, drift and order of every cell</summary>\n{}{}</details>\n",
        table.html(),
        note(
            "Noise: standard deviation as a share of the mean. Drift: median of the later half of \
             the rounds against the earlier half. Position: place within a round, from 0, in an \
             order that is shuffled anew for every round; all of them are in samples.csv."
        )
    )
}

fn machine(model: &Model<'_>) -> String {
    let (plan, run) = (model.plan, &model.run);
    let seed = plan.seed.to_string();
    let own = [
        ("started", run.started_at.as_str()),
        ("ended", run.ended_at.as_str()),
        ("breakeven", &plan.breakeven),
        ("seed", &seed),
    ];
    let facts = run.facts.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let rows = own.into_iter().chain(facts).map(|(key, value)| {
        let value = if value.is_empty() { NOT_MEASURED } else { value };
        vec![Cell::text(key), Cell::text(value)]
    });
    let table = Table {
        caption: "Machine, engine and versions".to_owned(),
        heads: vec![Head::words("fact"), Head::words("value")],
        rows: rows.collect(),
    };
    format!(
        "<h3>Machine and versions</h3>\n{}<h3>Measure it again</h3>\n<pre tabindex=0>{}</pre>\n{}",
        table.prose(),
        text::html(&model.command()),
        note(
            "The seed gives the same order of cells and the same intervals from the same samples; \
             the nonces of changes are new. All of this is made again from events.jsonl by \
             breakeven report."
        )
    )
}

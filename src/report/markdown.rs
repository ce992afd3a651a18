//! `report.md`: fit for a comment on a pull request. The verdict comes first.

use super::columns::{self, Column, Layout};
use super::facts::Unsupported;
use super::findings::{FindingGroup, LostGroup};
use super::model::Model;
use super::scope::Scope;
use super::text::plural;
use super::text::{self, NOT_MEASURED, markdown};
use super::{Format, ReportError, ReportFile, deploy, disturbance, machines, stopping};
use crate::decision::{Deploy, Group, Row};
use crate::model::{Phase, Severity};
use std::collections::BTreeMap;

const FILE: &str = "report.md";

/// The row of `FORMATS` for Markdown.
pub(super) const FORMAT: Format = Format {
    name: "markdown",
    files: &[FILE],
    summary: "verdict, tables and findings, fit for a comment on a pull request",
    render,
    stream: None,
};

/// Most lines of the file: what is longer is not read in a comment. What does not fit is counted.
const MOST_LINES: usize = 60;
/// Most sentences of the verdict; of several workloads, links and engines the first ones come first.
const MOST_SENTENCES: usize = 24;
/// Most findings, and most kinds of lost samples or of cells left out, that are listed.
const MOST_LISTED: usize = 8;

/// Lines that stand or fall together.
struct Block {
    /// What it is called where it is left out.
    what: &'static str,
    /// Which block is left out first: that of the highest rank.
    rank: usize,
    lines: Vec<String>,
}

fn render(model: &Model<'_>) -> Result<Vec<ReportFile>, ReportError> {
    let mut lines = Vec::new();
    let mut left_out = head(&mut lines, model);
    let mut blocks = Vec::new();
    for (number, scope) in model.scopes.iter().enumerate() {
        blocks.push(Block {
            what: "table over the mix",
            rank: 3 + number,
            lines: weighted(model, scope),
        });
    }
    blocks.push(Block {
        what: "list of deploy times",
        rank: 3 + model.scopes.len(),
        lines: deploys(model),
    });
    blocks.extend(groups(model));
    blocks.push(Block { what: "table of machines", rank: 2, lines: machine_table(model) });
    blocks.push(Block { what: "list of findings", rank: 0, lines: findings(model) });
    blocks.push(Block { what: "list of lost samples", rank: 1, lines: lost(model) });
    blocks.push(Block {
        what: "list of what was not measured",
        rank: 2,
        lines: unsupported(model),
    });
    let foot_lines = 1;
    let room = MOST_LINES.saturating_sub(lines.len() + foot_lines);
    lines.extend(fitting(blocks, room, &mut left_out));
    lines.push(foot(model, &left_out));
    let mut bytes = lines.join("\n").into_bytes();
    bytes.push(b'\n');
    Ok(vec![ReportFile { path: FILE.into(), bytes }])
}

/// Kinds of what does not fit, with their numbers.
type LeftOut = BTreeMap<&'static str, usize>;

/// The lines of those blocks that fit, in their order.
fn fitting(blocks: Vec<Block>, room: usize, left_out: &mut LeftOut) -> Vec<String> {
    let mut by_rank: Vec<usize> = (0..blocks.len()).collect();
    by_rank.sort_by_key(|at| blocks[*at].rank);
    let mut kept = vec![false; blocks.len()];
    let mut used = 0;
    for at in by_rank {
        kept[at] = used + blocks[at].lines.len() <= room;
        if kept[at] {
            used += blocks[at].lines.len();
        } else {
            *left_out.entry(blocks[at].what).or_default() += 1;
        }
    }
    let kept = blocks.into_iter().zip(kept).filter(|(_, kept)| *kept);
    kept.flat_map(|(block, _)| block.lines).collect()
}

fn head(lines: &mut Vec<String>, model: &Model<'_>) -> LeftOut {
    lines.push("# Does carrying the build cache pay off?".to_owned());
    lines.push(String::new());
    let mut kept: Vec<Vec<&String>> =
        model.scopes.iter().map(|scope| scope.sentences.iter().collect()).collect();
    let all: usize = kept.iter().map(Vec::len).sum();
    if all > MOST_SENTENCES {
        kept.iter_mut().for_each(|sentences| sentences.truncate(1));
        kept.truncate(MOST_SENTENCES);
    }
    let kept: Vec<&String> = kept.into_iter().flatten().collect();
    let mut left_out = LeftOut::new();
    if kept.len() < all {
        left_out.insert("sentence", all - kept.len());
    }
    for sentence in kept {
        lines.push(format!("- {}", model.with_names(sentence, markdown, ("**", "**"))));
    }
    let aside = stopping::sentences(model).into_iter().chain(disturbance::sentence(model.decision));
    for sentence in aside {
        lines.push(format!("- {}", model.with_names(&sentence, markdown, ("**", "**"))));
    }
    if model.run.is_partial() {
        let reason = match model.run.reason.as_str() {
            "" => String::new(),
            reason => format!(" ({})", markdown(reason)),
        };
        lines.push(format!("- ⚠ **{}**{reason}", model.run.ending_text()));
    }
    lines.push(String::new());
    left_out
}

fn heading(lines: &mut Vec<String>, level: &str, text: &str) {
    lines.push(format!("{level} {text}"));
}

fn row(lines: &mut Vec<String>, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    lines.push(format!("| {} |", cells.join(" | ")));
}

/// The heading of a table with the line beneath it, which says what is set flush right.
fn rule_below(lines: &mut Vec<String>, headings: impl IntoIterator<Item = (String, bool)>) {
    let (texts, numbers): (Vec<String>, Vec<bool>) = headings.into_iter().unzip();
    row(lines, texts.iter().map(|text| markdown(text)));
    let cells: Vec<&str> =
        numbers.into_iter().map(|number| if number { "---:" } else { "---" }).collect();
    lines.push(format!("|{}|", cells.join("|")));
}

fn weighted(model: &Model<'_>, scope: &Scope<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let title = match scope.title.as_str() {
        "" => String::new(),
        title => format!(": {}", markdown(title)),
    };
    heading(&mut lines, "##", &format!("Over all changes and candidates, by their weights{title}"));
    let headings = columns::weighted_headings(&model.decision.baseline);
    rule_below(&mut lines, headings.map(|(parts, number)| (text::joined(parts), number)));
    for one in scope.weighted {
        row(&mut lines, columns::weighted_cells(one).map(|parts| markdown(&text::joined(parts))));
    }
    lines.push(String::new());
    lines
}

/// Strategies by machine, of a merged run.
fn machine_table(model: &Model<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if model.machines.is_empty() {
        return lines;
    }
    heading(&mut lines, "##", "Machines: saving a build");
    rule_below(&mut lines, machines::headings(model));
    for one in &model.decision.machines.strategies {
        let cells = machines::cells(model, one).into_iter();
        row(&mut lines, cells.map(|parts| markdown(&text::joined(parts))));
    }
    lines.push(String::new());
    lines.push(format!("<sub>{}</sub>", markdown(&machines::legend(model))));
    lines.push(String::new());
    lines
}

/// Tables of changes; those that most builds are like are the last to be left out.
fn groups(model: &Model<'_>) -> Vec<Block> {
    let groups = &model.decision.groups;
    let mut by_weight: Vec<usize> = (0..groups.len()).collect();
    by_weight.sort_by(|a, b| groups[*b].weight.total_cmp(&groups[*a].weight));
    let rank = |at: usize| by_weight.iter().position(|other| *other == at).unwrap_or(at);
    let block = |(at, group)| Block {
        what: "table of a change",
        rank: 4 + model.scopes.len() + rank(at),
        lines: group_table(model, group),
    };
    groups.iter().enumerate().map(block).collect()
}

fn group_table(model: &Model<'_>, group: &Group) -> Vec<String> {
    let mut lines = Vec::new();
    heading(&mut lines, "###", &markdown(&model.title(group).line()));
    let layout = Layout::WIDE;
    // Phases are one column here: a comment on a pull request is narrow.
    let columns: Vec<Column> = layout
        .columns(model, group)
        .into_iter()
        .filter(|column| !matches!(column, Column::Phase(_)))
        .collect();
    let headings = columns
        .iter()
        .map(|column| (column.heading(&model.decision.baseline, &layout), column.is_number()));
    rule_below(&mut lines, headings.chain([("phases, median s".to_owned(), false)]));
    for one in &group.rows {
        let cells = columns.iter().map(|column| markdown(&column.cell(one, &layout)));
        row(&mut lines, cells.chain([phases(one)]));
    }
    lines.push(String::new());
    lines
}

/// `pull 1.20 · build 3.40 · push 0.51`.
fn phases(row: &Row) -> String {
    let shown: Vec<String> = Phase::ALL
        .iter()
        .filter_map(|phase| {
            row.phases.get(phase).map(|value| format!("{phase} {}", text::plain_seconds(*value)))
        })
        .collect();
    if shown.is_empty() { NOT_MEASURED.to_owned() } else { shown.join(" · ") }
}

/// A list under a heading; nothing where there is nothing.
fn list(title: &str, items: &[String]) -> Vec<String> {
    if items.is_empty() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    heading(&mut lines, "##", title);
    lines.extend(items.iter().take(MOST_LISTED).cloned());
    if items.len() > MOST_LISTED {
        lines.push(format!("- and {} more, in report.html", items.len() - MOST_LISTED));
    }
    lines.push(String::new());
    lines
}

fn deploys(model: &Model<'_>) -> Vec<String> {
    let shown = model.decision.deploys.iter().filter(|one| one.seconds().is_some());
    let item = |one: &Deploy| {
        let node = match deploy::node(one).as_str() {
            "" => String::new(),
            node => format!("; the node had {node}"),
        };
        let time = text::joined(deploy::parts(one));
        format!("- {}: {}", markdown(&deploy::place(one)), markdown(&format!("{time}{node}")))
    };
    let items: Vec<String> = shown.map(item).collect();
    list("What a node pays to pull the final image", &items)
}

fn findings(model: &Model<'_>) -> Vec<String> {
    let items: Vec<String> = model.findings.iter().map(finding).collect();
    list("Findings", &items)
}

fn finding(group: &FindingGroup) -> String {
    let word = match group.severity {
        Severity::Invalid => "invalid",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let seen = group
        .seen()
        .map(|seen| format!(" Seen: {}.", markdown(seen.trim_end_matches('.'))))
        .unwrap_or_default();
    format!(
        "- **{word}: {}** {} *{}*{seen}",
        markdown(&group.heading()),
        markdown(&group.meaning),
        markdown(&group.advice)
    )
}

fn lost(model: &Model<'_>) -> Vec<String> {
    let item = |group: &LostGroup| {
        format!("- **{}** {}: {}", group.status, markdown(&group.cell), markdown(&group.line()))
    };
    let items: Vec<String> = model.lost.iter().map(item).collect();
    list("Samples that do not count", &items)
}

fn unsupported(model: &Model<'_>) -> Vec<String> {
    let item = |one: &Unsupported| {
        let (what, reason, advice) =
            (markdown(&one.what), markdown(&one.reason), markdown(&one.advice));
        format!("- **{what}** ({}): {reason} *{advice}*", plural(one.cells, "cell"))
    };
    let items: Vec<String> = model.unsupported.iter().map(item).collect();
    list("Not measured", &items)
}

fn foot(model: &Model<'_>, left_out: &LeftOut) -> String {
    let left_out = if left_out.is_empty() {
        String::new()
    } else {
        let items: Vec<String> =
            left_out.iter().map(|(what, count)| format!("{what} × {count}")).collect();
        format!("Left out to keep this short: {}. All of it is in report.html. ", items.join(", "))
    };
    let facts: Vec<String> =
        model.run.facts.iter().map(|(key, value)| format!("{key} {value}")).collect();
    let facts =
        if facts.is_empty() { String::new() } else { format!(" · {}", facts.join(" · ")) };
    format!(
        "<sub>{}</sub>",
        markdown(&format!(
            "{left_out}Breakeven {} · run {} · {}{facts}. {}",
            model.plan.breakeven,
            model.plan.run,
            model.counts_line(),
            columns::legend(model),
        ))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_keeps_its_order_and_what_does_not_is_counted() {
        let block = |what, rank, lines: &[&str]| Block {
            what,
            rank,
            lines: lines.iter().map(ToString::to_string).collect(),
        };
        let blocks = vec![
            block("table", 2, &["a", "b"]),
            block("table", 3, &["c", "d", "e"]),
            block("list", 1, &["f"]),
        ];
        let mut left_out = LeftOut::new();
        assert_eq!(fitting(blocks, 5, &mut left_out), ["a", "b", "f"]);
        assert_eq!(left_out, LeftOut::from([("table", 1)]));
    }
}

//! What the first build costs beside later ones, and how many of these repay it.

use super::Section;
use super::markup::{Cell, Head, Table, note};
use crate::decision::{Group, Weighted};
use crate::model::State;
use crate::report::model::Model;
use crate::report::scope::Scope;
use crate::report::{ReportError, columns, text};

pub(super) const SECTION: Section =
    Section { id: "states", title: "First build, later builds", html };

/// States of a sample, in the order of their columns.
const STATES: [State; 3] = [State::Populate, State::Steady, State::ReadOnly];

fn html(model: &Model<'_>) -> Result<Option<String>, ReportError> {
    let mut html = String::new();
    for scope in &model.scopes {
        let table = table(model, scope);
        if !table.rows.is_empty() {
            html += &table.html();
        }
    }
    if html.is_empty() {
        return Ok(None);
    }
    html += &note(
        "populate: a cache is asked for, none is there, one is left behind. steady: found and left \
         behind. read-only: found, none left behind. Repaid after: later builds, over the whole \
         mix, that make up for the first one; n/a where no job without candidates was measured or \
         later builds do not surely save.",
    );
    Ok(Some(html))
}

fn table(model: &Model<'_>, scope: &Scope<'_>) -> Table {
    let groups: Vec<&Group> = model.groups_of(scope).map(|(_, group)| group).collect();
    let has =
        |state: State| groups.iter().any(|group| group.rows.iter().any(|row| row.state == state));
    let states: Vec<State> = STATES.into_iter().filter(|state| has(*state)).collect();
    let mut changes: Vec<&str> = Vec::new();
    for group in &groups {
        if !changes.contains(&group.change.as_str()) {
            changes.push(&group.change);
        }
    }
    let mut rows = Vec::new();
    for one in scope.weighted.iter().filter(|one| one.strategy != model.decision.baseline) {
        for change in &changes {
            let of_change: Vec<&Group> =
                groups.iter().copied().filter(|group| group.change == **change).collect();
            let mut cells = vec![
                Cell::text(&format!("{} ({})", one.strategy, one.builder)),
                Cell::text(change),
                in_state(&of_change, &baseline(model, one), State::Cold),
            ];
            let own = (one.strategy.as_str(), one.builder);
            cells.extend(states.iter().map(|state| in_state(&of_change, &own, *state)));
            cells.push(Cell::parts(one.builds_to_repay.as_ref().map_or_else(
                || (text::NOT_MEASURED.to_owned(), String::new()),
                columns::builds_parts,
            )));
            rows.push(cells);
        }
    }
    let mut heads = vec![
        Head::words("strategy"),
        Head::words("change"),
        Head::number(format!("{} (baseline)", model.decision.baseline)),
    ];
    heads.extend(states.iter().map(|state| Head::number(state.as_str())));
    heads.push(Head::number("repaid after").less());
    let of = if scope.title.is_empty() { String::new() } else { format!(": {}", scope.title) };
    Table { caption: format!("Median seconds of a job by what it found and left{of}"), heads, rows }
}

type Competitor<'a> = (&'a str, crate::model::Builder);

fn baseline<'a>(model: &'a Model<'_>, one: &Weighted) -> Competitor<'a> {
    let against = one.saving.as_ref().map_or(one.builder, |saving| saving.against);
    (&model.decision.baseline, against)
}

/// The median of a competitor in a state; of several sets of candidates, the most frequent one's.
fn in_state(groups: &[&Group], (strategy, builder): &Competitor<'_>, state: State) -> Cell {
    let rows = groups.iter().flat_map(|group| group.rows.iter().map(|row| (group.weight, row)));
    let of_state = rows.filter(|(_, row)| {
        row.strategy == *strategy && row.builder == *builder && row.state == state
    });
    let best = of_state.max_by(|a, b| a.0.total_cmp(&b.0));
    let total = best.and_then(|(_, row)| row.total_s.as_ref()).map(text::seconds_parts);
    Cell::parts(total.unwrap_or_else(|| (text::NOT_MEASURED.to_owned(), String::new())))
}

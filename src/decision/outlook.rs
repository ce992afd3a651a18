//! What would change a verdict, in sentences: another link, other changes, fewer caches found,
//! money instead of time.

use super::sentence::{best, name, number};
use super::{BreakEven, Crossing, Decision, MoneyVerdict, RoundingEffect, Weighted};
use crate::stats::Estimate;

/// What would change the verdict on the strategy that a scope's first sentence names; where none
/// pays off, on the one that saves the most. Nothing where nothing is known.
pub fn outlook(decision: &Decision, scope: &[Weighted]) -> Vec<String> {
    let Some(of) = best(decision, scope) else { return Vec::new() };
    let mut sentences = Vec::new();
    sentences.extend(on_links(decision, of));
    sentences.extend(over_changes(of));
    sentences.extend(over_hits(of));
    sentences.extend(in_money(of));
    sentences
}

fn on_links(decision: &Decision, of: &Weighted) -> Vec<String> {
    let model = decision.link_models.iter().find(|model| {
        model.change.is_none()
            && (&model.workload, &model.engine, &model.strategy, model.builder)
                == (&of.workload, &of.engine, &of.strategy, of.builder)
    });
    let Some(model) = model else { return Vec::new() };
    let who = name(of);
    let at = format!("at a round trip of {} ms", trimmed(model.at.rtt_s * 1e3, 1));
    let beyond = if model.extrapolated { "; this is beyond the links measured" } else { "" };
    let mut sentences = vec![match &model.break_even_bps {
        BreakEven::Above(at_bps) => {
            format!("{who} would save no time below {} ({at}{beyond}).", mbit(at_bps))
        }
        BreakEven::Below(at_bps) => {
            format!("{who} would save no time above {} ({at}{beyond}).", mbit(at_bps))
        }
        BreakEven::Always => format!("{who} saves time at any bandwidth ({at})."),
        BreakEven::Never => format!("{who} saves time at no bandwidth ({at})."),
        BreakEven::NotKnown { reason } => format!("Other links for {who}: n/a, {reason}."),
    }];
    if let Some(slope) = model.saving_per_10ms_s.filter(|slope| is_sure(*slope)) {
        let (word, slope) =
            if slope.point > 0.0 { ("adds", slope) } else { ("takes", turned(slope)) };
        let to = if word == "adds" { "to" } else { "from" };
        sentences.push(format!(
            "Each 10 ms of round trip {word} {} s [{}, {}] {to} what it saves a build.",
            trimmed(slope.point, 2),
            trimmed(slope.low, 2),
            trimmed(slope.high, 2)
        ));
    }
    sentences
}

fn over_changes(of: &Weighted) -> Option<String> {
    let share = of.shares.iter().find(|share| share.dearest)?;
    let now = per_cent(share.now);
    let change = &share.change;
    Some(match &share.break_even {
        BreakEven::Below(at) => format!(
            "It would save no time if more than {} of builds were `{change}` (now {now} %).",
            per_cents(at)
        ),
        BreakEven::Above(at) => format!(
            "It saves time only if more than {} of builds are `{change}` (now {now} %).",
            per_cents(at)
        ),
        BreakEven::Always => {
            format!("It saves time whatever the share of `{change}` (now {now} %).")
        }
        BreakEven::Never => format!("It saves time at no share of `{change}` (now {now} %)."),
        BreakEven::NotKnown { .. } => return None,
    })
}

fn over_hits(of: &Weighted) -> Option<String> {
    match &of.hit_share {
        BreakEven::Above(at) => {
            Some(format!("At least {} of its builds have to find a cache.", per_cents(at)))
        }
        BreakEven::Below(at) => Some(format!(
            "It saves time only if fewer than {} of its builds find a cache.",
            per_cents(at)
        )),
        // Always and never are what the verdict says as well.
        BreakEven::Always | BreakEven::Never | BreakEven::NotKnown { .. } => None,
    }
}

fn in_money(of: &Weighted) -> Vec<String> {
    let money = of.money.as_ref();
    let Some((money, saving)) = money.and_then(|money| Some((money, money.saving.as_ref()?)))
    else {
        return Vec::new();
    };
    let amount = |estimate: Estimate| {
        let [point, low, high] =
            [estimate.point, estimate.low, estimate.high].map(|n| format!("{n:.2}"));
        format!("{point} {} [{low}, {high}]", money.currency)
    };
    let mut sentences = Vec::new();
    match saving.rounding {
        RoundingEffect::None => {}
        RoundingEffect::Hides => sentences.push(format!(
            "Rounding hides the difference in time: {} minutes are billed a build, with no sure \
             difference to the baseline.",
            number(money.billed_minutes)
        )),
        RoundingEffect::Makes => sentences.push(format!(
            "Rounding makes a difference that time does not show: {} billed minutes a build.",
            number(turned(saving.billed_minutes))
        )),
    }
    sentences.push(match saving.verdict {
        MoneyVerdict::Cheaper => {
            format!("In money it saves {} a month.", amount(saving.per_month))
        }
        MoneyVerdict::Dearer => {
            format!("In money it costs {} more a month.", amount(turned(saving.per_month)))
        }
        MoneyVerdict::Same => "In money it costs the same.".to_owned(),
        MoneyVerdict::Undecided => {
            format!("In money it is undecided: {} saved a month.", amount(saving.per_month))
        }
        MoneyVerdict::TooFewRounds => return Vec::new(),
    });
    sentences
}

fn is_sure(estimate: Estimate) -> bool {
    estimate.low > 0.0 || estimate.high < 0.0
}

/// What is saved as what is lost.
fn turned(estimate: Estimate) -> Estimate {
    Estimate { point: -estimate.point, low: -estimate.high, high: -estimate.low }
}

/// `12 Mbit/s [9, 16]`, an open end as a word.
fn mbit(crossing: &Crossing) -> String {
    let text = |bps: f64| {
        let mbit = bps / 1e6;
        trimmed(mbit, if mbit < 9.95 { 2 } else { usize::from(mbit < 99.5) })
    };
    format!("{} Mbit/s {}", text(crossing.point), range(crossing, text))
}

/// `38 % [30, 45]`.
fn per_cents(crossing: &Crossing) -> String {
    format!("{} % {}", per_cent(crossing.point), range(crossing, per_cent))
}

fn range(crossing: &Crossing, text: impl Fn(f64) -> String) -> String {
    let end = |end: Option<f64>, open: &str| end.map_or_else(|| open.to_owned(), &text);
    format!("[{}, {}]", end(crossing.low, "any"), end(crossing.high, "any"))
}

fn per_cent(share: f64) -> String {
    trimmed(share * 100.0, 0)
}

/// With at most so many decimals, none of them a needless 0.
fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    if text == "-0" { "0".to_owned() } else { text }
}

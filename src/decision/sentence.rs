//! A decision in words.

use super::{Decision, Saving, Verdict, Weighted, again};
use crate::model::Builder;
use crate::stats::Estimate;
use crate::strategy::{self, CacheFrom};

/// The verdicts over the change mix as sentences, for each workload (on each link and engine). The
/// first sentence of each names the strategy to choose, or says that there is none.
///
/// Among strategies that pay off, the one whose builds take the least time is named first, whatever
/// its builder. A strategy that needs a runner that keeps its disk is never named first: it carries
/// nothing between jobs and shows only what would be the most that carrying a cache can give.
pub fn sentence(decision: &Decision) -> Vec<String> {
    decision.scopes().flat_map(|scope| sentences_of(decision, scope)).collect()
}

/// The sentences about one of [`Decision::scopes`].
pub fn sentences_of(decision: &Decision, scope: &[Weighted]) -> Vec<String> {
    let (kept, carried): (Vec<&Weighted>, Vec<&Weighted>) = scope
        .iter()
        .filter(|weighted| weighted.strategy != decision.baseline)
        .partition(|weighted| weighted.keeps_runner());
    let paying = paying(&carried);
    let mut sentences = Vec::new();
    match paying.split_first() {
        Some((best, others)) => {
            sentences.push(best_sentence(decision, scope, best));
            sentences.extend(repaid(best));
            sentences.extend(replayed(best));
            sentences.extend(list("Also pays off", "Also pay off", others, saved));
        }
        None => sentences.push(none_sentence(decision, scope, &carried)),
    }
    let losing = with(&carried, Verdict::DoesNotPayOff);
    sentences.extend(list("Does not pay off", "Do not pay off", &losing, too_little));
    sentences.extend(list("Undecided", "Undecided", &with(&carried, Verdict::Undecided), unsure));
    let few = with(&carried, Verdict::TooFewRounds);
    let needed = decision.rounds_for_verdict();
    sentences.extend(list("No verdict for", "No verdict for", &few, |_, saving| {
        format!("{} paired, {needed} needed", rounds(saving.pairs))
    }));
    sentences
        .extend(carried.iter().filter(|weighted| weighted.saving.is_none()).map(|w| lacking(w)));
    let bounds = with(&kept, Verdict::PaysOff);
    sentences.extend(list(
        "For comparison, a runner that keeps its cache",
        "For comparison, a runner that keeps its cache",
        &bounds,
        saved,
    ));
    sentences.extend(again::sentences_of(decision, scope));
    sentences
}

/// The strategy to choose for each workload (on each link and engine) that has one.
pub fn winners(decision: &Decision) -> Vec<&Weighted> {
    decision
        .scopes()
        .filter_map(|scope| paying(&carried(decision, scope)).first().copied())
        .collect()
}

/// Strategies that are compared with the baseline and carry a cache between jobs.
fn carried<'a>(decision: &Decision, scope: &'a [Weighted]) -> Vec<&'a Weighted> {
    let others = scope.iter().filter(|weighted| weighted.strategy != decision.baseline);
    others.filter(|weighted| !weighted.keeps_runner()).collect()
}

/// Those that pay off, the fastest builds first.
fn paying<'a>(carried: &[&'a Weighted]) -> Vec<&'a Weighted> {
    let mut paying = with(carried, Verdict::PaysOff);
    paying.sort_by(|a, b| total(a).total_cmp(&total(b)));
    paying
}

impl Weighted {
    /// Whether the strategy needs a runner that keeps its disk: it carries nothing between jobs
    /// and shows only the most that carrying a cache can give.
    pub fn keeps_runner(&self) -> bool {
        keeps_runner(&self.strategy)
    }
}

/// Whether the strategy of this id needs a runner that keeps its disk.
pub(super) fn keeps_runner(strategy: &str) -> bool {
    strategy::ours(strategy).is_some_and(|known| known.cache == CacheFrom::Engine)
}

/// The strategy that a verdict is about: of those that pay off the quickest, else the one that
/// saves the most.
pub fn best<'a>(decision: &Decision, scope: &'a [Weighted]) -> Option<&'a Weighted> {
    let carried = carried(decision, scope);
    paying(&carried).first().copied().or_else(|| {
        let saved = |weighted: &&Weighted| {
            weighted.saving.as_ref().map_or(f64::NEG_INFINITY, |saving| saving.seconds.point)
        };
        let compared = carried.into_iter().filter(|weighted| weighted.saving.is_some());
        compared.max_by(|a, b| saved(a).total_cmp(&saved(b)))
    })
}

fn with<'a>(among: &[&'a Weighted], verdict: Verdict) -> Vec<&'a Weighted> {
    let is = |weighted: &&&Weighted| {
        weighted.saving.as_ref().is_some_and(|saving| saving.verdict == verdict)
    };
    among.iter().filter(is).copied().collect()
}

fn total(weighted: &Weighted) -> f64 {
    weighted.total_s.map_or(f64::INFINITY, |total| total.point)
}

/// `For workload web, over your change mix, `: with link and engine where there are several.
fn subject(decision: &Decision, scope: &[Weighted]) -> String {
    let Some(one) = scope.first() else { return String::new() };
    let mut subject = format!("For workload {}", one.workload);
    if decision.weighted.iter().any(|other| other.link != one.link) {
        subject += &format!(" on link {}", one.link);
    }
    if decision.weighted.iter().any(|other| other.engine != one.engine) {
        subject += &format!(" on engine {}", one.engine);
    }
    subject + ", over your change mix, "
}

fn best_sentence(decision: &Decision, scope: &[Weighted], best: &Weighted) -> String {
    let subject = subject(decision, scope);
    let saving = best.saving.as_ref().map(|saving| saved(best, saving)).unwrap_or_default();
    let pairs = best.saving.as_ref().map_or(0, |saving| saving.pairs);
    let against = against(decision, best);
    format!(
        "{subject}{} pays off: it saves {saving} against {against}, {}.",
        name(best),
        rounds(pairs)
    )
}

fn against(decision: &Decision, weighted: &Weighted) -> String {
    match &weighted.saving {
        Some(saving) => format!("`{} ({})`", decision.baseline, saving.against),
        None => format!("`{}`", decision.baseline),
    }
}

fn none_sentence(decision: &Decision, scope: &[Weighted], carried: &[&Weighted]) -> String {
    let subject = subject(decision, scope);
    let baseline = &decision.baseline;
    let count = |verdict| with(carried, verdict).len();
    if carried.is_empty() {
        format!("{subject}there is no verdict: no strategy was measured beside `{baseline}`.")
    } else if count(Verdict::DoesNotPayOff) == carried.len() {
        format!("{subject}no strategy pays off against `{baseline}`.")
    } else if count(Verdict::DoesNotPayOff) + count(Verdict::Undecided) > 0 {
        format!("{subject}no strategy is shown to pay off against `{baseline}`.")
    } else {
        format!("{subject}there is no verdict against `{baseline}`.")
    }
}

fn repaid(best: &Weighted) -> Option<String> {
    let builds = best.builds_to_repay.filter(|builds| builds.point > 0.0)?;
    Some(format!(
        "Its first build, which finds no cache and leaves one, is slower; it takes {} later builds to repay that.",
        number(builds)
    ))
}

/// `Over your last 20 commits it would have saved 11 of 43 minutes`.
fn replayed(best: &Weighted) -> Option<String> {
    let replay = best.replay.as_ref()?;
    let minutes = |seconds: f64| digits(seconds / 60.0);
    Some(format!(
        "Over your last {} commits {} would have saved {} [{}, {}] of {} minutes.",
        replay.commits,
        name(best),
        minutes(replay.saved_s.point),
        minutes(replay.saved_s.low),
        minutes(replay.saved_s.high),
        minutes(replay.baseline_s.point)
    ))
}

/// `Do not pay off: A (…), B (…).`; nothing where there are none.
fn list(
    one: &str,
    several: &str,
    of: &[&Weighted],
    detail: impl Fn(&Weighted, &Saving) -> String,
) -> Option<String> {
    let items: Vec<String> = of
        .iter()
        .filter_map(|weighted| {
            let saving = weighted.saving.as_ref()?;
            Some(format!("{} ({})", name(weighted), detail(weighted, saving)))
        })
        .collect();
    let intro = if items.len() == 1 { one } else { several };
    (!items.is_empty()).then(|| format!("{intro}: {}.", items.join(", ")))
}

fn saved(_: &Weighted, saving: &Saving) -> String {
    format!("{} a build {}", seconds(saving.seconds.point), range(saving.seconds))
}

/// What may be saved and is too little needs the threshold beside it: a time saved that does not pay
/// off reads like a mistake.
fn too_little(weighted: &Weighted, saving: &Saving) -> String {
    let saved = saved(weighted, saving);
    if saving.seconds.high <= 0.0 {
        return saved;
    }
    format!("{saved}; the smallest saving that matters is {}", seconds(saving.relevant_s))
}

fn unsure(weighted: &Weighted, saving: &Saving) -> String {
    let more = match saving.more_rounds {
        Some(1) => "about 1 more round would probably decide".to_owned(),
        Some(more) => format!("about {more} more rounds would probably decide"),
        None => format!(
            "too near the smallest saving that matters, {}, to say how many rounds would decide",
            seconds(saving.relevant_s)
        ),
    };
    format!("{}; {more}", saved(weighted, saving))
}

fn lacking(weighted: &Weighted) -> String {
    let why = match weighted.missing.as_slice() {
        [] => "no change or availability that was measured has a weight".to_owned(),
        [one] => format!("nothing that counts was measured of {one}"),
        [one, rest @ ..] => {
            format!("nothing that counts was measured of {one} and {} more", rest.len())
        }
    };
    format!("No result for {}: {why}.", name(weighted))
}

pub(super) fn name(weighted: &Weighted) -> String {
    quoted(&weighted.strategy, weighted.builder)
}

/// A competitor as sentences name it.
pub(super) fn quoted(strategy: &str, builder: Builder) -> String {
    format!("`{strategy} ({builder})`")
}

pub(super) fn rounds(n: usize) -> String {
    if n == 1 { "1 round".to_owned() } else { format!("{n} rounds") }
}

/// Two decimals below ten seconds, one above.
fn digits(value: f64) -> String {
    let text = if value.abs() < 9.995 { format!("{value:.2}") } else { format!("{value:.1}") };
    // A tiny loss is not "minus nothing".
    if text == "-0.00" { "0.00".to_owned() } else { text }
}

pub(super) fn seconds(value: f64) -> String {
    format!("{} s", digits(value))
}

pub(super) fn range(estimate: Estimate) -> String {
    format!("[{}, {}]", digits(estimate.low), digits(estimate.high))
}

pub(super) fn number(estimate: Estimate) -> String {
    format!("{:.1} [{:.1}, {:.1}]", estimate.point, estimate.low, estimate.high)
}

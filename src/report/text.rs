//! How numbers and names from outside become text: one way for every format.

use crate::decision::{Saving, Verdict};
use crate::stats::Estimate;
use std::borrow::Cow;

/// What stands where nothing was measured.
pub const NOT_MEASURED: &str = "n/a";

/// Digits after the point for seconds of this size.
fn decimals(size: f64) -> usize {
    if size.abs() < 9.995 { 2 } else { 1 }
}

fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    // A rounded -0.00 is nothing, not a loss.
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|byte| matches!(byte, b'0' | b'.')) => rest.to_owned(),
        _ => text,
    }
}

fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if value > 0.0 && text.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
        format!("+{text}")
    } else {
        text
    }
}

/// Seconds without their unit, for a column whose heading has it.
pub fn plain_seconds(value: f64) -> String {
    if value.is_finite() { fixed(value, decimals(value)) } else { NOT_MEASURED.to_owned() }
}

/// A point and its interval in seconds, in two parts: `12.3 s`, `[11.9, 12.8]`.
pub fn seconds_parts(estimate: &Estimate) -> (String, String) {
    let Some(digits) = digits(estimate) else { return (NOT_MEASURED.to_owned(), String::new()) };
    (format!("{} s", fixed(estimate.point, digits)), bounds(estimate, |v| fixed(v, digits)))
}

/// A saving in seconds with its sign, in two parts: `+3.2 s`, `[+2.9, +3.6]`.
pub fn saving_parts(estimate: &Estimate) -> (String, String) {
    let Some(digits) = digits(estimate) else { return (NOT_MEASURED.to_owned(), String::new()) };
    (format!("{} s", signed(estimate.point, digits)), bounds(estimate, |v| signed(v, digits)))
}

/// A share as per cent with its sign, in two parts: `+43 %`, `[+40, +46]`.
pub fn share_parts(estimate: &Estimate) -> (String, String) {
    let per_cent = Estimate {
        point: estimate.point * 100.0,
        low: estimate.low * 100.0,
        high: estimate.high * 100.0,
    };
    if digits(&per_cent).is_none() {
        return (NOT_MEASURED.to_owned(), String::new());
    }
    let digits = usize::from(per_cent.low.abs().max(per_cent.high.abs()) < 9.95);
    (format!("{} %", signed(per_cent.point, digits)), bounds(&per_cent, |v| signed(v, digits)))
}

/// The interval of a measured time. Of too few numbers there is none; the estimate then has the
/// point for both ends, which is not to be read as certainty.
fn bounds(estimate: &Estimate, shown: impl Fn(f64) -> String) -> String {
    if estimate.low == estimate.high {
        return format!("[{NOT_MEASURED}]");
    }
    format!("[{}, {}]", shown(estimate.low), shown(estimate.high))
}

/// Both parts in one line.
pub fn joined((point, interval): (String, String)) -> String {
    if interval.is_empty() { point } else { format!("{point} {interval}") }
}

fn digits(estimate: &Estimate) -> Option<usize> {
    let all = [estimate.point, estimate.low, estimate.high];
    let largest = all.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    all.iter().all(|value| value.is_finite()).then(|| decimals(largest))
}

/// Bytes in decimal units, as docker states them: `12.3 MB`.
pub fn bytes(count: u64) -> String {
    if count < 1_000 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 999.5 {
            break;
        }
        value /= 1_000.0;
        unit = next;
    }
    format!("{} {unit}", fixed(value, usize::from(value < 99.95)))
}

/// Bits a second as networks are sold: `100 Mbit/s`; one decimal below a hundred.
pub fn rate(bps: f64) -> String {
    if !bps.is_finite() || bps < 0.0 {
        return NOT_MEASURED.to_owned();
    }
    let (value, unit) = match bps {
        bps if bps < 999_500.0 => (bps / 1e3, "kbit/s"),
        bps if bps < 999.5e6 => (bps / 1e6, "Mbit/s"),
        bps => (bps / 1e9, "Gbit/s"),
    };
    let whole = (value - value.round()).abs() < 0.05 || value >= 99.95;
    format!("{} {unit}", fixed(value, usize::from(!whole)))
}

/// A short time in milliseconds: `20 ms`, `0.3 ms`.
pub fn milliseconds(seconds: f64) -> String {
    let value = seconds * 1e3;
    if !value.is_finite() {
        return NOT_MEASURED.to_owned();
    }
    let whole = (value - value.round()).abs() < 0.05 || value >= 99.95;
    format!("{} ms", fixed(value, usize::from(!whole)))
}

/// A deviation as per cent with its sign: `+1.2 %`.
pub fn deviation(share: f64) -> String {
    if share.is_finite() {
        format!("{} %", signed(share * 100.0, 1))
    } else {
        NOT_MEASURED.to_owned()
    }
}

/// A share of builds: `60 %`, `2.5 %`.
pub fn weight(share: f64) -> String {
    let value = share * 100.0;
    let whole = (value - value.round()).abs() < 0.05;
    format!("{} %", fixed(value, usize::from(!whole)))
}

/// A duration for people: `48 s`, `3 min 12 s`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NOT_MEASURED.to_owned();
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// Fewest and most hits of how many steps: `8/9`, `6..8/9`.
pub fn hits(hits: Option<(usize, usize)>, steps: Option<usize>) -> String {
    match (hits, steps) {
        (Some((low, high)), Some(steps)) if low == high => format!("{low}/{steps}"),
        (Some((low, high)), Some(steps)) => format!("{low}..{high}/{steps}"),
        _ => NOT_MEASURED.to_owned(),
    }
}

/// A verdict in a few words, in two parts: `undecided`, `~7 more rounds`.
pub fn verdict_parts(saving: Option<&Saving>) -> (String, String) {
    let Some(saving) = saving else { return (NOT_MEASURED.to_owned(), String::new()) };
    let more = saving.more_rounds.map(|more| match more {
        1 => "1 more round".to_owned(),
        more => format!("{more} more rounds"),
    });
    match (saving.verdict, more) {
        (Verdict::Undecided, Some(more)) => ("undecided".to_owned(), format!("~{more}")),
        (Verdict::TooFewRounds, more) => ("no verdict".to_owned(), more.unwrap_or_default()),
        (verdict, _) => (verdict.label().to_owned(), String::new()),
    }
}

/// Text from outside for people's eyes: control characters and those that turn the direction of
/// writing are spelled out, so that no name can move a cursor, colour a line or break one.
pub fn visible(text: &str) -> Cow<'_, str> {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let spell = |c: char| if odd(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(spell).collect())
}

/// Text from outside in a log that a CI system reads along: besides, nothing in it is a command to
/// that system (`::error::`, `##[error]`, `##vso[`), wherever a line breaks.
pub fn harmless(text: &str) -> String {
    without_commands(&visible(text))
}

/// The same of text that is whole otherwise: colours and line breaks stay.
pub fn without_commands(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ':' | '#') && out.ends_with(c) {
            // Joins words, is not seen, and is no part of a command.
            out.push('\u{2060}');
        }
        out.push(c);
    }
    out
}

/// Text from outside within HTML, attribute values included.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// Text from outside within a line or a table cell of GitHub's Markdown. Mentions and issue
/// numbers are taken apart too: a report in a comment notifies nobody.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let text = visible(text);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // An interval is legible without backslashes; only what follows makes a link of it.
            ']' if matches!(chars.peek(), Some('(' | '[' | ':')) => out.push_str("\\]"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            '\\' | '`' | '*' | '_' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// At most so many characters, the last of which says that something is missing.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// `1 sample`, `2 samples`.
pub fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(point: f64, low: f64, high: f64) -> Estimate {
        Estimate { point, low, high }
    }

    #[test]
    fn an_interval_and_its_point_have_the_same_digits() {
        assert_eq!(joined(seconds_parts(&estimate(9.99, 9.5, 10.2))), "10.0 s [9.5, 10.2]");
        assert_eq!(joined(seconds_parts(&estimate(0.4, 0.312, 0.5))), "0.40 s [0.31, 0.50]");
        assert_eq!(joined(seconds_parts(&estimate(0.4, 0.4, 0.4))), "0.40 s [n/a]", "one sample");
        assert_eq!(joined(share_parts(&estimate(-0.4, -0.4, -0.4))), "-40 % [n/a]");
        assert_eq!(joined(seconds_parts(&estimate(412.2, 399.9, 431.0))), "412.2 s [399.9, 431.0]");
    }

    #[test]
    fn a_saving_has_a_sign_and_nothing_has_none() {
        assert_eq!(joined(saving_parts(&estimate(3.21, 2.9, 3.5))), "+3.21 s [+2.90, +3.50]");
        assert_eq!(joined(saving_parts(&estimate(-0.001, -0.002, 0.001))), "0.00 s [0.00, 0.00]");
        assert_eq!(joined(share_parts(&estimate(0.434, 0.40, 0.461))), "+43 % [+40, +46]");
        assert_eq!(joined(share_parts(&estimate(-0.021, -0.04, 0.01))), "-2.1 % [-4.0, +1.0]");
    }

    #[test]
    fn what_is_no_number_is_not_measured() {
        assert_eq!(joined(seconds_parts(&estimate(f64::NAN, 1.0, 2.0))), NOT_MEASURED);
        assert_eq!(plain_seconds(f64::INFINITY), NOT_MEASURED);
        assert_eq!(duration(f64::NAN), NOT_MEASURED);
        assert_eq!(hits(None, Some(3)), NOT_MEASURED);
    }

    #[test]
    fn units_change_where_they_should() {
        assert_eq!(
            [999, 1_000, 999_499, 999_950, 12_345_678, 5_000_000_000].map(bytes),
            ["999 B", "1.0 kB", "999 kB", "1.0 MB", "12.3 MB", "5.0 GB"]
        );
        assert_eq!(
            [128e3, 20e6, 100.4e6, 5.26e6, 2.5e9].map(rate),
            ["128 kbit/s", "20 Mbit/s", "100 Mbit/s", "5.3 Mbit/s", "2.5 Gbit/s"]
        );
        assert_eq!([0.02, 0.000_31].map(milliseconds), ["20 ms", "0.3 ms"]);
        assert_eq!([0.0123, -0.05, 0.0].map(deviation), ["+1.2 %", "-5.0 %", "0.0 %"]);
        assert_eq!([59.4, 60.0, 3_725.0].map(duration), ["59 s", "1 min 0 s", "1 h 2 min"]);
        assert_eq!([0.6, 1.0 / 3.0, 0.125].map(weight), ["60 %", "33.3 %", "12.5 %"]);
    }

    #[test]
    fn names_from_outside_stay_within_their_place() {
        assert_eq!(visible("a\x1b[31m\nb\u{202e}"), "a\\u{1b}[31m\\nb\\u{202e}");
        assert_eq!(harmless("::x ###[y"), ":\u{2060}:x #\u{2060}#\u{2060}#[y");
        assert_eq!(html("<b a='\"'>&"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
        assert_eq!(markdown("a|b`c`\n@you #1 <x>"), "a\\|b\\`c\\`\\\\n&#64;you &#35;1 &lt;x&gt;");
        assert_eq!(markdown("[1.0, 2.0] [a](b)"), "[1.0, 2.0] [a\\](b)");
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
    }
}

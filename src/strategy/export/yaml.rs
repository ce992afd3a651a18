//! YAML by hand: the two kinds of scalars that snippets need.

use crate::strategy::shell::comment;

/// A text in double quotes, in ASCII.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            _ => {
                let code = u32::from(c);
                let escape =
                    if code > 0xffff { format!("\\U{code:08x}") } else { format!("\\u{code:04x}") };
                out.push_str(&escape);
            }
        }
    }
    out.push('"');
    out
}

/// A script as a block, each line `indent` deep; in quotes where a block could not hold it.
pub(super) fn block(text: &str, indent: usize) -> String {
    // Line breaks to some readers, and not to others; and what no block may hold.
    let odd = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    if text.contains(odd) {
        return quoted(text);
    }
    let mut out = String::from("|");
    for line in text.trim_end_matches('\n').split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
    }
    out
}

/// Comment lines.
pub(super) fn comments(lines: &[String]) -> String {
    lines.iter().map(|line| comment(line) + "\n").collect()
}

//! One line of a `.dockerignore` file, matched as Docker's own matcher does.
//!
//! Docker turns a line into a regular expression, except where a plain comparison will do; these
//! shortcuts differ from the expression in corner cases (`**foo` also matches `xfoo`), and so they
//! are kept apart here as well. No maintained crate has these rules: `ignore` and `globset` follow
//! git's.

use regex::bytes::Regex;

/// A line that is neither blank nor a comment.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// Whether the line begins with `!`.
    pub(super) exception: bool,
    /// The cleaned text, without `!` and without a leading `/`.
    pub(super) text: String,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Regex(Regex),
}

impl Pattern {
    /// Reads one line; `Ok(None)` for a blank line or a comment, `Err` with the reason if Docker
    /// would refuse it.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, String> {
        if line.starts_with('#') {
            return Ok(None);
        }
        let line = line.trim();
        let (exception, rest) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        if rest.is_empty() {
            return if exception { Err("`!` without a pattern".to_owned()) } else { Ok(None) };
        }
        let mut text = clean(rest);
        if text.len() > 1 && text.starts_with('/') {
            text.remove(0);
        }
        let matcher = compile(&text)?;
        Ok(Some(Self { exception, text, matcher }))
    }

    /// Whether the line matches this path itself (not one of its parents).
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Exact(text) => path == text.as_bytes(),
            Matcher::Prefix(text) => path.starts_with(text.as_bytes()),
            Matcher::Suffix(text) => {
                path.ends_with(text.as_bytes())
                    || text.strip_prefix('/').is_some_and(|name| path == name.as_bytes())
            }
            Matcher::Regex(regex) => regex.is_match(path),
        }
    }
}

/// Removes `.`, `..` and doubled slashes by the text alone, as Go's `filepath.Clean` does.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn compile(text: &str) -> Result<Matcher, String> {
    enum Kind {
        Exact,
        Prefix,
        Suffix,
        Regex,
    }
    let mut kind = Kind::Exact;
    let mut regex = String::from("^");
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(char) = chars.next() {
        match char {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                if chars.peek() == Some(&'/') {
                    chars.next();
                }
                if chars.peek().is_some() {
                    regex.push_str("(?:.*/)?");
                    kind = Kind::Regex;
                } else if matches!(kind, Kind::Exact) {
                    kind = Kind::Prefix;
                } else {
                    regex.push_str(".*");
                    kind = Kind::Regex;
                }
                if first {
                    kind = Kind::Suffix;
                }
            }
            '*' => {
                regex.push_str("[^/]*");
                kind = Kind::Regex;
            }
            '?' => {
                regex.push_str("[^/]");
                kind = Kind::Regex;
            }
            '[' => {
                regex.push_str(&class(&mut chars)?);
                kind = Kind::Regex;
            }
            '\\' => {
                let escaped = chars.next().ok_or("`\\` at the end escapes nothing")?;
                push_literal(&mut regex, escaped);
                kind = Kind::Regex;
            }
            literal => push_literal(&mut regex, literal),
        }
        first = false;
    }
    regex.push('$');
    Ok(match kind {
        Kind::Exact => Matcher::Exact(text.to_owned()),
        Kind::Prefix => Matcher::Prefix(text.strip_suffix("**").unwrap_or(text).to_owned()),
        Kind::Suffix => Matcher::Suffix(text.strip_prefix("**").unwrap_or(text).to_owned()),
        Kind::Regex => {
            // `s`: a path may hold a line break.
            Matcher::Regex(Regex::new(&format!("(?s){regex}")).map_err(|error| error.to_string())?)
        }
    })
}

/// The rest of `[…]`: `^` negates, `-` makes a range, `\` escapes.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    let mut class = String::from("[");
    if chars.next_if_eq(&'^').is_some() {
        class.push('^');
    }
    let mut members = 0;
    loop {
        let low = match chars.next() {
            Some(']') if members > 0 => break,
            Some('\\') => chars.next(),
            Some(']' | '-') => return Err("`[` is followed by nothing to match".to_owned()),
            other => other,
        }
        .ok_or("`[` without `]`")?;
        push_literal(&mut class, low);
        if chars.next_if_eq(&'-').is_some() {
            let high = match chars.next() {
                Some('\\') => chars.next(),
                Some(']' | '-') => return Err("a range in `[…]` has no end".to_owned()),
                other => other,
            }
            .ok_or("`[` without `]`")?;
            if high < low {
                return Err(format!("the range {low}-{high} in `[…]` runs backwards"));
            }
            class.push('-');
            push_literal(&mut class, high);
        }
        members += 1;
    }
    class.push(']');
    Ok(class)
}

fn push_literal(regex: &mut String, char: char) {
    regex.push_str(&regex::escape(char.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern).unwrap().unwrap().matches(path.as_bytes())
    }

    /// Pattern, path, whether it matches; in the manner of Docker's own table.
    #[test]
    fn follows_dockers_table() {
        for (pattern, path, expected) in [
            ("**", "file", true),
            ("**", "dir/file", true),
            ("**/", "dir/file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/file", true),
            ("dir/**", "dir/dir2/file", true),
            ("dir/**", "dir", false),
            ("dir/**", "dirx", false),
            ("**/dir", "dir", true),
            ("**/dir", "a/b/dir", true),
            ("**/dir", "a/xdir", false),
            ("**dir", "a/xdir", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/*", "dir/dir2/dir3/file", false),
            ("**/dir2/**", "dir/dir2/dir3/file", true),
            ("**/file.*", "a/file.txt", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/x/yb", false),
            ("*", "file", true),
            ("*", "a/file", false),
            ("f?le", "file", true),
            ("a?b", "a/b", false),
            ("*.md", "README.md", true),
            ("*.md", "README.mdx", false),
            ("a.b", "aXb", false),
            ("a+(b)|{c}$", "a+(b)|{c}$", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[!a]x", "!x", true),
            ("[!a]x", "bx", false),
            ("[a&&b]", "&", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("/foo", "foo", true),
            ("foo/", "foo", true),
            ("./foo//bar/../baz", "foo/baz", true),
            ("  foo  ", "foo", true),
            ("größe*", "größen", true),
            ("a\u{1F600}?", "a\u{1F600}x", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn refuses_what_docker_refuses() {
        for line in ["!", "! ", "[", "[a", "[]a]", "[a-]", "[b-a]", "a\\", "[-x]"] {
            assert!(Pattern::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn blanks_and_comments_are_no_patterns() {
        for line in ["", "   ", "# foo", "#"] {
            assert!(Pattern::parse(line).unwrap().is_none(), "{line}");
        }
        // Only a `#` in the first column makes a comment.
        assert_eq!(Pattern::parse(" #foo").unwrap().unwrap().text, "#foo");
    }
}

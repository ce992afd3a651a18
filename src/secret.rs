//! Values that may be written nowhere: not into a file of a run, and not on a stream.
//!
//! Who comes to know such a value (a password, a secret build argument) says so with [`keep`];
//! what writes text that came from outside (a builder's output, an error, a line of the journal)
//! passes it through [`redacted`]. One list for the process, since neither knows of the other.

use aho_corasick::{AhoCorasick, MatchKind, PatternID};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{PoisonError, RwLock};

/// What is written in place of a secret.
pub const REDACTED: &str = "[secret]";

/// Bytes of the shortest value that can be kept: shorter ones occur in other text by chance.
pub const SHORTEST: usize = 8;

/// The same for passwords, which are known to be secret.
const SHORTEST_PASSWORD: usize = 4;

/// Parts of the names of environment variables that hold secrets.
const NAMES: [&str; 10] = [
    "SECRET",
    "PASSWORD",
    "PASSPHRASE",
    "PASSWD",
    "TOKEN",
    "CREDENTIAL",
    "ACCESS_KEY",
    "ACCOUNT_KEY",
    "PRIVATE_KEY",
    "API_KEY",
];

static KNOWN: RwLock<Known> = RwLock::new(Known { spellings: Vec::new(), finder: None });

struct Known {
    /// Every spelling of every secret.
    spellings: Vec<String>,
    /// Finds them, the longest first, and [`REDACTED`] as its first pattern: that is what it is
    /// even where a password is `secret`.
    finder: Option<AhoCorasick>,
}

/// Keeps a value out of all that is written from now on: as it is, line by line, and as JSON, URLs
/// and base64 spell it. One shorter than [`SHORTEST`] is not kept.
pub fn keep(value: &str) {
    let value = value.trim();
    let lines = value.lines().map(str::trim);
    add(std::iter::once(value).chain(lines).filter(|text| text.len() >= SHORTEST));
}

/// The same for a user's password of at least 4 characters, which also goes by as `user:password`
/// in base64.
pub fn keep_login(user: &str, password: &str) {
    if password.len() >= SHORTEST_PASSWORD {
        add([password, &BASE64.encode(format!("{user}:{password}"))].into_iter());
    }
}

/// Keeps the values of environment variables whose names say that they are secret, unless it is
/// the path of a file that holds one, or shorter than [`SHORTEST`].
pub fn keep_environment() {
    for (name, value) in std::env::vars() {
        let name = name.to_ascii_uppercase();
        let is_path = value.starts_with('/') && Path::new(&value).exists();
        if NAMES.iter().any(|part| name.contains(part)) && !is_path {
            keep(&value);
        }
    }
}

fn add<'t>(texts: impl Iterator<Item = &'t str>) {
    let mut spellings = Vec::new();
    for text in texts {
        spellings.extend([percent(text, "%20"), percent(text, "+"), percent(&json(text), "+")]);
        // JSON as a text of JSON, and that shown as a text again: so libraries log their requests.
        let within = std::iter::successors(Some(json(text)), |text| Some(json(text)));
        spellings.extend(within.take(3));
        for spelled in (0..3).map(|before| within_base64(text, before)) {
            spellings.extend([spelled.replace('+', "-").replace('/', "_"), spelled]);
        }
        spellings.extend([BASE64.encode(text), text.to_owned()]);
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.spellings.extend(spellings.into_iter().filter(|text| text.len() >= SHORTEST_PASSWORD));
    known.spellings.sort_unstable();
    known.spellings.dedup();
    let patterns = std::iter::once(REDACTED).chain(known.spellings.iter().map(String::as_str));
    let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
    // It fails only beyond two thousand million bytes of secrets.
    known.finder = finder.ok();
}

/// What a text in base64 holds of this text for certain, where it begins this many bytes after a
/// group of three. Empty for a text so short that others may be spelled alike.
fn within_base64(text: &str, before: usize) -> String {
    let spelled = BASE64.encode([&b"\0\0"[..before], text.as_bytes()].concat());
    let whole = (8 * before).div_ceil(6)..8 * (before + text.len()) / 6;
    if text.len() < SHORTEST { String::new() } else { spelled[whole].to_owned() }
}

/// Whether this very value is kept.
pub fn is_kept(value: &str) -> bool {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.spellings.binary_search_by(|secret| secret.as_str().cmp(value.trim())).is_ok()
}

/// A text without the secrets that are known; borrowed if there is none in it.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let Some(finder) = &known.finder else { return Cow::Borrowed(text) };
    let (mut out, mut end) = (String::new(), 0);
    for found in finder.find_iter(text).filter(|found| found.pattern() != PatternID::ZERO) {
        out.push_str(&text[end..found.start()]);
        out.push_str(REDACTED);
        end = found.end();
    }
    if end == 0 { Cow::Borrowed(text) } else { Cow::Owned(out + &text[end..]) }
}

/// As a text of JSON spells it.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As a URL spells it.
fn percent(text: &str, space: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push_str(space),
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// Writes whole messages without the secrets that are known: for a log, whose messages come in one
/// piece each.
#[derive(Debug)]
pub struct Redacting<W>(pub W);

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(redacted(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_secret_goes_and_nothing_else() {
        let secret = "s3cr\"t /of\\ours+1";
        keep(secret);
        keep_login("me", "ours-alone-2");
        let json = serde_json::json!({ "reason": format!("said {secret}!") }).to_string();
        for text in [
            secret.to_owned(),
            json.clone(),
            serde_json::json!(json).to_string(),
            format!("{:?}", serde_json::json!(json).to_string()),
            "?a=s3cr%22t%20%2Fof%5Cours%2B1&b".to_owned(),
            "?a=s3cr%22t+%2Fof%5Cours%2B1&b".to_owned(),
            format!("Basic {}", BASE64.encode("me:ours-alone-2")),
            format!("key {}.", BASE64.encode(secret)),
        ] {
            let out = redacted(&text);
            assert!(out.contains(REDACTED) && !out.contains("ours"), "{out}");
        }
        assert!(matches!(redacted("s3cr t, nothing"), Cow::Borrowed(_)));
        assert!(is_kept(secret) && !is_kept("s3cr"));
    }

    #[test]
    fn lines_of_a_long_secret_go_one_by_one_and_short_values_stay() {
        keep("-----BEGIN OURS-----\nMIIabcdefgh\nxy\n");
        assert_eq!(redacted("a MIIabcdefgh b"), "a [secret] b");
        keep("short-1");
        assert_eq!(redacted("a short-1 xy"), "a short-1 xy");
    }

    #[test]
    fn a_secret_within_other_base64_goes_wherever_it_begins() {
        keep("inside-of-a-header");
        keep_login("you", "pass");
        for before in ["", "x", "xx", "xxx"] {
            let spelled = BASE64.encode(format!("{before}inside-of-a-header, and more"));
            assert!(redacted(&spelled).contains(REDACTED), "{spelled}");
        }
        assert_eq!(redacted("pass eW91OnBhc3M= password"), "[secret] [secret] [secret]word");
        keep_login("me", "secret");
        assert_eq!(redacted("a secret, a [secret]"), "a [secret], a [secret]");
    }

    #[test]
    fn a_log_is_written_without_them() {
        keep("kept-from-logs");
        let mut log = Redacting(Vec::new());
        log.write_all(b"header kept-from-logs\n").unwrap();
        assert_eq!(log.0, b"header [secret]\n");
    }
}

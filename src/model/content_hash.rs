//! The hash of a workspace's content, as every sample carries one: 32 bytes in memory, not 64 digits
//! in a place of their own. In files it is a text.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A SHA-256 in lower-case digits; or any other text, as another version may have written it.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentHash(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Sha256([u8; 32]),
    Text(Box<str>),
}

impl ContentHash {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Form::Text(text) if text.is_empty())
    }
}

impl Default for ContentHash {
    fn default() -> Self {
        Self(Form::Text(Box::default()))
    }
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    // What is read must be written as it was.
    (!text.bytes().any(|digit| digit.is_ascii_uppercase())).then_some(bytes)
}

impl From<&str> for ContentHash {
    fn from(text: &str) -> Self {
        Self(sha256(text).map_or_else(|| Form::Text(text.into()), Form::Sha256))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Sha256(bytes) => {
                let mut digits = [0; 64];
                hex::encode_to_slice(bytes, &mut digits).map_err(|_| fmt::Error)?;
                f.pad(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
            Form::Text(text) => f.pad(text),
        }
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A text that is borrowed where it can be.
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        Text::deserialize(deserializer).map(|text| text.0.as_ref().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_written_as_it_was_read() {
        let digits = "0123456789abcdef".repeat(4);
        let (upper, long) = (digits.to_uppercase(), format!("{digits}0"));
        let texts = ["", "sha256:00", "ü", "a \"b\"\n", &digits, &upper, &long, &digits[1..]];
        for text in texts {
            let hash = ContentHash::from(text);
            assert_eq!((hash.to_string().as_str(), hash.is_empty()), (text, text.is_empty()));
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(serde_json::to_string(&hash).unwrap(), json);
            assert_eq!(serde_json::from_str::<ContentHash>(&json).unwrap(), hash);
        }
    }

    #[test]
    fn a_sha256_takes_no_memory_elsewhere() {
        assert!(matches!(ContentHash::from("ab".repeat(32).as_str()).0, Form::Sha256(_)));
        assert_eq!(ContentHash::default(), ContentHash::from(""));
        assert_ne!(ContentHash::from("ab".repeat(32).as_str()), ContentHash::from("x"));
    }
}

//! A configuration's text: where everything is in it, and everything that is wrong with it.

use super::problem::{Place, Problem};
use super::shape;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use toml::de::DeTable;

/// Keys from the top of the document to a value; `[0]` stands for the first item of an array.
pub(super) type Path = Vec<String>;

/// Where everything is in a document, and what is already known to be wrong with it.
pub(super) struct Document {
    /// Byte offset of each key (or array item).
    offsets: BTreeMap<Path, usize>,
    /// Byte offset of the start of each line.
    lines: Vec<usize>,
    /// Values that were left out because they are wrong.
    spoiled: Vec<Path>,
    problems: Vec<Problem>,
}

impl Document {
    /// Reads a text. The value is `None` where too much is wrong with it to go on.
    pub(super) fn read<T: DeserializeOwned>(text: &str, schema: &Json) -> (Option<T>, Self) {
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(newline, _)| newline + 1))
            .collect();
        let mut document =
            Self { offsets: BTreeMap::new(), lines, spoiled: Vec::new(), problems: Vec::new() };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let offset = error.span().map_or(0, |span| span.start);
            document.problems.push(Problem {
                place: Place::Line(document.line_at(offset)),
                message: format!("this is not TOML: {}", error.message().replace('\n', ", ")),
                advice: "quote texts, close brackets, write each key once".to_owned(),
            });
        }
        if !errors.is_empty() {
            return (None, document);
        }
        let Some(clean) = shape::check(table.get_ref(), schema, &mut document) else {
            return (None, document);
        };
        match serde_json::from_value(clean) {
            Ok(value) => (Some(value), document),
            // The schema is made from the same types, so this is a fault of ours; it must not
            // pass unseen all the same.
            Err(error) => {
                document.problems.push(Problem {
                    place: Place::File,
                    message: error.to_string(),
                    advice: "see docs/config.md for what is allowed".to_owned(),
                });
                (None, document)
            }
        }
    }

    /// Notes where a key or an item is.
    pub(super) fn locate(&mut self, path: Path, offset: usize) {
        self.offsets.insert(path, offset);
    }

    /// Reports that a value is wrong and will be left out.
    pub(super) fn spoil(&mut self, path: &Path, message: String, advice: String) {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let place = self.place(&parts);
        self.problems.push(Problem { place, message, advice });
        self.spoiled.push(path.clone());
    }

    /// Reports a problem with the value at a path. A value that was left out has been reported
    /// already, and so nothing is said about it or about what it is a part of.
    pub(super) fn problem(
        &mut self,
        path: &[&str],
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let is_of = |wrong: &Path| wrong.iter().zip(path).all(|(a, b)| a.as_str() == *b);
        if !self.spoiled.iter().any(is_of) {
            let place = self.place(path);
            self.problems.push(Problem { place, message: message.into(), advice: advice.into() });
        }
    }

    /// The line of a path, or of the nearest thing around it.
    pub(super) fn place(&self, path: &[&str]) -> Place {
        (1..=path.len())
            .rev()
            .find_map(|len| self.offset(&path[..len]))
            .map_or(Place::File, |offset| Place::Line(self.line_at(offset)))
    }

    fn offset(&self, path: &[&str]) -> Option<usize> {
        let path: Path = path.iter().map(|&part| part.to_owned()).collect();
        self.offsets.get(&path).copied()
    }

    /// Keys of a table, in the order of the file; those whose value was left out included.
    pub(super) fn keys(&self, path: &[&str]) -> Vec<&str> {
        let mut keys: Vec<(usize, &str)> = self
            .offsets
            .iter()
            .filter_map(|(key, offset)| {
                let (last, parents) = key.split_last()?;
                (parents == path).then_some((*offset, last.as_str()))
            })
            .collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// Everything that was reported.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Whether nothing was reported.
    pub(super) fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn line_at(&self, offset: usize) -> usize {
        self.lines.partition_point(|&start| start <= offset)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn keys_come_in_the_order_of_the_file() {
        let text = "[candidate.release]\n[candidate.branch]\n[workload.w]\n[candidate.main]\n";
        let (_, document) = Document::read::<schema::File>(text, &schema::json_schema());
        assert_eq!(document.keys(&["candidate"]), ["release", "branch", "main"]);
        assert_eq!(document.place(&["candidate", "main", "lacks"]), Place::Line(4));
        assert_eq!(document.place(&["nowhere"]), Place::File);
    }
}

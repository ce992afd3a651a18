//! What is wrong with a configuration: every problem, each with its place and what to do.

use std::fmt;
use std::path::PathBuf;

/// Where a problem was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The configuration file as a whole.
    File,
    /// A line of it, counted from 1.
    Line(usize),
    /// A command-line option, such as `--only`.
    Option(&'static str),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong, on what.
    pub message: String,
    /// What is allowed, or what to do.
    pub advice: String,
}

/// Everything that is wrong with a configuration file. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Its problems, in the order of the file. Never empty.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// Puts the problems into the order of the file; the same one is listed once.
    pub fn new(file: impl Into<PathBuf>, mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self { file: file.into(), problems }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{count} {noun} in the configuration; nothing was started")?;
        for Problem { place, message, advice } in &self.problems {
            match place {
                Place::File => write!(f, "\n{file}: ")?,
                Place::Line(line) => write!(f, "\n{file}:{line}: ")?,
                Place::Option(option) => write!(f, "\n{option}: ")?,
            }
            write!(f, "{message}\n    {advice}")?;
        }
        Ok(())
    }
}

/// `a`, `b` and so on as a sentence shows them: in backticks, separated by commas.
pub(super) fn listed<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// Advice for a name that is not among the allowed ones: the nearest one first, if one is near.
pub fn allowed<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let hint = nearest(name, known.iter().copied())
        .map_or_else(String::new, |best| format!("did you mean `{best}`? "));
    format!("{hint}allowed: {}", listed(known))
}

/// The name that is meant, if one is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, best)| best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_proposed_only_if_it_is_near() {
        assert_eq!(
            allowed("weigth", ["edits", "weight"]),
            "did you mean `weight`? allowed: `edits`, `weight`"
        );
        assert_eq!(allowed("colour", ["edits", "weight"]), "allowed: `edits`, `weight`");
        assert_eq!(allowed("x", []), "allowed: nothing");
    }

    #[test]
    fn problems_are_shown_in_the_order_of_the_file() {
        let problem = |place, message: &str| Problem {
            place,
            message: message.to_owned(),
            advice: "do this".to_owned(),
        };
        let error = ConfigError::new(
            "b.toml",
            vec![
                problem(Place::Option("--only"), "third"),
                problem(Place::Line(10), "second"),
                problem(Place::Line(9), "first"),
                problem(Place::Line(9), "first"),
            ],
        );
        insta::assert_snapshot!(error, @r"
        3 problems in the configuration; nothing was started
        b.toml:9: first
            do this
        b.toml:10: second
            do this
        --only: third
            do this
        ");
    }
}

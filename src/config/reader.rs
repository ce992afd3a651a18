//! Other files than `breakeven.toml` that are read the same way: held against a schema, with every
//! problem at once and in its line.

use super::document::Document;
use super::problem::{ConfigError, Place, Problem};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// A file that was read, and what turns out to be wrong with it.
pub struct Reader {
    file: PathBuf,
    document: Document,
}

impl Reader {
    /// Reads a TOML file. The error names every problem in it.
    pub fn read<T: DeserializeOwned>(path: &Path, schema: &Json) -> Result<(T, Self), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("cannot read it: {error}");
            let advice = "name a file that is there".to_owned();
            ConfigError::new(path, vec![Problem { place: Place::File, message, advice }])
        })?;
        let (value, document) = Document::read(&text, schema);
        let Some(value) = value else {
            return Err(ConfigError::new(path, document.into_problems()));
        };
        Ok((value, Self { file: path.to_owned(), document }))
    }

    /// Reports a problem with the value at a path; `[0]` stands for the first item of an array.
    pub fn problem(
        &mut self,
        path: &[&str],
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.document.problem(path, message, advice);
    }

    /// Keys that a table of the file has, in its order.
    pub fn keys(&self, path: &[&str]) -> Vec<String> {
        self.document.keys(path).into_iter().map(str::to_owned).collect()
    }

    /// The line of a path, from 1.
    pub fn line(&self, path: &[&str]) -> usize {
        match self.document.place(path) {
            Place::Line(line) => line,
            Place::File | Place::Option(_) => 1,
        }
    }

    /// Everything that was reported, if anything was.
    pub fn finish(self) -> Result<(), ConfigError> {
        match self.document.is_sound() {
            true => Ok(()),
            false => Err(ConfigError::new(self.file, self.document.into_problems())),
        }
    }
}

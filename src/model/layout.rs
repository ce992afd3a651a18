//! What a Dockerfile's instructions take from the build context.

use super::plan::StepLayout;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::path::Path;

/// What one instruction takes, ready to be asked for many paths.
#[derive(Debug, Clone)]
pub struct Taken {
    everything: bool,
    patterns: GlobSet,
}

impl StepLayout {
    /// What it takes from the context.
    pub fn taken(&self) -> Taken {
        let mut everything = false;
        let mut builder = GlobSetBuilder::new();
        for pattern in &self.takes {
            let trimmed = pattern.trim_start_matches("./").trim_matches('/');
            everything |= trimmed.is_empty() || trimmed == ".";
            match GlobBuilder::new(trimmed).literal_separator(true).build() {
                Ok(glob) => {
                    builder.add(glob);
                }
                // A pattern that cannot be read is taken to match: then no step is said to be
                // untouched that is not.
                Err(_) => everything = true,
            }
        }
        let patterns = builder.build();
        Taken {
            everything: everything || patterns.is_err(),
            patterns: patterns.unwrap_or_default(),
        }
    }
}

impl Taken {
    /// Whether a file of the context is among it, given by its path with `/`: the file itself, or
    /// a folder above it.
    pub fn holds(&self, path: &str) -> bool {
        self.everything
            || Path::new(path).ancestors().any(|ancestor| self.patterns.is_match(ancestor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_files_and_what_is_below_folders() {
        let taken = |takes: &[&str]| {
            let takes = takes.iter().map(|&pattern| pattern.to_owned()).collect();
            StepLayout { takes, from_stage: None }.taken()
        };
        assert!(taken(&["Gemfile*"]).holds("Gemfile.lock"));
        assert!(!taken(&["Gemfile"]).holds("Gemfile.lock"));
        assert!(taken(&["./app/"]).holds("app/a/b.rb") && !taken(&["app"]).holds("apps/x"));
        assert!(taken(&["."]).holds("x/y") && taken(&["/"]).holds("x") && !taken(&[]).holds("x"));
        assert!(taken(&["[", "b"]).holds("a"), "what cannot be read may take everything");
    }
}

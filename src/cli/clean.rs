//! `breakeven clean`: removes what killed runs left behind, and only that.

use super::exit::Exit;
use super::{CliError, output, runtime};
use crate::report::text::plural;
use crate::run::cleanup::Cleaned;
use crate::run::{cleanup, ledger};

/// Removes what killed runs left on engine, registry, storage and disk, and only that.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Carries it out. Run directories (journals and reports) are never touched.
pub fn run(_: &Args) -> Result<Exit, CliError> {
    let cleaned = runtime()?.block_on(cleanup::clean(&ledger::folder()))?;
    if cleaned.is_empty() {
        output::message("nothing to clean: no killed run has left anything");
    }
    for one in &cleaned {
        output::data(&said(one))?;
    }
    Ok(Exit::Done)
}

/// What was removed of a run; of what there was none nothing is said.
fn said(cleaned: &Cleaned) -> String {
    let counts =
        [(cleaned.tags, "tag"), (cleaned.images, "image"), (cleaned.records, "build cache record")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let mut counts: Vec<String> = counts.map(|(count, what)| plural(count, what)).collect();
    if cleaned.engines > 0 {
        let parts = plural(cleaned.engines, "part");
        counts.push(format!("{parts} of private engines"));
    }
    let mut said = format!("run {}: removed its registry and temporary files", cleaned.run);
    if !counts.is_empty() {
        said.push_str(&format!("; from the engine {}", counts.join(", ")));
    }
    if cleaned.builds > 0 {
        said.push_str(&format!("; ended {} of its commands", cleaned.builds));
    }
    said + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_was_none_of_is_not_listed() {
        let nothing = Cleaned { run: "r".to_owned(), ..Cleaned::default() };
        assert_eq!(said(&nothing), "run r: removed its registry and temporary files\n");
        let some = Cleaned { images: 2, tags: 1, engines: 3, builds: 1, ..nothing };
        assert_eq!(
            said(&some),
            "run r: removed its registry and temporary files; from the engine 1 tag, 2 images, 3 \
             parts of private engines; ended 1 of its commands\n"
        );
    }
}

//! `breakeven compare`: two runs, cell by cell.

use super::exit::Exit;
use super::{CliError, output, runtime};
use crate::compare::{self, Across, Side};
use crate::report::comparison::{COMPARISON_FORMATS, ComparisonFormat, comparison_format};
use crate::run::comparable::{self, NotComparable};
use crate::run::{self, Earlier, Published, RunError, RunSource, TooFew, Which};
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Compares two runs cell by cell: what takes longer now, what takes less, and which verdicts are
/// others.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run that is compared with: a directory, or `PLACE#RUN`, `PLACE#last` (before NEW) or
    /// `PLACE#last:N` (so many before NEW together) of a history.
    base: RunSource,
    /// The run that is compared: a directory, or `PLACE#RUN` or `PLACE#last` of a history.
    new: RunSource,
    /// Compare also what was not measured under the same conditions (machine, engine, content,
    /// link), and say what that means; with `=content` only what differs in what was built.
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "everything")]
    across: Option<Asked>,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "terminal", value_parser = formats())]
    format: &'static ComparisonFormat,
}

/// What `--across` takes.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Asked {
    /// Contexts, Dockerfiles, base images and commits.
    Content,
    /// Machine, engines and links as well.
    Everything,
}

impl Args {
    fn across(&self) -> Across {
        match self.across {
            None => Across::Nothing,
            Some(Asked::Content) => Across::Content,
            Some(Asked::Everything) => Across::Everything,
        }
    }
}

fn formats() -> impl TypedValueParser<Value = &'static ComparisonFormat> {
    let values = COMPARISON_FORMATS.iter().map(|one| PossibleValue::new(one.id).help(one.summary));
    PossibleValuesParser::new(values)
        .try_map(|id| comparison_format(&id).ok_or_else(|| format!("there is no format {id}")))
}

/// Carries it out.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let comparison = {
        let published = runtime()?.block_on(args.new.read())?;
        between(&args.base, (&args.new, &published), args.across())?
    };
    let text = (args.format.render)(&comparison, output::style()).map_err(RunError::from)?;
    output::data(&text)?;
    Ok(Exit::Done)
}

/// Compares a run with another one, unless they are not comparable.
pub(super) fn between(
    base: &RunSource,
    (new, published): (&RunSource, &Published),
    across: Across,
) -> Result<compare::Comparison, CliError> {
    if let RunSource::History { place, which: Which::LastOf(count) } = base {
        return with_last((place, *count), (base, new), published, across);
    }
    let Some(earlier) = runtime()?.block_on(base.read_before(published))? else {
        let why = vec!["no run of that history started before it".to_owned()];
        return Err(
            NotComparable::TooFew { base: base.to_string(), new: new.to_string(), why }.into()
        );
    };
    let sides = [side(&earlier), side(published)];
    let found = comparable::differences(&sides[0], &sides[1]);
    if !found.allowed(across) {
        return Err(NotComparable::Conditions {
            base: base.to_string(),
            new: new.to_string(),
            differences: found.breaking,
        }
        .into());
    }
    let [base_side, new_side] = sides;
    let comparison = compare::compare(base_side, new_side, found.breaking, found.notes);
    if comparison.cells.is_empty() {
        return Err(nothing_in_common(base, new));
    }
    Ok(comparison)
}

/// Compares a run with the last so many of a history together.
fn with_last(
    (place, count): (&str, usize),
    (base, new): (&RunSource, &RunSource),
    published: &Published,
    across: Across,
) -> Result<compare::Comparison, CliError> {
    if count < compare::RUNS {
        return Err(CliError::Usage(format!(
            "{base} asks for {count}, and from fewer than {0} earlier runs nothing can be said. Ask \
             for {0} or more, or for one: `{place}#last`",
            compare::RUNS
        )));
    }
    let found = runtime()?.block_on(run::earlier(place, count, published, across))?;
    let Earlier { runs, across, notes } = found.map_err(|few| {
        let (base, new) = (base.to_string(), new.to_string());
        match few {
            TooFew { why, enough_across: false } => NotComparable::TooFew { base, new, why },
            TooFew { why: differences, .. } => NotComparable::Conditions { base, new, differences },
        }
    })?;
    let comparison = compare::against(&runs, side(published), place, across, notes);
    if comparison.cells.is_empty() {
        return Err(nothing_in_common(base, new));
    }
    Ok(comparison)
}

fn nothing_in_common(base: &RunSource, new: &RunSource) -> CliError {
    CliError::Usage(format!(
        "{new} and {base} have no cell in common. Compare runs of the same workloads, changes and \
         strategies"
    ))
}

fn side(published: &Published) -> Side<'_> {
    let Published { plan, events, decision, .. } = published;
    Side { plan, events, decision }
}

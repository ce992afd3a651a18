//! `breakeven compare`: two runs, cell by cell.

use super::exit::Exit;
use super::{CliError, output};
use crate::compare::{self, Side};
use crate::report::comparison::{COMPARISON_FORMATS, ComparisonFormat, comparison_format};
use crate::run::comparable::{self, NotComparable};
use crate::run::{Published, RunError, RunSource};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Compares two runs cell by cell: what takes longer now, what takes less, and which verdicts are
/// others.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory of the run that is compared with.
    base: RunSource,
    /// The directory of the run that is compared.
    new: RunSource,
    /// Compare also what was not measured under the same conditions (machine, engine, content,
    /// link), and say what that means.
    #[arg(long)]
    across: bool,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "terminal", value_parser = formats())]
    format: &'static ComparisonFormat,
}

fn formats() -> impl TypedValueParser<Value = &'static ComparisonFormat> {
    let values = COMPARISON_FORMATS.iter().map(|one| PossibleValue::new(one.id).help(one.summary));
    PossibleValuesParser::new(values)
        .try_map(|id| comparison_format(&id).ok_or_else(|| format!("there is no format {id}")))
}

/// Carries it out.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let comparison = between(&args.base, (&args.new, &args.new.read()?), args.across)?;
    let text = (args.format.render)(&comparison, output::style()).map_err(RunError::from)?;
    output::data(&text)?;
    Ok(Exit::Done)
}

/// Compares a run with another one, unless they are not comparable.
pub(super) fn between(
    base: &RunSource,
    (new, published): (&RunSource, &Published),
    across: bool,
) -> Result<compare::Comparison, CliError> {
    let earlier = base.read()?;
    let sides = [side(&earlier), side(published)];
    let found = comparable::differences(&sides[0], &sides[1]);
    if !found.breaking.is_empty() && !across {
        return Err(NotComparable {
            base: base.to_string(),
            new: new.to_string(),
            differences: found.breaking,
        }
        .into());
    }
    let [base_side, new_side] = sides;
    let comparison = compare::compare(base_side, new_side, found.breaking, found.notes);
    if comparison.cells.is_empty() {
        return Err(CliError::Usage(format!(
            "{new} and {base} have no cell in common. Compare runs of the same workloads, changes \
             and strategies"
        )));
    }
    Ok(comparison)
}

fn side(published: &Published) -> Side<'_> {
    let Published { plan, events, decision, .. } = published;
    Side { plan, events, decision }
}

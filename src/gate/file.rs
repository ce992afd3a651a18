//! The file of rules: its shape, and what every rule has in common.

use super::kinds::{self, KINDS, Kind};
use super::{Part, State};
use crate::compare::Across;
use crate::config::{self, ConfigError, Reader, allowed, axes};
use crate::model::{Builder, Phase, Plan};
use crate::strategy;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a file of rules is called in messages and schemas.
pub const RULES_FILE: &str = "rules.toml";

/// Rules that `breakeven check` holds a run against. Paths are relative to this file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "rules.toml")]
struct File {
    /// What `regression` compares with, where a rule names none of its own: a run directory, or
    /// `PLACE#RUN`, `PLACE#last` or `PLACE#last:N` of a history.
    baseline: Option<String>,
    /// The rules.
    rule: Vec<Rule>,
}

/// One rule. `kind` says what it demands, and which of the other keys it has. Without a filter
/// (workload, change, availability, strategy, builder, link, engine) it speaks of all of them, and
/// has to hold for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it demands.
    #[schemars(schema_with = "kinds_schema")]
    pub kind: String,
    /// What it is called in reports; its kind and filters if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only this strategy, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Only this builder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builder: Option<Builder>,
    /// Only this workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Only this change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Only this availability: names of candidates joined by `+`, or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability: Option<String>,
    /// Only this link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Only this engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Of `pays-off`: what an undecided verdict is; `skip` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undecided: Option<Undecided>,
    /// Of `step-hit-share`: the smallest share of steps that has to be hit, from 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// Of `export-share`, `regression` and `resolves`: the largest share, such as 0.1.
    #[schemars(range(min = 0.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// Of `longest-job` and `resolves`: the longest time, such as "90s".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Of `longest-job`: the phase that is meant; the whole job if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Of `regression`: what to compare with, as `baseline` of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Of `regression`: whether to compare also what was measured under other conditions; `false`
    /// if absent, `"content"` for where nothing but what is built differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub across: Option<Across>,
    /// Of `no-finding`: the finding's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its line in the file.
    #[serde(skip, default)]
    #[schemars(skip)]
    pub(super) line: usize,
    /// Seconds of `limit`.
    #[serde(skip, default)]
    #[schemars(skip)]
    pub(super) limit_s: f64,
    /// Where `baseline` is from: `rules.toml:1`, `--baseline`.
    #[serde(skip, default)]
    #[schemars(skip)]
    pub(super) baseline_from: String,
}

/// What an undecided verdict is to `pays-off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Undecided {
    /// Nothing can be said: the rule is skipped.
    Skip,
    /// Good enough.
    Pass,
    /// Not good enough: the strategy has to be shown to pay off.
    Fail,
}

impl From<Undecided> for State {
    fn from(undecided: Undecided) -> Self {
        match undecided {
            Undecided::Skip => Self::Skip,
            Undecided::Pass => Self::Pass,
            Undecided::Fail => Self::Fail,
        }
    }
}

/// A file of rules without problems.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Its rules in order.
    pub rules: Vec<Rule>,
}

/// The JSON schema of a file of rules: what is committed as `docs/rules.schema.json`.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}

fn kinds_schema(_: &mut SchemaGenerator) -> Schema {
    let word = |kind: &Kind| serde_json::json!({ "const": kind.id, "description": kind.summary });
    let words: Vec<_> = KINDS.iter().map(word).collect();
    json_schema!({ "oneOf": words })
}

/// Keys that every rule may have.
const COMMON: [&str; 2] = ["kind", "name"];

impl Rules {
    /// Reads a file of rules. `baseline`, from the command line, takes the place of every one that
    /// the file names. The error names every problem.
    pub fn read(path: &Path, baseline: Option<&Path>) -> Result<Self, ConfigError> {
        let (mut file, mut reader): (File, Reader) = Reader::read(path, &schema())?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let beside = |dir: &str| match dir.contains("://") {
            true => dir.to_owned(),
            false => folder.join(dir).display().to_string(),
        };
        for (index, rule) in file.rule.iter_mut().enumerate() {
            let item = format!("[{index}]");
            let place = ["rule", item.as_str()];
            rule.line = reader.line(&[place[0], place[1], "kind"]);
            keys(&mut reader, &place, rule.kind());
            if let Some(limit) = &rule.limit {
                match config::duration(limit) {
                    Ok(limit) => rule.limit_s = limit.as_secs_f64(),
                    Err(message) => {
                        let path = [place[0], place[1], "limit"];
                        reader.problem(&path, format!("`limit`: {message}"), config::DURATION);
                    }
                }
            }
            if !rule.kind().keys().any(|key| key == "baseline") {
                continue;
            }
            let at = |key: &[&str]| format!("{}:{}", path.display(), reader.line(key));
            (rule.baseline, rule.baseline_from) = match (baseline, &rule.baseline, &file.baseline) {
                (Some(dir), _, _) => (Some(dir.display().to_string()), "--baseline".to_owned()),
                (None, Some(dir), _) => (Some(beside(dir)), at(&[place[0], place[1], "baseline"])),
                (None, None, Some(dir)) => (Some(beside(dir)), at(&["baseline"])),
                (None, None, None) => (None, String::new()),
            };
        }
        reader.finish()?;
        Ok(Self { file: path.to_owned(), rules: file.rule })
    }
}

/// Reports keys that a rule of this kind does not have, and those that it needs.
fn keys(reader: &mut Reader, place: &[&str; 2], kind: &Kind) {
    let given = reader.keys(place);
    let known: Vec<&str> = COMMON.into_iter().chain(kind.keys()).collect();
    for key in given.iter().filter(|key| !known.contains(&key.as_str())) {
        let path = [place[0], place[1], key];
        let message = format!("a rule of kind `{}` has no key `{key}`", kind.id);
        reader.problem(&path, message, allowed(key, known.iter().copied()));
    }
    for key in kind.needs.iter().filter(|key| !given.iter().any(|given| given == *key)) {
        let message = format!("a rule of kind `{}` needs `{key}`", kind.id);
        reader.problem(place, message, format!("add it; {}", kind.summary));
    }
}

/// Whether every filter that is set is this value.
fn are(filters: &[(&Option<String>, &str)]) -> bool {
    filters.iter().all(|(filter, value)| filter.as_ref().is_none_or(|filter| filter == value))
}

impl Rule {
    /// Its kind.
    pub fn kind(&self) -> &'static Kind {
        // A file with another one is refused by its schema.
        kinds::find(&self.kind).unwrap_or(&KINDS[0])
    }

    /// The run that it compares with, and whether under other conditions too.
    pub fn compares_with(&self) -> Option<(PathBuf, Across)> {
        self.baseline.as_ref().map(|dir| (PathBuf::from(dir), self.across.unwrap_or_default()))
    }

    /// What it is called.
    pub(super) fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let filters = self.filters();
            let filters: Vec<&str> = filters.iter().map(|(_, value)| value.as_str()).collect();
            let of = self.id.iter().map(String::as_str).chain(filters).collect::<Vec<_>>();
            if of.is_empty() {
                self.kind.clone()
            } else {
                format!("{}: {}", self.kind, of.join(", "))
            }
        })
    }

    /// Its keys as it is carried out, those that it leaves at their defaults included.
    pub(super) fn keys(&self) -> String {
        let whole = (self.kind().defaults)(self);
        let toml = toml::to_string(&whole).unwrap_or_default();
        toml.lines().collect::<Vec<_>>().join(", ")
    }

    /// The rule as it is carried out: its keys, and where its baseline is from.
    pub(super) fn effective(&self) -> String {
        let mut text = self.keys();
        if !self.baseline_from.is_empty() {
            text += &format!(" (baseline from {})", self.baseline_from);
        }
        text
    }

    fn filters(&self) -> Vec<(&'static str, String)> {
        let builder = self.builder.map(|builder| builder.to_string());
        [
            ("workload", &self.workload),
            ("change", &self.change),
            ("availability", &self.availability),
            ("strategy", &self.strategy),
            ("builder", &builder),
            ("link", &self.link),
            ("engine", &self.engine),
        ]
        .into_iter()
        .filter_map(|(axis, value)| Some((axis, value.clone()?)))
        .collect()
    }

    /// Whether it speaks of a cell: change and availability, then as of a strategy in a place.
    pub(super) fn speaks_of(
        &self,
        [change, availability]: [&str; 2],
        place: [&str; 3],
        competitor: (&str, Builder),
    ) -> bool {
        let filters = [(&self.change, change), (&self.availability, availability)];
        are(&filters) && self.speaks_of_place(place, competitor)
    }

    /// Whether it speaks of a strategy in a place: workload, link and engine.
    pub(super) fn speaks_of_place(
        &self,
        [workload, link, engine]: [&str; 3],
        (strategy, builder): (&str, Builder),
    ) -> bool {
        let filters = [
            (&self.workload, workload),
            (&self.link, link),
            (&self.engine, engine),
            (&self.strategy, strategy),
        ];
        are(&filters) && self.builder.is_none_or(|wanted| wanted == builder)
    }

    /// Filters that name what neither this run nor any other can have.
    pub(super) fn misnamed(&self, plan: &Plan) -> Vec<Part> {
        let known = axes(&plan.cells);
        let mut parts = Vec::new();
        for (axis, value) in self.filters() {
            let of_axis = known.iter().find(|(name, _)| *name == axis);
            let values = of_axis.map(|(_, values)| values.as_slice()).unwrap_or_default();
            let exists = values.contains(&value)
                || match axis {
                    "builder" => true,
                    "strategy" => strategy::find(plan, &value).is_some(),
                    _ => false,
                };
            if !exists {
                let strategies = strategy::table(&plan.strategies);
                let names: Vec<&str> = match axis {
                    "strategy" => strategies.iter().map(|one| one.id.as_ref()).collect(),
                    _ => values.iter().map(String::as_str).collect(),
                };
                let said = format!("there is no {axis} `{value}`; {}", allowed(&value, names));
                parts.push(Part::new("", State::Misconfigured, said));
            }
        }
        parts
    }

    /// Why it speaks of nothing in a run.
    pub(super) fn nothing(&self, plan: &Plan) -> String {
        let of = match plan.cells.iter().any(|cell| self.strategy.as_ref() == Some(&cell.strategy))
        {
            false if self.strategy.is_some() => "this run did not measure that strategy",
            _ => "this run has no cell that it speaks of",
        };
        of.to_owned()
    }
}

//! A TOML table held against a JSON schema: every unknown key and every value of the wrong kind
//! is reported, and the rest goes on as JSON.

use super::document::{Document, Path};
use super::problem::{allowed, listed};
use serde_json::{Map, Value as Json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What of a table the schema allows; `None` if it cannot do without something that is missing or
/// wrong. Where everything is, and what is wrong, goes into the document.
pub(super) fn check(table: &DeTable<'_>, schema: &Json, document: &mut Document) -> Option<Json> {
    Walk { root: schema, document }.table(table, schema, &Vec::new())
}

/// `change.app.edits[0]`, as a message names a value.
fn shown(path: &[String]) -> String {
    let mut text = String::new();
    for part in path {
        if !text.is_empty() && !part.starts_with('[') {
            text.push('.');
        }
        text.push_str(part);
    }
    text
}

fn texts(list: &Json) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str)
}

/// What a schema wants: the name of a JSON type, `choice` (of tables) or `word` (of several).
fn kind(schema: &Json) -> &str {
    if schema["anyOf"].is_array() {
        return "choice";
    }
    if schema["oneOf"].is_array() {
        return "word";
    }
    // An optional value may be `null` as well.
    schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or_default()
}

fn words(schema: &Json) -> Vec<&str> {
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    alternatives.filter_map(|word| word["const"].as_str()).collect()
}

fn in_range(number: f64, schema: &Json) -> bool {
    let fits_type = schema["format"] != "uint32" || number <= f64::from(u32::MAX);
    fits_type
        && schema["minimum"].as_f64().is_none_or(|least| number >= least)
        && schema["maximum"].as_f64().is_none_or(|most| number <= most)
}

/// What a schema allows, in words.
fn described(schema: &Json) -> String {
    let noun = match kind(schema) {
        "string" => "a text in quotes",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" if kind(&schema["items"]) == "string" => "a list of texts, such as [\"a\", \"b\"]",
        "array" => "a list",
        "word" => return format!("one of {}", listed(words(schema))),
        "choice" if is_flat(schema) => {
            let alternatives = schema["anyOf"].as_array().into_iter().flatten();
            return alternatives.map(described).collect::<Vec<_>>().join(", or ");
        }
        "choice" if has_text(schema) => "a text or a table",
        _ => "a table",
    };
    match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        (Some(least), Some(most)) => format!("{noun} from {least} to {most}"),
        (Some(least), None) => format!("{noun}, at least {least}"),
        _ => noun.to_owned(),
    }
}

/// Whether no alternative is a table.
fn is_flat(schema: &Json) -> bool {
    let flat = |one: &Json| matches!(kind(one), "boolean" | "word");
    schema["anyOf"].as_array().into_iter().flatten().all(flat)
}

/// Whether a text is one of the alternatives.
fn has_text(schema: &Json) -> bool {
    schema["anyOf"].as_array().into_iter().flatten().any(|one| kind(one) == "string")
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a decimal point",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

struct Walk<'s, 'd> {
    root: &'s Json,
    document: &'d mut Document,
}

impl<'s> Walk<'s, '_> {
    /// Follows references, and takes the alternative that is not `null`, which TOML does not have.
    fn resolved(&self, mut schema: &'s Json) -> &'s Json {
        loop {
            let target = if let Some(reference) = schema["$ref"].as_str() {
                self.root.pointer(reference.trim_start_matches('#'))
            } else if let Some([only, null]) = schema["anyOf"].as_array().map(Vec::as_slice)
                && null["type"] == "null"
            {
                Some(only)
            } else {
                None
            };
            match target {
                Some(next) => schema = next,
                None => return schema,
            }
        }
    }

    fn value(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        schema: &'s Json,
        path: &Path,
    ) -> Option<Json> {
        let schema = self.resolved(schema);
        let wanted = kind(schema);
        match (value.get_ref(), wanted) {
            (DeValue::Table(table), "choice") => self.choice(table, schema, path),
            (other, "choice") => {
                let fits = |schema: &Json| match other {
                    DeValue::String(_) => matches!(kind(schema), "string" | "word"),
                    DeValue::Array(_) => kind(schema) == "array",
                    DeValue::Boolean(_) => kind(schema) == "boolean",
                    _ => false,
                };
                let alternatives = schema["anyOf"].as_array().into_iter().flatten();
                let alternative = alternatives.map(|one| self.resolved(one)).find(|one| fits(one));
                if let Some(alternative) = alternative {
                    return self.value(value, alternative, path);
                }
                let message = format!("`{}` is {}", shown(path), kind_of(other));
                self.document.spoil(path, message, format!("allowed: {}", described(schema)));
                None
            }
            (DeValue::Table(table), "object") => self.table(table, schema, path),
            (DeValue::Array(items), "array") => {
                let mut clean = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let path = self.enter(path, format!("[{index}]"), item.span().start);
                    clean.push(self.value(item, &schema["items"], &path));
                }
                // One item left out would give the later ones other numbers, hence other lines.
                clean.into_iter().collect::<Option<Vec<_>>>().map(Json::Array)
            }
            (DeValue::String(text), "string") => Some(Json::from(text.as_ref())),
            (DeValue::String(text), "word") => {
                let words = words(schema);
                if words.contains(&text.as_ref()) {
                    return Some(Json::from(text.as_ref()));
                }
                let message = format!("`{text}` is not known as `{}`", shown(path));
                self.document.spoil(path, message, allowed(text, words));
                None
            }
            (DeValue::Boolean(truth), "boolean") => Some(Json::from(*truth)),
            (DeValue::Integer(number), "integer" | "number") => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
                let inside = parsed.is_some_and(|whole| in_range(whole as f64, schema));
                self.number(
                    parsed.filter(|_| inside).map(Json::from),
                    number.as_str(),
                    schema,
                    path,
                )
            }
            (DeValue::Float(number), "number") => {
                let parsed = number.as_str().parse::<f64>().ok();
                let inside = parsed.filter(|float| float.is_finite() && in_range(*float, schema));
                self.number(inside.map(Json::from), number.as_str(), schema, path)
            }
            (other, _) => {
                let message = format!("`{}` is {}", shown(path), kind_of(other));
                self.document.spoil(path, message, format!("allowed: {}", described(schema)));
                None
            }
        }
    }

    fn number(
        &mut self,
        clean: Option<Json>,
        text: &str,
        schema: &Json,
        path: &Path,
    ) -> Option<Json> {
        if clean.is_none() {
            let message = format!("`{}` is {text}", shown(path));
            self.document.spoil(path, message, format!("allowed: {}", described(schema)));
        }
        clean
    }

    /// One of several tables. One whose values are all tables is that of names, if there is one;
    /// others are told apart by the first key that each of them requires.
    fn choice(&mut self, table: &DeTable<'_>, schema: &'s Json, path: &Path) -> Option<Json> {
        let tables: Vec<&Json> = schema["anyOf"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|alternative| self.resolved(alternative))
            .filter(|alternative| kind(alternative) == "object")
            .collect();
        let is_of_names = |schema: &&Json| schema["additionalProperties"].is_object();
        let has_tables_only =
            !table.is_empty() && table.values().all(|v| matches!(v.get_ref(), DeValue::Table(_)));
        if let Some(named) = tables.iter().find(|schema| is_of_names(schema) && has_tables_only) {
            return self.table(table, named, path);
        }
        let mut others = tables.iter().filter(|schema| !is_of_names(schema));
        if let (Some(only), None) = (others.next(), others.next()) {
            return self.table(table, only, path);
        }
        let alternatives: Vec<(&str, &Json)> = tables
            .into_iter()
            .filter_map(|alternative| Some((alternative["required"][0].as_str()?, alternative)))
            .collect();
        let named: Vec<_> =
            alternatives.iter().filter(|(key, _)| table.contains_key(*key)).collect();
        if let [(_, alternative)] = named[..] {
            return self.table(table, alternative, path);
        }
        let all = listed(alternatives.iter().map(|(key, _)| key));
        let message = if named.is_empty() {
            let found = listed(table.keys().map(|key| key.get_ref()));
            format!("`{}` has none of the keys that say what it does: {found}", shown(path))
        } else {
            let found = listed(named.iter().map(|(key, _)| key));
            format!("`{}` does several things at once: {found}", shown(path))
        };
        self.document.spoil(path, message, format!("allowed: exactly one of {all}"));
        None
    }

    /// The known keys of a table; `None` if it cannot do without one that is missing or wrong.
    fn table(&mut self, table: &DeTable<'_>, schema: &'s Json, path: &Path) -> Option<Json> {
        let properties = schema["properties"].as_object();
        let any_key = &schema["additionalProperties"];
        let mut clean = Map::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let path_of_value = self.enter(path, name.to_owned(), key.span().start);
            let known = properties.and_then(|known| known.get(name));
            if let Some(schema) = known.or_else(|| any_key.is_object().then_some(any_key)) {
                if let Some(value) = self.value(value, schema, &path_of_value) {
                    clean.insert(name.to_owned(), value);
                }
            } else {
                let inside = match shown(path) {
                    top if top.is_empty() => "at the top of the file".to_owned(),
                    section => format!("in `{section}`"),
                };
                let known = properties.into_iter().flat_map(Map::keys).map(String::as_str);
                self.document.spoil(
                    &path_of_value,
                    format!("the key `{name}` is not known {inside}"),
                    allowed(name, known),
                );
            }
        }
        let mut complete = true;
        for required in texts(&schema["required"]) {
            complete &= clean.contains_key(required);
            if !table.contains_key(required) {
                let message = match shown(path) {
                    top if top.is_empty() => format!("`{required}` is missing"),
                    section => format!("`{required}` is missing in `{section}`"),
                };
                let wanted = described(self.resolved(&schema["properties"][required]));
                self.document.spoil(path, message, format!("add it: {wanted}"));
            }
        }
        complete.then_some(Json::Object(clean))
    }

    fn enter(&mut self, path: &Path, part: String, offset: usize) -> Path {
        let mut path = path.clone();
        path.push(part);
        self.document.locate(path.clone(), offset);
        path
    }
}

#[cfg(test)]
mod tests {
    use super::super::{problem::ConfigError, schema};
    use super::*;

    fn problems_of(text: &str) -> String {
        let (_, document) = Document::read::<schema::File>(text, &schema::json_schema());
        ConfigError::new("x.toml", document.into_problems()).to_string()
    }

    #[test]
    fn every_unknown_key_and_wrong_value_is_reported() {
        insta::assert_snapshot!(problems_of(
            r#"roundz = 3
rounds = "ten"
baseline = 7
seed = -1
max_time = 2026-01-01
only = "x"

[workload.web]
context = "."
build_args = { SECONDS = 1.5 }

[change.app]
weigth = 1
weight = -2
edits = [
  { append = "x", txt = "y" },
  { append = "x", delete = "y" },
  { remove = "x" },
  3,
]

[[availability]]
have = ["main", 3]

[[availability]]
weight = nan

[strategies]
builders = ["classic", "buildkitt"]
pull = "none"

[relevance]
share = 2
"#
        ));
    }

    #[test]
    fn what_is_no_toml_is_reported_line_by_line() {
        insta::assert_snapshot!(problems_of("seed = \nrounds = 1\nrounds = 2\n[workload\n"));
    }

    #[test]
    fn a_file_without_a_workload_is_refused() {
        insta::assert_snapshot!(problems_of("rounds = 1\n"));
    }

    #[test]
    fn whole_numbers_may_be_written_as_toml_allows() {
        let text = "seed = 0x1_0\nrounds = 1_0\nworkload = {}\n[change.a]\nweight = 3";
        let (file, document) = Document::read::<schema::File>(text, &schema::json_schema());
        assert!(document.is_sound());
        let file = file.unwrap();
        assert_eq!((file.seed, file.rounds, file.change["a"].weight), (Some(16), Some(10), 3.0));
    }
}

//! Prices: the dated default list, and what a user puts in its place.

use super::document::Document;
use super::problem::Place;
use super::schema;
use crate::model::Prices;
use std::collections::BTreeMap;
use std::path::Path;

/// The list that counts unless a user names another.
const DEFAULT: &str = include_str!("prices.toml");

/// What the source of a price of the user's own is called.
const OWN: &str = "breakeven.toml or the price list that it names";

/// The prices of a plan. Keys that a user does not write are those of the default list.
pub(super) fn prices(
    document: &mut Document,
    prices: Option<&schema::PriceList>,
    base: &Path,
) -> Option<Prices> {
    let mut list = match toml::from_str::<Prices>(DEFAULT) {
        Ok(list) => list,
        // It is compiled in and tested, so this is a fault of ours; it must not pass unseen.
        Err(error) => {
            let advice = "this is a fault of Breakeven: please report it";
            document.problem(&["prices"], format!("the default prices: {error}"), advice);
            return None;
        }
    };
    match prices {
        None => {}
        Some(schema::PriceList::Here(own)) => {
            check_builds(document, &["prices", "builds_per_day"], own);
            apply(&mut list, own);
        }
        Some(schema::PriceList::File(file)) => {
            let own = read(document, &base.join(file))?;
            apply(&mut list, &own);
        }
    }
    Some(list)
}

/// A price list in a file of its own. Its problems are listed with those of the configuration.
fn read(document: &mut Document, file: &Path) -> Option<schema::Prices> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            document.problem(
                &["prices"],
                format!("cannot read {}: {error}", file.display()),
                "name a file, relative to this one, or write a table `[prices]`",
            );
            return None;
        }
    };
    let schema = schemars::schema_for!(schema::Prices).to_value();
    let (own, mut inner) = Document::read::<schema::Prices>(&text, &schema);
    if let Some(own) = &own {
        check_builds(&mut inner, &["builds_per_day"], own);
    }
    for problem in inner.into_problems() {
        let line = match problem.place {
            Place::Line(line) => format!(":{line}"),
            Place::File | Place::Option(_) => String::new(),
        };
        let message = format!("{}{line}: {}", file.display(), problem.message);
        document.problem(&["prices"], message, problem.advice);
    }
    own
}

fn check_builds(document: &mut Document, path: &[&str], own: &schema::Prices) {
    if own.builds_per_day.is_some_and(|builds| builds <= 0.0) {
        let message = "no builds a day cost nothing, whatever they cost";
        document.problem(path, message, "allowed: a number above 0");
    }
}

/// Puts a user's values in the place of the list's.
fn apply(list: &mut Prices, own: &schema::Prices) {
    fn put<T: Clone>(
        key: &str,
        own: Option<&T>,
        to: &mut T,
        sources: &mut BTreeMap<String, String>,
    ) {
        if let Some(own) = own {
            to.clone_from(own);
            sources.insert(key.to_owned(), OWN.to_owned());
        }
    }
    let sources = &mut list.sources;
    put("per_minute", own.per_minute.as_ref(), &mut list.per_minute, sources);
    put("rounding", own.rounding.as_ref(), &mut list.rounding, sources);
    put("out_per_gb", own.out_per_gb.as_ref(), &mut list.out_per_gb, sources);
    put("in_per_gb", own.in_per_gb.as_ref(), &mut list.in_per_gb, sources);
    let storage = &mut list.storage_per_gb_month;
    put("storage_per_gb_month", own.storage_per_gb_month.as_ref(), storage, sources);
    put("keep_builds", own.keep_builds.as_ref(), &mut list.keep_builds, sources);
    let requests = &mut list.per_10k_requests;
    put("per_10k_requests", own.per_10k_requests.as_ref(), requests, sources);
    let waiting = &mut list.waiting_per_minute;
    put("waiting_per_minute", own.waiting_per_minute.as_ref(), waiting, sources);
    put("builds_per_day", own.builds_per_day.as_ref(), &mut list.builds_per_day, sources);
    if let Some(seen) = &own.seen {
        list.seen.clone_from(seen);
    }
    if let Some(currency) = &own.currency {
        list.currency.clone_from(currency);
    }
    sources.extend(own.sources.iter().map(|(key, source)| (key.clone(), source.clone())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Rounding;

    fn read_config(text: &str, base: &Path) -> (Option<Prices>, Vec<String>) {
        let text = format!("[workload.web]\n{text}");
        let (file, mut document) = Document::read::<schema::File>(&text, &schema::json_schema());
        let prices = file.and_then(|file| prices(&mut document, file.prices.as_ref(), base));
        let problems = document.into_problems().into_iter();
        (prices, problems.map(|problem| problem.message).collect())
    }

    #[test]
    fn the_default_list_is_dated_and_names_its_sources() {
        let (list, problems) = read_config("", Path::new("/"));
        let list = list.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!((list.seen.as_str(), list.rounding), ("2026-11", Rounding::Minute));
        assert_eq!(list.waiting_per_minute, 0.0, "waiting is off unless it is asked for");
        for key in ["per_minute", "out_per_gb", "storage_per_gb_month"] {
            assert!(list.sources.contains_key(key), "{key} has no source");
        }
        let urls = list.sources.values().filter(|source| source.contains("://")).count();
        assert_eq!(urls, 0);
    }

    #[test]
    fn what_is_written_takes_the_place_of_the_default() {
        let text = "[prices]\nper_minute = 0.01\nrounding = \"second\"\ncurrency = \"EUR\"\n";
        let (list, problems) = read_config(text, Path::new("/"));
        let list = list.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!((list.per_minute, list.rounding), (0.01, Rounding::Second));
        assert_eq!((list.currency.as_str(), list.out_per_gb), ("EUR", 0.09));
        assert_eq!(list.sources["per_minute"], OWN);
    }

    #[test]
    fn a_list_in_a_file_is_checked_with_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let text = "seen = \"2026-12\"\nper_minute = 0.02\n[sources]\nper_minute = \"contract\"\n";
        std::fs::write(folder.path().join("prices.toml"), text).unwrap();
        let at_top = |name: &str| {
            let text = format!("prices = \"{name}\"\n[workload.web]\n");
            let (file, mut document) =
                Document::read::<schema::File>(&text, &schema::json_schema());
            let file = file.unwrap();
            let list = prices(&mut document, file.prices.as_ref(), folder.path());
            let problems = document.into_problems().into_iter();
            (list, problems.map(|problem| problem.message).collect::<Vec<String>>())
        };
        let (list, problems) = at_top("prices.toml");
        let list = list.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!((list.seen.as_str(), list.per_minute), ("2026-12", 0.02));
        assert_eq!(list.sources["per_minute"], "contract");

        let text = "per_minut = 0.02\n\nout_per_gb = -1\nbuilds_per_day = 0\n";
        std::fs::write(folder.path().join("bad.toml"), text).unwrap();
        let (_, problems) = at_top("bad.toml");
        let all = problems.join("\n");
        assert!(all.contains("bad.toml:1: ") && all.contains("bad.toml:3: "), "{all}");
        let (list, problems) = at_top("none.toml");
        assert!(list.is_none() && problems[0].starts_with("cannot read "), "{problems:?}");
    }

    #[test]
    fn prices_that_cannot_be_are_refused() {
        for bad in [
            "per_minute = -0.1",
            "keep_builds = -1",
            "builds_per_day = 0",
            "rounding = \"hour\"",
            "price = 1",
        ] {
            let (_, problems) = read_config(&format!("[prices]\n{bad}\n"), Path::new("/"));
            assert_eq!(problems.len(), 1, "{bad}: {problems:?}");
        }
    }
}

//! Links: what the network between a job and its registry and storage is like.

use super::document::Document;
use super::names;
use super::schema;
use crate::link::{rate, round_trip};
use crate::model::plan::LinkPlan;
use std::collections::BTreeMap;

/// Name of the link where none is configured.
const UNSHAPED: &str = "unshaped";

/// The links of a file by name; one without any limit where it has none.
pub(super) fn links(
    document: &mut Document,
    links: &BTreeMap<String, schema::Link>,
) -> BTreeMap<String, LinkPlan> {
    if links.is_empty() {
        return BTreeMap::from([(UNSHAPED.to_owned(), LinkPlan::default())]);
    }
    let mut checked = BTreeMap::new();
    for (name, link) in links {
        if !names::is_word(name) {
            document.problem(
                &["link", name],
                format!("`{name}` cannot be the name of a link"),
                format!("allowed: {}", names::WORD),
            );
        }
        let mut read = |key: &str, text: &str| {
            rate(text).unwrap_or_else(|message| {
                let advice = "allowed: \"100Mbit\", \"1.5Gbit\", \"unlimited\"";
                document.problem(&["link", name, key], message, advice);
                None
            })
        };
        let (down_bps, up_bps) = (read("down", &link.down), read("up", &link.up));
        let rtt_s = round_trip(&link.rtt).map(|rtt| rtt.as_secs_f64()).unwrap_or_else(|message| {
            document.problem(&["link", name, "rtt"], message, "allowed: \"20ms\", \"0s\"");
            0.0
        });
        checked.insert(name.clone(), LinkPlan { down_bps, up_bps, rtt_s });
    }
    checked
}

//! Durations, limits, registry and storage.

use super::document::Document;
use super::names;
use super::schema::{self, RegistryKind};
use crate::model::Plan;
use crate::model::plan::{ArchivePlan, Compression, Limits, RegistryPlan};
use crate::storage::address::{ADDRESS, Address};
use crate::workspace;
use std::path::Path;
use std::time::Duration;

/// A duration as people write it, longer than nothing.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err(format!("{text:?} is no time at all")),
        Err(error) => Err(format!("{text:?} is not a duration: {error}")),
    }
}

/// What [`duration`] wants.
pub const DURATION: &str = "allowed: a number with a unit, such as \"90s\", \"10m\" or \"1h 30m\"";

/// Seconds of a duration at a path of the document.
pub(super) fn seconds(document: &mut Document, path: &[&str], text: &str) -> f64 {
    duration(text).map(|duration| duration.as_secs_f64()).unwrap_or_else(|message| {
        document.problem(path, format!("`{}`: {message}", path.join(".")), DURATION);
        0.0
    })
}

pub(super) fn limits(document: &mut Document, limits: &schema::Limits) -> Limits {
    Limits {
        build_s: seconds(document, &["limits", "build"], &limits.build),
        transfer_s: seconds(document, &["limits", "transfer"], &limits.transfer),
        storage_s: seconds(document, &["limits", "storage"], &limits.storage),
        cleanup_s: seconds(document, &["limits", "cleanup"], &limits.cleanup),
        retries: limits.retries,
    }
}

pub(super) fn registry(document: &mut Document, registry: &schema::Registry) -> RegistryPlan {
    let external = match (registry.kind, &registry.address) {
        (Some(RegistryKind::Managed), _) | (None, None) => None,
        (_, Some(address)) => Some(address.clone()),
        (Some(RegistryKind::External), None) => {
            document.problem(
                &["registry", "kind"],
                "an external registry needs an `address`",
                "add `address = \"registry.example:5000\"`, or leave `kind` out for a registry \
                 that Breakeven starts itself",
            );
            Some(String::new())
        }
    };
    let Some(address) = external else {
        for (key, value) in [("address", &registry.address), ("prefix", &registry.prefix)] {
            if value.is_some() {
                document.problem(
                    &["registry", key],
                    format!("a managed registry has no `{key}`"),
                    "remove it, or set `kind = \"external\"` and an `address`",
                );
            }
        }
        return RegistryPlan::Managed;
    };
    if registry.address.is_some() && !is_host(&address) {
        document.problem(
            &["registry", "address"],
            format!("`{address}` is not the address of a registry"),
            "allowed: `host` or `host:port`, without `https://` and without a path (that is \
             `prefix`)",
        );
    }
    let prefix = registry.prefix.clone().unwrap_or_else(|| "breakeven".to_owned());
    if !names::is_repository(&prefix) {
        document.problem(
            &["registry", "prefix"],
            format!("`{prefix}` cannot be the path of a repository"),
            format!("allowed: parts separated by `/`, each of {}", names::REPOSITORY_PART),
        );
    }
    RegistryPlan::External { address, prefix }
}

/// Whether docker would read this as the registry's part of a reference: a name without a dot or
/// a port is taken for a user of Docker Hub.
fn is_host(address: &str) -> bool {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    let valid_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let valid_host = if let Some(v6) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        v6.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
            && !host.starts_with(['.', '-'])
            && !host.ends_with(['.', '-'])
    };
    let is_a_host = host == "localhost" || host.contains(['.', '[']) || port.is_some();
    valid_host && valid_port && is_a_host
}

/// Most rounds of a run that stops by itself, where nothing else is said.
const MAX_ROUNDS: u32 = 30;

/// Counted rounds, and whether a run may stop before the last one.
pub(super) fn rounds(document: &mut Document, file: &schema::File) -> (u32, bool) {
    match (file.rounds, file.max_rounds) {
        (Some(_), Some(_)) => {
            document.problem(
                &["max_rounds"],
                "there are both `rounds` and `max_rounds`",
                "remove one: `rounds` is a fixed number, `max_rounds` the most of a run that stops \
                 by itself",
            );
            (MAX_ROUNDS, true)
        }
        (Some(rounds), None) => (rounds, false),
        (None, most) => (most.unwrap_or(MAX_ROUNDS), true),
    }
}

/// The shared storage: an absolute folder or an address.
pub(super) fn storage(
    document: &mut Document,
    storage: Option<&schema::Storage>,
    base: &Path,
) -> Option<String> {
    let table = match storage? {
        schema::Storage::Address(text) => return address(document, &["storage"], text, base),
        schema::Storage::Table(table) => table,
    };
    match (&table.directory, &table.url) {
        (Some(_), Some(_)) => {
            document.problem(
                &["storage", "url"],
                "there are both a `directory` and a `url`",
                "remove one of them",
            );
            None
        }
        (Some(folder), None) => Some(directory(document, &["storage", "directory"], folder, base)),
        (None, Some(url)) if !url.contains("://") => {
            document.problem(&["storage", "url"], format!("`{url}` is no address"), ADDRESS);
            None
        }
        (None, Some(url)) => address(document, &["storage", "url"], url, base),
        (None, None) => None,
    }
}

/// An absolute folder or an address.
pub(super) fn address(
    document: &mut Document,
    at: &[&str],
    text: &str,
    base: &Path,
) -> Option<String> {
    match Address::parse(text) {
        Ok(Address::Directory(_)) => Some(directory(document, at, text, base)),
        Ok(address) => Some(address.to_string()),
        Err(why) => {
            // Not the address itself, which may hold a secret.
            document.problem(at, format!("this is no address of a storage: {why}"), ADDRESS);
            None
        }
    }
}

fn directory(document: &mut Document, at: &[&str], folder: &str, base: &Path) -> String {
    let folder = base.join(folder);
    if !folder.is_dir() {
        document.problem(
            at,
            format!("there is no folder {}", folder.display()),
            "mount or make it first: one that Breakeven made would lie on the local disk, not \
             where jobs share it",
        );
    }
    folder.to_string_lossy().into_owned()
}

/// Storage and history in a folder that builders are sent: what a run writes there would be a
/// change of its own, in every sample or in every run.
pub(super) fn in_contexts(document: &mut Document, plan: &Plan, notes: &mut Vec<String>) {
    // What is replayed comes from commits. A workload that cannot be read has its problem already.
    if plan.replayed.is_some() {
        return;
    }
    let sent = |folder: &str, name: &str| {
        let mut workloads = plan.workloads.iter();
        let found = workloads.find(|(_, workload)| {
            workspace::sends(workload, Path::new(folder), name).unwrap_or(false)
        });
        found.map(|(workload, _)| workload.clone())
    };
    let storage = plan.storage.as_deref().and_then(|folder| {
        sent(folder, "breakeven-RUN/archives/branch.tar").map(|workload| (folder, workload))
    });
    if let Some((folder, workload)) = storage {
        document.problem(
            &["storage"],
            format!(
                "{folder} lies in the context of `{workload}`: its archives would be sent to the \
                 builder, others in every sample"
            ),
            "name a folder outside of it, or exclude it in .dockerignore",
        );
    }
    let history = plan.history.as_deref().and_then(|folder| {
        sent(folder, "breakeven-history/index").map(|workload| (folder, workload))
    });
    if let Some((folder, workload)) = history {
        notes.push(format!(
            "the history {folder} lies in the context of `{workload}` and is sent to the builder: \
             every run builds other files than the one before, and the two are not comparable. \
             Exclude it in .dockerignore"
        ));
    }
}

/// How archives are packed.
pub(super) fn archive(document: &mut Document, archive: &schema::Archive) -> ArchivePlan {
    let schema::Archive { compression, level, threads } = archive.clone();
    match (compression.levels(), level) {
        (Some(levels), Some(level)) if !levels.contains(&level) => document.problem(
            &["archive", "level"],
            format!("{compression} has no level {level}"),
            format!("allowed: {} to {}", levels.start(), levels.end()),
        ),
        (None, Some(_)) => document.problem(
            &["archive", "level"],
            "what is not compressed has no `level`",
            "remove it, or set `compression = \"zstd\"`",
        ),
        _ => {}
    }
    let threads = threads.unwrap_or(1);
    if threads == 0 || (threads > 1 && compression != Compression::Zstd) {
        document.problem(
            &["archive", "threads"],
            format!("{compression} cannot use {threads} threads"),
            "allowed: at least 1, and more than 1 only with `compression = \"zstd\"`",
        );
    }
    ArchivePlan { compression, level, threads }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_urls_and_users() {
        for good in
            ["localhost", "localhost:5000", "127.0.0.1:1", "r.example", "reg:5000", "[::1]:5000"]
        {
            assert!(is_host(good), "{good}");
        }
        for bad in
            ["", "https://r.example", "r.example/team", "team", "r.example:0", "r:x", ":5000"]
        {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn durations_are_longer_than_nothing() {
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        for bad in ["", "0s", "10", "ten minutes", "-1s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}

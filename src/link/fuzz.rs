//! An answer of a registry, as fuzzers make one up: what of it names another place is rewritten so
//! that the place is reached through the proxy, and only so.

use super::headers::{remove_hop_by_hop, rewrite_location, rewrite_realms};
use super::origins::{Origin, Origins};
use hyper::Uri;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};

/// What the client calls the proxy.
const HERE: &str = "127.0.0.1:4000";

/// Takes a path and lines of headers after it.
pub(crate) fn answer(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let registry = Origin::new(Scheme::HTTPS, Authority::from_static("registry.invalid"));
    let Some(origins) = registry.map(Origins::new) else { return };
    let path = lines.next().and_then(|path| PathAndQuery::try_from(path).ok());
    let Some(target) = path.and_then(|path| origins.target(&path)) else { return };
    let mut headers = HeaderMap::new();
    for line in lines {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            headers.append(name, value);
        }
    }
    remove_hop_by_hop(&mut headers);
    assert!(!headers.contains_key("transfer-encoding") && !headers.contains_key("upgrade"));
    rewrite_location(&mut headers, |location| {
        let new = origins.location(location, &target, HERE)?;
        check(&origins, location, &new);
        Some(new)
    });
    rewrite_realms(&mut headers, |realm| {
        let new = origins.realm(realm, HERE)?;
        check(&origins, realm, &new);
        Some(new)
    });
}

/// What was rewritten leads through the proxy to where it led before.
fn check(origins: &Origins, old: &str, new: &str) {
    // Paths like ours on a server of theirs are not told from ours.
    if old.contains("/.breakeven/") {
        return;
    }
    let path = new.strip_prefix("http://127.0.0.1:4000").unwrap_or(new);
    let path: PathAndQuery = path.parse().unwrap_or_else(|error| panic!("{old} {new}: {error}"));
    let Some(leads) = origins.target(&path) else { panic!("{old} {new} leads nowhere") };
    let Ok(asked) = old.parse::<Uri>() else { return };
    // The proxy's own name stands for the registry's.
    if asked.scheme().is_some() && asked.authority().is_some_and(|at| at.as_str() != HERE) {
        let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
        assert_eq!(host(&leads.uri), host(&asked), "{old} {new}");
        let path = |uri: &Uri| uri.path_and_query().map_or("/".to_owned(), ToString::to_string);
        assert_eq!(path(&leads.uri), path(&asked), "{old} {new}");
    }
}

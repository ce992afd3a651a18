//! Which places a proxy leads to: its registry, and those that the registry named itself.

use super::traffic::Kind;
use hyper::Uri;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use std::sync::{PoisonError, RwLock};

/// Where the paths begin that lead to other places than the registry.
const PREFIX: &str = "/.breakeven/";

/// Scheme, host and port.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.port() == other.port()
            && self.authority.host().eq_ignore_ascii_case(other.authority.host())
    }
}

impl Origin {
    /// `None` for an authority with a user's name or password.
    pub(super) fn new(scheme: Scheme, authority: Authority) -> Option<Self> {
        let plain = !authority.as_str().contains('@') && !authority.host().is_empty();
        plain.then_some(Self { scheme, authority })
    }

    fn of(uri: &Uri) -> Option<Self> {
        let scheme =
            uri.scheme().filter(|scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS)?;
        Self::new(scheme.clone(), uri.authority()?.clone())
    }

    fn port(&self) -> u16 {
        let usual = if self.is_tls() { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(usual)
    }

    pub(super) fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    pub(super) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    fn uri(&self, path: PathAndQuery) -> Option<Uri> {
        let parts = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        parts.path_and_query(path).build().ok()
    }
}

/// What a place that the registry named, or that is ours, is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Requests of this kind.
    Kind(Kind),
    /// Measuring the link; not counted.
    Measure,
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) origin: Origin,
    pub(super) uri: Uri,
    /// Number and purpose of the place; none for the registry itself.
    pub(super) place: Option<(usize, Purpose)>,
}

impl Target {
    /// What the request is about, whatever its method.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self.place {
            None => Some(Kind::of_path(self.uri.path())),
            Some((_, Purpose::Kind(kind))) => Some(kind),
            Some((_, Purpose::Measure)) => None,
        }
    }
}

/// The places that a proxy leads to.
pub(super) struct Origins {
    registry: Origin,
    named: RwLock<Vec<(Origin, Purpose)>>,
}

impl Origins {
    pub(super) fn new(registry: Origin) -> Self {
        Self { registry, named: RwLock::default() }
    }

    /// Where a request for this path goes; `None` if it leads nowhere.
    pub(super) fn target(&self, path: &PathAndQuery) -> Option<Target> {
        let Some(rest) = path.as_str().strip_prefix(PREFIX) else {
            let uri = self.registry.uri(path.clone())?;
            return Some(Target { origin: self.registry.clone(), uri, place: None });
        };
        let (number, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let number: usize = number.parse().ok()?;
        let (origin, purpose) =
            self.named.read().unwrap_or_else(PoisonError::into_inner).get(number)?.clone();
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        let uri = origin.uri(rest.parse().ok()?)?;
        Some(Target { origin, uri, place: Some((number, purpose)) })
    }

    /// The path that leads to the root of a place from now on, without a `/` at its end.
    pub(super) fn name(&self, origin: &Origin, purpose: Purpose) -> String {
        let mut named = self.named.write().unwrap_or_else(PoisonError::into_inner);
        let known = named.iter().position(|one| one.0 == *origin && one.1 == purpose);
        let number = known.unwrap_or_else(|| {
            named.push((origin.clone(), purpose));
            named.len() - 1
        });
        format!("{PREFIX}{number}")
    }

    /// The `Location` that keeps a client on the proxy, which it knows as `host`; `None` if it may
    /// stay as it is. `from` is where the answer comes from.
    pub(super) fn location(&self, location: &str, from: &Target, host: &str) -> Option<String> {
        let absolute;
        let location = if location.starts_with("//") {
            absolute = format!("{}:{location}", from.origin.scheme);
            absolute.as_str()
        } else if location.starts_with('/') {
            // From the root of where it comes from; other relative ones need no help.
            return from.place.map(|(number, _)| format!("{PREFIX}{number}{location}"));
        } else {
            location
        };
        let uri: Uri = location.parse().ok()?;
        let to = Origin::of(&uri)?;
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        if is_here(&to, host) {
            return None;
        }
        if to == self.registry {
            return Some(format!("http://{host}{path}"));
        }
        let purpose = from
            .place
            .map_or_else(|| Purpose::Kind(Kind::of_path(from.uri.path())), |(_, purpose)| purpose);
        Some(format!("http://{host}{}{path}", self.name(&to, purpose)))
    }

    /// The address of a token server that keeps a client on the proxy; `None` if it is no address.
    pub(super) fn realm(&self, realm: &str, host: &str) -> Option<String> {
        let uri: Uri = realm.parse().ok()?;
        let to = Origin::of(&uri)?;
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        // The registry took its own name from the client's request.
        let to = if is_here(&to, host) { &self.registry } else { &to };
        Some(format!("http://{host}{}{path}", self.name(to, Purpose::Kind(Kind::Token))))
    }
}

/// Whether this is the proxy itself as the client knows it.
fn is_here(origin: &Origin, host: &str) -> bool {
    let here = host.parse().ok().and_then(|host| Origin::new(Scheme::HTTP, host));
    here.is_some_and(|here| here == *origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "127.0.0.1:4000";

    fn origins() -> Origins {
        let authority = Authority::from_static("registry.invalid");
        Origins::new(Origin::new(Scheme::HTTPS, authority).unwrap())
    }

    fn target(origins: &Origins, path: &str) -> Target {
        origins.target(&path.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_registry_itself_is_where_a_path_leads_by_itself() {
        let origins = origins();
        let target = target(&origins, "/v2/a/blobs/sha256:0?x=%2F");
        assert_eq!(target.uri, "https://registry.invalid/v2/a/blobs/sha256:0?x=%2F");
        assert_eq!(target.kind(), Some(Kind::Blob));
    }

    #[test]
    fn locations_stay_on_the_proxy() {
        let origins = origins();
        let from = target(&origins, "/v2/a/blobs/uploads/");
        let location = |location: &str| origins.location(location, &from, HERE);
        // As it is, or relative: right already.
        assert_eq!(location("http://127.0.0.1:4000/v2/a"), None);
        assert_eq!(location("/v2/a/blobs/uploads/1"), None);
        assert_eq!(location("?digest=1"), None);
        for own in [
            "https://registry.invalid/v2/a?x=1",
            "https://REGISTRY.invalid:443/v2/a?x=1",
            "//registry.invalid/v2/a?x=1",
        ] {
            assert_eq!(location(own).as_deref(), Some("http://127.0.0.1:4000/v2/a?x=1"), "{own}");
        }
        // The same host without TLS is another place.
        assert_eq!(
            location("http://registry.invalid/v2/a").as_deref(),
            Some("http://127.0.0.1:4000/.breakeven/0/v2/a")
        );
        assert_eq!(location("ftp://registry.invalid/v2/a"), None);
    }

    #[test]
    fn another_place_is_reached_by_its_number_and_keeps_path_and_kind() {
        let origins = origins();
        assert!(origins.target(&PathAndQuery::from_static("/.breakeven/0/x")).is_none());
        let from = target(&origins, "/v2/a/blobs/sha256:0");
        let signed = "https://store.invalid:9000/b%2Fc?X-Signature=a%2Bb";
        let location = origins.location(signed, &from, HERE).unwrap();
        assert_eq!(location, "http://127.0.0.1:4000/.breakeven/0/b%2Fc?X-Signature=a%2Bb");
        assert_eq!(origins.location(signed, &from, HERE).as_ref(), Some(&location));
        let store = target(&origins, "/.breakeven/0/b%2Fc?X-Signature=a%2Bb");
        assert_eq!(store.uri, signed);
        assert_eq!(store.kind(), Some(Kind::Blob));
        // Relative to the store.
        let next = origins.location("/d", &store, HERE);
        assert_eq!(next.as_deref(), Some("/.breakeven/0/d"));
        // And back to the registry.
        let back = origins.location("https://registry.invalid/v2/", &store, HERE);
        assert_eq!(back.as_deref(), Some("http://127.0.0.1:4000/v2/"));
    }

    #[test]
    fn token_servers_have_a_kind_of_their_own() {
        let origins = origins();
        let realm = |realm: &str| origins.realm(realm, HERE);
        assert_eq!(
            realm("https://auth.invalid/token?a=b").as_deref(),
            Some("http://127.0.0.1:4000/.breakeven/0/token?a=b")
        );
        assert_eq!(
            realm("https://registry.invalid/token").as_deref(),
            Some("http://127.0.0.1:4000/.breakeven/1/token")
        );
        // Named after what the client had called it.
        assert_eq!(
            realm("http://127.0.0.1:4000/token").as_deref(),
            Some("http://127.0.0.1:4000/.breakeven/1/token")
        );
        assert_eq!(realm("Registry Realm"), None);
        assert_eq!(realm("https://user:password@auth.invalid/"), None);
        let token = target(&origins, "/.breakeven/0/token?a=b&service=c");
        assert_eq!(token.uri, "https://auth.invalid/token?a=b&service=c");
        assert_eq!(token.kind(), Some(Kind::Token));
    }

    #[test]
    fn numbers_that_nobody_named_lead_nowhere() {
        for path in ["/.breakeven/", "/.breakeven/7/x", "/.breakeven/-1/x", "/.breakeven/x"] {
            assert!(origins().target(&path.parse().unwrap()).is_none(), "{path}");
        }
    }
}

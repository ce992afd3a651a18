//! Headers that concern one connection only, and those that name another place.

use http_auth::ChallengeParser;
use hyper::HeaderMap;
use hyper::header::{
    CONNECTION, EXPECT, HeaderName, HeaderValue, LOCATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};

const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    // Each side is told to continue by its own server.
    EXPECT,
];

/// Removes what concerns one connection only.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Exchanges `Location` for what `rewrite` makes of it, if it makes anything.
pub(super) fn rewrite_location(
    headers: &mut HeaderMap,
    rewrite: impl FnOnce(&str) -> Option<String>,
) {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    if let Some(value) = location.and_then(rewrite).and_then(|new| HeaderValue::try_from(new).ok())
    {
        headers.insert(LOCATION, value);
    }
}

/// Exchanges the addresses of token servers (`realm` of `Bearer`) for what `rewrite` makes of them.
pub(super) fn rewrite_realms(headers: &mut HeaderMap, rewrite: impl Fn(&str) -> Option<String>) {
    if !headers.contains_key(WWW_AUTHENTICATE) {
        return;
    }
    let rewritten: Vec<HeaderValue> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .map(|value| {
            let new = value.to_str().ok().map(|text| rewrite_challenges(text, &rewrite));
            new.and_then(|new| HeaderValue::try_from(new).ok()).unwrap_or_else(|| value.clone())
        })
        .collect();
    headers.remove(WWW_AUTHENTICATE);
    for value in rewritten {
        headers.append(WWW_AUTHENTICATE, value);
    }
}

fn rewrite_challenges(text: &str, rewrite: &impl Fn(&str) -> Option<String>) -> String {
    let mut new = text.to_owned();
    for challenge in ChallengeParser::new(text).map_while(Result::ok) {
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            continue;
        }
        for (_, realm) in
            challenge.params.iter().filter(|(name, _)| name.eq_ignore_ascii_case("realm"))
        {
            let realm = realm.as_escaped();
            if let Some(address) = rewrite(realm) {
                new = new.replace(&format!("\"{realm}\""), &format!("\"{address}\""));
            }
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        headers.iter().map(pair).collect()
    }

    #[test]
    fn what_concerns_one_connection_goes_no_further() {
        let mut headers = map(&[
            ("connection", "Keep-Alive, X-Hop"),
            ("keep-alive", "timeout=5"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("authorization", "Basic x"),
            ("content-length", "3"),
        ]);
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("authorization", "Basic x"), ("content-length", "3")]));
    }

    #[test]
    fn only_addresses_of_token_servers_are_rewritten() {
        let mut headers = map(&[
            ("www-authenticate", "Basic realm=\"Registry Realm\""),
            (
                "www-authenticate",
                "Bearer realm=\"https://auth.invalid/token\",service=\"https://auth.invalid\"",
            ),
        ]);
        rewrite_realms(&mut headers, |realm| {
            (realm == "https://auth.invalid/token").then(|| "http://here/1/token".to_owned())
        });
        let values: Vec<_> = headers.get_all(WWW_AUTHENTICATE).iter().collect();
        assert_eq!(
            values,
            [
                "Basic realm=\"Registry Realm\"",
                "Bearer realm=\"http://here/1/token\",service=\"https://auth.invalid\""
            ]
        );
    }

    #[test]
    fn what_is_no_challenge_is_left_as_it_is() {
        let mut headers = map(&[("www-authenticate", "Bearer realm=\"open")]);
        let before = headers.clone();
        rewrite_realms(&mut headers, |_| Some("never".to_owned()));
        assert_eq!(headers, before);
    }
}

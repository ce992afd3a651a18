//! A registry that speaks TLS, asks for a token and keeps its blobs elsewhere: the client never
//! leaves the proxy.

use super::support::{HERE, Reply, Server, answer, client, header, ok};
use breakeven::link::{Count, Kind, Proxy, Upstream};
use std::sync::{Arc, Mutex};

const BLOB: &str = "/v2/a/blobs/sha256:00";

/// The three places of a large registry, and the proxy in front of them.
struct Places {
    registry: Server,
    tokens: Server,
    storage: Server,
    proxy: Proxy,
}

impl Places {
    async fn start() -> Self {
        let tokens = Server::plain(|_| Reply::Keep(ok(r#"{"token":"t"}"#))).await;
        let storage = Server::plain(|_| Reply::Keep(ok("layer"))).await;
        let realm =
            format!("Bearer realm=\"http://{}/token?a=b\",service=\"registry\"", tokens.address);
        let signed = format!("http://{}/bucket/x%2Fy?X-Signature=a%2Bb", storage.address);
        let own_name = Arc::new(Mutex::new(String::new()));
        let name = own_name.clone();
        let registry = Server::tls(move |seen| {
            if seen.header("authorization") != Some("Bearer t") {
                let basic = ("WWW-Authenticate", "Basic realm=\"a name\"");
                let headers = [basic, ("WWW-Authenticate", realm.as_str())];
                return Reply::Keep(answer("401 Unauthorized", &headers, "{}"));
            }
            let name = name.lock().unwrap();
            let upload = format!("https://{name}/v2/a/blobs/uploads/1?state=x");
            Reply::Keep(match seen.line.split(' ').next() {
                Some("POST") => answer("202 Accepted", &[("Location", &upload)], ""),
                Some("GET") => answer("307 Temporary Redirect", &[("Location", &signed)], "moved"),
                _ => ok(""),
            })
        })
        .await;
        *own_name.lock().unwrap() = registry.name();
        let proxy = Proxy::start(HERE, registry.tls_upstream()).await.unwrap();
        Self { registry, tokens, storage, proxy }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.proxy.address())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_server_is_reached_through_the_proxy_with_the_clients_credentials() {
    let places = Places::start().await;
    let refused = client().get(places.url("/v2/")).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let challenges: Vec<_> = refused.headers().get_all("www-authenticate").iter().collect();
    let expected =
        format!("Bearer realm=\"{}\",service=\"registry\"", places.url("/.breakeven/0/token?a=b"));
    assert_eq!(challenges, ["Basic realm=\"a name\"", expected.as_str()]);
    // As a client makes it of the realm.
    let url = places.url("/.breakeven/0/token?a=b&service=registry&scope=x");
    let token = client().get(url).basic_auth("me", Some("secret")).send().await.unwrap();
    assert_eq!(token.text().await.unwrap(), r#"{"token":"t"}"#);
    let seen = places.tokens.seen();
    assert_eq!(seen[0].line, "GET /token?a=b&service=registry&scope=x HTTP/1.1");
    assert_eq!(seen[0].header("authorization"), Some("Basic bWU6c2VjcmV0"));
    assert_eq!(seen[0].header("host"), Some(places.tokens.address.to_string().as_str()));
    let count = Count { requests: 1, bytes_down: 13, bytes_up: 0 };
    assert_eq!(places.proxy.traffic().kind(Kind::Token), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_kept_elsewhere_comes_through_the_proxy_without_the_credentials() {
    let places = Places::start().await;
    let moved = client().get(places.url(BLOB)).bearer_auth("t").send().await.unwrap();
    assert_eq!(moved.status(), 307);
    let location = header(&moved, "location");
    assert_eq!(location, places.url("/.breakeven/0/bucket/x%2Fy?X-Signature=a%2Bb"));
    // The client takes it for the same host and shows its token.
    let blob = client().get(&location).bearer_auth("t").header("cookie", "c=1");
    assert_eq!(blob.send().await.unwrap().text().await.unwrap(), "layer");
    let seen = places.storage.seen();
    // Exactly as it was signed.
    assert_eq!(seen[0].line, "GET /bucket/x%2Fy?X-Signature=a%2Bb HTTP/1.1");
    assert_eq!(seen[0].header("host"), Some(places.storage.address.to_string().as_str()));
    assert_eq!((seen[0].header("authorization"), seen[0].header("cookie")), (None, None));
    let count = Count { requests: 2, bytes_down: 10, bytes_up: 0 };
    assert_eq!(places.proxy.traffic().kind(Kind::Blob), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_stays_on_the_proxy_and_the_registry_sees_its_own_name() {
    let places = Places::start().await;
    let url = places.url("/v2/a/blobs/uploads/");
    let begun = client().post(url).bearer_auth("t").send().await.unwrap();
    let location = header(&begun, "location");
    assert_eq!(location, places.url("/v2/a/blobs/uploads/1?state=x"));
    let put = client().put(&location).bearer_auth("t").body("layer").send().await.unwrap();
    assert_eq!(put.status(), 200);
    let seen = places.registry.seen();
    assert_eq!(seen[1].line, "PUT /v2/a/blobs/uploads/1?state=x HTTP/1.1");
    assert_eq!(seen[1].body, b"layer");
    assert_eq!(seen[1].header("host"), Some(places.registry.name().as_str()));
    assert_eq!(seen[1].header("authorization"), Some("Bearer t"));
    let count = Count { requests: 2, bytes_down: 0, bytes_up: 5 };
    assert_eq!(places.proxy.traffic().kind(Kind::Upload), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_an_error_with_its_reason() {
    let registry = Server::tls(|_| Reply::Keep(ok(""))).await;
    let known = Server::tls(|_| Reply::Keep(ok(""))).await;
    let upstream = Upstream::https(registry.name()).with_root(known.certificate.clone());
    let proxy = Proxy::start(HERE, upstream).await.unwrap();
    let refused = client().get(format!("http://{}/v2/", proxy.address())).send().await.unwrap();
    assert_eq!(refused.status(), 502);
    let text = refused.text().await.unwrap();
    assert!(text.contains("certificate") && text.contains(&registry.name()), "{text}");
    assert_eq!(registry.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_registry_sees_the_name_that_the_client_uses() {
    let registry = Server::plain(|_| Reply::Keep(ok(""))).await;
    let proxy = Proxy::start(HERE, registry.plain_upstream()).await.unwrap();
    let url = format!("http://{}/v2/", proxy.address());
    let request = client().get(&url).header("connection", "x-hop").header("x-hop", "1");
    assert_eq!(request.header("x-end", "2").send().await.unwrap().status(), 200);
    let seen = registry.seen();
    assert_eq!(seen[0].header("host"), Some(proxy.address().to_string().as_str()));
    assert_eq!((seen[0].header("x-hop"), seen[0].header("x-end")), (None, Some("2")));
}

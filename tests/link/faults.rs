//! Registries that misbehave: the client is told, and never given an answer that looks complete.

use super::support::{HERE, PATIENCE, Reply, Server, answer, client, ok};
use breakeven::link::{Kind, Proxy, Upstream};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a client gets from a registry that replies like this to everything.
async fn got(reply: Reply) -> Result<(u16, String), reqwest::Error> {
    let server = Server::plain(move |_| reply.clone()).await;
    let proxy = Proxy::start(HERE, server.plain_upstream()).await.unwrap();
    let url = format!("http://{}/v2/a/blobs/sha256:00", proxy.address());
    let answer = client().get(url).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_refuses_is_a_502_with_its_address_and_the_reason() {
    let free = TcpListener::bind((HERE, 0)).await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(HERE, Upstream::http(free.to_string())).await.unwrap();
    let url = format!("http://{}/v2/", proxy.address());
    let answer = client().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 502);
    let text = answer.text().await.unwrap();
    let errors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let message = errors["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains(&free.to_string()) && message.contains("refused"), "{message}");
    assert_eq!(proxy.traffic().answers(5), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_closes_without_an_answer_is_a_502() {
    let (status, text) = got(Reply::Close(String::new())).await.unwrap();
    assert_eq!(status, 502);
    assert!(text.contains("cannot be reached"), "{text}");
    let (status, _) = got(Reply::Close("HTTP/1.1 200".to_owned())).await.unwrap();
    assert_eq!(status, 502);
    let (status, _) = got(Reply::Close("nonsense\r\n\r\n".to_owned())).await.unwrap();
    assert_eq!(status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_says_nothing_is_a_502_in_the_end() {
    let (status, text) = got(Reply::Hang(String::new())).await.unwrap();
    assert_eq!(status, 502);
    assert!(text.contains(&format!("no answer for {PATIENCE:?}")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_too_early_is_broken_for_the_client_too() {
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
    assert!(got(Reply::Close(short.to_owned())).await.is_err());
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlayer\r\n";
    assert!(got(Reply::Close(chunked.to_owned())).await.is_err());
    // One that just stops, with the connection open.
    assert!(got(Reply::Hang(short.to_owned())).await.is_err());
    // And a whole one is whole.
    let whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlayer\r\n0\r\n\r\n";
    assert_eq!(got(Reply::Close(whole.to_owned())).await.unwrap(), (200, "layer".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_longer_than_its_length_is_cut_at_it() {
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlayer and more";
    assert_eq!(got(Reply::Close(long.to_owned())).await.unwrap(), (200, "layer".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_fault_goes_well() {
    let count = AtomicUsize::new(0);
    let server = Server::plain(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::Close("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbad".to_owned()),
        1 => Reply::Close(String::new()),
        _ => Reply::Keep(ok("good")),
    })
    .await;
    let proxy = Proxy::start(HERE, server.plain_upstream()).await.unwrap();
    let url = format!("http://{}/v2/a/blobs/sha256:00", proxy.address());
    assert!(client().get(&url).send().await.unwrap().bytes().await.is_err());
    assert_eq!(client().get(&url).send().await.unwrap().status(), 502);
    assert_eq!(client().get(&url).send().await.unwrap().text().await.unwrap(), "good");
    // Three of "bad" had come.
    assert_eq!(proxy.traffic().kind(Kind::Blob).bytes_down, 3 + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_upload_is_complete_arrives() {
    let refused = || answer("403 Forbidden", &[("Connection", "close")], "no");
    let server = Server::plain(move |seen| {
        assert_eq!(seen.line, "PUT /v2/a/blobs/uploads/1 HTTP/1.1");
        Reply::Close(refused())
    })
    .await;
    let proxy = Proxy::start(HERE, server.plain_upstream()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    // The server reads bodies of known length only: with chunks it answers at the head.
    let head =
        "PUT /v2/a/blobs/uploads/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(format!("{head}5\r\nlayer\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403") && answer.ends_with("no"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_without_asking_the_registry() {
    let server = Server::plain(|_| Reply::Keep(ok(""))).await;
    let proxy = Proxy::start(HERE, server.plain_upstream()).await.unwrap();
    for (request, status) in [
        ("CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere\r\n\r\n", "HTTP/1.1 404"),
        ("nonsense\r\n\r\n", "HTTP/1.1 400"),
    ] {
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), status);
    }
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_can_be_ended_and_what_follows_goes_well() {
    let count = AtomicUsize::new(0);
    let server = Server::plain(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::Hang(String::new()),
        _ => Reply::Keep(ok("good")),
    })
    .await;
    let proxy = Proxy::start(HERE, server.plain_upstream()).await.unwrap();
    let url = format!("http://{}/v2/a/manifests/1", proxy.address());
    let asked = tokio::spawn(client().get(&url).send());
    while server.seen().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    proxy.hang_up();
    // Not the 502 that it would get in the end.
    assert!(asked.await.unwrap().is_err());
    assert!(client().get(&url).send().await.is_err());
    proxy.answer_again();
    assert_eq!(client().get(&url).send().await.unwrap().text().await.unwrap(), "good");
}

//! The shared storage's proxy: plain requests and tunnels.

use super::support::{HERE, Reply, Server, ok};
use breakeven::link::{Count, Direction, Forward, Kind, Limiter, Method, Shape};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn through(forward: &Forward) -> reqwest::Client {
    let proxy = reqwest::Proxy::all(format!("http://{}", forward.address())).unwrap();
    reqwest::Client::builder().no_proxy().proxy(proxy).build().unwrap()
}

async fn forward(shape: &Shape) -> Forward {
    Forward::start(HERE, &Limiter::new(shape)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_requests_keep_host_and_path_so_that_signatures_hold() {
    let server = Server::plain(|_| Reply::Keep(ok("archive"))).await;
    let forward = forward(&Shape::default()).await;
    let url = format!("http://{}/bucket/a%2Fb?x-id=PutObject", server.address);
    let put = through(&forward).put(&url).header("authorization", "AWS4 x").body("layer");
    assert_eq!(put.send().await.unwrap().text().await.unwrap(), "archive");
    let seen = server.seen();
    assert_eq!(seen[0].line, "PUT /bucket/a%2Fb?x-id=PutObject HTTP/1.1");
    assert_eq!(seen[0].header("host"), Some(server.address.to_string().as_str()));
    assert_eq!(seen[0].header("authorization"), Some("AWS4 x"));
    assert_eq!(seen[0].header("proxy-connection"), None);
    let count = Count { requests: 1, bytes_down: 7, bytes_up: 5 };
    assert_eq!(forward.traffic().count(Method::Put, Kind::Storage), count);
    assert_eq!(forward.traffic().answers(2), 1);
}

/// Opens a tunnel to there.
async fn tunnel(forward: &Forward, to: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(forward.address()).await.unwrap();
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(head).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_carries_bytes_both_ways_to_their_end() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        // Only now: the end of one direction must not end the other.
        stream.write_all(&all[..100_000]).await.unwrap();
        all.len()
    });
    let forward = forward(&Shape::default()).await;
    let (mut stream, head) = tunnel(&forward, &address.to_string()).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    stream.write_all(&vec![7; 300_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, vec![7; 100_000]);
    assert_eq!(server.await.unwrap(), 300_000);
    let count = Count { requests: 1, bytes_down: 100_000, bytes_up: 300_000 };
    assert_eq!(forward.traffic().method(Method::Connect), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_is_shaped_and_each_turn_takes_a_round_trip() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = [0; 4];
        while stream.read_exact(&mut question).await.is_ok() {
            stream.write_all(&[0; 50_000]).await.unwrap();
        }
    });
    let rtt = Duration::from_millis(30);
    let shape = Shape { down_bps: Some(8e6), up_bps: None, rtt };
    let forward = forward(&shape).await;
    let start = Instant::now();
    let (mut stream, _) = tunnel(&forward, &address.to_string()).await;
    assert!(start.elapsed() >= rtt);
    let (start, mut answer) = (Instant::now(), vec![0; 50_000]);
    for _ in 0..2 {
        stream.write_all(b"next").await.unwrap();
        stream.read_exact(&mut answer).await.unwrap();
    }
    assert!(start.elapsed() >= 2 * rtt + Duration::from_millis(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_refuses_is_named() {
    let free = TcpListener::bind((HERE, 0)).await.unwrap().local_addr().unwrap();
    let forward = forward(&Shape::default()).await;
    let (_, head) = tunnel(&forward, &free.to_string()).await;
    assert!(head.starts_with("HTTP/1.1 502"), "{head}");
    let answer = through(&forward).get(format!("http://{free}/x")).send().await.unwrap();
    assert_eq!(answer.status(), 502);
    assert!(answer.text().await.unwrap().contains(&free.to_string()));
    assert_eq!(forward.traffic().answers(5), 2);
    // What is meant for no place is no request for this proxy.
    let direct = format!("http://{}/x", forward.address());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(http.get(direct).send().await.unwrap().status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_shares_the_line_with_the_proxies() {
    let server = Server::plain(|_| Reply::Keep(ok(&"x".repeat(100_000)))).await;
    let limiter = Limiter::new(&Shape { down_bps: Some(8e6), ..Shape::default() });
    let forward = Forward::start(HERE, &limiter).await.unwrap();
    let start = Instant::now();
    let mut folder = limiter.stream(Direction::Down);
    let copy = async {
        for _ in 0..10 {
            folder.carry(10_000).await;
        }
    };
    let get = through(&forward).get(format!("http://{}/x", server.address)).send();
    let ((), answer) = tokio::join!(copy, async { get.await.unwrap().bytes().await.unwrap() });
    assert_eq!(answer.len(), 100_000);
    assert!(start.elapsed() >= Duration::from_millis(195));
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnels_end_with_their_proxy() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let forward = forward(&Shape::default()).await;
    let (mut stream, _) = tunnel(&forward, &address.to_string()).await;
    let (mut server, _) = listener.accept().await.unwrap();
    forward.close().await;
    assert_eq!(server.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

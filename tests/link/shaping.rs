//! Shapes that change while connections live, and measuring them. Times are only held against what
//! cannot be undercut.

use super::support::{HERE, Reply, Server, client, ok};
use breakeven::link::{Kind, Measured, Proxy, Shape, Traffic, measure};
use std::time::{Duration, Instant};

/// A proxy in front of a server that sends a megabyte.
async fn megabyte() -> (Server, Proxy, String) {
    let server = Server::plain(|seen| {
        Reply::Keep(ok(&if seen.line.starts_with("GET") {
            "x".repeat(1_000_000)
        } else {
            String::new()
        }))
    })
    .await;
    let proxy = Proxy::start(HERE, server.plain_upstream()).await.unwrap();
    let url = format!("http://{}/v2/a/blobs/sha256:00", proxy.address());
    (server, proxy, url)
}

fn shape(down_bps: Option<f64>, up_bps: Option<f64>, rtt_ms: u64) -> Shape {
    Shape { down_bps, up_bps, rtt: Duration::from_millis(rtt_ms) }
}

async fn get(http: &reqwest::Client, url: &str) -> usize {
    http.get(url).send().await.unwrap().bytes().await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_takes_a_second_at_eight_megabits_whatever_connections_carry_it() {
    let (_server, proxy, url) = megabyte().await;
    proxy.set_shape(&shape(Some(32e6), Some(8e6), 0));
    let start = Instant::now();
    let (one, two) = (client(), client());
    let gets = (0..4).map(|index| get(if index % 2 == 0 { &one } else { &two }, &url));
    assert_eq!(futures_util::future::join_all(gets).await, [1_000_000; 4]);
    assert!(start.elapsed() >= Duration::from_millis(990));

    let start = Instant::now();
    let put = client().put(&url).body(vec![0; 1_000_000]).send().await.unwrap();
    assert_eq!(put.status(), 200);
    assert!(start.elapsed() >= Duration::from_millis(990));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shape_changes_under_a_transfer() {
    let (_server, proxy, url) = megabyte().await;
    // Hours for a megabyte: only the change can end it.
    proxy.set_shape(&shape(Some(20e3), None, 0));
    let mut answer = client().get(&url).send().await.unwrap();
    let mut bytes = answer.chunk().await.unwrap().unwrap().len();
    proxy.set_shape(&Shape::default());
    while let Some(chunk) = answer.chunk().await.unwrap() {
        bytes += chunk.len();
    }
    assert_eq!(bytes, 1_000_000);
    assert_eq!(proxy.traffic().kind(Kind::Blob).bytes_down, 1_000_000);
    assert_eq!(proxy.limiter().shape(), Shape::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_takes_a_round_trip_and_a_new_connection_two_more() {
    let (_server, proxy, url) = megabyte().await;
    let rtt = Duration::from_millis(50);
    proxy.set_shape(&Shape { rtt, ..Shape::default() });
    let (start, http) = (Instant::now(), client());
    assert_eq!(http.head(&url).send().await.unwrap().status(), 200);
    assert!(start.elapsed() >= 3 * rtt);
    let start = Instant::now();
    assert_eq!(http.head(&url).send().await.unwrap().status(), 200);
    assert!(start.elapsed() >= rtt);
}

#[tokio::test(flavor = "multi_thread")]
async fn measuring_says_what_the_link_does_and_leaves_no_trace() {
    let (server, proxy, _url) = megabyte().await;
    let asked = shape(Some(40e6), Some(8e6), 30);
    proxy.set_shape(&asked);
    let Measured { down_bps, up_bps, rtt } = measure(&proxy).await.unwrap();
    assert!(down_bps <= 40e6 && up_bps <= 8e6, "a line never carries more: {down_bps} {up_bps}");
    assert!(down_bps > 1e6 && up_bps > 1e6, "{down_bps} {up_bps}");
    assert!(rtt >= asked.rtt);
    assert_eq!(proxy.traffic(), Traffic::default());
    assert_eq!(server.seen().len(), 0);
    // Without limits it is bounded too, and as often as one likes.
    proxy.set_shape(&Shape::default());
    let measured = measure(&proxy).await.unwrap();
    assert_eq!(
        measured.off(&Shape::default()).iter().filter(|off| off.contains("bit/s")).count(),
        0
    );
    assert!(measured.down_bps > 1e6 && measured.up_bps > 1e6, "{measured:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_cannot_carry_what_was_asked_is_named() {
    let (_server, proxy, _url) = megabyte().await;
    // No machine carries this much through two sockets.
    let asked = shape(Some(1e15), None, 0);
    proxy.set_shape(&asked);
    let measured = measure(&proxy).await.unwrap();
    let off = measured.off(&asked);
    assert!(off[0].contains("down") && off[0].contains("instead of 1000000000.00"), "{off:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_has_ended_cannot_be_measured() {
    let (_server, proxy, _url) = megabyte().await;
    proxy.close().await;
    let error = measure(&proxy).await.unwrap_err().to_string();
    assert!(error.contains(&proxy.address().to_string()), "{error}");
}

//! A real registry's API through the proxy: nothing is lost, and everything is counted.

use super::support::{HERE, Rig, client, content, digest, header, with_digest};
use breakeven::link::{Count, Kind, Method, Proxy, Upstream};
use std::net::{IpAddr, Ipv4Addr};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn manifest(config: &str, layer: &str, sizes: (usize, usize)) -> String {
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config,
            "size": sizes.0,
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": layer,
            "size": sizes.1,
        }],
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_goes_up_and_comes_down_and_is_counted_to_the_byte() {
    let rig = Rig::start().await;
    let start = rig.proxy.traffic();
    assert_eq!(rig.http.get(rig.url("/v2/")).send().await.unwrap().status(), 200);

    let (config, layer) = (b"{}".to_vec(), content(3_000_000, 1));
    let config_digest = rig.upload("team/a", &config).await;
    // In two chunks, as docker does it.
    let place = rig.begin_upload("team/a").await;
    let chunk = rig.http.patch(&place).header("content-range", "0-999999");
    let answer = chunk.body(layer[..1_000_000].to_vec()).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let place = header(&answer, "location");
    let chunk = rig.http.patch(&place).header("content-range", "1000000-2999999");
    let answer = chunk.body(layer[1_000_000..].to_vec()).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let layer_digest = digest(&layer);
    let finish = with_digest(&header(&answer, "location"), &layer_digest);
    assert_eq!(rig.http.put(finish).send().await.unwrap().status(), 201);

    let manifest = manifest(&config_digest, &layer_digest, (config.len(), layer.len()));
    let url = rig.url("/v2/team/a/manifests/main");
    let put = rig.http.put(&url).header("content-type", MANIFEST).body(manifest.clone());
    assert_eq!(put.send().await.unwrap().status(), 201);
    let pushed = rig.proxy.traffic() - start;
    let up = (config.len() + layer.len()) as u64;
    assert_eq!(pushed.kind(Kind::Upload).bytes_up, up);
    // Two times POST, two times PATCH, two times PUT.
    assert_eq!(pushed.kind(Kind::Upload).requests, 6);
    assert_eq!(pushed.count(Method::Patch, Kind::Upload).bytes_up, layer.len() as u64);
    let put = Count { requests: 1, bytes_down: 0, bytes_up: manifest.len() as u64 };
    assert_eq!(pushed.kind(Kind::Manifest), put);
    assert_eq!(pushed.kind(Kind::Probe), Count { requests: 1, bytes_down: 2, bytes_up: 0 });
    assert_eq!((pushed.answers(2), pushed.answers(4), pushed.answers(5)), (8, 0, 0));

    let before = rig.proxy.traffic();
    let got = rig.http.get(&url).header("accept", MANIFEST).send().await.unwrap();
    assert_eq!(header(&got, "docker-content-digest"), digest(manifest.as_bytes()));
    assert_eq!(got.bytes().await.unwrap(), manifest.as_bytes());
    let url = rig.url(&format!("/v2/team/a/blobs/{layer_digest}"));
    let head = rig.http.head(&url).send().await.unwrap();
    assert_eq!(header(&head, "content-length"), layer.len().to_string());
    assert_eq!(rig.http.get(&url).send().await.unwrap().bytes().await.unwrap(), layer);
    let part = rig.http.get(&url).header("range", "bytes=5-1004").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), layer[5..1005]);
    let pulled = rig.proxy.traffic() - before;
    let down = Count { requests: 2, bytes_down: layer.len() as u64 + 1000, bytes_up: 0 };
    assert_eq!(pulled.kind(Kind::Blob), down);
    assert_eq!(pulled.kind(Kind::Manifest).bytes_down, manifest.len() as u64);
    assert_eq!(pulled.kind(Kind::Probe), Count { requests: 1, bytes_down: 0, bytes_up: 0 });
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_is_told_from_an_upload() {
    let rig = Rig::start().await;
    let blob = rig.upload("a", b"layer").await;
    let before = rig.proxy.traffic();
    let mount = rig.url(&format!("/v2/b/blobs/uploads/?mount={blob}&from=a"));
    assert_eq!(rig.http.post(&mount).send().await.unwrap().status(), 201);
    assert_eq!((rig.proxy.traffic() - before).mounted, 1);
    // A blob that is not there is not mounted: an upload begins.
    let unknown = digest(b"nobody has it");
    let mount = rig.url(&format!("/v2/b/blobs/uploads/?mount={unknown}&from=a"));
    assert_eq!(rig.http.post(&mount).send().await.unwrap().status(), 202);
    assert_eq!((rig.proxy.traffic() - before).mounted, 1);
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registrys_errors_are_the_registrys() {
    let rig = Rig::start().await;
    let missing = rig.http.get(rig.url("/v2/a/manifests/none")).send().await.unwrap();
    assert_eq!(missing.status(), 404);
    assert!(missing.text().await.unwrap().contains("MANIFEST_UNKNOWN"));
    let place = rig.begin_upload("a").await;
    let wrong = rig.http.put(with_digest(&place, &digest(b"this"))).body("that").send().await;
    assert_eq!(wrong.unwrap().status(), 400);
    let nowhere = rig.http.get(rig.url("/.breakeven/3/x")).send().await.unwrap();
    assert_eq!(nowhere.status(), 404);
    assert!(nowhere.text().await.unwrap().contains("leads nowhere"));
    assert_eq!(rig.proxy.traffic().answers(4), 2);
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_requests_one_after_another_keep_their_connection() {
    let rig = Rig::start().await;
    let blob = rig.upload("a", b"layer").await;
    let (before, http) = (rig.proxy.traffic(), client());
    for _ in 0..300 {
        let url = rig.url(&format!("/v2/a/blobs/{blob}"));
        assert_eq!(http.get(url).send().await.unwrap().bytes().await.unwrap(), "layer");
    }
    let between = rig.proxy.traffic() - before;
    let count = Count { requests: 300, bytes_down: 1500, bytes_up: 0 };
    assert_eq!(between.total(), count);
    // The client may begin a request before its connection is free again.
    assert!(between.connections < 30, "{}", between.connections);
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_requests_at_once_get_each_their_own_answer() {
    let rig = Rig::start().await;
    let transfers = (0..32).map(|seed| {
        let rig = &rig;
        async move {
            let content = content(200_000 + usize::from(seed), seed);
            let blob = rig.upload(&format!("repository{}", seed % 4), &content).await;
            let url = rig.url(&format!("/v2/repository{}/blobs/{blob}", seed % 4));
            assert_eq!(rig.http.get(url).send().await.unwrap().bytes().await.unwrap(), content);
            content.len() as u64
        }
    });
    let bytes: u64 = futures_util::future::join_all(transfers).await.iter().sum();
    let traffic = rig.proxy.traffic();
    assert_eq!(traffic.kind(Kind::Upload).bytes_up, bytes);
    assert_eq!(traffic.kind(Kind::Blob).bytes_down, bytes);
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_the_registry_in_order() {
    let rig = Rig::start().await;
    let place = rig.begin_upload("a").await;
    let path = place.strip_prefix(&rig.url("")).unwrap();
    let mut leaver = TcpStream::connect(rig.proxy.address()).await.unwrap();
    let digest = digest(b"never sent in full");
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: {}\r\nContent-Length: 18\r\n\r\nnever",
        with_digest(path, &digest),
        rig.proxy.address()
    );
    leaver.write_all(head.as_bytes()).await.unwrap();
    leaver.flush().await.unwrap();
    while rig.proxy.traffic().kind(Kind::Upload).bytes_up < 5 {
        tokio::task::yield_now().await;
    }
    drop(leaver);
    let url = rig.url(&format!("/v2/a/blobs/{digest}"));
    assert_eq!(rig.http.head(&url).send().await.unwrap().status(), 404);
    // One that reads only the beginning of an answer does no harm either.
    let large = content(20_000_000, 3);
    let blob = rig.upload("a", &large).await;
    let url = rig.url(&format!("/v2/a/blobs/{blob}"));
    let mut answer = client().get(&url).send().await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    drop(answer);
    assert_eq!(rig.http.get(&url).send().await.unwrap().bytes().await.unwrap(), large);
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_asked_address_is_listened_on() {
    let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let proxy = Proxy::start(other, Upstream::http("127.0.0.1:1")).await.unwrap();
    assert_eq!(proxy.address().ip(), other);
    assert!(TcpStream::connect(proxy.address()).await.is_ok());
    let port = proxy.address().port();
    assert!(TcpStream::connect((HERE, port)).await.is_err());
    proxy.close().await;
    proxy.close().await;
    assert!(TcpStream::connect((other, port)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_cannot_be_are_refused_with_their_name() {
    let elsewhere = "192.0.2.1".parse().unwrap();
    let error = match Proxy::start(elsewhere, Upstream::http("127.0.0.1:1")).await {
        Ok(_) => panic!("192.0.2.1 is not ours"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains("192.0.2.1") && error.contains("one of this machine"), "{error}");
    for wrong in ["", "a b", "user:password@host"] {
        let error = match Proxy::start(HERE, Upstream::https(wrong)).await {
            Ok(_) => panic!("{wrong} is no address"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains("is no host:port"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_ends_with_its_owner() {
    let proxy = Proxy::start(HERE, Upstream::http("127.0.0.1:1")).await.unwrap();
    let address = proxy.address();
    drop(proxy);
    // Its tasks end as soon as they are next looked at.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

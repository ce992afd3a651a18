//! A server that fails, lies, is slow or refuses.

use crate::front::{self, Fault};
use crate::process::Server;
use crate::rig::{SECRET, access, content, failed_fetch, file, get, name, open, put, texts};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const MIB: usize = 1 << 20;
const DENIED: &str = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access \
                      Denied.</Message></Error>";
const BROKEN: &str = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>We are \
                      broken.</Message></Error>";

/// Waits until the server holds exactly this: some of it is tidied up in the background.
async fn settles_on(server: &Server, wanted: &[&str]) {
    for _ in 0..600 {
        if server.content() == wanted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.content(), wanted);
}

#[tokio::test]
async fn an_upload_that_fails_half_way_is_not_seen_and_leaves_no_parts() {
    let server = Server::start(&["shared"]);
    let dir = tempfile::tempdir().unwrap();
    let big = file(dir.path(), 40 * MIB);
    let good = open(&access(&server.address), "s3://shared", dir.path()).await.unwrap();
    put(good.as_ref(), "main.tar", b"old").await;
    for (fault, what) in [
        (Fault::Answer(500, BROKEN), "500 InternalError: We are broken"),
        (Fault::Answer(403, DENIED), "403 AccessDenied: Access Denied"),
        (Fault::Reset, "Nothing"),
    ] {
        let is_reset = matches!(fault, Fault::Reset);
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let address = front::start(&server.address, move |first| {
            if first.contains("partNumber=4") {
                counted.fetch_add(1, Ordering::Relaxed);
                return fault.clone();
            }
            Fault::None
        });
        let storage = open(&access(&address.await), "s3://shared", dir.path()).await.unwrap();
        let error = storage.store(&big, &name("main.tar")).await.unwrap_err().to_string();
        assert!(error.contains("store main.tar"), "{error}");
        assert!(error.contains("s3://shared/breakeven-r1"), "{error}");
        assert!(is_reset || error.contains(what), "{error}");
        // Not asked a second time while the clock runs.
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        settles_on(&server, &["shared/breakeven-r1/archives/main.tar"]).await;
        assert_eq!(get(good.as_ref(), "main.tar").await.unwrap(), b"old");
    }
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_no_parts() {
    let server = Server::start(&["shared"]);
    let dir = tempfile::tempdir().unwrap();
    let big = file(dir.path(), 40 * MIB);
    let (reached, mut all_but_one) = tokio::sync::mpsc::unbounded_channel();
    let address = front::start(&server.address, move |first| {
        if first.contains("partNumber=5") {
            reached.send(()).unwrap();
            return Fault::Silence;
        }
        Fault::None
    });
    let storage = open(&access(&address.await), "s3://shared", dir.path()).await.unwrap();
    let main = name("main.tar");
    tokio::select! {
        done = storage.store(&big, &main) => panic!("{done:?}"),
        _ = all_but_one.recv() => {}
    }
    settles_on(&server, &[]).await;
}

#[tokio::test]
async fn parts_of_an_upload_of_a_killed_run_are_found_by_clean() {
    let server = Server::start(&["shared"]);
    let dir = tempfile::tempdir().unwrap();
    let big = file(dir.path(), 40 * MIB);
    let scratch = dir.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let address = front::start(&server.address, |first| match first {
        // The abort does not get through either: as if the process were gone.
        first if first.contains("partNumber=5") => Fault::Answer(500, BROKEN),
        first if first.starts_with("DELETE") => Fault::Answer(403, DENIED),
        _ => Fault::None,
    });
    let storage = open(&access(&address.await), "s3://shared", &scratch).await.unwrap();
    let error = storage.store(&big, &name("main.tar")).await.unwrap_err().to_string();
    assert!(error.contains("500"), "{error}");
    drop(storage);
    assert!(!server.content().is_empty());
    let clean = open(&access(&server.address), "s3://shared", &scratch).await.unwrap();
    clean.close().await.unwrap();
    assert_eq!(server.content(), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
}

#[tokio::test]
async fn a_download_that_is_not_whole_is_an_error_and_leaves_nothing() {
    let server = Server::start(&["shared"]);
    let dir = tempfile::tempdir().unwrap();
    let whole = content(3 * MIB);
    for (fault, what) in [
        (Fault::Cut(MIB), "fetch main.tar"),
        (Fault::Cut(0), "fetch main.tar"),
        (Fault::Length(10), "but 3145728 were stored"),
        (Fault::Length(-10), "but 3145728 were stored"),
        (Fault::Answer(500, BROKEN), "500 InternalError"),
        (Fault::Answer(403, DENIED), "AWS_SECRET_ACCESS_KEY"),
        (Fault::Reset, "fetch main.tar"),
    ] {
        let spoils = fault.clone();
        let address = front::start(&server.address, move |first| {
            if first.starts_with("GET") && first.contains("main.tar") {
                return spoils.clone();
            }
            Fault::None
        });
        let storage = open(&access(&address.await), "s3://shared", dir.path()).await.unwrap();
        put(storage.as_ref(), "main.tar", &whole).await;
        let error = failed_fetch(storage.as_ref(), "main.tar").await;
        assert!(error.contains(what), "{fault:?}: {error}");
        assert!(!error.contains(SECRET), "{error}");
    }
    // One that does not know what was stored finds out by what comes.
    for fault in [Fault::Length(10), Fault::Cut(MIB)] {
        let spoils = fault.clone();
        let address = front::start(&server.address, move |first| {
            if first.contains("main.tar") { spoils.clone() } else { Fault::None }
        });
        let storage = open(&access(&address.await), "s3://shared", dir.path()).await.unwrap();
        let error = failed_fetch(storage.as_ref(), "main.tar").await;
        assert!(error.contains("fetch main.tar"), "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn a_slow_server_is_waited_for_until_the_caller_gives_up() {
    let server = Server::start(&["shared"]);
    let dir = tempfile::tempdir().unwrap();
    let whole = content(2 * MIB);
    let address = front::start(&server.address, |first| match first {
        first if first.contains("silent.tar") => Fault::Silence,
        first if first.starts_with("GET") && first.contains("main.tar") => Fault::Slow,
        _ => Fault::None,
    });
    let storage = open(&access(&address.await), "s3://shared", dir.path()).await.unwrap();
    put(storage.as_ref(), "main.tar", &whole).await;
    assert!(get(storage.as_ref(), "main.tar").await.unwrap() == whole);
    let to = dir.path().join("fetched");
    let silent = name("silent.tar");
    let fetch = storage.fetch(&silent, &to);
    assert!(tokio::time::timeout(Duration::from_millis(300), fetch).await.is_err());
    assert!(!to.exists());
}

#[tokio::test]
async fn what_is_wrong_is_said_when_the_storage_is_opened() {
    let server = Server::start(&["shared"]);
    let dir = tempfile::tempdir().unwrap();
    let good = access(&server.address);
    let without = |names: &[&str]| {
        let mut access = good.clone();
        access.environment.retain(|(name, _)| !names.contains(&name.as_str()));
        access
    };
    let with = |name: &str, value: &str| {
        let mut access = without(&[name]);
        access.environment.extend(texts(&[(name, value)]));
        access
    };
    // The machine that object_store asks when it has nothing else.
    let mut nobody = without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    nobody.environment.extend(texts(&[("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")]));
    for (access, address, wanted) in [
        (good.clone(), "s3://nowhere/p", &["NoSuchBucket", "Make the bucket"][..]),
        (with("AWS_SECRET_ACCESS_KEY", "another-secret"), "s3://shared", &["403", "allowed to"]),
        (with("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), "s3://shared", &["refused", "endpoint"]),
        (without(&["AWS_ALLOW_HTTP"]), "s3://shared", &["AWS_ALLOW_HTTP=true"]),
        (nobody, "s3://shared", &["No credentials", "AWS_ACCESS_KEY_ID"]),
        (without(&["AWS_SECRET_ACCESS_KEY"]), "s3://shared", &["SecretAccessKey"]),
        (good.clone(), "ftp://shared", &["`ftp://`", "s3://bucket/prefix"]),
        (good.clone(), "s3://key:another-secret@shared", &["no name of a bucket"]),
    ] {
        let error = open(&access, address, dir.path()).await.err().unwrap().to_string();
        for wanted in wanted {
            assert!(error.contains(wanted), "{address}: {error}");
        }
        assert!(!error.contains(SECRET) && !error.contains("another-secret"), "{error}");
    }
}

#[tokio::test]
async fn everything_goes_through_the_proxy_that_is_named() {
    let server = Server::start(&["shared"]);
    let dir = tempfile::tempdir().unwrap();
    let carried = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&carried);
    let proxy = front::start(&server.address, move |first| {
        // Those who speak to a proxy name the whole address.
        assert!(first.contains(" http://"), "{first}");
        counted.fetch_add(1, Ordering::Relaxed);
        Fault::None
    });
    let mut access = access(&server.address);
    access.proxy = Some(format!("http://{}", proxy.await));
    let storage = open(&access, "s3://shared", dir.path()).await.unwrap();
    put(storage.as_ref(), "main.tar", b"content").await;
    assert_eq!(get(storage.as_ref(), "main.tar").await.unwrap(), b"content");
    // One to look whether it answers, one up, one down.
    assert_eq!(carried.load(Ordering::Relaxed), 3);
}

//! What the storage is for, on the real server.

use crate::process::{Server, peak_while_carrying};
use crate::rig::{access, content, file, get, name, open, put};
use breakeven::storage;
use std::fs;

const MIB: usize = 1 << 20;

#[tokio::test]
async fn archives_of_any_size_come_back_as_they_were() {
    let server = Server::start(&["shared"]);
    let dir = tempfile::tempdir().unwrap();
    let storage = open(&access(&server.address), "s3://shared/a/b", dir.path()).await.unwrap();
    assert_eq!(get(storage.as_ref(), "main.tar").await, None);
    for size in [0, 1, 8 * MIB, 8 * MIB + 1, 27 * MIB + 17] {
        let content = content(size);
        put(storage.as_ref(), "main.tar", &content).await;
        assert!(get(storage.as_ref(), "main.tar").await.unwrap() == content, "{size} bytes");
    }
    assert_eq!(server.content(), ["shared/a/b/breakeven-r1/archives/main.tar"]);
    assert_eq!(get(storage.as_ref(), "other.tar").await, None);
    for bad in ["../x.tar", "/x.tar", "a/b.tar", ""] {
        let missing = dir.path().join("fetched");
        assert!(storage.fetch(&name(bad), &missing).await.is_err(), "{bad:?}");
    }
    storage.close().await.unwrap();
    assert_eq!(server.content(), Vec::<String>::new());
    // Notes of uploads do not outlive them.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_large_archive_takes_little_memory() {
    let server = Server::start(&["shared"]);
    let dir = tempfile::tempdir().unwrap();
    let file = file(dir.path(), 256 * MIB);
    let peak = peak_while_carrying(&server.address, &file);
    assert!(peak < 128.0, "{peak} MiB for 256");
}

#[tokio::test]
async fn what_is_remembered_comes_back_and_is_not_reached_by_later_archives() {
    let server = Server::start(&["shared"]);
    let dir = tempfile::tempdir().unwrap();
    let storage = open(&access(&server.address), "s3://shared", dir.path()).await.unwrap();
    let storage = storage.as_ref();
    put(storage, "main.tar", b"old").await;
    storage.remember("main").await.unwrap();
    for _ in 0..2 {
        put(storage, "main.tar", b"new").await;
        put(storage, "branch.tar", b"more").await;
        storage.restore(&["main".to_owned()]).await.unwrap();
        assert_eq!(get(storage, "main.tar").await.unwrap(), b"old");
        assert_eq!(get(storage, "branch.tar").await, None);
    }
    put(storage, "main.tar", b"newer").await;
    put(storage, "branch.tar", b"more").await;
    storage.remember("both").await.unwrap();
    storage.restore(&["main".to_owned(), "both".to_owned()]).await.unwrap();
    assert_eq!(get(storage, "main.tar").await.unwrap(), b"old");
    assert_eq!(get(storage, "branch.tar").await.unwrap(), b"more");
    // Under a name that was used before: the old content goes.
    put(storage, "main.tar", b"newest").await;
    storage.remember("main").await.unwrap();
    storage.restore(&[]).await.unwrap();
    assert_eq!(get(storage, "main.tar").await, None);
    storage.restore(&["main".to_owned()]).await.unwrap();
    assert_eq!(get(storage, "main.tar").await.unwrap(), b"newest");
    assert_eq!(server.content().len(), 6, "{:?}", server.content());
    let error = storage.restore(&["never".to_owned()]).await.unwrap_err().to_string();
    assert!(error.contains("never"), "{error}");
}

#[tokio::test]
async fn runs_side_by_side_do_not_meet_and_nothing_of_the_users_is_touched() {
    let server = Server::start(&["shared"]);
    let theirs = server.object("shared/team/main.tar");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "the user's").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let access = access(&server.address);
    let address = Some("s3://shared/team");
    let run = async |run: &str| storage::open(address, run, dir.path(), &access).await.unwrap();
    let (one, ten) = (run("r1").await, run("r10").await);
    let (of_one, of_ten) = (content(9 * MIB), content(10 * MIB));
    tokio::join!(put(one.as_ref(), "main.tar", &of_one), put(ten.as_ref(), "main.tar", &of_ten));
    for storage in [&one, &ten] {
        storage.remember("s").await.unwrap();
        storage.restore(&["s".to_owned()]).await.unwrap();
    }
    assert!(get(one.as_ref(), "main.tar").await.unwrap() == of_one);
    // As `breakeven clean` does it for a run that was killed: by another process, by name alone.
    run("r1").await.close().await.unwrap();
    run("r1").await.close().await.unwrap();
    assert_eq!(get(one.as_ref(), "main.tar").await, None);
    assert!(get(ten.as_ref(), "main.tar").await.unwrap() == of_ten);
    ten.close().await.unwrap();
    assert_eq!(server.content(), ["shared/team/main.tar"]);
    assert_eq!(fs::read(theirs).unwrap(), b"the user's");
}

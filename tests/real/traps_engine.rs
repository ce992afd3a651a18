//! Traps of exported caches and of the containerd store: sprung on a private engine.

use super::harness::{Bed, assert_as_before, holdings, not_ok};
use super::lab::{TINY, assert_found, tiny};
use breakeven::model::{Builder, Status};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

const STEPS: &str = "FROM scratch\nCOPY deps /SALT\nCOPY app /\n";

const MODERN: &str = "[engine]\nkind = \"private\"\nimage = \"breakeven-engine:modern\"\n\
                      store = \"containerd\"\n";

/// What becomes of the manifest of an exported cache.
#[derive(Clone, Copy)]
enum Caches {
    /// Refused, as by a registry that does not know such manifests.
    Refused,
    /// Said to be taken, and dropped.
    Dropped,
}

/// A real registry with a door in front that treats manifests of caches badly.
struct BadRegistry {
    process: Child,
    address: String,
}

impl BadRegistry {
    fn start(bed: &Bed, caches: Caches) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let inner = free.local_addr().unwrap().to_string();
        drop(free);
        let config = bed.path("bad-registry.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    \
             enabled: true\nhttp:\n  addr: {inner}\n",
            bed.path("bad-registry").display()
        );
        std::fs::write(&config, text).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry: run scripts/setup.sh");
        while TcpStream::connect(&inner).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = door.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for client in door.incoming().flatten() {
                let inner = inner.clone();
                std::thread::spawn(move || pass(client, &inner, caches));
            }
        });
        Self { process, address }
    }
}

impl Drop for BadRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One request a connection, so that each can be looked at.
fn pass(mut client: TcpStream, inner: &str, caches: Caches) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let first = head.lines().next()?;
    if first.starts_with("PUT ") && first.contains("/manifests/branch-cache") {
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length?];
        client.read_exact(&mut body).ok()?;
        let answer = match caches {
            Caches::Refused => {
                let said = "{\"errors\":[{\"code\":\"MANIFEST_INVALID\",\"message\":\"manifest \
                            invalid\"}]}";
                format!(
                    "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n{said}",
                    said.len()
                )
            }
            Caches::Dropped => {
                let digest: String =
                    Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
                format!(
                    "HTTP/1.1 201 Created\r\nDocker-Content-Digest: sha256:{digest}\r\n\
                     Content-Length: 0\r\nConnection: close\r\n\r\n"
                )
            }
        };
        return client.write_all(answer.as_bytes()).ok();
    }
    let mut registry = TcpStream::connect(inner).ok()?;
    let kept = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:");
    let lines: Vec<&str> = head.trim_end().split("\r\n").filter(kept).collect();
    registry
        .write_all(format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n")).as_bytes())
        .ok()?;
    let (mut from, mut to) = (client.try_clone().ok()?, registry.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::io::copy(&mut registry, &mut client).ok()?;
    client.shutdown(Shutdown::Both).ok()
}

fn first_job(bed: &Bed, caches: Caches) -> BadRegistry {
    tiny(bed, &[("Dockerfile", STEPS), ("deps", "1"), ("app", "1")]);
    let registry = BadRegistry::start(bed, caches);
    let config = format!(
        "{TINY}[[availability]]\nhave = []\n[registry]\naddress = \"{}\"\nprefix = \"team\"\n{MODERN}",
        registry.address
    );
    let only = ["--rounds", "1", "--only", "*/app/*/registry-max/*/*/*"];
    let output = bed.run(&config, &only);
    assert_eq!(output.status.code(), Some(4), "{}", not_ok(&output));
    registry
}

#[test]
fn trap_28_the_registry_refuses_the_manifest_of_the_cache() {
    let bed = Bed::new();
    let before = holdings();
    let _registry = first_job(&bed, Caches::Refused);
    for sample in bed.samples() {
        assert_eq!(sample.status, Status::Failed, "{}", sample.reason);
        assert!(sample.reason.contains("400"), "the registry's answer is kept: {}", sample.reason);
    }
    assert_found(&bed, "cache-manifest-refused", "400");
    assert_as_before(&before, "trap 28");
}

#[test]
fn trap_29_a_cache_that_was_not_left_although_the_build_succeeded() {
    let bed = Bed::new();
    let before = holdings();
    let _registry = first_job(&bed, Caches::Dropped);
    for sample in bed.samples() {
        assert_eq!(sample.status, Status::Invalid, "{}", sample.reason);
        assert!(sample.reason.starts_with("cache-not-left"), "{}", sample.reason);
    }
    assert_found(&bed, "cache-not-left", "there is no branch-cache in the registry");
    assert_as_before(&before, "trap 29");
}

#[test]
fn trap_30_loaded_images_that_the_builder_does_not_look_at() {
    let bed = Bed::new();
    let before = holdings();
    tiny(&bed, &[("Dockerfile", STEPS), ("deps", "1"), ("app", "1")]);
    let config = format!("{TINY}{MODERN}");
    let only = ["--rounds", "1", "--only", "*/app/*/save-load/*/*/*"];
    let output = bed.run(&config, &only);
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(&output));
    // The classic builder does look at them.
    assert!(bed.samples().iter().all(|sample| sample.cell.builder == Builder::Classic));
    assert!(bed.samples().iter().all(|sample| sample.status == Status::Ok));
    assert_found(&bed, "loaded-not-consulted", "asked the registry for");
    assert_as_before(&before, "trap 30");
}

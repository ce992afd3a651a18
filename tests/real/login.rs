//! A link in front of a registry that asks for a login: what the user has for the registry's own
//! name serves under the link's address, in the engine and in buildx.

use super::harness::{ARTICLE, Bed, assert_as_before, holdings, not_ok, text};
use breakeven::model::{Builder, Phase, Status};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// `me` with the password `secret`, as the registry keeps it and as a login shows it.
const PASSWORDS: &str = "me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";
const SHOWN: &str = "bWU6c2VjcmV0";

/// A registry as an administrator would run it.
struct Theirs {
    address: String,
    process: Child,
}

impl Theirs {
    fn start(dir: &Path, asks_for_password: bool) -> Self {
        std::fs::create_dir(dir).unwrap();
        let address = free_address();
        std::fs::write(dir.join("passwords"), PASSWORDS).unwrap();
        let mut config = serde_json::json!({
            "version": "0.1",
            "storage": {
                "filesystem": { "rootdirectory": dir.join("data") },
                "delete": { "enabled": true },
            },
            "http": { "addr": address },
        });
        if asks_for_password {
            config["auth"] =
                serde_json::json!({ "htpasswd": { "realm": "r", "path": dir.join("passwords") } });
        }
        std::fs::write(dir.join("config.yml"), config.to_string()).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need docker-registry");
        let theirs = Self { address, process };
        for _ in 0..1000 {
            if TcpStream::connect(&theirs.address).is_ok() {
                return theirs;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the registry at {} does not answer", theirs.address);
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A door in front of a registry without a password: it asks for a token, and gives one for the
/// password. Returns its address.
fn token_door(registry: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (registry, own) = (registry.to_owned(), address.clone());
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (registry, own) = (registry.clone(), own.clone());
            // A client that goes away ends its thread.
            std::thread::spawn(move || at_the_door(client, &registry, &own));
        }
    });
    address
}

fn at_the_door(mut client: TcpStream, registry: &str, own: &str) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = text(&head);
    let shows = |what: &str| head.contains(&format!("uthorization: {what}\r\n"));
    let answer = |client: &mut TcpStream, status: &str, header: &str, body: &str| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\n");
        client.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())
    };
    if head.starts_with("GET /token") {
        return match shows(&format!("Basic {SHOWN}")) {
            true => {
                answer(&mut client, "200 OK", "", r#"{"token":"t0ken","access_token":"t0ken"}"#)
            }
            false => answer(&mut client, "401 Unauthorized", "", "{}"),
        };
    }
    if !shows("Bearer t0ken") {
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{own}/token\",service=\"registry\"\r\n"
        );
        return answer(&mut client, "401 Unauthorized", &challenge, "{}");
    }
    // One request a connection, so that each of them shows its token.
    let mut server = TcpStream::connect(registry)?;
    let end = head.len() - 2;
    server.write_all(format!("{}Connection: close\r\n\r\n", &head[..end]).as_bytes())?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let up = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)?;
    let _ = up.join();
    Ok(())
}

/// A docker configuration folder, and a run with it over a link.
struct Login<'a> {
    bed: &'a Bed,
    folder: PathBuf,
}

impl<'a> Login<'a> {
    fn new(bed: &'a Bed, config: &serde_json::Value) -> Self {
        let folder = bed.path("docker-config");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
        Self { bed, folder }
    }

    /// With a helper that says this (a shell script; the registry asked for is `$server`).
    fn with_helper(bed: &'a Bed, script: &str) -> Self {
        let login = Self::new(bed, &serde_json::json!({ "credsStore": "breakeventest" }));
        let helper = login.folder.join("docker-credential-breakeventest");
        std::fs::write(&helper, format!("#!/bin/sh\nread -r server\n{script}\n")).unwrap();
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        login
    }

    fn run(&self, registry: &str, only: &str) -> Output {
        let config = self.bed.config(&format!(
            "{ARTICLE}[registry]\naddress = \"{registry}\"\n\
             [link.office]\ndown = \"400Mbit\"\nup = \"400Mbit\"\nrtt = \"2ms\"\n"
        ));
        let path = format!("{}:{}", self.folder.display(), std::env::var("PATH").unwrap());
        self.bed
            .breakeven()
            .arg("run")
            .arg(config)
            .args(["--out", "out", "--rounds", "1", "--only", only])
            .env("DOCKER_CONFIG", &self.folder)
            .env("PATH", path)
            .output()
            .unwrap()
    }
}

/// Every sample is good, and what it pulled, pushed and imported went over the link.
fn assert_carried(bed: &Bed, output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", not_ok(output));
    let mut moved = std::collections::BTreeMap::new();
    for sample in bed.samples() {
        let cell = &sample.cell;
        assert_eq!(sample.status, Status::Ok, "{}: {}", cell.key(), sample.reason);
        let found = if cell.strategy == "cold" { "" } else { "branch" };
        assert_eq!(sample.cache_source, found, "{}", cell.key());
        let sum = |phase: Phase, bytes: fn(breakeven::model::PhaseRow<'_>) -> Option<u64>| {
            let rows = sample.phases.iter().filter(|row| row.phase == phase && !row.within);
            rows.filter_map(bytes).sum::<u64>()
        };
        moved.insert(
            (cell.strategy.to_string(), cell.builder),
            (
                sum(Phase::Pull, |row| row.bytes_down),
                sum(Phase::Build, |row| row.bytes_down),
                sum(Phase::Push, |row| row.bytes_up),
            ),
        );
    }
    let of = |strategy: &str, builder| moved[&(strategy.to_owned(), builder)];
    assert!(of("pull", Builder::Classic).0 > 1_000_000, "{moved:?}");
    assert!(of("inline", Builder::Buildkit).1 > 1_000, "{moved:?}");
    assert!(moved.values().all(|(_, _, pushed)| *pushed > 1_000), "{moved:?}");
}

/// No file below a folder holds a secret.
fn assert_no_secret(folder: &Path) {
    for entry in walk(folder) {
        let content = text(&std::fs::read(&entry).unwrap());
        for secret in [SHOWN, "s3cret", "t0ken"] {
            assert!(!content.contains(secret), "{} holds {secret}", entry.display());
        }
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

const ONLY: &str = "*/app/*/cold/*,*/app/*/pull/*,*/app/*/inline/*";

#[test]
fn a_helpers_password_serves_under_the_links_address() {
    let bed = Bed::new();
    let before = holdings();
    let theirs = Theirs::start(&bed.path("theirs"), true);
    let answer = format!(
        "[ \"$server\" = {} ] && echo '{{\"Username\":\"me\",\"Secret\":\"secret\"}}' && exit 0\n\
         echo 'credentials not found in native keychain'; exit 1",
        theirs.address
    );
    let login = Login::with_helper(&bed, &answer);
    let output = login.run(&theirs.address, ONLY);
    assert_carried(&bed, &output);
    assert_no_secret(&bed.path("out"));
    assert_as_before(&before, "after the run");
    assert_eq!(bed.leavings(), Vec::<String>::new());
    // What is the user's is as it was.
    let left: Vec<PathBuf> = walk(&login.folder);
    assert!(left.iter().any(|path| path.ends_with("config.json")), "{left:?}");
    let config = std::fs::read_to_string(login.folder.join("config.json")).unwrap();
    assert_eq!(config, r#"{"credsStore":"breakeventest"}"#);
}

#[test]
fn a_token_is_had_through_the_link() {
    let bed = Bed::new();
    let before = holdings();
    let theirs = Theirs::start(&bed.path("theirs"), false);
    let door = token_door(&theirs.address);
    let login = Login::new(&bed, &serde_json::json!({ "auths": { &door: { "auth": SHOWN } } }));
    let output = login.run(&door, ONLY);
    assert_carried(&bed, &output);
    assert_no_secret(&bed.path("out"));
    assert_as_before(&before, "after the run");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

#[test]
fn a_wrong_password_says_where_to_log_in() {
    let bed = Bed::new();
    let before = holdings();
    let theirs = Theirs::start(&bed.path("theirs"), true);
    let advice = format!("docker login {}", theirs.address);
    // Right at first, as a password that is changed while a run goes on.
    let answer = "[ -e used ] && echo '{\"Username\":\"me\",\"Secret\":\"s3cret\"}' && exit 0\n\
                  touch used; echo '{\"Username\":\"me\",\"Secret\":\"secret\"}'";
    let login = Login::with_helper(&bed, answer);
    let late = login.run(&theirs.address, "*/app/*/cold/classic/*");
    assert_eq!(late.status.code(), Some(3), "{}", text(&late.stderr));
    assert!(text(&late.stderr).contains(&advice), "{}", text(&late.stderr));
    assert_no_secret(&bed.path("out"));
    std::fs::remove_dir_all(bed.path("out")).unwrap();
    // From the beginning.
    let early = login.run(&theirs.address, "*/app/*/cold/classic/*");
    assert_eq!(early.status.code(), Some(3), "{}", text(&early.stderr));
    assert!(text(&early.stderr).contains(&advice), "{}", text(&early.stderr));
    assert!(!text(&early.stderr).contains("s3cret"), "{}", text(&early.stderr));
    assert_as_before(&before, "after the runs");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

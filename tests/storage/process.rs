//! This test binary, started once more: as a server, or to carry something whose memory is looked at.

use crate::rig;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::net::TcpListener;

/// The folder that a server serves.
const SERVE: &str = "BREAKEVEN_TEST_S3_ROOT";
/// The server's address and a file, for a process that stores and fetches it.
const CARRY: &str = "BREAKEVEN_TEST_CARRY";
/// What the line begins with that a process says what it has to say in.
const SAYS: &str = "breakeven-test: ";

/// A real S3 server in a process of its own, ended when dropped.
pub struct Server {
    child: Child,
    /// `host:port`.
    pub address: String,
    root: tempfile::TempDir,
}

impl Server {
    /// Starts it with these buckets.
    pub fn start(buckets: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for bucket in buckets {
            std::fs::create_dir(root.path().join(bucket)).unwrap();
        }
        let (child, address) = start(SERVE, root.path().as_os_str());
        Self { child, address, root }
    }

    /// Every object, as `bucket/key`, and the parts of uploads that are not complete.
    pub fn content(&self) -> Vec<String> {
        let mut all: Vec<String> = walkdir::WalkDir::new(self.root.path())
            .into_iter()
            .map(|found| found.unwrap())
            .filter(|found| found.file_type().is_file())
            .map(|found| {
                let path = found.path().strip_prefix(self.root.path()).unwrap();
                path.to_str().unwrap().to_owned()
            })
            // What the server notes about objects, and its own leftovers of broken connections.
            .filter(|name| !name.ends_with(".json") && !name.starts_with(".tmp."))
            .collect();
        all.sort();
        all
    }

    /// An object on the server's disk.
    pub fn object(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Stores the file through the server at this address and fetches it back, in a process of its own.
/// Returns the most memory that was resident, in MiB.
pub fn peak_while_carrying(address: &str, file: &Path) -> f64 {
    let (mut child, said) = start(CARRY, format!("{address} {}", file.display()).as_ref());
    assert!(child.wait().unwrap().success());
    said.parse().unwrap()
}

fn start(role: &str, value: &std::ffi::OsStr) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::this_binary_plays_its_roles", "--nocapture"])
        .env(role, value)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines.find_map(|line| {
        let line = line.unwrap();
        line.split_once(SAYS).map(|(_, said)| said.to_owned())
    });
    // The rest of what it says has to be read, or it would wait.
    std::thread::spawn(move || lines.for_each(drop));
    (child, said.expect("the process said nothing"))
}

fn say(text: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "\n{SAYS}{text}").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn this_binary_plays_its_roles() {
    if let Ok(root) = std::env::var(SERVE) {
        return serve(Path::new(&root)).await;
    }
    if let Ok(what) = std::env::var(CARRY) {
        let (address, file) = what.split_once(' ').unwrap();
        return carry(address, Path::new(file)).await;
    }
    let server = Server::start(&[]);
    let address = server.address.clone();
    assert!(tokio::net::TcpStream::connect(&address).await.is_ok());
    drop(server);
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
}

/// Serves until the process that started this one is gone.
async fn serve(root: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    say(&listener.local_addr().unwrap().to_string());
    // The pipe ends with the process that holds its other end.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    crate::server::serve(listener, root, (rig::KEY, rig::SECRET)).await;
}

async fn carry(address: &str, file: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let storage = rig::open(&rig::access(address), "s3://shared/memory", dir.path()).await.unwrap();
    let bytes = file.metadata().unwrap().len();
    assert_eq!(storage.store(file, &rig::name("big.tar")).await.unwrap(), bytes);
    let to = dir.path().join("fetched.tar");
    assert_eq!(storage.fetch(&rig::name("big.tar"), &to).await.unwrap(), Some(bytes));
    storage.close().await.unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: f64 = line.trim().strip_suffix("kB").unwrap().trim().parse().unwrap();
    say(&format!("{:.1}", kib / 1024.0));
}

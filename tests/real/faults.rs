//! What goes wrong outside of ours: a clear message, the right exit code, nothing lost.

use super::harness::{ARTICLE, Bed, SmallDisk, assert_as_before, holdings, not_ok, text};
use super::lab::{TINY, tiny};
use breakeven::model::Status;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const COLD: [&str; 4] = ["--rounds", "1", "--only", "*/app/*/cold/classic/*/*"];

#[test]
fn a_dockerfile_that_fails_names_the_step_before_anything_is_measured() {
    let bed = Bed::new();
    let before = holdings();
    bed.config(ARTICLE);
    let dockerfile = bed.path("fixtures/article/Dockerfile");
    let content = std::fs::read_to_string(&dockerfile).unwrap();
    let broken = content.replace("RUN fixture-work bundle", "RUN echo no such bundle && exit 7");
    assert_ne!(content, broken);
    std::fs::write(&dockerfile, broken).unwrap();
    for builder in ["classic", "buildkit"] {
        let only = format!("*/app/*/cold/{builder}/*/*");
        let output = bed.run(ARTICLE, &["--rounds", "1", "--only", &only]);
        let stderr = not_ok(&output);
        assert_eq!(output.status.code(), Some(2), "{builder}: {stderr}");
        assert!(stderr.contains("exit 7"), "{builder}: {stderr}");
        assert!(stderr.contains("seed-shared-article"), "the log is named: {stderr}");
        assert_as_before(&before, builder);
        assert_eq!(bed.leavings(), Vec::<String>::new());
        std::fs::remove_dir_all(bed.path("out")).unwrap();
    }
}

#[test]
fn a_full_storage_says_so_and_leaves_nothing() {
    let bed = Bed::new();
    let before = holdings();
    let small = bed.path("small");
    let disk = SmallDisk::mount(small.clone(), "1m");
    let config = format!("{ARTICLE}\n[storage]\ndirectory = \"{}\"\n", small.display());
    let only = ["--rounds", "1", "--only", "*/app/*/save-load/classic/*/*"];
    let output = bed.run(&config, &only);
    let left: Vec<_> = std::fs::read_dir(&small).unwrap().collect();
    drop(disk);
    let stderr = not_ok(&output);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("No space left") || stderr.contains("full"), "{stderr}");
    assert!(left.is_empty(), "{left:?}");
    assert_as_before(&before, "after the disk was full");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

/// A registry that does the same with every connection.
fn registry(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn external(address: &str) -> String {
    format!(
        "{ARTICLE}\n[registry]\naddress = \"{address}\"\nprefix = \"team\"\n\
         [limits]\ntransfer = \"3s\"\n"
    )
}

#[test]
fn a_registry_that_refuses_answers_500_or_hangs_is_named() {
    let bed = Bed::new();
    let before = holdings();
    let refusing = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let broken = registry(|mut stream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(
            b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    });
    let hanging = registry(|stream| {
        std::thread::sleep(Duration::from_secs(120));
        drop(stream);
    });
    for (what, address) in [("refuses", refusing), ("500", broken), ("hangs", hanging)] {
        let output = bed.run(&external(&address), &COLD);
        let stderr = not_ok(&output);
        assert_eq!(output.status.code(), Some(3), "{what}: {stderr}");
        assert!(stderr.contains(&address), "{what}: {stderr}");
        assert_as_before(&before, what);
        assert_eq!(bed.leavings(), Vec::<String>::new(), "{what}");
        let _ = std::fs::remove_dir_all(bed.path("out"));
    }
}

/// A socket in front of the real engine's that can be taken away.
struct Front {
    path: PathBuf,
    gone: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Front {
    fn new(path: PathBuf) -> Self {
        let front = Self { path, gone: Arc::default(), open: Arc::default() };
        front.serve();
        front
    }

    fn serve(&self) {
        let _ = std::fs::remove_file(&self.path);
        let listener = UnixListener::bind(&self.path).unwrap();
        self.gone.store(false, Ordering::SeqCst);
        let (gone, open) = (self.gone.clone(), self.open.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if gone.load(Ordering::SeqCst) {
                    return;
                }
                let engine = UnixStream::connect(real_socket()).unwrap();
                let mut kept = open.lock().unwrap();
                kept.push(client.try_clone().unwrap());
                kept.push(engine.try_clone().unwrap());
                drop(kept);
                pipe(client.try_clone().unwrap(), engine.try_clone().unwrap());
                pipe(engine, client);
            }
        });
    }

    fn take_away(&self) {
        self.gone.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.path);
        std::fs::remove_file(&self.path).unwrap();
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn pipe(mut from: UnixStream, mut to: UnixStream) {
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

fn real_socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let socket = host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock");
    let socket = Path::new(socket).to_owned();
    assert!(socket.exists(), "this test puts a socket in front of the engine's own");
    socket
}

#[test]
fn an_engine_that_goes_away_ends_the_run_with_what_it_has() {
    let bed = Bed::new();
    let before = holdings();
    let front = Front::new(bed.path("front.sock"));
    let config = format!("{ARTICLE}\n[engine]\nhost = \"unix://{}\"\n", front.path.display());
    let slow = config.replace("DEPS_SECONDS = \"0\"", "DEPS_SECONDS = \"3\"");
    let only = ["--rounds", "1", "--only", "*/*/*/cold/classic/*/*"];
    let mut running = bed.start(&slow, &only);
    assert!(running.wait_for("sample 2:"), "{}", running.seen);
    assert!(running.wait_for("phase build"), "{}", running.seen);
    std::thread::sleep(Duration::from_millis(700));
    front.take_away();
    assert_eq!(running.end(), Some(3), "{}", running.seen);
    let samples = bed.samples();
    assert_eq!(samples.len(), 2, "{}", running.seen);
    assert_eq!((samples[0].status, samples[1].status), (Status::Ok, Status::Failed));
    assert!(bed.path("out/report.md").exists());

    // What could not be put back is put back when the engine is there again.
    front.serve();
    std::thread::sleep(Duration::from_secs(1));
    let cleaned = bed.clean();
    assert_eq!(cleaned.status.code(), Some(0), "{}", text(&cleaned.stderr));
    assert_as_before(&before, "after clean");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

#[test]
fn no_engine_at_all_is_said_before_anything_is_made() {
    let bed = Bed::new();
    let config = format!("{ARTICLE}\n[engine]\nhost = \"unix:///nonexistent/docker.sock\"\n");
    let output = bed.run(&config, &COLD);
    let stderr = not_ok(&output);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("/nonexistent/docker.sock"), "{stderr}");
    assert!(!bed.path("out").exists());
}

#[test]
fn a_step_that_outlasts_its_limit_is_a_failed_sample_with_the_steps_name() {
    let bed = Bed::new();
    let before = holdings();
    // Seeding and the application change are quick; the dependency change takes for ever.
    let dockerfile = "FROM breakeven-fixture-base:1\nRUN echo SALT > /salt\nCOPY deps /\n\
                      RUN if grep -q stuck /deps; then sleep 60; fi\nCOPY app /\n";
    tiny(&bed, &[("Dockerfile", dockerfile), ("deps", "1\n"), ("app", "1\n")]);
    let config = format!(
        "{TINY}[change.deps]\nedits = [{{ append = \"deps\", text = \"# stuck {{nonce}}\\n\" }}]\n\
         [limits]\nbuild = \"5s\"\n"
    );
    let only = ["--rounds", "1", "--only", "*/*/*/cold/*/*/*"];
    let output = bed.run(&config, &only);
    assert_eq!(output.status.code(), Some(4), "{}", not_ok(&output));
    for sample in bed.samples() {
        let key = sample.cell.key();
        if sample.cell.change == "app" {
            assert_eq!(sample.status, Status::Ok, "{key}: {}", sample.reason);
        } else {
            assert_eq!(sample.status, Status::Failed, "{key}");
            assert!(sample.reason.starts_with("build "), "{key}: {}", sample.reason);
            assert!(sample.reason.contains("within 5 s"), "{key}: {}", sample.reason);
            assert_eq!(sample.findings[0].id, "timed-out", "{key}");
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    assert_as_before(&before, "after the time-outs");
}

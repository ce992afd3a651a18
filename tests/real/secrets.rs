//! A secret given in each way that there is appears in no file of a run and on no stream, and what
//! is odd about a context's names does not stop a build.

use super::harness::{Bed, assert_as_before, holdings, text};
use breakeven::model::Status;
use std::ffi::OsStr;
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A build argument's value, with what shells, JSON and URLs spell differently.
const ARGUMENT: &str = "arg-canary/7f3a\"+x y";
/// The end of it, which stays as it is however the rest is spelled.
const SIGN: &str = "arg-canary";
/// Two environment variables' values.
const KEYS: [(&str, &str); 2] =
    [("AWS_SECRET_ACCESS_KEY", "key-canary-31b2"), ("DEPLOY_TOKEN", "token-canary-9c4d")];
/// The registry's password, and user and hash of it as `htpasswd -B` writes them.
const PASSWORD: &str = "secret-canary-5e6f";
const PASSWORDS: &str = "me:$2y$05$abcdefghijklmnopqrstuucTNmztjjhOeg20sVTb423/zUl65O0gW\n";

/// The fixture's base prints the secret, in one piece and in two.
const DOCKERFILE: &str = "FROM breakeven-fixture-base:1\nARG TOKEN\nRUN echo \"SALT got $TOKEN.\" && \
                          printf '%s' \"SALT $TOKEN\" | head -c 18 && sleep 0.1 && \
                          printf '%s' \"$TOKEN\" | tail -c +14\nCOPY a /a\n";

fn project(bed: &Bed, dockerfile: &str, more: &str) -> String {
    let context = bed.path("context");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), dockerfile.replace("SALT", &bed.salt())).unwrap();
    std::fs::write(context.join("a"), bed.salt()).unwrap();
    format!(
        "changes = [\"app\"]\n[workload.web]\ncontext = \"context\"\n\
         build_args = {{ TOKEN = {{ env = \"BUILD_SECRET\" }} }}\n[change.app]\n\
         edits = [{{ append = \"a\", text = \"{{nonce}}\" }}]\n{more}"
    )
}

fn run(bed: &Bed, config: &str, docker_config: Option<&Path>) -> Output {
    let mut command = bed.breakeven();
    command
        .arg("run")
        .arg(bed.config(config))
        .args(["--out", "out", "--rounds", "1"])
        .env("BREAKEVEN_LOG", "trace")
        .env("BUILD_SECRET", ARGUMENT)
        .envs(KEYS);
    if let Some(folder) = docker_config {
        command.env("DOCKER_CONFIG", folder);
    }
    command.output().unwrap()
}

/// Every place in which one of the secrets is, in any spelling.
fn leaks(bed: &Bed, output: &Output) -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    let plain = [SIGN, KEYS[0].1, KEYS[1].1, PASSWORD];
    let mut signs: Vec<Vec<u8>> = plain.iter().map(|sign| sign.as_bytes().to_vec()).collect();
    // The middle of a text in base64 depends on where in its three bytes it begins.
    for sign in plain {
        for before in 0..3 {
            let spelled = BASE64.encode(format!("{}{sign}", "x".repeat(before)));
            let middle = &spelled.as_bytes()[4..spelled.len() - 4];
            signs.push(middle.to_vec());
        }
    }
    // With what stands around it.
    let holds = |bytes: &[u8]| {
        signs.iter().find_map(|sign| {
            let at = bytes.windows(sign.len()).position(|window| window == sign.as_slice())?;
            Some(bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())].to_vec())
        })
    };
    let mut found = Vec::new();
    let mut look = |place: String, bytes: &[u8]| {
        if let Some(sign) = holds(bytes) {
            found.push(format!("{place}: {}", String::from_utf8_lossy(&sign)));
        }
    };
    for folder in ["out", "state"] {
        for entry in walkdir::WalkDir::new(bed.path(folder)).into_iter().map(Result::unwrap) {
            if entry.file_type().is_file() {
                let bytes = std::fs::read(entry.path()).unwrap();
                look(entry.path().display().to_string(), &bytes);
            }
        }
    }
    look("stdout".to_owned(), &output.stdout);
    look("stderr".to_owned(), &output.stderr);
    found
}

fn logs(bed: &Bed) -> String {
    let entries = std::fs::read_dir(bed.path("out/logs")).unwrap();
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn a_secret_build_argument_reaches_the_build_and_nothing_else() {
    let bed = Bed::new();
    let before = holdings();
    let config = project(&bed, DOCKERFILE, "[strategies]\nuse = [\"cold\", \"inline\"]\n");
    let output = run(&bed, &config, None);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // It reached the builds of both builders: what they printed is in the logs, without it.
    let logs = logs(&bed);
    assert!(logs.contains(&format!("{} got [secret].", bed.salt())), "{logs}");
    assert_eq!(leaks(&bed, &output), Vec::<String>::new());

    // Nor in what is printed without a run.
    for arguments in [
        &["plan", "breakeven.toml"][..],
        &["plan", "breakeven.toml", "--format", "shell"],
        &["plan", "breakeven.toml", "--format", "json"],
        &["export", "inline", "--as", "github-actions", "--run", "out"],
        &["export", "inline", "--as", "bake", "--run", "out"],
        &["report", "out"],
    ] {
        let output =
            bed.breakeven().args(arguments).env("BUILD_SECRET", ARGUMENT).envs(KEYS).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(leaks(&bed, &output), Vec::<String>::new(), "{arguments:?}");
    }
    assert_as_before(&before, "after the run");
}

#[test]
fn a_failing_build_that_prints_a_secret_does_not_give_it_away() {
    for builder in ["classic", "buildkit"] {
        let bed = Bed::new();
        let dockerfile = "FROM breakeven-fixture-base:1\nARG TOKEN\nCOPY a /a\n\
                          RUN echo \"SALT $TOKEN\" >&2; exec sh -c \"$TOKEN; exit 3\"\n";
        let config = project(
            &bed,
            dockerfile,
            &format!("[strategies]\nuse = [\"cold\"]\nbuilders = [\"{builder}\"]\n"),
        );
        let output = run(&bed, &config, None);
        assert!(matches!(output.status.code(), Some(2 | 4)), "{}", text(&output.stderr));
        assert!(logs(&bed).contains("[secret]"), "{}", logs(&bed));
        assert_eq!(leaks(&bed, &output), Vec::<String>::new());
    }
}

#[test]
fn a_secret_without_a_value_is_asked_for_before_anything_is_started() {
    let bed = Bed::new();
    let config = project(&bed, DOCKERFILE, "[strategies]\nuse = [\"cold\"]\n");
    for value in ["", "short"] {
        let output = bed
            .breakeven()
            .arg("run")
            .arg(bed.config(&config))
            .args(["--out", "out"])
            .env("BUILD_SECRET", value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(said.contains("`BUILD_SECRET`") && said.contains("8 characters"), "{said}");
        assert!(!bed.path("out").exists());
    }
}

/// A registry that asks for a password, and a docker configuration that is logged in.
struct Registry {
    address: String,
    process: Child,
    config: PathBuf,
}

impl Registry {
    fn start(dir: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let folder = dir.join("their-registry");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("passwords"), PASSWORDS).unwrap();
        let config = serde_json::json!({
            "version": "0.1",
            "storage": {
                "filesystem": { "rootdirectory": folder.join("data") },
                "delete": { "enabled": true },
            },
            "http": { "addr": address },
            "auth": { "htpasswd": { "realm": "test", "path": folder.join("passwords") } },
        });
        std::fs::write(folder.join("config.yml"), config.to_string()).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(folder.join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need docker-registry: run scripts/setup.sh");
        let registry = Self { address, process, config: folder.join("docker") };
        std::fs::create_dir(&registry.config).unwrap();
        use base64::Engine as _;
        let login = base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}"));
        let auths = serde_json::json!({ "auths": { &registry.address: { "auth": login } } });
        std::fs::write(registry.config.join("config.json"), auths.to_string()).unwrap();
        for _ in 0..1000 {
            if TcpStream::connect(&registry.address).is_ok() {
                return registry;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the registry at {} does not answer", registry.address);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_registrys_password_is_used_and_written_nowhere() {
    let bed = Bed::new();
    let before = holdings();
    let registry = Registry::start(&bed.path("."));
    let more = |prefix: &str| {
        format!(
            "[strategies]\nuse = [\"cold\", \"pull\", \"inline\"]\n[registry]\naddress = \"{}\"\n\
             prefix = \"{prefix}\"\n",
            registry.address
        )
    };
    let config = project(&bed, DOCKERFILE, &more("team/x"));
    let output = run(&bed, &config, Some(&registry.config));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(bed.samples().iter().all(|sample| sample.status == Status::Ok));
    assert_eq!(leaks(&bed, &output), Vec::<String>::new());

    // The registry says no.
    std::fs::write(bed.path("their-registry/passwords"), "").unwrap();
    std::fs::rename(bed.path("out"), bed.path("first")).unwrap();
    let output = run(&bed, &config, Some(&registry.config));
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!(leaks(&bed, &output), Vec::<String>::new());
    assert_as_before(&before, "after the runs");
}

#[test]
fn both_builders_are_sent_files_whatever_their_names() {
    let bed = Bed::new();
    let before = holdings();
    let dockerfile = "FROM breakeven-fixture-base:1\nCOPY . /c\nRUN test \"$(ls -A /c | wc -l)\" -ge 7 \
                      && test -f /c/-rf && test -f '/c/it'\\''s \"q\"' && test -f '/c/*' && \
                      test -L /c/passwd && test \"$(readlink /c/passwd)\" = /etc/SALT && \
                      test -L /c/folder && ! test -e /pwned\n";
    let config = project(&bed, dockerfile, "[strategies]\nuse = [\"cold\", \"pull\"]\n")
        .replace("build_args = { TOKEN = { env = \"BUILD_SECRET\" } }\n", "");
    let context = bed.path("context");
    for name in [&b"a\nb"[..], b"it's \"q\"", b"-rf", b"$(touch pwned)", b"*"] {
        std::fs::write(context.join(OsStr::from_bytes(name)), bed.salt()).unwrap();
    }
    symlink(format!("/etc/{}", bed.salt()), context.join("passwd")).unwrap();
    symlink("../outside", context.join("folder")).unwrap();
    std::fs::create_dir(bed.path("outside")).unwrap();
    std::fs::write(bed.path("outside/secret"), KEYS[0].1).unwrap();
    let output = run(&bed, &config, None);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(leaks(&bed, &output), Vec::<String>::new());
    assert_as_before(&before, "after the run");
}

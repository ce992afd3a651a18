//! Starting and ending CNCF distribution: its program where there is one, else a container of it.

use super::RegistryError;
use super::client::Client;
use super::leftover::{self, Identity};
use oci_client::secrets::RegistryAuth;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest time until a started registry answers.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Between two questions whether it answers.
const POLL: Duration = Duration::from_millis(15);
/// How many ports are tried.
const ATTEMPTS: usize = 5;
/// A header in each answer, by which ours is told from a stranger that took the port.
const MARK: &str = "x-breakeven-registry";
/// Where the data folder is within a container.
const INSIDE: &str = "/breakeven";

/// Arguments of `setpriv` that end a program together with the thread that started it.
const WITH_US: [&str; 3] = ["--pdeathsig", "KILL", "--"];

/// What runs the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// CNCF distribution's program.
    Binary(PathBuf),
    /// An image of it, run by the docker client.
    Image(String),
}

impl Program {
    /// The program on PATH (`docker-registry`, as Debian names it, or `registry`), else the
    /// `registry` image.
    pub fn find() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        ["docker-registry", "registry"]
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
            .find(|program| is_distribution(program))
            .map_or_else(|| Self::Image("registry:2".to_owned()), Self::Binary)
    }
}

/// Other programs are called `registry` as well.
fn is_distribution(program: &Path) -> bool {
    program.is_file()
        && Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("distribution"))
}

/// A running registry. Dropping it ends it.
pub(super) struct Server {
    pub(super) address: String,
    dir: PathBuf,
    running: Option<Running>,
}

enum Running {
    Process {
        handle: OwnedFd,
        /// Waits for the child. The thread that started it must live as long as it does: the
        /// kernel ends the child together with that thread, not with our process.
        keeper: JoinHandle<()>,
    },
    Container(String),
}

impl Server {
    /// Starts a registry over `dir/data/current` on a free port of 127.0.0.1.
    pub(super) async fn start(program: &Program, dir: &Path) -> Result<Self, RegistryError> {
        let data = dir.join("data/current");
        fs::create_dir_all(&data).map_err(|error| RegistryError::io("create", &data, error))?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::attempt(program, dir).await {
                Err(error) if port_was_taken(&error) => last = Some(error),
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| unavailable("127.0.0.1", "no free port", "")))
    }

    async fn attempt(program: &Program, dir: &Path) -> Result<Self, RegistryError> {
        let port = free_port().map_err(|error| {
            unavailable("127.0.0.1", &format!("no free port: {error}"), "Close some programs.")
        })?;
        let address = format!("127.0.0.1:{port}");
        let mark = format!("{}-{port}-{:?}", std::process::id(), Instant::now());
        let log = dir.join("registry.log");
        let running = match program {
            Program::Binary(path) => start_process(path, dir, &address, &mark, &log)?,
            Program::Image(image) => start_container(image, dir, &address, &mark).await?,
        };
        let server = Self { address, dir: dir.to_path_buf(), running: Some(running) };
        server.wait(&mark, &log).await?;
        Ok(server)
    }

    /// Waits until it answers with our mark.
    async fn wait(&self, mark: &str, log: &Path) -> Result<(), RegistryError> {
        let client = Client::new(&self.address, RegistryAuth::Anonymous)?;
        let since = Instant::now();
        loop {
            let answer = client.ping().await;
            let cause = match answer {
                Ok(headers) if headers.get(MARK).is_some_and(|value| value == mark) => {
                    return Ok(());
                }
                Ok(_) => "address already in use: another registry answers there".to_owned(),
                Err(error) => error.to_string(),
            };
            let over = since.elapsed() > START_LIMIT;
            if over || !self.is_running() {
                let said = match &self.running {
                    Some(Running::Container(id)) => container_log(id),
                    _ => tail(log),
                };
                let cause = if said.is_empty() { cause } else { said };
                let advice = format!("Its log is {}", log.display());
                return Err(unavailable(&self.address, &cause, &advice));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn is_running(&self) -> bool {
        match &self.running {
            Some(Running::Process { keeper, .. }) => !keeper.is_finished(),
            Some(Running::Container(id)) => container_runs(id),
            None => false,
        }
    }

    /// Ends it. Blocking, for as long as the process or docker takes.
    pub(super) fn stop(&mut self) -> Result<(), RegistryError> {
        match self.running.take() {
            None => Ok(()),
            Some(Running::Process { handle, keeper }) => {
                // It fails only if the process has ended already.
                let _ = pidfd_send_signal(handle, Signal::KILL);
                let _ = keeper.join();
                remove_record(&leftover::pid_file(&self.dir))
            }
            Some(Running::Container(id)) => {
                let path = leftover::container_file(&self.dir);
                leftover::remove_container(&id)
                    .map_err(|error| RegistryError::io("remove the container of", &path, error))?;
                remove_record(&path)
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!("{error}");
        }
    }
}

fn remove_record(path: &Path) -> Result<(), RegistryError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(RegistryError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

fn start_process(
    program: &Path,
    dir: &Path,
    address: &str,
    mark: &str,
    log: &Path,
) -> Result<Running, RegistryError> {
    let config = dir.join("registry.yml");
    write_config(&config, &dir.join("data/current"), address, mark)?;
    let open = || fs::File::create(log).map_err(|error| RegistryError::io("create", log, error));
    let (out, err) = (open()?, open()?);
    // `setpriv` (util-linux) has the kernel end the registry when we are killed; without it, the
    // pid file is what `clean` has to go by.
    let mut command = if can_bind_to_our_life() {
        let mut command = Command::new("setpriv");
        command.args(WITH_US).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(out).stderr(err);
    // A Ctrl-C of the terminal is for us; we end the registry when nothing needs it any more.
    command.process_group(0);
    for (name, _) in std::env::vars_os() {
        // Such variables would override the file.
        if name.to_string_lossy().starts_with("REGISTRY_") {
            command.env_remove(name);
        }
    }
    command.env("OTEL_TRACES_EXPORTER", "none");
    let failed = |error: io::Error| {
        unavailable(
            address,
            &format!("{} cannot be started: {error}", program.display()),
            "Install CNCF distribution (Debian: docker-registry).",
        )
    };
    let (tell, told) = mpsc::channel();
    let keeper = std::thread::Builder::new()
        .name("registry".to_owned())
        .spawn(move || match command.spawn() {
            Err(error) => drop(tell.send(Err(error))),
            Ok(mut child) => {
                let handle = handle_of(child.id());
                if handle.is_err() {
                    // Without a handle nobody could end it later.
                    let _ = child.kill();
                }
                drop(tell.send(handle));
                if let Err(error) = child.wait() {
                    tracing::warn!("waiting for the registry: {error}");
                }
            }
        })
        .map_err(failed)?;
    let started = told.recv().unwrap_or_else(|_| Err(io::Error::other("it was not started")));
    let (handle, identity) = started.map_err(failed)?;
    if let Some(Err(error)) = identity.map(|identity| leftover::record(dir, &identity)) {
        let _ = pidfd_send_signal(handle, Signal::KILL);
        return Err(error);
    }
    Ok(Running::Process { handle, keeper })
}

/// A handle that stays this process's own, and its identity if it has not ended already.
fn handle_of(pid: u32) -> io::Result<(OwnedFd, Option<Identity>)> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let number = number.ok_or_else(|| io::Error::other("the system gave no process number"))?;
    Ok((pidfd_open(number, PidfdFlags::empty())?, Identity::of(pid)))
}

async fn start_container(
    image: &str,
    dir: &Path,
    address: &str,
    mark: &str,
) -> Result<Running, RegistryError> {
    let data = dir.join("data");
    // In the folder that the container sees.
    let config = data.join("registry.yml");
    write_config(&config, &Path::new(INSIDE).join("current"), "0.0.0.0:5000", mark)?;
    let owner = fs::metadata(&data).map_err(|error| RegistryError::io("read", &data, error))?;
    let cid = leftover::container_file(dir);
    let mut command = tokio::process::Command::new("docker");
    command
        .args(["run", "--detach", "--cidfile"])
        .arg(&cid)
        .args(["--publish", &format!("{address}:5000")])
        // So that the files are ours to link and to remove.
        .args(["--user", &format!("{}:{}", owner.uid(), owner.gid())])
        .arg("--volume")
        .arg(format!("{}:{INSIDE}", data.display()))
        .args(["--env", "OTEL_TRACES_EXPORTER=none"])
        .args(["--label", "breakeven=registry"])
        .arg(image)
        .args(["serve", &format!("{INSIDE}/registry.yml")])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let advice = "Install CNCF distribution (Debian: docker-registry), or make the image there.";
    let output = command.output().await.map_err(|error| {
        let cause = format!("neither a registry program nor docker can be started: {error}");
        unavailable(address, &cause, advice)
    })?;
    if !output.status.success() {
        // A container may have been made even if it could not be started.
        leftover::kill_leftover(dir)?;
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(unavailable(address, &format!("docker run {image}: {}", said.trim()), advice));
    }
    Ok(Running::Container(String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}

/// Writes the configuration; JSON is YAML.
fn write_config(path: &Path, root: &Path, address: &str, mark: &str) -> Result<(), RegistryError> {
    let config = serde_json::json!({
        "version": "0.1",
        "log": { "level": "warn", "accesslog": { "disabled": true } },
        // Without a cache of blob descriptors: the folder is exchanged beneath it.
        "storage": {
            "filesystem": { "rootdirectory": root },
            "delete": { "enabled": true },
            "maintenance": { "uploadpurging": { "enabled": false } },
        },
        "http": { "addr": address, "secret": mark, "headers": { MARK: [mark] } },
    });
    fs::write(path, format!("{config:#}\n"))
        .map_err(|error| RegistryError::io("write", path, error))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn port_was_taken(error: &RegistryError) -> bool {
    let text = error.to_string();
    ["address already in use", "port is already allocated"].iter().any(|sign| text.contains(sign))
}

fn can_bind_to_our_life() -> bool {
    let mut command = Command::new("setpriv");
    command.args(WITH_US).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn container_runs(id: &str) -> bool {
    let arguments = ["inspect", "--format", "{{.State.Running}}", id];
    let output = Command::new("docker").args(arguments).output();
    output.is_ok_and(|output| output.stdout.starts_with(b"true"))
}

fn container_log(id: &str) -> String {
    let output = Command::new("docker").args(["logs", "--tail", "5", id]).output();
    output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    )
}

/// The last lines of the log.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

fn unavailable(address: &str, cause: &str, advice: &str) -> RegistryError {
    RegistryError::Unavailable {
        address: address.to_owned(),
        cause: cause.to_owned(),
        advice: advice.to_owned(),
    }
}

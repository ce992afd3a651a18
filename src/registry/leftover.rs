//! The record of a started registry, by which a later process finds and ends it for certain.

use super::RegistryError;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Longest time for an ended process to disappear.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A process, so that no other one is ever taken for it: a number alone is used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pid: u32,
    /// Clock ticks from boot to its start.
    started: u64,
    /// Which boot.
    boot: String,
}

impl Identity {
    /// Identity of a running process; `None` if there is none of this number.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in brackets and may hold anything.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let dead = matches!(fields.next()?, "Z" | "X");
        let started = fields.nth(18)?.parse().ok()?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        (!dead).then_some(Self { pid, started, boot })
    }

    /// Whether this very process still runs.
    fn runs(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Ends this very process, which leads a process group, with its group; whether it ran.
    pub fn kill_group(&self) -> std::io::Result<bool> {
        let group = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let Some(group) = group.filter(|_| self.runs()) else { return Ok(false) };
        kill_process_group(group, Signal::KILL)?;
        self.ended()
    }

    /// Ends this very process; whether it ran.
    fn kill(&self) -> std::io::Result<bool> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(false);
        };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(false);
        };
        // Checked after the handle was taken: what it names cannot change any more.
        if !self.runs() {
            return Ok(false);
        }
        pidfd_send_signal(process, Signal::KILL)?;
        self.ended()
    }

    /// Waits until it is gone.
    fn ended(&self) -> std::io::Result<bool> {
        let since = Instant::now();
        while self.runs() {
            if since.elapsed() > END_LIMIT {
                return Err(std::io::Error::other(format!("process {} does not end", self.pid)));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(true)
    }
}

/// The file that names the registry's process.
pub(super) fn pid_file(dir: &Path) -> PathBuf {
    dir.join("registry.pid")
}

/// The file in which docker notes the registry's container.
pub(super) fn container_file(dir: &Path) -> PathBuf {
    dir.join("registry.cid")
}

/// Notes a started process.
pub(super) fn record(dir: &Path, identity: &Identity) -> Result<(), RegistryError> {
    let path = pid_file(dir);
    let text = serde_json::to_string(identity).unwrap_or_default();
    let temporary = path.with_extension("new");
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, &path))
        .map_err(|source| RegistryError::io("write", &path, source))
}

/// Ends the managed registry that an earlier run left running with its files in `dir`, if there is
/// one: the very process or container that was noted there, and no other. Its files stay. Returns
/// whether something was ended.
///
/// Blocking; up to a few seconds where docker has to remove a container.
pub fn kill_leftover(dir: &Path) -> Result<bool, RegistryError> {
    let mut ended = false;
    let path = pid_file(dir);
    if let Some(text) = read(&path)? {
        // What cannot be read was cut off by a crash of the machine; its process is gone as well.
        if let Ok(identity) = serde_json::from_str::<Identity>(&text) {
            ended = identity.kill().map_err(|error| RegistryError::io("end", &path, error))?;
        }
        remove(&path)?;
    }
    let path = container_file(dir);
    if let Some(text) = read(&path)? {
        let id = text.trim();
        if !id.is_empty() {
            ended |= remove_container(id)
                .map_err(|error| RegistryError::io("remove the container of", &path, error))?;
        }
        remove(&path)?;
    }
    Ok(ended)
}

/// Removes a container of ours with its anonymous volume; whether there was one.
pub(super) fn remove_container(id: &str) -> std::io::Result<bool> {
    let output = Command::new("docker").args(["rm", "--force", "--volumes", id]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Older clients fail on a container that is gone, newer ones only say so.
    if said.contains("No such container") {
        return Ok(false);
    }
    if output.status.success() { Ok(true) } else { Err(std::io::Error::other(said.trim())) }
}

fn read(path: &Path) -> Result<Option<String>, RegistryError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RegistryError::io("read", path, source)),
    }
}

fn remove(path: &Path) -> Result<(), RegistryError> {
    fs::remove_file(path).map_err(|source| RegistryError::io("remove", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> std::process::Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    #[test]
    fn the_noted_process_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = sleeper();
        record(dir.path(), &Identity::of(child.id()).unwrap()).unwrap();
        assert!(kill_leftover(dir.path()).unwrap());
        assert!(!child.wait().unwrap().success());
        assert!(!kill_leftover(dir.path()).unwrap());
    }

    #[test]
    fn another_process_of_the_same_number_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = sleeper();
        let mut identity = Identity::of(child.id()).unwrap();
        identity.started -= 1;
        record(dir.path(), &identity).unwrap();
        assert!(!kill_leftover(dir.path()).unwrap());
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_torn_record_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(pid_file(dir.path()), "{\"pid\":1").unwrap();
        assert!(!kill_leftover(dir.path()).unwrap());
        assert!(!pid_file(dir.path()).exists());
    }
}

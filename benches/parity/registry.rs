//! A registry of our own on 127.0.0.1.

use anyhow::{Context, Result, bail};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends with the value.
pub struct Registry {
    child: Child,
    /// `127.0.0.1:port`.
    pub address: String,
}

impl Registry {
    /// Starts `docker-registry` with its storage in `folder` and waits until it answers.
    pub fn start(folder: &Path) -> Result<Self> {
        // The port is free again when the listener is dropped; nobody takes it that fast.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let config = folder.join("registry.yml");
        let storage = folder.join("registry");
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: \"{}\"}}}}\nhttp: {{addr: \"{address}\"}}\n",
            storage.display()
        );
        std::fs::write(&config, text)?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("docker-registry serve: install Debian's docker-registry package")?;
        let registry = Self { child, address };
        let started = Instant::now();
        while TcpStream::connect(&registry.address).is_err() {
            if started.elapsed() > Duration::from_secs(20) {
                bail!("docker-registry does not answer on {}", registry.address);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may be gone already, and there is nothing to do about either.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

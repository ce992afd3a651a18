//! The plain docker commands.

use anyhow::{Context, Result, bail};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a command to its end and returns what it wrote to stdout.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `docker ARGS`.
pub fn docker<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Result<String> {
    output(Command::new("docker").args(args))
}

/// `docker build` by the classic builder.
pub fn build_classic(context: &Path, tag: &str) -> Result<()> {
    let mut command = Command::new("docker");
    command.env("DOCKER_BUILDKIT", "0").args(["build", "--tag", tag]).arg(context);
    output(&mut command).map(drop)
}

/// `docker buildx build`, through the plugin where the client finds it, else by itself.
pub fn build_buildkit(context: &Path, tag: &str) -> Result<()> {
    let plain = ["build", "--builder", "default", "--progress", "plain", "--tag", tag];
    let mut command = match private_buildx() {
        Some(binary) => Command::new(binary),
        None => {
            let mut command = Command::new("docker");
            command.arg("buildx");
            command
        }
    };
    output(command.args(plain).arg(context)).map(drop)
}

/// Removes exactly these build cache records: the engine reads the filter as a regular expression.
pub fn prune<'a>(records: impl Iterator<Item = &'a String>) -> Result<()> {
    let ids: Vec<&str> = records.map(String::as_str).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let filter = format!("id=^({})$", ids.join("|"));
    docker(&["builder", "prune", "--all", "--force", "--filter", &filter]).map(drop)
}

/// Where `scripts/setup.sh` puts buildx if the distribution has none.
fn private_buildx() -> Option<PathBuf> {
    if docker(&["buildx", "version"]).is_ok() {
        return None;
    }
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| {
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"))
    })?;
    Some(data.join("breakeven/cli-plugins/docker-buildx")).filter(|binary| binary.exists())
}

/// Makes an image of one file of random bytes, which nothing can compress, by `docker import`.
/// Returns its id. The bytes are streamed, so that they do not count as memory of ours.
pub fn import_random(tag: &str, bytes: u64, seed: u64) -> Result<String> {
    let mut child = Command::new("docker")
        .args(["import", "-", tag])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("docker import")?;
    let stdin = child.stdin.take().context("docker import has no stdin")?;
    let mut archive = tar::Builder::new(stdin);
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_cksum();
    let random = Random(ChaCha8Rng::seed_from_u64(seed));
    archive.append_data(&mut header, "random", std::io::Read::take(random, bytes))?;
    // Ends the archive and closes the pipe, for which docker waits.
    drop(archive.into_inner()?);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("docker import - {tag}: {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

struct Random(ChaCha8Rng);

impl std::io::Read for Random {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.fill_bytes(buffer);
        Ok(buffer.len())
    }
}

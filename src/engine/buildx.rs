//! Builds by BuildKit, through the same client that users' CI runs: buildx as a program of its
//! own, with its progress records on standard error.

use super::logins::Logins;
use super::records::{BuildRecord, Parser, RecordError};
use super::{BuildOutcome, BuildRequest, EngineError, NO_ROOM, StepLog, says_full};
use crate::model::CacheExport;
use crate::registry::config_folder;
use crate::secret;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// The buildx program, and a config folder of its own so that nothing of the user's is changed.
#[derive(Debug)]
pub(super) struct Buildx {
    program: PathBuf,
    /// What it says of its version.
    pub version: String,
}

impl Buildx {
    /// Finds it and asks its version. The error says where it was looked for.
    pub(super) async fn find() -> Result<Self, EngineError> {
        let places = places();
        let missing = |cause: String| EngineError::NotCapable {
            what: "building with BuildKit".to_owned(),
            cause,
            advice: "Run scripts/setup.sh, install the docker-buildx package, or name the program \
                     in BREAKEVEN_BUILDX"
                .to_owned(),
        };
        let Some(program) = places.iter().find(|place| place.is_file()) else {
            let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
            return Err(missing(format!("there is no docker-buildx at {}", places.join(", "))));
        };
        let asked = Command::new(program).arg("version").stdin(Stdio::null()).output().await;
        let unusable = |cause: String| missing(format!("{}: {cause}", program.display()));
        let answer = asked.map_err(|error| unusable(error.to_string()))?;
        if !answer.status.success() {
            return Err(unusable(String::from_utf8_lossy(&answer.stderr).trim().to_owned()));
        }
        let text = String::from_utf8_lossy(&answer.stdout);
        let version = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
        Ok(Self { program: program.clone(), version })
    }

    /// Builds; dropping the future kills the client, whereupon the engine gives the build up.
    pub(super) async fn build(
        &self,
        host: &str,
        logins: &Logins,
        request: &BuildRequest<'_>,
        seen: &(dyn Fn(&str) + Send + Sync),
        log: &mut StepLog,
    ) -> Result<BuildOutcome, EngineError> {
        let tag = request.tag.to_string();
        let io = |source| EngineError::Io {
            operation: format!("build with {}", self.program.display()),
            reference: tag.clone(),
            source,
        };
        // Its state, beside the prepared context: what a killed run leaves goes with the workspace.
        let beside = request.context.parent().unwrap_or(request.context);
        let home = tempfile::Builder::new().prefix("buildx-").tempdir_in(beside).map_err(io)?;
        let id_file = home.path().join("image-id");
        let mut command = Command::new(&self.program);
        if let Some(config) = logins.for_client(&home.path().join("docker")).await? {
            command.env("DOCKER_CONFIG", config);
        }
        let mut child = command
            .args(arguments(request, &id_file))
            .envs(request.build_args.iter().filter(|(name, value)| by_environment(name, value)))
            .env("DOCKER_HOST", host)
            .env_remove("DOCKER_CONTEXT")
            .env_remove("BUILDX_BUILDER")
            .env("BUILDX_CONFIG", home.path())
            // Attestations would make a new digest each time.
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Ctrl-C is for us to handle, not for the client.
            .process_group(0)
            .spawn()
            .map_err(io)?;
        let mut records = Reading::default();
        if let Some(mut stderr) = child.stderr.take() {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = stderr.read(&mut buffer).await.map_err(io)?;
                if read == 0 {
                    break;
                }
                records.take(&buffer[..read], seen, log);
            }
        }
        let status = child.wait().await.map_err(io)?;
        let full = records.full;
        let record = records.finish();
        let failed = |cause: String| EngineError::Failed {
            operation: "build".to_owned(),
            reference: tag.clone(),
            cause,
        };
        if !status.success() {
            let said = cause(record, status);
            let unsaid =
                if full && !says_full(&said) { format!(": {NO_ROOM}") } else { String::new() };
            return Err(failed(said + &unsaid));
        }
        let record = record.map_err(|error| failed(error.to_string()))?;
        record.text.iter().for_each(|line| log.line(line));
        let id = tokio::fs::read_to_string(&id_file).await.map_err(io)?;
        let image = id.trim().to_owned();
        if image.is_empty() {
            return Err(failed("buildx ended without naming an image".to_owned()));
        }
        seen(&image);
        let mut images_seen = record.images;
        if !images_seen.contains(&image) {
            images_seen.push(image.clone());
        }
        Ok(BuildOutcome {
            image,
            images_seen,
            steps: record.steps,
            import_s: record.import_s,
            steps_s: record.steps_s,
            export_s: record.export_s,
            cache_export_s: record.cache_export_s,
            imports: record.imports,
            import_outlasts_steps: record.import_outlasts_steps,
            export_errors: record.export_errors,
            fetched: record.fetched,
            exported: Vec::new(),
        })
    }
}

/// Where a buildx may lie, in order.
fn places() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(program) = variable("BREAKEVEN_BUILDX") {
        return vec![PathBuf::from(program)];
    }
    let data = variable("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
    let folders = config_folder().into_iter().chain(data.map(|d| d.join("breakeven")));
    folders
        .chain(
            ["/usr/local/lib/docker", "/usr/local/libexec/docker", "/usr/lib/docker"]
                .into_iter()
                .chain(["/usr/libexec/docker"])
                .map(PathBuf::from),
        )
        .map(|folder| folder.join("cli-plugins/docker-buildx"))
        .collect()
}

fn arguments(request: &BuildRequest<'_>, id_file: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [
        "build",
        "--builder",
        "default",
        "--progress",
        "rawjson",
        "--provenance",
        "false",
        "--load",
    ]
    .map(OsString::from)
    .to_vec();
    let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    add("--iidfile", id_file.into());
    add("--file", request.dockerfile.into());
    add("--tag", request.tag.to_string().into());
    if let Some(target) = request.target {
        add("--target", target.into());
    }
    for (name, value) in request.build_args {
        let hidden = by_environment(name, value);
        add("--build-arg", if hidden { name.into() } else { format!("{name}={value}").into() });
    }
    if request.inline_cache {
        add("--build-arg", "BUILDKIT_INLINE_CACHE=1".into());
    }
    for source in request.sources {
        // The engine looks for such a source among its own images first, then in the registry.
        add("--cache-from", format!("type=registry,ref={source}").into());
    }
    if let Some(folder) = request.cache_folder {
        add("--cache-from", setting("type=local,src=", folder, ""));
    }
    match request.export {
        Some(CacheExport::Registry { reference, mode, image_manifest }) => {
            let manifest = if *image_manifest { ",image-manifest=true" } else { "" };
            let mode = mode.as_str();
            add(
                "--cache-to",
                format!("type=registry,ref={reference},mode={mode}{manifest}").into(),
            );
        }
        Some(CacheExport::Local { mode }) => {
            let mode = format!(",mode={}", mode.as_str());
            add("--cache-to", setting("type=local,dest=", request.export_folder, &mode));
        }
        // Buildah's ways; buildx keeps every step by itself.
        Some(CacheExport::Layers { .. } | CacheExport::Kept) | None => {}
    }
    arguments.push(request.context.into());
    arguments
}

/// Whether the client takes a build argument from its environment: a secret is not for the list of
/// processes. What the client reads its own settings from stays as it is, so that an argument
/// `PATH` or `HTTPS_PROXY` changes the build and not the client.
pub(super) fn by_environment(name: &str, value: &str) -> bool {
    const OWN: [&str; 9] =
        ["DOCKER", "BUILDX", "BUILDKIT", "OTEL", "LD_", "BUILDAH", "CONTAINERS", "STORAGE", "XDG_"];
    let upper = name.to_ascii_uppercase();
    let of_client = matches!(&*upper, "PATH" | "HOME" | "TMPDIR" | "SSH_AUTH_SOCK")
        || upper.ends_with("_PROXY")
        || OWN.iter().any(|start| upper.starts_with(start));
    secret::is_kept(value) && !of_client
}

/// A setting with a path in it. The client reads it as a line of CSV.
fn setting(before: &str, path: &Path, after: &str) -> OsString {
    let path = path.to_string_lossy();
    let (kind, key) = before.rsplit_once(',').unwrap_or(("", before));
    if path.contains([',', '"']) {
        return format!("{kind},\"{key}{}\"{after}", path.replace('"', "\"\"")).into();
    }
    format!("{before}{path}{after}").into()
}

/// The records of a build in hand.
#[derive(Default)]
struct Reading {
    parser: Parser,
    told: usize,
    /// Whether a step printed that a disk is full; the builder only says that the step failed.
    full: bool,
    fault: Option<RecordError>,
}

impl Reading {
    /// Takes a piece. After a fault the rest is not read, but the build goes on to its end.
    fn take(&mut self, piece: &[u8], seen: &(dyn Fn(&str) + Send + Sync), log: &mut StepLog) {
        if self.fault.is_some() {
            return;
        }
        self.fault = self.parser.feed(piece).err();
        for image in &self.parser.images()[self.told..] {
            seen(image);
        }
        self.told = self.parser.images().len();
        let logs = self.parser.take_logs();
        if !logs.is_empty() {
            let text = String::from_utf8_lossy(&logs);
            self.full |= says_full(&text);
            log.piece(text);
        }
    }

    fn finish(self) -> Result<BuildRecord, RecordError> {
        match self.fault {
            Some(fault) => Err(fault),
            None => self.parser.finish(),
        }
    }
}

/// The builder's own last message, with the step at which it failed.
fn cause(record: Result<BuildRecord, RecordError>, status: std::process::ExitStatus) -> String {
    let record = match record {
        Ok(record) => record,
        Err(error) => return format!("buildx ended with {status}, and {error}"),
    };
    let said = record.text.iter().rev().find_map(|line| line.strip_prefix("ERROR: "));
    let said = said.or(record.text.last().map(String::as_str)).unwrap_or_default();
    match record.error {
        Some((step, _)) if !said.is_empty() => format!("{step}: {said}"),
        Some((step, error)) => format!("{step}: {error}"),
        None if !said.is_empty() => said.to_owned(),
        None => format!("buildx ended with {status} and said nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Builder, CacheMode, ImageRef};
    use std::collections::BTreeMap;

    #[test]
    fn a_secret_is_hidden_from_the_list_of_processes_unless_the_client_would_take_it_for_its_own() {
        secret::keep("proxy:canary@host");
        assert!(by_environment("TOKEN", "proxy:canary@host"));
        assert!(!by_environment("TOKEN", "plain"));
        for name in ["PATH", "https_proxy", "DOCKER_HOST", "BUILDX_BUILDER"] {
            assert!(!by_environment(name, "proxy:canary@host"), "{name}");
        }
    }

    fn caches(cache_folder: Option<&Path>, export: Option<&CacheExport>) -> Vec<String> {
        let request = BuildRequest {
            builder: Builder::Buildkit,
            context: Path::new("/c"),
            dockerfile: Path::new("/c/Dockerfile"),
            target: None,
            build_args: &BTreeMap::new(),
            sources: &[ImageRef::new("127.0.0.1:5000/a", "1")],
            layers: None,
            tag: &ImageRef::new("x", "1"),
            inline_cache: false,
            cache_folder,
            export,
            export_folder: Path::new("/out"),
        };
        let all: Vec<String> = arguments(&request, Path::new("/id"))
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect();
        let pairs = all.windows(2).filter(|pair| pair[0].starts_with("--cache-"));
        pairs.map(|pair| pair.join(" ")).collect()
    }

    #[test]
    fn caches_are_asked_for_as_the_client_spells_them() {
        let registry = |image_manifest| CacheExport::Registry {
            reference: ImageRef::new("127.0.0.1:5000/cache", "main"),
            mode: CacheMode::Max,
            image_manifest,
        };
        let source = "--cache-from type=registry,ref=127.0.0.1:5000/a:1";
        let to = "--cache-to type=registry,ref=127.0.0.1:5000/cache:main,mode=max";
        assert_eq!(caches(None, None), [source]);
        assert_eq!(caches(None, Some(&registry(false))), [source, to]);
        let image = format!("{to},image-manifest=true");
        assert_eq!(caches(None, Some(&registry(true))), [source, image.as_str()]);
        let folder = CacheExport::Local { mode: CacheMode::Min };
        assert_eq!(
            caches(Some(Path::new("/in")), Some(&folder)),
            [source, "--cache-from type=local,src=/in", "--cache-to type=local,dest=/out,mode=min"]
        );
        assert_eq!(
            caches(Some(Path::new("/in,1")), None),
            [source, "--cache-from type=local,\"src=/in,1\""]
        );
    }
}

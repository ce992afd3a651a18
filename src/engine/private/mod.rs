//! An engine of our own, in a container of the user's engine, thrown away after each sample (or
//! emptied between the samples of a round).
//!
//! What is made on the user's engine is one bridge network for each [`PrivateHost`], one container
//! at a time and its two volumes. All of them carry the label `breakeven.run=RUN`, and
//! [`remove_leftovers`] finds them by it. So all that must be noted down beforehand is the run's id
//! and the user's engine. The daemon has a network namespace of its own and never shares the host's:
//! a second daemon there would take the first one's bridge for its own.

mod container;
mod daemon;
mod hosting;
mod leftovers;

pub use daemon::PrivateEngine;
pub use leftovers::remove_leftovers;

use self::container::{Access, Rights, lacks_rights};
use super::connection::{connect, failure};
use super::{EngineError, SharedEngine};
use crate::model::plan::{Keep, Store};
use bollard::Docker;
use bollard::models::{Ipam, NetworkCreateRequest, SystemInfo};
use bollard::query_parameters::{LogsOptions, RemoveContainerOptions};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Label of all that is made on the user's engine; its value is the run's id.
const LABEL: &str = "breakeven.run";
/// Longest wait for the daemon's first answer. Seen: 1.4 s.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Time between two looks at a daemon that is starting.
const LOOK: Duration = Duration::from_millis(10);
/// Lines of the daemon's log that an error shows.
const TAIL: &str = "15";

/// How private engines are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateSpec {
    /// Image with a `dockerd`; it must be on the user's engine.
    pub image: String,
    /// Where the daemon keeps images; its own default if absent.
    pub store: Option<Store>,
    /// How long one daemon is kept.
    pub keep: Keep,
}

/// Which registries a private engine may use without TLS, and how it finds base images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    /// `host:port` of each, at the address that
    /// [`prepare`](PrivateHost::prepare) returned. The port belongs to it: older BuildKits know no
    /// ranges of addresses here.
    pub insecure: Vec<String>,
    /// `host:port` of the registry that is asked first for names of Docker Hub, one of
    /// `insecure`: there lie the workload's base images, under the paths of
    /// [`mirrored_path`](super::bases::mirrored_path).
    pub mirror: Option<String>,
}

/// The place on the user's engine where the private engines of one run (or of one engine of its
/// plan) are made, one after another.
///
/// [`connect`](Self::connect), [`prepare`](Self::prepare), [`trust`](Self::trust), then
/// [`fresh`](Self::fresh) and [`release`](Self::release) for each sample, [`close`](Self::close) at
/// the end.
pub struct PrivateHost {
    docker: Docker,
    users: SharedEngine,
    /// The user's engine.
    address: String,
    run: String,
    spec: PrivateSpec,
    /// The image's own start command.
    entrypoint: Vec<String>,
    folder: PathBuf,
    access: Access,
    network: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    registries: Registries,
    /// Containers that were made so far.
    made: u32,
    rights: Option<Rights>,
    current: Option<Current>,
}

struct Current {
    container: String,
    registries: Registries,
    engine: Arc<PrivateEngine>,
    empty: bool,
}

impl PrivateHost {
    /// Connects to the user's engine and sees whether private engines can be made there. Nothing
    /// is made yet.
    ///
    /// `name` tells several engines of one run apart; `folder` is a folder of the run's own, in
    /// which the daemon's socket will lie.
    pub async fn connect(
        user_engine: Option<&str>,
        run: &str,
        name: &str,
        spec: PrivateSpec,
        folder: &Path,
    ) -> Result<Self, EngineError> {
        let users = SharedEngine::connect(user_engine).await?;
        let (docker, address) = connect(Some(users.address())).await?;
        let fail = |operation, on: &str, error| failure(operation, on, &address, error);
        let info = docker.info().await.map_err(|error| fail("ask", "the engine", error))?;
        let access = access(&address, &info)?;
        let image = match docker.inspect_image(&spec.image).await {
            Ok(image) => image,
            Err(error) => {
                return Err(match fail("inspect", &spec.image, error) {
                    EngineError::NotFound { .. } => no_image(&spec.image),
                    other => other,
                });
            }
        };
        Ok(Self {
            docker,
            users,
            address,
            run: run.to_owned(),
            spec,
            entrypoint: image.config.and_then(|config| config.entrypoint).unwrap_or_default(),
            folder: folder.join(format!("engine-{name}")),
            access,
            network: format!("breakeven-{run}-{name}"),
            state: Mutex::default(),
        })
    }

    /// Makes the network, and returns the address at which private engines reach this machine: a
    /// registry for them listens there, and nowhere else. Note the run's id down before: all that
    /// is made is found by it.
    pub async fn prepare(&self) -> Result<IpAddr, EngineError> {
        std::fs::create_dir_all(&self.folder).map_err(|source| EngineError::Io {
            operation: "make the folder".to_owned(),
            reference: self.folder.display().to_string(),
            source,
        })?;
        let request = NetworkCreateRequest {
            name: self.network.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(labels(&self.run)),
            ..NetworkCreateRequest::default()
        };
        let created = self.docker.create_network(request).await;
        created.map_err(|error| self.fail("make the network", &self.network, error))?;
        let inspected = self.docker.inspect_network(&self.network, None).await;
        let inspected =
            inspected.map_err(|error| self.fail("inspect the network", &self.network, error))?;
        gateway_of(inspected.ipam).ok_or_else(|| EngineError::NotCapable {
            what: "a private engine".to_owned(),
            cause: format!("the network {} has no IPv4 gateway", self.network),
            advice: "See default-address-pools in the daemon.json of your engine".to_owned(),
        })
    }

    /// Says which registries the engines to come are to use.
    pub async fn trust(&self, registries: Registries) {
        self.state.lock().await.registries = registries;
    }

    /// An engine as a fresh runner has it: without images, containers and build cache.
    pub async fn fresh(&self) -> Result<Arc<PrivateEngine>, EngineError> {
        let mut state = self.state.lock().await;
        let State { registries, current, .. } = &mut *state;
        if let Some(current) = current
            && std::mem::take(&mut current.empty)
            && current.registries == *registries
        {
            return Ok(Arc::clone(&current.engine));
        }
        // One that was not given back, or was started with other settings.
        self.remove_current(&mut state).await?;
        self.start(&mut state).await
    }

    /// Takes the engine back after a sample: removes it, or with [`Keep::Round`] empties it.
    pub async fn release(&self) -> Result<(), EngineError> {
        let mut state = self.state.lock().await;
        if let (Keep::Round, Some(current)) = (self.spec.keep, &mut state.current) {
            current.empty = current.engine.empty().await.is_ok();
            if current.empty {
                return Ok(());
            }
        }
        self.remove_current(&mut state).await
    }

    /// Removes the engine that is running, if one is: with [`Keep::Round`], at the end of a round.
    pub async fn discard(&self) -> Result<(), EngineError> {
        self.remove_current(&mut *self.state.lock().await).await
    }

    /// Removes all that this host made: container, volumes, network and folder. May be called
    /// again.
    pub async fn close(&self) -> Result<(), EngineError> {
        let discarded = self.discard().await;
        let network = match self.docker.remove_network(&self.network).await {
            Ok(()) => Ok(()),
            Err(error) => match self.fail("remove the network", &self.network, error) {
                EngineError::NotFound { .. } => Ok(()),
                other => Err(other),
            },
        };
        let folder = match std::fs::remove_dir_all(&self.folder) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(EngineError::Io {
                operation: "remove".to_owned(),
                reference: self.folder.display().to_string(),
                source,
            }),
            _ => Ok(()),
        };
        discarded.and(network).and(folder)
    }

    async fn start(&self, state: &mut State) -> Result<Arc<PrivateEngine>, EngineError> {
        let registries = state.registries.clone();
        let ladder = state.rights.clone().map_or_else(Rights::ladder, |rights| vec![rights]);
        let mut ladder = ladder.into_iter();
        let mut rights = ladder.next().unwrap_or(Rights::Least);
        loop {
            state.made += 1;
            let container = format!("{}-{}", self.network, state.made);
            match self.start_with(&container, &rights, &registries).await {
                Ok(engine) => {
                    let engine = Arc::new(engine);
                    state.rights = Some(rights);
                    state.current = Some(Current {
                        container,
                        registries,
                        engine: Arc::clone(&engine),
                        empty: false,
                    });
                    return Ok(engine);
                }
                Err(error) => {
                    // The first error is the one to tell.
                    _ = self.remove(&container).await;
                    match ladder.next() {
                        Some(fewer) if lacks_rights(&error.to_string()) => rights = fewer,
                        _ => return Err(error),
                    }
                }
            }
        }
    }

    async fn start_with(
        &self,
        container: &str,
        rights: &Rights,
        registries: &Registries,
    ) -> Result<PrivateEngine, EngineError> {
        let socket = self.folder.join("docker.sock");
        // Of the engine before; a file that nobody listens on.
        _ = std::fs::remove_file(&socket);
        let request = container::Request {
            image: &self.spec.image,
            entrypoint: &self.entrypoint,
            store: self.spec.store,
            registries,
            network: &self.network,
            labels: labels(&self.run),
            access: self.access,
            folder: &self.folder,
            rights,
        };
        let body = container::body(&request);
        let options = bollard::query_parameters::CreateContainerOptions {
            name: Some(container.to_owned()),
            ..Default::default()
        };
        let created = self.docker.create_container(Some(options), body).await;
        created.map_err(|error| self.fail("make the container", container, error))?;
        let started = self.docker.start_container(container, None).await;
        started.map_err(|error| self.fail("start the container", container, error))?;
        let begun = Instant::now();
        let mut looked = Instant::now();
        let (mut address, root) = self.places(container, &socket).await?;
        loop {
            if let Some(address) = &address
                && (self.access == Access::Port || socket.exists())
                && let Ok(engine) =
                    PrivateEngine::connect(address, root.clone(), self.users.logins().clone()).await
            {
                return Ok(engine);
            }
            if looked.elapsed() >= LOOK * 10 {
                looked = Instant::now();
                if !self.is_running(container).await? {
                    return Err(self.did_not_start(container, "it ended at once").await);
                }
                if address.is_none() {
                    address = self.places(container, &socket).await?.0;
                }
            }
            if begun.elapsed() >= START_LIMIT {
                let waited = format!("no answer within {} s", START_LIMIT.as_secs());
                return Err(self.did_not_start(container, &waited).await);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Where the daemon in this container listens, as far as that is known yet, and where its own
    /// folder lies on this machine.
    async fn places(
        &self,
        container: &str,
        socket: &Path,
    ) -> Result<(Option<String>, Option<PathBuf>), EngineError> {
        let inspected = self.docker.inspect_container(container, None).await;
        let inspected = inspected.map_err(|error| self.fail("inspect", container, error))?;
        let root = inspected.mounts.unwrap_or_default().into_iter().find_map(|mount| {
            let is_root = mount.destination.as_deref() == Some(container::ROOT);
            mount.source.filter(|_| is_root).map(PathBuf::from)
        });
        let address = match self.access {
            Access::Socket => Some(format!("unix://{}", socket.display())),
            Access::Port => {
                let ports = inspected.network_settings.and_then(|settings| settings.ports);
                container::published(ports).map(|port| format!("tcp://127.0.0.1:{port}"))
            }
        };
        Ok((address, root))
    }

    async fn is_running(&self, container: &str) -> Result<bool, EngineError> {
        let inspected = self.docker.inspect_container(container, None).await;
        let inspected = inspected.map_err(|error| self.fail("inspect", container, error))?;
        Ok(inspected.state.and_then(|state| state.running).unwrap_or(false))
    }

    async fn did_not_start(&self, container: &str, how: &str) -> EngineError {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: TAIL.to_owned(),
            ..LogsOptions::default()
        };
        let mut lines = Box::pin(self.docker.logs(container, Some(options)));
        let mut text = String::new();
        while let Some(Ok(line)) = lines.next().await {
            text.push_str(&line.to_string());
        }
        EngineError::NotCapable {
            what: format!("a private engine of the image {}", self.spec.image),
            cause: format!("{how}; the end of its log:\n{}", text.trim_end()),
            advice: "Name another image in `engine.image`; it needs a `dockerd` and an `sh` on \
                     its PATH"
                .to_owned(),
        }
    }

    async fn remove_current(&self, state: &mut State) -> Result<(), EngineError> {
        if let Some(current) = &state.current {
            self.remove(&current.container).await?;
            state.current = None;
        }
        Ok(())
    }

    async fn remove(&self, container: &str) -> Result<(), EngineError> {
        remove_container(&self.docker, &self.address, container).await
    }

    fn fail(&self, operation: &str, on: &str, error: bollard::errors::Error) -> EngineError {
        failure(operation, on, &self.address, error)
    }
}

impl std::fmt::Debug for PrivateHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateHost")
            .field("run", &self.run)
            .field("network", &self.network)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

/// Removes a container with its volumes, whether it runs or not; none there is no error.
async fn remove_container(
    docker: &Docker,
    address: &str,
    container: &str,
) -> Result<(), EngineError> {
    let options = RemoveContainerOptions { v: true, force: true, link: false };
    match docker.remove_container(container, Some(options)).await {
        Ok(()) => Ok(()),
        Err(error) => match failure("remove the container", container, address, error) {
            EngineError::NotFound { .. } => Ok(()),
            other => Err(other),
        },
    }
}

fn labels(run: &str) -> HashMap<String, String> {
    HashMap::from([(LABEL.to_owned(), run.to_owned())])
}

fn gateway_of(ipam: Option<Ipam>) -> Option<IpAddr> {
    ipam?
        .config?
        .into_iter()
        .filter_map(|config| config.gateway?.parse().ok())
        .find(|gateway: &IpAddr| gateway.is_ipv4())
}

fn no_image(image: &str) -> EngineError {
    EngineError::NotCapable {
        what: "a private engine".to_owned(),
        cause: format!("there is no image {image} on your engine"),
        advice: format!(
            "`docker pull {image}`; where nothing can be pulled, `scripts/engine-image.sh` makes \
             breakeven-engine:modern on Debian, to be named in `engine.image`"
        ),
    }
}

/// A socket in a folder of ours, where the user's engine runs on this machine; else a port that
/// is published on the loopback.
fn access(address: &str, info: &SystemInfo) -> Result<Access, EngineError> {
    let here = sysinfo::System::kernel_version().ok() == info.kernel_version
        && sysinfo::System::host_name().ok() == info.name;
    if address.starts_with("unix://") && here {
        return Ok(Access::Socket);
    }
    let host = address.split_once("://").map_or("", |(_, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let loopback = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if address.starts_with("unix://") || loopback {
        return Ok(Access::Port);
    }
    Err(EngineError::NotCapable {
        what: "a private engine".to_owned(),
        cause: format!("your engine at {address} is on another machine, and so would be ours"),
        advice: "Run Breakeven on that machine".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::IpamConfig;

    #[test]
    fn the_gateway_is_the_ipv4_one() {
        let config = |gateway: &str| IpamConfig {
            gateway: Some(gateway.to_owned()),
            ..IpamConfig::default()
        };
        let ipam = |gateways: &[&str]| {
            Some(Ipam {
                config: Some(gateways.iter().map(|at| config(at)).collect()),
                ..Ipam::default()
            })
        };
        let found = gateway_of(ipam(&["fd00::1", "172.18.0.1"]));
        assert_eq!(found, Some(IpAddr::from([172, 18, 0, 1])));
        assert_eq!(gateway_of(ipam(&["fd00::1", "no address"])), None);
        assert_eq!(gateway_of(None), None);
    }

    #[test]
    fn a_socket_is_shared_only_within_one_machine() {
        let here = SystemInfo {
            kernel_version: sysinfo::System::kernel_version().ok(),
            name: sysinfo::System::host_name().ok(),
            ..SystemInfo::default()
        };
        let elsewhere = SystemInfo { name: Some("another".to_owned()), ..here.clone() };
        let of = |address, info| access(address, info).ok();
        assert_eq!(of("unix:///var/run/docker.sock", &here), Some(Access::Socket));
        assert_eq!(of("unix:///var/run/docker.sock", &elsewhere), Some(Access::Port));
        assert_eq!(of("tcp://127.0.0.1:2375", &here), Some(Access::Port));
        assert_eq!(of("tcp://192.0.2.1:2375", &elsewhere), None);
    }
}

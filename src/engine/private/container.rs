//! The container of a private engine, as the Engine API is asked for it. Pure.

use super::Registries;
use crate::model::plan::Store;
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, Mount, MountType,
    MountVolumeOptions, PortBinding, PortMap,
};
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;

/// Where the container finds our folder.
const FOLDER: &str = "/run/breakeven";
/// The daemon's own folder.
pub(super) const ROOT: &str = "/var/lib/docker";
/// Where the daemon listens if there is no common folder.
const PORT: &str = "2375/tcp";
/// Keeps what the daemon is told, for the script below.
const SETTINGS: &str = "BREAKEVEN_DAEMON";

/// Runs before the image's own start command, in any image with an `sh`: a container without all
/// rights gets its control groups read-only, and a daemon must write there.
const SCRIPT: &str = r#"set -eu
for at in /sys/fs/cgroup /sys/fs/cgroup/*; do
    mount -o remount,bind,rw "$at" 2>/dev/null || true
done
mkdir -p /run/breakeven
printf '%s' "$BREAKEVEN_DAEMON" >/run/breakeven-daemon.json
unset BREAKEVEN_DAEMON
if command -v containerd >/dev/null; then
    # A daemon that starts its own looks after it only once a second.
    containerd --root /var/lib/docker/containerd/daemon --log-level warn &
    set -- "$@" --containerd=/run/containerd/containerd.sock
fi
exec "$@"
"#;

/// How we talk to the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// A socket in our folder: nobody else can reach it.
    Socket,
    /// A port on the loopback.
    Port,
}

/// What the container may do. A daemon needs nearly everything; a host may not have it to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rights {
    /// `--privileged`.
    Privileged,
    /// All capabilities but these, unconfined.
    Without(Vec<&'static str>),
    /// Only the capabilities that a daemon cannot do without, unconfined.
    Least,
}

impl Rights {
    /// What to try, one after another: all rights; unless this process already lacks something,
    /// which then the engine beside it probably lacks too. Older engines have to be told to leave
    /// that out, newer ones leave it out and refuse to be told.
    pub(super) fn ladder() -> Vec<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        match missing(&status) {
            missing if missing.is_empty() => vec![Self::Privileged, Self::Least],
            missing => vec![Self::Without(missing), Self::Without(Vec::new()), Self::Least],
        }
    }
}

/// Whether a container could not be started for the rights that were asked for.
pub(super) fn lacks_rights(error: &str) -> bool {
    let error = error.to_lowercase();
    ["apply caps", "capabilit", "operation not permitted", "privileged"]
        .iter()
        .any(|sign| error.contains(sign))
}

/// Capabilities by number, without their prefix.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Those that lie below the highest one in the bounding set and are not in it. What lies above is
/// unknown to the kernel, and the engine leaves it out by itself.
fn missing(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let Some(bounding) = line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()) else {
        return Vec::new();
    };
    let known = u64::BITS - bounding.leading_zeros();
    CAPABILITIES
        .iter()
        .take(known as usize)
        .enumerate()
        .filter(|(number, _)| bounding & (1 << number) == 0)
        .map(|(_, name)| *name)
        .collect()
}

/// Beyond what a container has anyway: mounts and network devices.
const LEAST: [&str; 2] = ["SYS_ADMIN", "NET_ADMIN"];

pub(super) struct Request<'a> {
    pub image: &'a str,
    pub entrypoint: &'a [String],
    pub store: Option<Store>,
    pub registries: &'a Registries,
    pub network: &'a str,
    pub labels: HashMap<String, String>,
    pub access: Access,
    pub folder: &'a Path,
    pub rights: &'a Rights,
}

pub(super) fn body(request: &Request<'_>) -> ContainerCreateBody {
    let mut mounts = vec![volume(ROOT, request), volume("/var/lib/containerd", request)];
    let mut ports = None;
    match request.access {
        Access::Socket => mounts.push(Mount {
            target: Some(FOLDER.to_owned()),
            source: Some(request.folder.display().to_string()),
            typ: Some(MountType::BIND),
            ..Mount::default()
        }),
        Access::Port => {
            let any = PortBinding {
                host_ip: Some("127.0.0.1".to_owned()),
                host_port: Some(String::new()),
            };
            ports = Some(HashMap::from([(PORT.to_owned(), Some(vec![any]))]));
        }
    }
    ContainerCreateBody {
        image: Some(request.image.to_owned()),
        entrypoint: Some(["sh", "-c", SCRIPT, "engine"].map(str::to_owned).to_vec()),
        cmd: Some(command(request)),
        // An image of docker:dind makes certificates and opens a port unless it is told not to.
        env: Some(vec![
            format!("{SETTINGS}={}", settings(request)),
            "DOCKER_TLS_CERTDIR=".to_owned(),
        ]),
        exposed_ports: ports.is_some().then(|| vec![PORT.to_owned()]),
        labels: Some(request.labels.clone()),
        host_config: Some(HostConfig {
            mounts: Some(mounts),
            port_bindings: ports,
            network_mode: Some(request.network.to_owned()),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            // Where the user's engine maps users away, a daemon in a container cannot work.
            userns_mode: Some("host".to_owned()),
            ..rights(request.rights)
        }),
        ..ContainerCreateBody::default()
    }
}

fn rights(rights: &Rights) -> HostConfig {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    let unconfined = || HostConfig {
        security_opt: names(&["seccomp=unconfined", "apparmor=unconfined", "label=disable"]),
        masked_paths: Some(Vec::new()),
        readonly_paths: Some(Vec::new()),
        device_cgroup_rules: names(&["a *:* rwm"]),
        ..HostConfig::default()
    };
    match rights {
        Rights::Privileged => HostConfig { privileged: Some(true), ..HostConfig::default() },
        Rights::Without(missing) => {
            HostConfig { cap_add: names(&["ALL"]), cap_drop: names(missing), ..unconfined() }
        }
        Rights::Least => HostConfig { cap_add: names(&LEAST), ..unconfined() },
    }
}

/// A volume without a name, which goes with its container.
fn volume(target: &str, request: &Request<'_>) -> Mount {
    Mount {
        target: Some(target.to_owned()),
        typ: Some(MountType::VOLUME),
        volume_options: Some(MountVolumeOptions {
            // An image may have something there; a fresh runner has nothing.
            no_copy: Some(true),
            labels: Some(request.labels.clone()),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

/// The image's own start command, which knows what its system needs, with a daemon as its
/// argument.
fn command(request: &Request<'_>) -> Vec<String> {
    let mut command = request.entrypoint.to_vec();
    let is_daemon =
        |word: &String| Path::new(word).file_name().is_some_and(|name| name == "dockerd");
    if !command.last().is_some_and(is_daemon) {
        command.push("dockerd".to_owned());
    }
    command.push("--config-file=/run/breakeven-daemon.json".to_owned());
    if request.access == Access::Port {
        // Said aloud, or the daemon waits for 15 s to warn of it.
        command.push("--tls=false".to_owned());
    }
    command
}

/// The daemon.json.
fn settings(request: &Request<'_>) -> String {
    let host = match request.access {
        Access::Socket => format!("unix://{FOLDER}/docker.sock"),
        Access::Port => "tcp://0.0.0.0:2375".to_owned(),
    };
    let mut settings = json!({
        "hosts": [host],
        "log-level": "warn",
        "insecure-registries": request.registries.insecure,
    });
    if request.access == Access::Socket {
        // The socket must be ours to write to, also where we are not root.
        settings["group"] = json!(rustix::process::getegid().as_raw().to_string());
    }
    if let Some(mirror) = &request.registries.mirror {
        settings["registry-mirrors"] = json!([format!("http://{mirror}")]);
    }
    match request.store {
        Some(Store::Containerd) => settings["features"] = json!({"containerd-snapshotter": true}),
        Some(Store::Overlay2) => {
            settings["features"] = json!({"containerd-snapshotter": false});
            settings["storage-driver"] = json!("overlay2");
        }
        None => {}
    }
    settings.to_string()
}

/// The port on this machine that leads to the daemon, once it is known.
pub(super) fn published(ports: Option<PortMap>) -> Option<u16> {
    let bindings = ports?.remove(PORT)??;
    bindings.into_iter().find_map(|binding| binding.host_port?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(
        rights: &'a Rights,
        registries: &'a Registries,
        entrypoint: &'a [String],
    ) -> Request<'a> {
        Request {
            image: "engine:1",
            entrypoint,
            store: Some(Store::Containerd),
            registries,
            network: "breakeven-r-e",
            labels: HashMap::from([("breakeven.run".to_owned(), "r".to_owned())]),
            access: Access::Socket,
            folder: Path::new("/tmp/x"),
            rights,
        }
    }

    #[test]
    fn capabilities_that_the_host_lacks_are_found() {
        assert_eq!(missing("Name:\tx\nCapBnd:\t000001fffeffffff\n"), ["SYS_RESOURCE"]);
        assert_eq!(missing("CapBnd:\t000001ffffffffff\n"), Vec::<&str>::new());
        // A kernel that knows fewer.
        assert_eq!(missing("CapBnd:\t0000003fffffffff\n"), Vec::<&str>::new());
        assert_eq!(missing("CapBnd: nonsense"), Vec::<&str>::new());
    }

    #[test]
    fn errors_of_rights_are_told_apart() {
        assert!(lacks_rights("runc create failed: unable to apply caps: operation not permitted"));
        assert!(lacks_rights("invalid CapDrop: capability not supported by your kernel"));
        assert!(!lacks_rights("no space left on device"));
        assert_eq!(Rights::ladder().last(), Some(&Rights::Least));
    }

    #[test]
    fn the_network_is_its_own_whatever_the_rights() {
        let registries = Registries::default();
        for rights in [Rights::Privileged, Rights::Without(vec!["BPF"]), Rights::Least] {
            let body = body(&request(&rights, &registries, &[]));
            let host = body.host_config.unwrap();
            assert_eq!(host.network_mode.as_deref(), Some("breakeven-r-e"));
            assert_eq!(host.pid_mode, None);
            assert_eq!(host.cgroupns_mode, Some(HostConfigCgroupnsModeEnum::PRIVATE));
            assert_eq!(host.port_bindings, None, "no port is opened");
            for mount in &host.mounts.unwrap()[..2] {
                let options = mount.volume_options.as_ref().unwrap();
                assert_eq!(options.labels.as_ref().unwrap()["breakeven.run"], "r");
                assert_eq!(mount.source, None, "a volume with a name stays");
            }
        }
    }

    #[test]
    fn the_images_own_start_command_is_kept() {
        let (rights, registries) = (Rights::Privileged, Registries::default());
        let of = |entrypoint: &[&str]| {
            let entrypoint: Vec<String> = entrypoint.iter().map(|&word| word.to_owned()).collect();
            command(&request(&rights, &registries, &entrypoint))
        };
        let config = "--config-file=/run/breakeven-daemon.json";
        assert_eq!(of(&["dockerd-entrypoint.sh"]), ["dockerd-entrypoint.sh", "dockerd", config]);
        assert_eq!(of(&[]), ["dockerd", config]);
        assert_eq!(of(&["/usr/bin/dockerd"]), ["/usr/bin/dockerd", config]);
    }

    #[test]
    fn the_daemon_is_told_of_registries_and_store() {
        let registries = Registries {
            insecure: vec!["172.18.0.1:5000".to_owned()],
            mirror: Some("172.18.0.1:5000".to_owned()),
        };
        let rights = Rights::Privileged;
        let asked = request(&rights, &registries, &[]);
        let told: serde_json::Value = serde_json::from_str(&settings(&asked)).unwrap();
        assert_eq!(told["insecure-registries"][0], "172.18.0.1:5000");
        assert_eq!(told["registry-mirrors"][0], "http://172.18.0.1:5000");
        assert_eq!(told["features"]["containerd-snapshotter"], true);
        assert_eq!(told["hosts"][0], "unix:///run/breakeven/docker.sock");
        let asked = Request { access: Access::Port, store: Some(Store::Overlay2), ..asked };
        let told: serde_json::Value = serde_json::from_str(&settings(&asked)).unwrap();
        assert_eq!(told["storage-driver"], "overlay2");
        assert_eq!(told["hosts"][0], "tcp://0.0.0.0:2375");
        let host = body(&asked).host_config.unwrap();
        let bindings = host.port_bindings.unwrap()[PORT].clone().unwrap();
        assert_eq!(bindings[0].host_ip.as_deref(), Some("127.0.0.1"), "for this machine only");
    }

    #[test]
    fn the_published_port_is_read() {
        let binding = |port: &str| PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: Some(port.to_owned()),
        };
        let ports = |bindings| Some(HashMap::from([(PORT.to_owned(), bindings)]));
        assert_eq!(published(ports(Some(vec![binding("49153")]))), Some(49153));
        assert_eq!(published(ports(None)), None);
        assert_eq!(published(None), None);
    }
}

//! A modern engine in a container, used as if it were the user's own, so that it can be stopped and
//! its disk filled: never the machine's.

use super::harness::{Bed, docker};
use super::lab::BASE;
use breakeven::engine::private::{PrivateHost, PrivateSpec, Registries, remove_leftovers};
use breakeven::engine::{Engine, SharedEngine, Snapshot};
use breakeven::model::plan::{Keep, Store};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Where its layers lie.
const LAYERS: &str = "/var/lib/docker/overlay2";

/// The engine, with a registry beside it in the same container.
pub struct Inner {
    runtime: Runtime,
    run: String,
    host: PrivateHost,
    container: String,
    /// Address of the engine.
    pub engine: String,
    /// Address of the registry, the same on this machine and for the engine.
    pub registry: String,
    /// The container's address, where the registry is reached from this machine.
    inside: Arc<Mutex<String>>,
}

impl Inner {
    /// It has the base image. `layers` is the size of the disk that its layers lie on, as `mount`
    /// takes it; none for all that the machine has.
    pub fn start(bed: &Bed, layers: Option<&str>) -> Self {
        let run = format!("test-inner-{}", bed.salt().to_lowercase());
        let spec = PrivateSpec {
            image: "breakeven-engine:modern".to_owned(),
            store: Some(Store::Overlay2),
            keep: Keep::Round,
        };
        let folder = bed.path("inner");
        std::fs::create_dir(&folder).unwrap();
        let runtime = Runtime::new().unwrap();
        let (host, engine) = runtime.block_on(async {
            let host = PrivateHost::connect(None, &run, "e", spec, &folder).await.unwrap();
            host.prepare().await.unwrap();
            host.trust(Registries::default()).await;
            let engine = host.fresh().await.unwrap().facts().await.unwrap().address;
            (host, engine)
        });
        let label = format!("label=breakeven.run={run}");
        let container = docker(&["ps", "-q", "--filter", &label]).trim().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = bed.path("registry-inside.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /registry\n  delete:\n    \
             enabled: true\nhttp:\n  addr: 0.0.0.0:{}\n",
            address.port()
        );
        std::fs::write(&config, text).unwrap();
        let into = |from: &str, to: &str| docker(&["cp", from, &format!("{container}:{to}")]);
        into("/usr/bin/docker-registry", "/usr/bin/");
        into(&config.to_string_lossy(), "/registry.yml");
        let inside = Arc::default();
        forward(listener, Arc::clone(&inside));
        let inner =
            Self { runtime, run, host, container, engine, registry: address.to_string(), inside };
        if let Some(size) = layers {
            // As it was made for the first layers, empty but for a folder.
            let mount = format!("mount -t tmpfs -o size={size} tmpfs {LAYERS} && mkdir {LAYERS}/l");
            inner.exec(&mount);
        }
        inner.serve();
        let load = format!("docker save {BASE} | docker -H {} load", inner.engine);
        assert!(Command::new("sh").args(["-c", &load]).status().unwrap().success());
        inner
    }

    fn exec(&self, script: &str) {
        docker(&["exec", &self.container, "sh", "-c", script]);
    }

    /// Starts the registry in the running container.
    fn serve(&self) {
        docker(&["exec", "-d", &self.container, "docker-registry", "serve", "/registry.yml"]);
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = docker(&["inspect", "--format", format, &self.container]);
        let port = self.registry.rsplit_once(':').unwrap().1;
        let address = format!("{}:{port}", address.trim());
        self.inside.lock().unwrap().clone_from(&address);
        wait_until("the registry", || TcpStream::connect(&address).is_ok());
    }

    /// Stops the engine and all that runs beside it.
    pub fn stop(&self) {
        docker(&["stop", &self.container]);
    }

    /// Starts it again, with all that it held.
    pub fn again(&self) {
        docker(&["start", &self.container]);
        let answers = || {
            let asked = Command::new("docker").args(["-H", &self.engine, "version"]).output();
            asked.is_ok_and(|output| output.status.success())
        };
        wait_until("the engine", answers);
        self.serve();
    }

    /// Takes all room that is left for layers.
    pub fn fill(&self) {
        self.exec(&format!("cat /dev/zero >{LAYERS}/filler 2>/dev/null || true"));
    }

    /// Gives the room back.
    pub fn free(&self) {
        self.exec(&format!("rm {LAYERS}/filler"));
    }

    /// What is on it.
    pub fn holds(&self) -> Snapshot {
        self.runtime.block_on(async {
            let engine = SharedEngine::connect(Some(&self.engine)).await.unwrap();
            engine.snapshot().await.unwrap()
        })
    }

    /// The tables of a configuration that name it and its registry.
    pub fn config(&self) -> String {
        format!(
            "[engine]\nhost = \"{}\"\n[registry]\naddress = \"{}\"\nprefix = \"team\"\n",
            self.engine, self.registry
        )
    }

    /// Removes it.
    pub fn remove(self) {
        self.runtime.block_on(self.host.close()).unwrap();
    }
}

/// Leads what comes here on to an address that may change.
fn forward(listener: TcpListener, to: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let address = to.lock().unwrap().clone();
            // A client that cannot be led on is let go.
            if let Ok(server) = TcpStream::connect(address) {
                join(client, server);
            }
        }
    });
}

/// Brings each of the two what the other says.
pub fn join(client: TcpStream, server: TcpStream) {
    let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
    for (mut from, mut to) in [(client, server), back] {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
    }
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what} does not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Drop for Inner {
    /// What a failed test left goes all the same.
    fn drop(&mut self) {
        let _ = self.runtime.block_on(remove_leftovers(None, &self.run));
    }
}

//! A run as a job of a Docker Swarm, for real: the script of `deploy/` on a private engine in swarm
//! mode, four tasks of the program, their storage an S3 server on this machine. Merged, it is what
//! one unsplit run measures there.

use crate::rig::{BASE, IMAGE, Rig, docker};
use crate::server;
use breakeven::decision::Decision;
use breakeven::model::plan::{Keep, Store};
use breakeven::model::{CellKey, Event, Sample};
use breakeven::run::recorded;
use breakeven::stats::Estimate;
use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tokio::net::TcpListener;

const TASK: &str = "breakeven-task:1";
const KEYS: (&str, &str) = ("swarm-key", "swarm-secret");

const CONFIG: &str = r##"
rounds = 4
deploy_rounds = 0
storage = "s3://shared/ci"
changes = ["app"]

[strategies]
use = ["cold", "save-load-stages"]
builders = ["classic"]

[workload.article]
context = "article"
build_args = { PACKAGE_SECONDS = "0.2", PACKAGE_MB = "1", DEPS_SECONDS = "0.8", DEPS_MB = "2" }

[change.app]
edits = [{ append = "app/serve.sh", text = "# {nonce}\n" }]

[candidate.main]

[[availability]]
have = ["main"]
"##;

/// The private engine as the tasks' node.
struct Node {
    socket: String,
    /// The folder that is `/run/breakeven` within the engine's container.
    folder: PathBuf,
}

impl Node {
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("DOCKER_HOST", &self.socket)
            .env("DOCKER_BUILDKIT", "0")
            .env_remove("DOCKER_CONTEXT")
            .stdin(Stdio::null());
        command
    }

    #[track_caller]
    fn docker(&self, arguments: &[&str]) -> String {
        succeeded(self.command("docker").args(arguments).output().unwrap(), &arguments.join(" "))
    }

    /// The base image, and the program with what it is linked to and a registry beside it.
    fn load_images(&self, rig: &Rig) {
        let archive = rig.dir.path().join("base.tar");
        let archive = archive.to_str().unwrap();
        docker(&["save", "-o", archive, BASE]);
        self.docker(&["load", "-i", archive]);
        let context = rig.dir.path().join("task");
        let bin = context.join("root/usr/local/bin");
        fs::create_dir_all(&bin).unwrap();
        let registry = succeeded(
            Command::new("sh").args(["-c", "command -v docker-registry"]).output().unwrap(),
            "docker-registry: run scripts/setup.sh",
        );
        let programs = [env!("CARGO_BIN_EXE_breakeven"), registry.trim()];
        for program in programs {
            let to = bin.join(Path::new(program).file_name().unwrap());
            fs::copy(program, &to).unwrap();
            // What a debugger needs is most of it. Where there is no strip, it stays.
            let _ = Command::new("strip").arg(&to).output();
            for library in libraries(program) {
                let to = context.join("root").join(library.strip_prefix("/").unwrap());
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(&library, to).unwrap();
            }
        }
        // A client of a registry wants some to be there, also where none is asked for.
        let certificates = Path::new("/etc/ssl/certs/ca-certificates.crt");
        if certificates.exists() {
            let to = context.join("root/etc/ssl/certs");
            fs::create_dir_all(&to).unwrap();
            fs::copy(certificates, to.join("ca-certificates.crt")).unwrap();
        }
        fs::write(context.join("Dockerfile"), format!("FROM {BASE}\nCOPY root /\n")).unwrap();
        self.docker(&["build", "--quiet", "--tag", TASK, context.to_str().unwrap()]);
    }

    /// What the script and the unsplit run read, and where they write.
    fn prepare(&self, gateway: IpAddr, port: u16, salt: &str) -> PathBuf {
        let config = self.folder.join("config");
        fs::create_dir_all(&config).unwrap();
        fs::create_dir_all(self.folder.join("parts")).unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/article");
        let copied = Command::new("cp").arg("-r").arg(fixture).arg(config.join("article")).status();
        assert!(copied.unwrap().success());
        let dockerfile = config.join("article/Dockerfile");
        let text = fs::read_to_string(&dockerfile).unwrap();
        fs::write(&dockerfile, text.replace("libsample-dev", &format!("lib{salt}"))).unwrap();
        fs::write(config.join("breakeven.toml"), CONFIG).unwrap();
        let variables = self.folder.join("variables");
        let (key, secret) = KEYS;
        let text = format!(
            "AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={secret}\nAWS_REGION=us-east-1\n\
             AWS_ENDPOINT_URL=http://{gateway}:{port}\nAWS_ALLOW_HTTP=true\n"
        );
        fs::write(&variables, text).unwrap();
        variables
    }
}

#[track_caller]
fn succeeded(output: Output, what: &str) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {out}{err}");
    out.into_owned()
}

/// What a program is linked to, the loader included.
fn libraries(program: &str) -> Vec<PathBuf> {
    let listed = succeeded(Command::new("ldd").arg(program).output().unwrap(), "ldd");
    let paths = listed.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(PathBuf::from).collect()
}

/// Of every counted sample: where it was, whether it is ok, its hits and what served it.
fn measured(events: &[Event]) -> BTreeMap<(u32, u32, CellKey), (String, usize, String)> {
    let of = |sample: &Sample| {
        let key = (sample.round, sample.position, sample.cell.key());
        (key, (sample.status.to_string(), sample.step_hits(), sample.cache_source.clone()))
    };
    let samples = events.iter().filter_map(|event| match event {
        Event::SampleFinished { sample } if sample.round > 0 => Some(sample.as_ref()),
        _ => None,
    });
    samples.map(of).collect()
}

fn saving(decision: &Decision) -> Estimate {
    let carried = decision.weighted.iter().find(|one| one.strategy == "save-load-stages").unwrap();
    carried.saving.as_ref().unwrap().seconds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_tasks_of_a_swarm_measure_what_one_run_does() {
    let rig = Rig::new("swarm").await;
    let host = rig.connect(IMAGE, Some(Store::Overlay2), Keep::Round).await.unwrap();
    let gateway = host.prepare().await.unwrap();
    let _engine = host.fresh().await.unwrap();
    let folder = rig.dir.path().join("engine-e");
    let node = Node { socket: format!("unix://{}/docker.sock", folder.display()), folder };

    let buckets = rig.dir.path().join("s3");
    fs::create_dir_all(buckets.join("shared")).unwrap();
    let listener = TcpListener::bind((gateway, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let root = buckets.clone();
    let storage = tokio::spawn(async move { server::serve(listener, &root, KEYS).await });

    let variables = node.prepare(gateway, port, &rig.run);
    let swarm = tokio::task::spawn_blocking(move || {
        node.load_images(&rig);
        node.docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/swarm.sh");
        let output = node
            .command(script)
            .env("IMAGE", TASK)
            .env("NAME", "four")
            .env("PARTS", "4")
            .env("AT_ONCE", "1")
            .env("CONFIG", "/run/breakeven/config")
            .env("PARTS_IN", "/run/breakeven/parts")
            .env("SOCKET", "/run/breakeven/docker.sock")
            .env("ENV_FILE", &variables)
            .output()
            .unwrap();
        let said = succeeded(output, "deploy/swarm.sh");
        assert!(said.contains("Machines: saving a build"), "{said}");
        let left = node.docker(&["service", "ls", "--quiet"]);
        assert_eq!(left.trim(), "", "the service is removed");
        let merged = recorded(&node.folder.join("parts/four-whole")).unwrap();

        let seed = merged.plan.seed.to_string();
        node.docker(&[
            "run",
            "--rm",
            "--network",
            "host",
            "--env-file",
            variables.to_str().unwrap(),
            "--mount",
            "type=bind,source=/run/breakeven/docker.sock,target=/var/run/docker.sock",
            "--mount",
            "type=bind,source=/run/breakeven/config,target=/config,readonly",
            "--mount",
            "type=bind,source=/run/breakeven/parts,target=/parts",
            "--entrypoint",
            "breakeven",
            TASK,
            "run",
            "/config/breakeven.toml",
            "--seed",
            &seed,
            "--out",
            "/parts/unsplit",
        ]);
        let unsplit = recorded(&node.folder.join("parts/unsplit")).unwrap();
        (rig, merged, unsplit)
    });
    let (rig, merged, unsplit) = swarm.await.unwrap();

    let machines = &merged.decision.machines.machines;
    assert_eq!(machines.iter().map(|one| one.rounds).collect::<Vec<_>>(), [1; 4]);
    let (ours, theirs) = (measured(&merged.events), measured(&unsplit.events));
    assert_eq!(ours, theirs, "the same rounds in the same order, with the same hits");
    assert!(ours.values().all(|(status, ..)| status == "ok"), "{ours:?}");
    let hits = ours.values().filter(|(_, hits, _)| *hits > 0).count();
    assert_eq!(hits, 4, "save-load-stages hits in every round: {ours:?}");
    let (ours, theirs) = (saving(&merged.decision), saving(&unsplit.decision));
    assert!(ours.low <= theirs.high && theirs.low <= ours.high, "{ours:?} {theirs:?}");

    storage.abort();
    // The runs removed what they stored; the server notes beside the bucket what it once held.
    let left: Vec<_> = walkdir::WalkDir::new(buckets.join("shared"))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    host.close().await.unwrap();
    rig.assert_nothing_left();
}

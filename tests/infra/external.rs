//! The user's own registry: a distribution with a password, and servers that misbehave.

use super::docker::{BINARY, Image, docker, try_docker, unique};
use breakeven::model::ImageRef;
use breakeven::registry::{ExternalRegistry, Registry, RegistryError, Seed};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// User `me`, password `secret`.
const PASSWORDS: &str = "me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A registry as an administrator would run it, and a docker configuration that is logged in.
struct Theirs {
    dir: tempfile::TempDir,
    address: String,
    process: Child,
}

impl Theirs {
    fn start(deletion: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = free_address();
        std::fs::write(dir.path().join("passwords"), PASSWORDS).unwrap();
        let config = serde_json::json!({
            "version": "0.1",
            "storage": {
                "filesystem": { "rootdirectory": dir.path().join("data") },
                "delete": { "enabled": deletion },
            },
            "http": { "addr": address },
            "auth": {
                "htpasswd": { "realm": "test", "path": dir.path().join("passwords") },
            },
        });
        std::fs::write(dir.path().join("config.yml"), config.to_string()).unwrap();
        let process = Command::new(BINARY)
            .arg("serve")
            .arg(dir.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need docker-registry");
        let theirs = Self { dir, address, process };
        theirs.log_in("secret");
        for _ in 0..1000 {
            if TcpStream::connect(&theirs.address).is_ok() {
                return theirs;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the registry at {} does not answer", theirs.address);
    }

    /// Writes what `docker login` would write.
    fn log_in(&self, password: &str) {
        let auth = match password {
            "secret" => "bWU6c2VjcmV0",
            _ => "bWU6d3Jvbmc=",
        };
        let auths = serde_json::json!({ &self.address: { "auth": auth } });
        let config = serde_json::json!({ "auths": auths });
        std::fs::write(self.dir.path().join("config.json"), config.to_string()).unwrap();
    }

    async fn connect(&self) -> Result<ExternalRegistry, RegistryError> {
        ExternalRegistry::connect(&self.address, "team/x", "run-1", Some(self.dir.path())).await
    }

    fn push(&self, image: &Image) {
        let config = self.dir.path().display().to_string();
        docker(&["--config", &config, "push", &image.reference.to_string()]);
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_put_back_and_nothing_else_is_touched() {
    let theirs = Theirs::start(true);
    let registry = theirs.connect().await.unwrap();
    assert_eq!(registry.prefix(), format!("{}/team/x/breakeven-run-1", theirs.address));
    assert!(!registry.restores_fully());

    let repository = format!("{}/service", registry.prefix());
    let users_own = ImageRef::new(format!("{}/team/x/service", theirs.address), "main");
    let (base, one, two) = (unique("base"), unique("one"), unique("two"));
    let main = Image::build(ImageRef::new(&repository, "main"), &[&base, &one]);
    let branch = Image::build(ImageRef::new(&repository, "branch"), &[&base, &two]);
    docker(&["tag", &main.reference.to_string(), &users_own.to_string()]);
    let users_own = Image { reference: users_own };
    theirs.push(&users_own);

    theirs.push(&main);
    let digest = registry.digest(&main.reference).await.unwrap().unwrap();
    let config = registry.image_config(&main.reference).await.unwrap().unwrap();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
    let seed = Seed("main".to_owned());
    registry.remember(&seed, std::slice::from_ref(&main.reference)).await.unwrap();

    for _ in 0..2 {
        theirs.push(&branch);
        // Another tag of the very manifest that stays.
        let alias = Image { reference: ImageRef::new(&repository, "alias") };
        docker(&["tag", &main.reference.to_string(), &alias.reference.to_string()]);
        theirs.push(&alias);
        docker(&["tag", &branch.reference.to_string(), &main.reference.to_string()]);
        theirs.push(&main);
        registry.restore(std::slice::from_ref(&seed)).await.unwrap();
        assert_eq!(registry.digest(&main.reference).await.unwrap().as_ref(), Some(&digest));
        assert_eq!(registry.digest(&branch.reference).await.unwrap(), None);
        assert_eq!(registry.digest(&alias.reference).await.unwrap(), None);
        let config = theirs.dir.path().display().to_string();
        docker(&["--config", &config, "pull", "--quiet", &main.reference.to_string()]);
    }

    registry.restore(&[]).await.unwrap();
    assert_eq!(registry.digest(&main.reference).await.unwrap(), None);
    registry.restore(&[seed]).await.unwrap();
    assert_eq!(registry.digest(&main.reference).await.unwrap().as_ref(), Some(&digest));

    // What is not ours is read at most.
    let foreign = registry
        .remember(&Seed("x".to_owned()), std::slice::from_ref(&users_own.reference))
        .await
        .unwrap_err();
    assert!(matches!(foreign, RegistryError::NotOurs { .. }), "{foreign}");
    assert!(registry.digest(&users_own.reference).await.unwrap().is_some());
    registry.close().await.unwrap();
    registry.close().await.unwrap();
    assert_eq!(registry.digest(&main.reference).await.unwrap(), None);
    assert!(registry.digest(&users_own.reference).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_deletion_says_what_to_enable() {
    let theirs = Theirs::start(false);
    let registry = theirs.connect().await.unwrap();
    let reference = ImageRef::new(format!("{}/service", registry.prefix()), "main");
    let image = Image::build(reference, &[&unique("only")]);
    theirs.push(&image);
    registry.remember(&Seed("s".to_owned()), std::slice::from_ref(&image.reference)).await.unwrap();
    // Nothing to delete: nothing to complain about.
    registry.restore(&[Seed("s".to_owned())]).await.unwrap();
    let error = registry.restore(&[]).await.unwrap_err().to_string();
    assert!(error.contains("405") && error.contains("storage.delete.enabled"), "{error}");
}

async fn error_of(address: &str, config: &Path) -> String {
    match ExternalRegistry::connect(address, "", "r", Some(config)).await {
        Ok(_) => panic!("{address} should not do"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_no_password_ask_for_a_login() {
    let theirs = Theirs::start(true);
    theirs.log_in("wrong");
    let advice = format!("docker login {}", theirs.address);
    let error = error_of(&theirs.address, theirs.dir.path()).await;
    assert!(error.contains("401") && error.contains(&advice), "{error}");
    let error = error_of(&theirs.address, Path::new("/nowhere")).await;
    assert!(error.contains("401") && error.contains(&advice), "{error}");
    // docker itself agrees.
    let probe = format!("{}/team/x/probe:1", theirs.address);
    let config = theirs.dir.path().display().to_string();
    assert!(!try_docker(&["--config", &config, "pull", &probe]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_refuses_is_named() {
    let address = free_address();
    let error = error_of(&address, Path::new("/nowhere")).await;
    assert!(error.contains(&address) && error.contains("refused"), "{error}");
    assert!(error.contains("Check the address"), "{error}");
}

/// A server that answers everything in the same way, or takes connections and says nothing.
fn serve(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().filter_map(Result::ok) {
            if let Some(answer) = answer {
                let (mut stream, mut request) = (stream, [0; 4096]);
                if stream.read(&mut request).is_ok() {
                    let _ = stream.write_all(answer.as_bytes());
                }
            } else {
                held.push(stream);
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_answers_500_is_quoted() {
    let address = serve(Some(
        "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 4\r\n\r\noops",
    ));
    let error = error_of(&address, Path::new("/nowhere")).await;
    assert!(error.contains(&address) && error.contains("500"), "{error}");
    assert!(error.contains("Look at its log"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_at_the_address_is_no_registry() {
    let address =
        serve(Some("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
    let error = error_of(&address, Path::new("/nowhere")).await;
    assert!(error.contains("404") && error.contains("API version 2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_hangs_is_given_up() {
    let address = serve(None);
    let error = error_of(&address, Path::new("/nowhere")).await;
    assert!(error.contains(&address) && error.contains("timed out"), "{error}");
}

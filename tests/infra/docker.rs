//! The docker client, as a user has it, and images that are removed again.

use breakeven::model::ImageRef;
use std::path::Path;
use std::process::{Command, Output};

pub const BINARY: &str = "docker-registry";

/// Runs docker with the classic builder; panics with its output if it fails.
pub fn docker(arguments: &[&str]) -> String {
    let output = try_docker(arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {said}{error}");
    said.trim().to_owned()
}

pub fn try_docker(arguments: &[&str]) -> Output {
    Command::new("docker")
        .args(arguments)
        .env("DOCKER_BUILDKIT", "0")
        .output()
        .expect("these tests need docker")
}

/// An image of ours, removed when dropped.
pub struct Image {
    pub reference: ImageRef,
}

impl Image {
    /// Builds an image with one layer per content; contents that are the same at the beginning
    /// share their layers.
    pub fn build(reference: ImageRef, layers: &[&str]) -> Self {
        let context = tempfile::tempdir().expect("a temporary folder");
        let mut dockerfile = "FROM scratch\n".to_owned();
        for (index, layer) in layers.iter().enumerate() {
            let file = context.path().join(format!("layer{index}"));
            std::fs::write(&file, layer).expect("a layer's file");
            dockerfile.push_str(&format!("COPY layer{index} /\n"));
        }
        std::fs::write(context.path().join("Dockerfile"), dockerfile).expect("a Dockerfile");
        let context = context.path().display().to_string();
        docker(&["build", "--quiet", "--tag", &reference.to_string(), &context]);
        Self { reference }
    }

    /// Leaves it to another owner of the same tag.
    pub fn keep(self) {
        std::mem::forget(self);
    }

    /// Pushes; how many layers were sent and how many were there.
    pub fn push(&self) -> (usize, usize) {
        let said = docker(&["push", &self.reference.to_string()]);
        (said.matches(": Pushed").count(), said.matches(": Layer already exists").count())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        try_docker(&["rmi", &self.reference.to_string()]);
    }
}

/// Text that no other test or run has.
pub fn unique(what: &str) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock after 1970");
    format!("{what}-{}-{}", std::process::id(), now.as_nanos())
}

/// An image of CNCF distribution, made from this machine's program and its libraries.
pub fn registry_image() -> Image {
    let root = tempfile::tempdir().expect("a temporary folder");
    let which = Command::new("which").arg(BINARY).output().expect("which");
    let binary = String::from_utf8_lossy(&which.stdout).trim().to_owned();
    let libraries = Command::new("ldd").arg(&binary).output().expect("ldd");
    let libraries = String::from_utf8_lossy(&libraries.stdout).into_owned();
    let files = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    for file in files.chain([binary.as_str()]) {
        let target = root.path().join(Path::new(file).strip_prefix("/").expect("absolute"));
        std::fs::create_dir_all(target.parent().expect("a parent")).expect("a folder");
        std::fs::copy(file, target).expect("a copy");
    }
    std::fs::create_dir(root.path().join("tmp")).expect("a folder");
    let archive = tempfile::NamedTempFile::new().expect("a temporary file");
    let packed = Command::new("tar")
        .args(["-C", &root.path().display().to_string(), "-cf"])
        .arg(archive.path())
        .arg(".")
        .status()
        .expect("tar");
    assert!(packed.success());
    let reference = ImageRef::new("breakeven-test-registry", unique("t"));
    let entry = format!("ENTRYPOINT [\"{binary}\"]");
    let archive = archive.path().display().to_string();
    docker(&["import", "--change", &entry, &archive, &reference.to_string()]);
    Image { reference }
}

//! Each phase, ours and docker's, in pairs.

use crate::{commands, registry::Registry};
use anyhow::{Context, Result};
use breakeven::engine::{BuildRequest, Engine, Owned, Snapshot, StepLog};
use breakeven::model::plan::ArchivePlan;
use breakeven::model::{Builder, ImageRef};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::TempDir;

/// Bytes of the image that is pushed, pulled, saved and loaded.
const IMAGE_BYTES: u64 = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Docker,
}

/// Seconds of both sides, ours first.
type Pair = (f64, f64);

/// What is measured with, and what was made.
pub struct Bench {
    /// Ours.
    pub engine: Box<dyn Engine>,
    registry: Registry,
    base: ImageRef,
    owned: Owned,
    /// Build cache records that came up while docker built. Those of our own builds the engine
    /// knows.
    records: BTreeSet<String>,
    /// Dropped last: the registry writes into it.
    folder: TempDir,
}

impl Bench {
    /// Starts the registry and makes the base image of the builds.
    pub fn new(engine: Box<dyn Engine>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let registry = Registry::start(folder.path())?;
        let base = ImageRef::new(format!("{}/base", registry.address), "1");
        let mut bench = Self {
            engine,
            registry,
            base,
            owned: Owned::default(),
            records: BTreeSet::new(),
            folder,
        };
        let root = bench.path("base.tar");
        let mut archive = tar::Builder::new(std::fs::File::create(&root)?);
        archive
            .append_path_with_name("/bin/busybox", "bin/busybox")
            .context("/bin/busybox: install busybox-static")?;
        archive.into_inner()?;
        let reference = bench.base.clone();
        let name = reference.to_string();
        let id = commands::docker(&["import", &root.display().to_string(), &name])?;
        bench.made(&reference, &id);
        Ok(bench)
    }

    /// A path in the temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A reference in our registry.
    pub fn reference(&self, name: &str, number: usize) -> ImageRef {
        ImageRef::new(format!("{}/{name}", self.registry.address), number.to_string())
    }

    /// Remembers an image for removal.
    pub fn made(&mut self, reference: &ImageRef, id: &str) {
        self.owned.tags.insert(reference.to_string());
        self.owned.images.insert(id.to_owned());
    }

    /// Removes what was made and is not in `before`.
    pub async fn clean(&self, before: &Snapshot) -> Result<()> {
        let reset = self.engine.reset(&self.owned, before).await;
        let pruned = commands::prune(self.records.difference(&before.records));
        reset?;
        pruned
    }

    /// Measures every phase.
    pub async fn phases(&mut self, pairs: usize) -> Result<Vec<(&'static str, Vec<Pair>)>> {
        let mut classic = Vec::new();
        let mut buildkit = Vec::new();
        let mut transfers = vec![Vec::new(); 4];
        for pair in 0..pairs {
            classic.push(self.build_pair(Builder::Classic, pair).await?);
            buildkit.push(self.build_pair(Builder::Buildkit, pair).await?);
            for (of_phase, seconds) in transfers.iter_mut().zip(self.transfer_pair(pair).await?) {
                of_phase.push(seconds);
            }
        }
        let names = ["push", "pull", "save", "load"];
        let mut all = vec![("build classic", classic), ("build buildkit", buildkit)];
        all.extend(names.into_iter().zip(transfers));
        Ok(all)
    }

    async fn build_pair(&mut self, builder: Builder, pair: usize) -> Result<Pair> {
        let mut seconds = BTreeMap::new();
        for side in order(pair) {
            let taken = self.build(side, builder, pair).await?;
            seconds.insert(side == Side::Docker, taken);
        }
        Ok((seconds[&false], seconds[&true]))
    }

    /// Builds something that no build made before: a new file, copied before the step.
    async fn build(&mut self, side: Side, builder: Builder, pair: usize) -> Result<f64> {
        let context = self.path("context");
        std::fs::create_dir_all(&context)?;
        std::fs::write(context.join("nonce"), format!("{side:?} {builder} {pair}"))?;
        let dockerfile = context.join("Dockerfile");
        let work = "head -c 20000000 /dev/zero | /bin/busybox sha256sum > /sum";
        let text = format!(
            "FROM {}\nCOPY nonce /nonce\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"/bin/busybox {work}\"]\n",
            self.base
        );
        std::fs::write(&dockerfile, text)?;
        let tag = self.reference(&format!("build-{builder}"), pair);
        let name = tag.to_string();
        self.owned.tags.insert(name.clone());
        let before = self.engine.snapshot().await?;
        let started = Instant::now();
        match (side, builder) {
            (Side::Docker, Builder::Classic) => commands::build_classic(&context, &name)?,
            (Side::Docker, Builder::Buildkit | Builder::Buildah) => {
                commands::build_buildkit(&context, &name)?
            }
            (Side::Ours, _) => {
                let request = BuildRequest {
                    builder,
                    context: &context,
                    dockerfile: &dockerfile,
                    target: None,
                    build_args: &BTreeMap::new(),
                    sources: &[],
                    layers: None,
                    tag: &tag,
                    inline_cache: false,
                    cache_folder: None,
                    export: None,
                    export_folder: Path::new("unused"),
                };
                let built = self.engine.build(&request, &|_| (), &mut StepLog::default()).await?;
                self.owned.images.extend(built.images_seen);
            }
        }
        let taken = started.elapsed().as_secs_f64();
        if side == Side::Docker {
            let after = self.engine.snapshot().await?;
            self.records.extend(after.records.difference(&before.records).cloned());
        }
        commands::docker(&["rmi", &name])?;
        Ok(taken)
    }

    /// Push, pull, save and load.
    async fn transfer_pair(&mut self, pair: usize) -> Result<[Pair; 4]> {
        let mut ours = [0.0; 4];
        let mut docker = [0.0; 4];
        for side in order(pair) {
            match side {
                Side::Ours => ours = self.transfers(side, pair).await?,
                Side::Docker => docker = self.transfers(side, pair).await?,
            }
        }
        Ok(std::array::from_fn(|phase| (ours[phase], docker[phase])))
    }

    /// Of a new image each time: registry and engine know no layer of it.
    async fn transfers(&mut self, side: Side, pair: usize) -> Result<[f64; 4]> {
        let seed = 2 * pair as u64 + 1 + u64::from(side == Side::Docker);
        let reference = self.reference(&format!("{side:?}").to_lowercase(), pair);
        let name = reference.to_string();
        let id = commands::import_random(&name, IMAGE_BYTES, seed)?;
        self.made(&reference, &id);
        let archive = self.path("image.tar");
        let file = archive.display().to_string();
        let mut log = StepLog::default();
        let mut seconds = [0.0; 4];

        let started = Instant::now();
        match side {
            Side::Ours => drop(self.engine.push(&reference, &mut log).await?),
            Side::Docker => drop(commands::docker(&["push", &name])?),
        }
        seconds[0] = started.elapsed().as_secs_f64();

        commands::docker(&["rmi", &name])?;
        let started = Instant::now();
        match side {
            Side::Ours => self.engine.pull(&reference, &mut log).await?,
            Side::Docker => drop(commands::docker(&["pull", &name])?),
        }
        seconds[1] = started.elapsed().as_secs_f64();

        let started = Instant::now();
        match side {
            Side::Ours => {
                self.engine
                    .save(
                        std::slice::from_ref(&reference),
                        &archive,
                        &ArchivePlan::default(),
                        &mut log,
                    )
                    .await?;
            }
            Side::Docker => drop(commands::docker(&["save", "--output", &file, &name])?),
        }
        seconds[2] = started.elapsed().as_secs_f64();

        commands::docker(&["rmi", &name])?;
        let started = Instant::now();
        match side {
            Side::Ours => drop(self.engine.load(&archive, &mut log).await?),
            Side::Docker => drop(commands::docker(&["load", "--input", &file])?),
        }
        seconds[3] = started.elapsed().as_secs_f64();

        commands::docker(&["rmi", &name])?;
        std::fs::remove_file(&archive)?;
        Ok(seconds)
    }
}

/// Who goes first changes with every pair, so that neither has the warmer machine.
fn order(pair: usize) -> [Side; 2] {
    if pair.is_multiple_of(2) { [Side::Ours, Side::Docker] } else { [Side::Docker, Side::Ours] }
}

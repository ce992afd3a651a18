//! A fake world with a virtual clock: for exact snapshots only. What counts is the real engine.
//!
//! The fake builds a fixed two-stage Dockerfile. A step's key is a hash over the steps before it
//! and the files that it takes; a step hits if a source holds its key.

use async_trait::async_trait;
use breakeven::engine::{
    BuildOutcome, BuildRequest, Engine, EngineError, EngineEvent, EngineFacts, ImageFacts, Owned,
    PushOutcome, SharedHost, Snapshot, StepLog, Trace,
};
use breakeven::model::plan::ArchivePlan;
use breakeven::model::{ArchiveName, Builder, CacheExport, CacheMode, ImageRef, StepRecord};
use breakeven::registry::{Registry, RegistryError, Seed};
use breakeven::run::clock::Clock;
use breakeven::run::{Site, World};
use breakeven::storage::{Storage, StorageError};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;

/// The Dockerfile that every fake build follows.
pub const DOCKERFILE: &str = "\
FROM base AS builder
RUN package
COPY Gemfile ./
RUN bundle
FROM base
COPY --from=builder /bundle /bundle
COPY app ./
";

/// Stage, instruction, file that it takes, milliseconds that it costs.
const STEPS: [(&str, &str, &str, u64); 5] = [
    ("builder", "RUN package", "", 2_000),
    ("builder", "COPY Gemfile ./", "Gemfile", 100),
    ("builder", "RUN bundle", "", 8_000),
    ("1", "COPY --from=builder /bundle /bundle", "", 300),
    ("1", "COPY app ./", "app/main.rb", 100),
];

/// An image of the fake: the keys of its steps by stage.
#[derive(Debug, Clone, Default, PartialEq)]
struct Image {
    keys: Vec<String>,
    /// Keys that a build can take from it.
    offers: Vec<String>,
    buildkit: bool,
}

type Images = BTreeMap<String, Image>;

#[derive(Debug, Default)]
struct State {
    now: Duration,
    local: Images,
    /// Keys in the engine's own cache.
    cache: BTreeSet<String>,
    registry: Images,
    registry_seeds: BTreeMap<Seed, Images>,
    storage: BTreeMap<String, Vec<u8>>,
    storage_seeds: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// What archives and cache folders hold, by the one line that is really in them.
    packed: BTreeMap<String, Images>,
    operations: u32,
    /// Operation that fails, counted from 1.
    fail_at: Option<u32>,
    /// When the wall clock is set back by a day, if it is.
    set_back_at: Option<Duration>,
}

impl State {
    /// Remembers what an archive holds; returns the line that stands for it.
    fn pack(&mut self, images: Images) -> String {
        let line = format!("{:?}", images.iter().collect::<Vec<_>>());
        self.packed.insert(line.clone(), images);
        line
    }
}

/// The whole fake world: engine, registry, storage and clock at once.
#[derive(Debug, Default)]
pub struct Fake(Mutex<State>);

impl Fake {
    /// A world for a run.
    pub fn world(self: &Arc<Self>) -> World {
        let host = Arc::new(SharedHost::new(self.clone(), "fake".to_owned()));
        let site = Site { host, registry: self.clone(), link: None, bases: None };
        World {
            sites: BTreeMap::from([("shared".to_owned(), site)]),
            storage: self.clone(),
            line: None,
            clock: self.clone(),
            machine: || None,
        }
    }

    /// Makes the n-th engine operation fail.
    pub fn fail_at(self, operation: u32) -> Self {
        self.0.lock().unwrap().fail_at = Some(operation);
        self
    }

    /// Sets the wall clock back by a day after so many seconds.
    pub fn set_back_at(self, seconds: u64) -> Self {
        self.0.lock().unwrap().set_back_at = Some(Duration::from_secs(seconds));
        self
    }

    fn spend(&self, milliseconds: u64) {
        let mut state = self.0.lock().unwrap();
        // A small wobble that depends on nothing but the order, so that intervals are not empty.
        let wobble = u64::from(state.operations % 7) * milliseconds / 100;
        state.now += Duration::from_millis(milliseconds + wobble);
    }

    fn operation(&self, operation: &str, reference: &dyn ToString) -> Result<(), EngineError> {
        let mut state = self.0.lock().unwrap();
        state.operations += 1;
        if state.fail_at == Some(state.operations) {
            return Err(EngineError::Failed {
                operation: operation.to_owned(),
                reference: reference.to_string(),
                cause: "the fake was told to fail".to_owned(),
            });
        }
        Ok(())
    }
}

/// An archive as `docker save` writes it, with a file for each layer and the line that stands for
/// the images.
fn write_archive(path: &Path, line: &str, layers: &[String]) {
    let add = |tar: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, name, content).unwrap();
    };
    let mut archive = tar::Builder::new(Vec::new());
    for layer in layers {
        let mut content = tar::Builder::new(Vec::new());
        add(&mut content, layer, layer.as_bytes());
        add(&mut archive, layer, &content.into_inner().unwrap());
    }
    let manifest = serde_json::json!([{ "Config": "config", "Layers": layers }]);
    add(&mut archive, "config", b"{}");
    add(&mut archive, "manifest.json", manifest.to_string().as_bytes());
    add(&mut archive, "line", line.as_bytes());
    std::fs::write(path, archive.into_inner().unwrap()).unwrap();
}

fn read_archive(path: &Path) -> String {
    let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let line = entries.find(|entry| entry.path().unwrap() == Path::new("line"));
    std::io::read_to_string(line.unwrap()).unwrap()
}

fn key(of: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

impl Clock for Fake {
    fn now(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    fn wall(&self) -> OffsetDateTime {
        let now = self.now();
        let back = self.0.lock().unwrap().set_back_at.is_some_and(|at| now >= at);
        let day = if back { time::Duration::DAY } else { time::Duration::ZERO };
        OffsetDateTime::UNIX_EPOCH + now + time::Duration::DAY - day
    }
}

#[async_trait]
impl Engine for Fake {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        Ok(EngineFacts { address: "fake".to_owned(), ..EngineFacts::default() })
    }

    async fn supports(&self, _: Builder) -> Result<(), EngineError> {
        Ok(())
    }

    async fn build(
        &self,
        request: &BuildRequest<'_>,
        seen: &(dyn for<'s> Fn(&'s str) + Send + Sync),
        log: &mut StepLog,
    ) -> Result<BuildOutcome, EngineError> {
        self.operation("build", request.tag)?;
        let buildkit = request.builder == Builder::Buildkit;
        let mut outcome = BuildOutcome::default();
        let mut offered = BTreeSet::new();
        {
            let state = self.0.lock().unwrap();
            for source in request.sources {
                let name = source.to_string();
                let found = match state.local.get(&name) {
                    None if buildkit => state.registry.get(&name),
                    local => local,
                };
                let error = found.is_none().then(|| "not found".to_owned());
                outcome.imports.push((name, error));
                offered.extend(found.iter().flat_map(|image| image.offers.clone()));
            }
            if let Some(folder) = request.cache_folder {
                let line = std::fs::read_to_string(folder.join("index.json")).unwrap();
                let images = state.packed[&line].values();
                offered.extend(images.flat_map(|image| image.offers.clone()));
            }
            if buildkit || request.sources.is_empty() {
                offered.extend(state.cache.iter().cloned());
            }
        }
        let mut image = Image { buildkit, ..Image::default() };
        let (mut before, mut cost, mut number) = (String::new(), 200, 0);
        for (stage, instruction, takes, milliseconds) in STEPS {
            if request.target.is_some_and(|target| target != stage) {
                continue;
            }
            number = if stage == "1" && number >= 3 { 1 } else { number + 1 };
            let content = match takes {
                "" => String::new(),
                // What probes a capability has a context of its own.
                file => std::fs::read_to_string(request.context.join(file)).unwrap_or_default(),
            };
            before = key(&(&before, instruction, content));
            let hit = offered.contains(&before);
            cost += if hit { 10 } else { milliseconds };
            log.line(instruction);
            seen(&before);
            outcome.steps.push(StepRecord {
                build: 0,
                stage: stage.to_owned(),
                step: number,
                instruction: instruction.to_owned(),
                hit,
                duration_s: Some(if hit { 0.01 } else { milliseconds as f64 / 1e3 }),
            });
            image.keys.push(before.clone());
            if stage == request.target.unwrap_or("1") {
                image.offers.push(before.clone());
            }
        }
        self.spend(cost);
        let mut state = self.0.lock().unwrap();
        state.cache.extend(image.keys.iter().cloned());
        let exported = |mode: &CacheMode| Image {
            offers: match mode {
                CacheMode::Max => image.keys.clone(),
                CacheMode::Min => image.offers.clone(),
            },
            ..image.clone()
        };
        match request.export {
            // Of Buildah's: this engine has the builders of a daemon.
            None | Some(CacheExport::Layers { .. } | CacheExport::Kept) => {}
            Some(CacheExport::Registry { reference, mode, .. }) => {
                state.registry.insert(reference.to_string(), exported(mode));
            }
            Some(CacheExport::Local { mode }) => {
                std::fs::create_dir_all(request.export_folder).unwrap();
                let images = Images::from([(String::new(), exported(mode))]);
                let line = state.pack(images);
                std::fs::write(request.export_folder.join("index.json"), line).unwrap();
            }
        }
        state.local.insert(request.tag.to_string(), image);
        outcome.image = before;
        Ok(outcome)
    }

    async fn pull(&self, reference: &ImageRef, _: &mut StepLog) -> Result<(), EngineError> {
        self.operation("pull", reference)?;
        let found = self.0.lock().unwrap().registry.get(&reference.to_string()).cloned();
        self.spend(if found.is_some() { 1_000 } else { 50 });
        let Some(image) = found else {
            return Err(EngineError::NotFound {
                operation: "pull".to_owned(),
                reference: reference.to_string(),
            });
        };
        self.0.lock().unwrap().local.insert(reference.to_string(), image);
        Ok(())
    }

    async fn push(
        &self,
        reference: &ImageRef,
        _: &mut StepLog,
    ) -> Result<PushOutcome, EngineError> {
        self.operation("push", reference)?;
        self.spend(700);
        let mut state = self.0.lock().unwrap();
        let image = state.local[&reference.to_string()].clone();
        state.registry.insert(reference.to_string(), image);
        Ok(PushOutcome { pushed: 2, ..PushOutcome::default() })
    }

    async fn load(&self, archive: &Path, _: &mut StepLog) -> Result<Vec<String>, EngineError> {
        self.operation("load", &archive.display())?;
        self.spend(900);
        let mut state = self.0.lock().unwrap();
        let images = state.packed[&read_archive(archive)].clone();
        state.local.extend(images.clone());
        Ok(images.into_keys().collect())
    }

    async fn save(
        &self,
        references: &[ImageRef],
        archive: &Path,
        _: &ArchivePlan,
        _: &mut StepLog,
    ) -> Result<u64, EngineError> {
        self.operation("save", &archive.display())?;
        self.spend(500);
        let mut state = self.0.lock().unwrap();
        let of = |name: &ImageRef| (name.to_string(), state.local[&name.to_string()].clone());
        let images: Images = references.iter().map(of).collect();
        let layers: Vec<String> = images.values().flat_map(|image| image.keys.clone()).collect();
        write_archive(archive, &state.pack(images), &layers);
        Ok(1_000)
    }

    async fn inspect(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError> {
        let state = self.0.lock().unwrap();
        Ok(state.local.get(reference).map(|image| ImageFacts {
            id: image.keys.last().cloned().unwrap_or_default(),
            layers: image.keys.clone(),
            size: 1_000_000 * image.keys.len() as u64,
            by_buildkit: image.buildkit,
            by_classic: !image.buildkit,
            inline_cache: image.buildkit,
            repo_digests: vec![format!("{reference}@{}", key(&image.keys))],
        }))
    }

    async fn events(
        &self,
        _from: OffsetDateTime,
        _to: OffsetDateTime,
    ) -> Result<Vec<EngineEvent>, EngineError> {
        Ok(Vec::new())
    }

    async fn snapshot(&self) -> Result<Snapshot, EngineError> {
        Ok(Snapshot::default())
    }

    async fn reset(&self, _: &Owned, _: &Snapshot) -> Result<(), EngineError> {
        let mut state = self.0.lock().unwrap();
        state.local.clear();
        state.cache.clear();
        Ok(())
    }

    async fn leftovers(
        &self,
        owned: &Owned,
        _: &Snapshot,
        _: &Trace,
    ) -> Result<Owned, EngineError> {
        Ok(owned.clone())
    }
}

#[async_trait]
impl Registry for Fake {
    fn prefix(&self) -> &str {
        "127.0.0.1:5000/breakeven-fake"
    }

    fn restores_fully(&self) -> bool {
        true
    }

    async fn remember(&self, seed: &Seed, _: &[ImageRef]) -> Result<(), RegistryError> {
        let mut state = self.0.lock().unwrap();
        let images = state.registry.clone();
        state.registry_seeds.insert(seed.clone(), images);
        Ok(())
    }

    async fn restore(&self, seeds: &[Seed]) -> Result<(), RegistryError> {
        let mut state = self.0.lock().unwrap();
        state.registry = seeds.iter().flat_map(|seed| state.registry_seeds[seed].clone()).collect();
        Ok(())
    }

    async fn digest(&self, reference: &ImageRef) -> Result<Option<String>, RegistryError> {
        let state = self.0.lock().unwrap();
        Ok(state.registry.get(&reference.to_string()).map(|image| key(&image.keys)))
    }

    async fn image_config(
        &self,
        reference: &ImageRef,
    ) -> Result<Option<serde_json::Value>, RegistryError> {
        let state = self.0.lock().unwrap();
        let cache = serde_json::json!({ "moby.buildkit.cache.v0": "" });
        Ok(state.registry.get(&reference.to_string()).map(|_| cache))
    }

    async fn attests(&self, _: &ImageRef) -> Result<bool, RegistryError> {
        Ok(false)
    }

    async fn close(&self) -> Result<(), RegistryError> {
        Ok(())
    }
}

#[async_trait]
impl Storage for Fake {
    async fn fetch(&self, archive: &ArchiveName, to: &Path) -> Result<Option<u64>, StorageError> {
        let found = self.0.lock().unwrap().storage.get(&archive.0).cloned();
        self.spend(if found.is_some() { 200 } else { 5 });
        if let Some(content) = &found {
            std::fs::write(to, content).unwrap();
        }
        Ok(found.map(|_| 1_000))
    }

    async fn store(&self, from: &Path, archive: &ArchiveName) -> Result<u64, StorageError> {
        self.spend(200);
        let content = std::fs::read(from).unwrap();
        self.0.lock().unwrap().storage.insert(archive.0.clone(), content);
        Ok(1_000)
    }

    async fn remember(&self, seed: &str) -> Result<(), StorageError> {
        let mut state = self.0.lock().unwrap();
        let content = state.storage.clone();
        state.storage_seeds.insert(seed.to_owned(), content);
        Ok(())
    }

    async fn restore(&self, seeds: &[String]) -> Result<(), StorageError> {
        let mut state = self.0.lock().unwrap();
        state.storage = seeds.iter().flat_map(|seed| state.storage_seeds[seed].clone()).collect();
        Ok(())
    }

    async fn close(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

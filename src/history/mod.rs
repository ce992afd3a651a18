//! The history: one immutable object per run at an address that many jobs share, see
//! docs/history.md.
//!
//! **The objects are the truth.** Each is written once, under a name that is made from its content,
//! so that any number of jobs write at the same time without a lock. The index is a cache of
//! summaries by the names of objects: what it lacks is read from the object, what it holds too much
//! is not looked at, and whoever writes it last loses nobody anything but time.

mod index;
mod object;
mod prune;

pub use object::{Damage, Kept, NAME_END, ObjectName, READS, Unpacked, pack, summary, unpack};
pub use prune::{Keep, Pruned, select};

use crate::storage::address::{ADDRESS, Address};
use crate::storage::{Access, Objects, StorageError};
use crate::trend::Summary;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use index::Index;
use std::collections::{BTreeMap, BTreeSet};

/// Everything of a history lies in this folder below its address.
pub const FOLDER: &str = "breakeven-history";

/// Objects lie in this folder below [`FOLDER`].
const RUNS: &str = "runs";

/// Requests at the same time.
const AT_ONCE: usize = 16;

/// Why a history could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The address is none.
    #[error("this is no address of a history: {0}; {ADDRESS}")]
    Address(String),
    /// A place that is neither an address nor a folder nor a configuration that names one.
    #[error("{place} names no history: {cause}")]
    Place {
        /// What was named.
        place: String,
        /// Why it is none.
        cause: String,
    },
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An object is not what it should be.
    #[error("{name} in {address}: {cause}. {advice}")]
    Unreadable {
        /// The object.
        name: String,
        /// Where it lies.
        address: String,
        /// What is wrong with it.
        cause: String,
        /// What to do.
        advice: &'static str,
    },
    /// A run cannot be made into an object.
    #[error("run {run:?} cannot be kept: {cause}")]
    NotKept {
        /// Its id.
        run: String,
        /// Why not.
        cause: String,
    },
    /// Several runs were named where one is needed.
    #[error(
        "{named} names several runs, which only a run's baseline can be. Name one: `PLACE#RUN` or \
         `PLACE#last`"
    )]
    Several {
        /// What was named.
        named: String,
    },
    /// There is no such run.
    #[error("there is no run {run} in {address}. `breakeven history` lists what there is")]
    NoRun {
        /// What was asked for.
        run: String,
        /// Where.
        address: String,
    },
}

/// An object that could not be used, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Its name.
    pub name: String,
    /// What is wrong with it, and what to do.
    pub why: String,
}

/// What a history holds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// A summary of each run by the name of its object, the oldest run first. Of several objects of
    /// one run, that with the longest journal.
    pub runs: Vec<(ObjectName, Summary)>,
    /// Objects of runs of which a longer part is in `runs`.
    pub superseded: Vec<(ObjectName, Summary)>,
    /// Parts of a run (`--shard`) whose whole is in `runs`: their samples are its samples.
    pub parts: Vec<(ObjectName, Summary)>,
    /// Objects that could not be used.
    pub damaged: Vec<Damaged>,
    /// Files in the folder whose names are not those of objects.
    pub strangers: Vec<String>,
    /// How many objects had to be read since the index did not know them.
    pub read: usize,
}

/// A history at an address.
pub struct History {
    objects: Objects,
}

impl History {
    /// Opens it. Nothing is asked yet.
    pub fn open(address: &str, access: &Access) -> Result<Self, HistoryError> {
        let address = Address::parse(address).map_err(HistoryError::Address)?;
        Ok(Self { objects: Objects::open(&address, FOLDER, access)? })
    }

    /// Where it lies, for people.
    pub fn shown(&self) -> &str {
        self.objects.shown()
    }

    /// Writes a run's object. Returns its name, and whether it is new: the same run a second time
    /// changes nothing.
    pub async fn add(&self, kept: &Kept<'_>) -> Result<(ObjectName, bool), HistoryError> {
        let (name, bytes) = pack(kept)?;
        let new = self.objects.create(&path(&name), bytes.into()).await?;
        Ok((name, new))
    }

    /// What there is, by the index and by those objects that it does not know; those are then put
    /// into it, if it can be written.
    pub async fn load(&self) -> Result<Loaded, HistoryError> {
        let index = self.index().await;
        let loaded = self.load_beside(index).await?;
        if loaded.read > 0
            && let Err(error) = self.write_index(&loaded).await
        {
            tracing::info!("the index of the history is not brought up to date: {error}");
        }
        Ok(loaded)
    }

    /// Reads every object and writes the index anew.
    pub async fn rebuild(&self) -> Result<Loaded, HistoryError> {
        let loaded = self.load_beside(Index::default()).await?;
        self.write_index(&loaded).await?;
        Ok(loaded)
    }

    /// A run's object as a whole.
    pub async fn get(&self, name: &ObjectName) -> Result<Unpacked, HistoryError> {
        self.read(name, unpack).await
    }

    /// What an object is by one way of reading it.
    async fn read<T: Send + 'static>(
        &self,
        name: &ObjectName,
        of: fn(&ObjectName, &[u8]) -> Result<T, Damage>,
    ) -> Result<T, HistoryError> {
        let bytes = self.objects.read(&path(name)).await?;
        let gone = || self.unreadable(name, "it is gone".to_owned(), "Somebody removed it");
        let bytes = bytes.ok_or_else(gone)?;
        let name = name.clone();
        let (name, read) = blocking(move || {
            let read = of(&name, &bytes);
            (name, read)
        })
        .await?;
        read.map_err(|damage| self.unreadable(&name, damage.cause, damage.advice))
    }

    /// Whole runs one after the other, in this order; as many are read at the same time as there are
    /// cores.
    pub fn runs<'a>(
        &'a self,
        names: impl IntoIterator<Item = &'a ObjectName> + 'a,
    ) -> impl Stream<Item = (&'a ObjectName, Result<Unpacked, HistoryError>)> + 'a {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        stream::iter(names).map(async |name| (name, self.get(name).await)).buffered(cores)
    }

    /// Removes objects. Each has to say in its own head that it is one, and of which run.
    pub async fn remove(&self, names: &[ObjectName]) -> Result<Vec<Damaged>, HistoryError> {
        let mut left = Vec::new();
        for name in names {
            match self.objects.read(&path(name)).await? {
                None => {}
                Some(bytes) => match object::header(name, &bytes) {
                    Ok(_) => self.objects.remove(&path(name)).await?,
                    Err(damage) => left.push(Damaged {
                        name: name.to_string(),
                        why: format!("{}, so it is left alone", damage.cause),
                    }),
                },
            }
        }
        Ok(left)
    }

    fn unreadable(&self, name: &ObjectName, cause: String, advice: &'static str) -> HistoryError {
        let address = self.shown().to_owned();
        HistoryError::Unreadable { name: name.to_string(), address, cause, advice }
    }

    /// The index; an empty one where there is none that can be used.
    async fn index(&self) -> Index {
        match self.objects.read(index::NAME).await {
            Ok(Some(bytes)) => blocking(move || Index::read(&bytes)).await.unwrap_or_default(),
            Ok(None) => Index::default(),
            Err(error) => {
                tracing::info!("the index of the history cannot be read: {error}");
                Index::default()
            }
        }
    }

    async fn write_index(&self, loaded: &Loaded) -> Result<(), HistoryError> {
        let bytes = {
            let Loaded { runs, superseded, parts, .. } = loaded;
            Index::of(runs.iter().chain(superseded).chain(parts)).to_bytes()?
        };
        Ok(self.objects.replace(index::NAME, bytes.into()).await?)
    }

    async fn load_beside(&self, mut index: Index) -> Result<Loaded, HistoryError> {
        let mut loaded = Loaded::default();
        let mut missing = Vec::new();
        let mut known: Vec<(ObjectName, Summary)> = Vec::new();
        for listed in self.objects.list(RUNS).await? {
            let file = listed.name.strip_prefix(RUNS).and_then(|rest| rest.strip_prefix('/'));
            let name = file.and_then(ObjectName::parse);
            match name {
                None => loaded.strangers.push(listed.name),
                Some(name) => match index.take(&name) {
                    Some(summary) => known.push((name, summary)),
                    None => missing.push(name),
                },
            }
        }
        loaded.read = missing.len();
        let read: Vec<_> = stream::iter(missing)
            .map(async |name| {
                Ok::<_, HistoryError>(match self.read(&name, summary).await {
                    Ok(summary) => Ok((name, summary)),
                    // What cannot be reached at all is no damage.
                    Err(HistoryError::Storage(error)) => return Err(error.into()),
                    Err(error) => Err(Damaged { name: name.to_string(), why: error.to_string() }),
                })
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for one in read {
            match one {
                Ok(one) => known.push(one),
                Err(damaged) => loaded.damaged.push(damaged),
            }
        }
        let mut longest: BTreeMap<String, (ObjectName, Summary)> = BTreeMap::new();
        for (name, summary) in known {
            // Older objects of a merged run do not say what its parts are.
            let length = |of: &(ObjectName, Summary)| (of.1.events, of.1.parts.len(), of.0.clone());
            let one = (name, summary);
            match longest.get_mut(&one.1.run) {
                None => drop(longest.insert(one.1.run.clone(), one)),
                Some(other) if length(other) < length(&one) => {
                    loaded.superseded.push(std::mem::replace(other, one));
                }
                Some(_) => loaded.superseded.push(one),
            }
        }
        let merged: BTreeSet<String> =
            longest.values().flat_map(|(_, one)| &one.parts).cloned().collect();
        (loaded.parts, loaded.runs) =
            longest.into_values().partition(|(_, one)| merged.contains(&one.run));
        loaded.runs.sort_by(|(_, a), (_, b)| (&a.started_at, &a.run).cmp(&(&b.started_at, &b.run)));
        Ok(loaded)
    }
}

fn path(name: &ObjectName) -> String {
    format!("{RUNS}/{name}")
}

/// Work that takes its time, away from the threads that wait for others.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HistoryError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| HistoryError::NotKept {
        run: String::new(),
        cause: format!("{error}, a fault of Breakeven"),
    })
}

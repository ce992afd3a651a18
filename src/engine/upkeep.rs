//! What is on an engine, and removing from it what a run made and nothing else.

mod leftovers;
pub(super) mod listed;
mod patience;

use super::connection::failure;
use super::raw::{self, CacheRecord};
use super::windows::Window;
use super::{EngineError, GivenUp, Owned, Snapshot};
use bollard::Docker;
use bollard::models::ImageSummary;
use bollard::query_parameters::{
    ListContainersOptions, ListImagesOptions, PruneBuildOptions, PruneVolumesOptions,
    RemoveContainerOptions, RemoveImageOptions, TagImageOptions,
};
use futures_util::{StreamExt, stream};
use listed::{digests_of_ours, generations, resolve, tags, with_whole_parents};
use patience::patiently;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Removals that run at the same time.
const AT_ONCE: usize = 4;
/// Times that a list is asked for again.
const RETRIES: u32 = 40;
/// Time between two of these.
const PAUSE: Duration = Duration::from_millis(50);

/// What could not be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    Nothing,
    /// Build cache records that the engine uses.
    Records,
}

impl GivenUp {
    /// Whether a record is one of this build's.
    fn made(&self, record: &CacheRecord) -> bool {
        let created = record.created().map(|at| at.unix_timestamp_nanos());
        let span = i128::from(self.from_ns)..=i128::from(self.to_ns);
        created.is_some_and(|at| span.contains(&at)) && !self.before.contains(&record.id)
    }
}

pub(super) struct Upkeep<'a> {
    pub docker: &'a Docker,
    pub address: &'a str,
    pub api: &'a str,
}

impl Upkeep<'_> {
    pub(super) async fn snapshot(&self) -> Result<Snapshot, EngineError> {
        let (images, records) = tokio::join!(self.images(), self.records());
        let (images, records) = (images?, records?);
        let cache_mounts = records.iter().filter(|record| record.kind == "exec.cachemount");
        Ok(Snapshot {
            tags: images
                .iter()
                .flat_map(|image| tags(image).map(|tag| (tag.to_owned(), image.id.clone())))
                .collect(),
            images: images.into_iter().map(|image| image.id).collect(),
            cache_mounts: cache_mounts.map(|record| record.id.clone()).collect(),
            records: records.into_iter().map(|record| record.id).collect(),
        })
    }

    pub(super) async fn reset(
        &self,
        owned: &Owned,
        before: &Snapshot,
        windows: Option<&[Window]>,
    ) -> Result<Stay, EngineError> {
        // Listed first: older engines count images while they list records, and fail if one goes
        // away meanwhile. Removing both at the same time is safe.
        let records = self.records().await;
        let (images, records) = tokio::join!(self.reset_images(owned, before), async {
            self.reset_records(records?, owned, before, windows).await
        });
        images.and(records)
    }

    /// Removes what builds that were given up left, as far as the engine has let go of it. Returns
    /// those of which something is still in use.
    pub(super) async fn remove_given_up(
        &self,
        given_up: &[GivenUp],
    ) -> Result<Vec<GivenUp>, EngineError> {
        let mut left = given_up.to_vec();
        if left.is_empty() {
            return Ok(left);
        }
        let records = self.records().await?;
        let made = |record: &&CacheRecord| given_up.iter().any(|build| build.made(record));
        let ids: Vec<String> = records.iter().filter(made).map(|one| one.id.clone()).collect();
        if !ids.is_empty() {
            self.prune(&ids).await?;
        }
        let records = self.records().await?;
        left.retain(|build| records.iter().any(|record| build.made(record)));
        Ok(left)
    }

    async fn reset_images(&self, owned: &Owned, before: &Snapshot) -> Result<(), EngineError> {
        let mut first = None;
        let mut keep = |result: Result<(), EngineError>| {
            if let Err(error) = result {
                first.get_or_insert(error);
            }
        };
        let now = self.images().await?;
        let named: HashMap<&str, &str> =
            now.iter().flat_map(|image| tags(image).map(|tag| (tag, image.id.as_str()))).collect();
        let mut ids: BTreeSet<String> =
            owned.images.iter().filter_map(|id| resolve(&now, id)).collect();
        for tag in &owned.tags {
            let current = named.get(tag.as_str()).copied();
            let earlier = before.tags.get(tag).map(String::as_str);
            if current != earlier {
                // Whatever our tag names now was built, pulled or loaded by us.
                ids.extend(current.map(str::to_owned));
                keep(match earlier {
                    Some(image) => self.put_back(tag, image).await,
                    None => self.remove(tag).await,
                });
            }
        }
        ids.retain(|id| !before.images.contains(id));
        if !ids.is_empty() {
            let now = self.images().await?;
            for generation in generations(&now, &ids) {
                let removals: Vec<_> = generation.into_iter().map(|id| self.remove(id)).collect();
                let mut removed = stream::iter(removals).buffer_unordered(AT_ONCE);
                while let Some(result) = removed.next().await {
                    keep(result);
                }
            }
        }
        for name in digests_of_ours(&now, owned, before) {
            keep(self.remove(name).await);
        }
        first.map_or(Ok(()), Err)
    }

    async fn reset_records(
        &self,
        records: Vec<CacheRecord>,
        owned: &Owned,
        before: &Snapshot,
        windows: Option<&[Window]>,
    ) -> Result<Stay, EngineError> {
        let in_time = |record: &CacheRecord| {
            let Some(windows) = windows else { return true };
            record.moments().any(|at| windows.iter().any(|window| window.covers(at)))
        };
        let of_ours = |records: Vec<CacheRecord>| -> Vec<String> {
            records
                .into_iter()
                .filter(|record| !before.records.contains(&record.id))
                .filter(|record| owned.records.contains(&record.id) || in_time(record))
                .map(|record| record.id)
                .collect()
        };
        // A builder that has answered still holds some of its records for a moment, and the engine
        // silently keeps those. One that was broken off still makes some. Left behind, they would
        // serve the next build.
        let broken_off = windows.is_some_and(|windows| windows.iter().any(|w| w.broken_off));
        let least = if broken_off { RETRIES / 2 } else { 0 };
        let mut ids = of_ours(records);
        for round in 0..RETRIES {
            if ids.is_empty() && round >= least {
                return Ok(Stay::Nothing);
            }
            if !ids.is_empty() {
                self.prune(&ids).await?;
                ids = of_ours(self.records().await?);
            }
            if !ids.is_empty() || round < least {
                tokio::time::sleep(PAUSE).await;
                ids = of_ours(self.records().await?);
            }
        }
        if ids.is_empty() {
            return Ok(Stay::Nothing);
        }
        tracing::warn!(
            "{} build cache records of this run are still in use on the engine and stay: {}",
            ids.len(),
            ids.join(", ")
        );
        Ok(Stay::Records)
    }

    /// Removes everything: for an engine that is ours alone.
    pub(super) async fn empty(&self) -> Result<(), EngineError> {
        let all = ListContainersOptions { all: true, ..ListContainersOptions::default() };
        let containers = self.docker.list_containers(Some(all)).await;
        let containers = containers.map_err(|error| self.failure("list", "containers", error))?;
        for id in containers.into_iter().filter_map(|container| container.id) {
            let options = RemoveContainerOptions { v: true, force: true, link: false };
            let removed = self.docker.remove_container(&id, Some(options)).await;
            removed.map_err(|error| self.failure("remove the container", &id, error))?;
        }
        let everything = Owned {
            images: self.images().await?.into_iter().map(|image| image.id).collect(),
            tags: self.snapshot().await?.tags.into_keys().collect(),
            records: BTreeSet::new(),
        };
        self.reset(&everything, &Snapshot::default(), None).await?;
        let volumes = self.docker.prune_volumes(None::<PruneVolumesOptions>).await;
        volumes.map_err(|error| self.failure("remove", "volumes", error))?;
        // What a builder holds for a moment after its answer is silently kept.
        let left = self.snapshot().await?;
        if left.images.is_empty() && left.records.is_empty() {
            return Ok(());
        }
        Err(EngineError::Failed {
            operation: "empty".to_owned(),
            reference: "the private engine".to_owned(),
            cause: format!(
                "{} images and {} build cache records are still there",
                left.images.len(),
                left.records.len()
            ),
        })
    }

    /// Removes build cache records by id in one call.
    async fn prune(&self, ids: &[String]) -> Result<(), EngineError> {
        // The engine reads the filter as a regular expression; ids are letters and digits.
        let filter = format!("^({})$", ids.join("|"));
        let options = PruneBuildOptions {
            all: Some(true),
            filters: Some(HashMap::from([("id".to_owned(), vec![filter])])),
            ..PruneBuildOptions::default()
        };
        let pruned = self.docker.prune_build(Some(options)).await;
        pruned.map_err(|error| self.failure("remove build cache records", "", error))?;
        Ok(())
    }

    async fn images(&self) -> Result<Vec<ImageSummary>, EngineError> {
        let list = || async {
            let options = ListImagesOptions { all: true, ..ListImagesOptions::default() };
            let images = self.docker.list_images(Some(options)).await;
            images.map(with_whole_parents).map_err(|error| self.failure("list", "images", error))
        };
        patiently(list).await
    }

    async fn records(&self) -> Result<Vec<CacheRecord>, EngineError> {
        let list = || async {
            raw::cache_records(self.address, self.api).await.map_err(|source| EngineError::Io {
                operation: "list".to_owned(),
                reference: "build cache records".to_owned(),
                source,
            })
        };
        patiently(list).await
    }

    /// Removes a tag, or an image by id if nothing holds it. Parents are left alone: they may be
    /// the user's.
    async fn remove(&self, name: &str) -> Result<(), EngineError> {
        let remove = || async {
            let options = RemoveImageOptions { noprune: true, ..RemoveImageOptions::default() };
            let removed = self.docker.remove_image(name, Some(options), None).await;
            match removed.map_err(|error| self.failure("remove", name, error)) {
                Ok(_) | Err(EngineError::NotFound { .. }) => Ok(()),
                // Podman 4.3 takes parents along that nothing else needs, whatever is asked for, and
                // says of an id that is not there any more that it is no name.
                Err(EngineError::Failed { .. }) if self.is_gone(name).await? => Ok(()),
                Err(error) => Err(error),
            }
        };
        patiently(remove).await
    }

    /// Whether this is the id of an image that is not there.
    async fn is_gone(&self, name: &str) -> Result<bool, EngineError> {
        Ok(name.starts_with("sha256:") && self.images().await?.iter().all(|one| one.id != name))
    }

    /// Gives a tag back to the image that it named before.
    async fn put_back(&self, tag: &str, image: &str) -> Result<(), EngineError> {
        let (repository, label) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
        let options =
            TagImageOptions { repo: Some(repository.to_owned()), tag: Some(label.to_owned()) };
        let put = self.docker.tag_image(image, Some(options)).await;
        put.map_err(|error| self.failure("put back the tag", tag, error))
    }

    fn failure(
        &self,
        operation: &str,
        reference: &str,
        error: bollard::errors::Error,
    ) -> EngineError {
        failure(operation, reference, self.address, error)
    }
}

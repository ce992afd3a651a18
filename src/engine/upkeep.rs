//! What is on an engine, and removing from it what a run made and nothing else.

use super::connection::failure;
use super::instructions::{self, Instruction};
use super::raw::{self, CacheRecord};
use super::windows::Window;
use super::{EngineError, GivenUp, Owned, Snapshot, Trace};
use bollard::Docker;
use bollard::models::ImageSummary;
use bollard::query_parameters::{
    ListContainersOptions, ListImagesOptions, PruneBuildOptions, PruneVolumesOptions,
    RemoveContainerOptions, RemoveImageOptions, TagImageOptions,
};
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use time::OffsetDateTime;

/// Fewest digits of an id in a builder's lines: Docker writes 12, Podman 11.
pub(super) const SHORT_ID: usize = 11;
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

    pub(super) async fn leftovers(
        &self,
        owned: &Owned,
        before: &Snapshot,
        trace: &Trace,
    ) -> Result<Owned, EngineError> {
        let (images, records) = tokio::join!(self.images(), self.records());
        let images = images?;
        let instructions = instructions::of(&trace.dockerfiles);
        let candidates: Vec<&ImageSummary> = images
            .iter()
            .filter(|image| !before.images.contains(&image.id) && tags(image).next().is_none())
            .filter(|image| {
                // Whole seconds only: the second in which a build began counts.
                let created = OffsetDateTime::from_unix_timestamp(image.created);
                created.is_ok_and(|at| {
                    trace.covers(at) || trace.covers(at + time::Duration::milliseconds(999))
                })
            })
            .collect();
        let mut ours: BTreeSet<String> = owned
            .images
            .iter()
            .filter_map(|id| resolve(&images, id))
            .chain(
                images
                    .iter()
                    .filter(|image| tags(image).any(|tag| owned.tags.contains(tag)))
                    .map(|image| image.id.clone()),
            )
            .filter(|id| !before.images.contains(id))
            .collect();
        let mut found = BTreeSet::new();
        for image in &candidates {
            let upon_candidate = candidates.iter().any(|other| other.id == image.parent_id);
            if !upon_candidate && self.begins_ours(image, &instructions).await? {
                found.insert(image.id.clone());
            }
        }
        // What stems from an owned image is ours, through any number of generations.
        ours.extend(found.iter().cloned());
        loop {
            let more: Vec<_> = candidates
                .iter()
                .filter(|image| !ours.contains(&image.id) && ours.contains(&image.parent_id))
                .map(|image| image.id.clone())
                .collect();
            if more.is_empty() {
                break;
            }
            found.extend(more.iter().cloned());
            ours.extend(more);
        }
        // Somebody builds upon it, or runs it: it is in use, whoever made it.
        loop {
            let used: BTreeSet<String> = images
                .iter()
                .filter(|image| !ours.contains(&image.id) && found.contains(&image.parent_id))
                .map(|image| image.parent_id.clone())
                .collect();
            if used.is_empty() {
                break;
            }
            found.retain(|id| !used.contains(id));
            ours.retain(|id| !used.contains(id));
        }
        let records = records?
            .into_iter()
            .filter(|record| !before.records.contains(&record.id))
            .filter(|record| record.moments().any(|at| trace.covers(at)))
            .filter(|record| instructions::may_make(&instructions, &record.description))
            .map(|record| record.id)
            .collect();
        Ok(Owned { tags: BTreeSet::new(), images: found, records })
    }

    /// Whether an image begins as one of our stages begins. One instruction in common is not
    /// enough: many Dockerfiles end in the same COPY or CMD.
    ///
    /// A classic image is looked at alone, as the first upon its base; what was built upon it
    /// follows by its parent. BuildKit's images have no parent: all of their steps must be ours.
    async fn begins_ours(
        &self,
        image: &ImageSummary,
        instructions: &[Instruction],
    ) -> Result<bool, EngineError> {
        let history = self.docker.image_history(&image.id).await;
        match history.map_err(|error| self.failure("inspect", &image.id, error)) {
            Ok(history) if image.parent_id.is_empty() => {
                let steps: Vec<&str> = history
                    .iter()
                    .take_while(|layer| layer.comment.contains("buildkit"))
                    .map(|layer| layer.created_by.as_str())
                    .collect();
                let ours = |step: &&str| instructions::made(instructions, step, false);
                Ok(steps.iter().all(ours)
                    && steps
                        .last()
                        .is_some_and(|step| instructions::made(instructions, step, true)))
            }
            Ok(history) => Ok(history
                .first()
                .is_some_and(|newest| instructions::made(instructions, &newest.created_by, true))),
            // Gone since it was listed.
            Err(EngineError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn images(&self) -> Result<Vec<ImageSummary>, EngineError> {
        let list = || async {
            let options = ListImagesOptions { all: true, ..ListImagesOptions::default() };
            let images = self.docker.list_images(Some(options)).await;
            images.map_err(|error| self.failure("list", "images", error))
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
                Err(error) => Err(error),
            }
        };
        patiently(remove).await
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

/// Asks again when the engine refuses only for the moment: because an image or layer went away
/// while it was listing ("layer … was not found (corruption?)"), or because it answers somebody
/// else's same question ("a disk usage operation is already running", before API 1.42), or because
/// the container of a build that was broken off is still being removed.
async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    for _ in 0..RETRIES {
        match ask().await {
            Err(error) if momentary(&error) => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
    ask().await
}

fn momentary(error: &EngineError) -> bool {
    let text = error.to_string();
    let signs =
        ["was not found", "No such image", "image list", "already running", "is being used by"];
    signs.iter().any(|sign| text.contains(sign))
}

fn tags(image: &ImageSummary) -> impl Iterator<Item = &str> {
    image.repo_tags.iter().map(String::as_str).filter(|tag| *tag != "<none>:<none>")
}

/// `repository@digest` names that our pushes and pulls gave to images that were there before. An
/// image that has no other name is left alone: without one the engine would delete it.
fn digests_of_ours<'a>(
    images: &'a [ImageSummary],
    owned: &Owned,
    before: &Snapshot,
) -> Vec<&'a str> {
    let repository =
        |name: &str| name.rsplit_once(':').map(|(repository, _)| repository.to_owned());
    let ours: BTreeSet<String> = owned.tags.iter().filter_map(|tag| repository(tag)).collect();
    let is_ours = |digest: &str| {
        digest.split_once('@').is_some_and(|(repository, _)| ours.contains(repository))
    };
    images
        .iter()
        .filter(|image| before.images.contains(&image.id))
        .filter(|image| {
            tags(image).any(|tag| !owned.tags.contains(tag))
                || image.repo_digests.iter().any(|digest| !is_ours(digest))
        })
        .flat_map(|image| image.repo_digests.iter().map(String::as_str))
        .filter(|digest| is_ours(digest))
        .collect()
}

/// The full id of a possibly short one, if exactly one image has it.
fn resolve(images: &[ImageSummary], id: &str) -> Option<String> {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    let mut found = images.iter().filter(|image| {
        image.id.strip_prefix("sha256:").unwrap_or(&image.id).starts_with(id)
            && id.len() >= SHORT_ID
    });
    match (found.next(), found.next()) {
        (Some(image), None) => Some(image.id.clone()),
        _ => None,
    }
}

/// Those of `ids` that nobody has tagged, in groups: an image comes in a later group than all
/// that were built upon it.
fn generations<'a>(images: &'a [ImageSummary], ids: &BTreeSet<String>) -> Vec<Vec<&'a str>> {
    let untagged: BTreeMap<&str, &ImageSummary> = images
        .iter()
        .filter(|image| ids.contains(&image.id) && tags(image).next().is_none())
        .map(|image| (image.id.as_str(), image))
        .collect();
    let mut depths: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (id, image) in &untagged {
        let mut depth = 0;
        let mut parent = image.parent_id.as_str();
        while let Some(next) = untagged.get(parent) {
            depth += 1;
            parent = next.parent_id.as_str();
        }
        depths.entry(depth).or_default().push(id);
    }
    depths.into_values().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, parent: &str, tags: &[&str]) -> ImageSummary {
        ImageSummary {
            id: format!("sha256:{id:0<64}"),
            parent_id: if parent.is_empty() {
                String::new()
            } else {
                format!("sha256:{parent:0<64}")
            },
            repo_tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            ..ImageSummary::default()
        }
    }

    #[test]
    fn children_go_before_their_parents_and_tagged_images_stay() {
        let images = [
            image("a", "base", &[]),
            image("b", "a", &["<none>:<none>"]),
            image("c", "b", &[]),
            image("d", "a", &["user:1"]),
            image("e", "base", &[]),
        ];
        let ids = images.iter().take(4).map(|image| image.id.clone()).collect();
        let groups: Vec<Vec<String>> = generations(&images, &ids)
            .into_iter()
            .map(|group| group.into_iter().map(|id| id[7..8].to_owned()).collect())
            .collect();
        assert_eq!(groups, [["c"], ["b"], ["a"]]);
    }

    #[test]
    fn a_short_id_must_be_long_enough_and_unique() {
        let images = [image("0123456789ab1", "", &[]), image("0123456789ab2", "", &[])];
        assert_eq!(resolve(&images, "0123456789ab"), None);
        assert_eq!(resolve(&images, "0123456789ab1"), Some(images[0].id.clone()));
        assert_eq!(resolve(&images, &images[1].id), Some(images[1].id.clone()));
        assert_eq!(resolve(&images[..1], "0123"), None);
        assert_eq!(resolve(&images[..1], ""), None);
    }

    #[tokio::test]
    async fn a_list_is_asked_for_again_while_the_engine_is_busy() {
        let failed = |cause: &str| EngineError::Failed {
            operation: "list".into(),
            reference: "images".into(),
            cause: cause.into(),
        };
        let mut asked = 0;
        let answer = patiently(|| {
            asked += 1;
            let busy = asked < 3;
            async move {
                if busy { Err(failed("a disk usage operation is already running")) } else { Ok(7) }
            }
        });
        assert_eq!(answer.await.unwrap(), 7);
        let mut asked = 0;
        let answer: Result<(), _> = patiently(|| {
            asked += 1;
            async { Err(failed("permission denied")) }
        })
        .await;
        assert!(answer.is_err());
        assert_eq!(asked, 1);
    }
}

//! What a run that was killed left: found by what it says it is, since nobody noted it.

use super::Upkeep;
use super::listed::{resolve, tags};
use crate::engine::instructions::{self, Instruction};
use crate::engine::{EngineError, Owned, Snapshot, Trace};
use bollard::models::{ImageHistoryResponseItem, ImageSummary};
use std::collections::BTreeSet;
use time::OffsetDateTime;

impl Upkeep<'_> {
    pub(in crate::engine) async fn leftovers(
        &self,
        owned: &Owned,
        before: &Snapshot,
        trace: &Trace,
    ) -> Result<Owned, EngineError> {
        let (images, records) = tokio::join!(self.images(), self.records());
        let images = images?;
        let instructions = instructions::of(&trace.dockerfiles);
        let (mut candidates, earlier): (Vec<&ImageSummary>, Vec<_>) = images
            .iter()
            .filter(|image| !before.images.contains(&image.id) && tags(image).next().is_none())
            .partition(|image| {
                let created = OffsetDateTime::from_unix_timestamp(image.created);
                created.is_ok_and(|at| trace.meets_second(at))
            });
        candidates.extend(self.restored(earlier, &images, owned).await?);
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

    /// Those that the classic builder restored from one of our cache sources: such an image says
    /// that it was created when the source's layer was, which can be any time ago.
    async fn restored<'a>(
        &self,
        earlier: Vec<&'a ImageSummary>,
        images: &[ImageSummary],
        owned: &Owned,
    ) -> Result<Vec<&'a ImageSummary>, EngineError> {
        if earlier.is_empty() {
            return Ok(earlier);
        }
        let mut layers = BTreeSet::new();
        for source in images.iter().filter(|one| tags(one).any(|tag| owned.tags.contains(tag))) {
            let history = self.history(&source.id).await?;
            layers.extend(history.into_iter().map(|layer| (layer.created, layer.created_by)));
        }
        let mut restored = Vec::new();
        for image in earlier {
            let newest = self.history(&image.id).await?.into_iter().next();
            if newest.is_some_and(|layer| layers.contains(&(layer.created, layer.created_by))) {
                restored.push(image);
            }
        }
        Ok(restored)
    }

    /// An image's layers, the newest first; none if it is gone since it was listed.
    async fn history(&self, id: &str) -> Result<Vec<ImageHistoryResponseItem>, EngineError> {
        let history = self.docker.image_history(id).await;
        match history.map_err(|error| self.failure("inspect", id, error)) {
            Err(EngineError::NotFound { .. }) => Ok(Vec::new()),
            known => known,
        }
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
        let history = self.history(&image.id).await?;
        let is_of_buildkit = |layer: &&ImageHistoryResponseItem| layer.comment.contains("buildkit");
        // The first upon nothing has no parent either.
        let upon_scratch = matches!(history.as_slice(), [only] if !is_of_buildkit(&only));
        if !image.parent_id.is_empty() || upon_scratch {
            let newest = history.first();
            return Ok(newest
                .is_some_and(|newest| instructions::made(instructions, &newest.created_by, true)));
        }
        let steps: Vec<&str> = history
            .iter()
            .take_while(is_of_buildkit)
            .map(|layer| layer.created_by.as_str())
            .collect();
        let ours = |step: &&str| instructions::made(instructions, step, false);
        let first = steps.last();
        Ok(steps.iter().all(ours)
            && first.is_some_and(|step| instructions::made(instructions, step, true)))
    }
}

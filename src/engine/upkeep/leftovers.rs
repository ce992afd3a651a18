//! What a run that was killed left: found by what it says it is, since nobody noted it.

use super::Upkeep;
use super::listed::{resolve, tags};
use crate::engine::instructions::{self, Instruction};
use crate::engine::{EngineError, Owned, Snapshot, Trace};
use bollard::models::ImageSummary;
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
}

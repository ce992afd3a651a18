//! What a list of images says: their tags, whose their digests are, who was built upon whom.

use crate::engine::{Owned, Snapshot};
use bollard::models::ImageSummary;
use std::collections::{BTreeMap, BTreeSet};

/// Fewest digits of an id in a builder's lines: Docker writes 12, Podman 11.
pub(in crate::engine) const SHORT_ID: usize = 11;

pub(super) fn tags(image: &ImageSummary) -> impl Iterator<Item = &str> {
    image.repo_tags.iter().map(String::as_str).filter(|tag| *tag != "<none>:<none>")
}

/// A list in which an image names its parent as the parent is named: Podman leaves `sha256:` away there.
pub(super) fn with_whole_parents(mut images: Vec<ImageSummary>) -> Vec<ImageSummary> {
    for image in &mut images {
        if !image.parent_id.is_empty() && !image.parent_id.contains(':') {
            image.parent_id.insert_str(0, "sha256:");
        }
    }
    images
}

/// `repository@digest` names that our pushes and pulls gave to images that were there before. An
/// image that has no other name is left alone: without one the engine would delete it.
pub(super) fn digests_of_ours<'a>(
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
pub(super) fn resolve(images: &[ImageSummary], id: &str) -> Option<String> {
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
pub(super) fn generations<'a>(
    images: &'a [ImageSummary],
    ids: &BTreeSet<String>,
) -> Vec<Vec<&'a str>> {
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
    fn a_parent_that_podman_names_is_known() {
        let docker = [image("a", "", &[]), image("b", "a", &[])];
        let mut podman = docker.clone();
        podman[1].parent_id = podman[1].parent_id.replace("sha256:", "");
        assert_eq!(with_whole_parents(podman.to_vec()), docker);
        assert_eq!(with_whole_parents(docker.to_vec()), docker);
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
}

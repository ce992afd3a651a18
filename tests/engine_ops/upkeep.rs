//! Putting the engine back: what a run made goes, what is the user's stays.

use crate::rig::{BASE, Rig, docker, quiet};
use breakeven::engine::{Engine, Owned};
use breakeven::model::Builder;

#[tokio::test]
async fn a_snapshot_has_images_tags_and_records() {
    let rig = Rig::new("snapshot").await;
    let tag = rig.image("1");
    let built = rig.build(Builder::Buildkit, &rig.context(), &tag, &[]).await.unwrap();
    let now = rig.engine.snapshot().await.unwrap();
    assert_eq!(now.tags[&tag.to_string()], built.image);
    assert!(now.images.contains(&built.image) && now.tags.contains_key(BASE));
    assert!(now.records.difference(&rig.before.records).count() >= 5, "{:?}", now.records);
    rig.reset().await.unwrap();
    let after = rig.engine.snapshot().await.unwrap();
    assert!(!after.tags.contains_key(&tag.to_string()));
    let left: Vec<_> = after.records.difference(&rig.before.records).collect();
    let ours: Vec<_> = left.into_iter().filter(|id| now.records.contains(*id)).collect();
    assert_eq!(ours, Vec::<&String>::new());
}

#[tokio::test]
async fn the_users_images_from_the_same_steps_stay() {
    let rig = Rig::new("users").await;
    let context = rig.context();
    let user = rig.image("user");
    // The user's own build, before ours: tagged, with untagged images below it.
    let said = docker(&["build", "-t", &user.to_string(), context.to_str().unwrap()]);
    let theirs = rig.engine.snapshot().await.unwrap();
    let ours = rig.image("ours");
    let built = rig.build(Builder::Classic, &context, &ours, &[]).await.unwrap();
    assert_eq!(built.image, theirs.tags[&user.to_string()], "all hits: the user's own image");
    let owned = Owned {
        tags: [ours.to_string()].into(),
        images: built.images_seen.into_iter().collect(),
        ..Owned::default()
    };
    rig.engine.reset(&owned, &theirs).await.unwrap();
    let after = rig.engine.snapshot().await.unwrap();
    assert!(after.tags.contains_key(&user.to_string()));
    assert!(!after.tags.contains_key(&ours.to_string()));
    let base = docker(&["images", "-q", BASE]);
    let ids = said.lines().filter_map(|line| line.strip_prefix(" ---> "));
    let ids: Vec<_> = ids.filter(|id| id.len() == 12 && *id != base).collect();
    assert_eq!(ids.len(), 6, "{said}");
    for id in ids {
        assert!(rig.engine.inspect(id).await.unwrap().is_some(), "{id} is gone");
        rig.own_image(id);
    }
    rig.reset().await.unwrap();
}

#[tokio::test]
async fn an_image_that_the_user_tagged_or_runs_is_kept() {
    let rig = Rig::new("tagged").await;
    let (ours, user) = (rig.image("ours"), rig.image("user"));
    let built = rig.build(Builder::Classic, &rig.context(), &ours, &[]).await.unwrap();
    docker(&["tag", &ours.to_string(), &user.to_string()]);
    let mut owned = rig.owned();
    owned.tags.remove(&user.to_string());
    // A parent of the user's image cannot go either; the engine says so, and that is an error.
    let _ = rig.engine.reset(&owned, &rig.before).await;
    let after = rig.engine.snapshot().await.unwrap();
    assert_eq!(after.tags.get(&user.to_string()), Some(&built.image));
    assert!(!after.tags.contains_key(&ours.to_string()));
    rig.reset().await.unwrap();

    let tag = rig.image("ran");
    let built = rig.build(Builder::Classic, &rig.context(), &tag, &[]).await.unwrap();
    let container = docker(&["create", &tag.to_string(), "true"]);
    let error = rig.reset().await.unwrap_err().to_string();
    let still = rig.engine.inspect(&built.image).await.unwrap().is_some();
    docker(&["rm", &container]);
    assert!(still, "an image that a container uses is not forced away");
    assert!(error.contains(&container[..12]), "{error}");
    rig.reset().await.unwrap();
    assert_eq!(rig.engine.inspect(&built.image).await.unwrap(), None);
}

#[tokio::test]
async fn a_tag_that_was_the_users_is_given_back() {
    let rig = Rig::new("stale").await;
    let tag = rig.image("main");
    docker(&["tag", BASE, &tag.to_string()]);
    let before = rig.engine.snapshot().await.unwrap();
    let built = rig.build(Builder::Classic, &rig.context(), &tag, &[]).await.unwrap();
    let owned = Owned { tags: [tag.to_string()].into(), ..rig.owned() };
    rig.engine.reset(&owned, &before).await.unwrap();
    let after = rig.engine.snapshot().await.unwrap();
    assert_eq!(after.tags[&tag.to_string()], before.tags[&tag.to_string()]);
    assert_eq!(rig.engine.inspect(&built.image).await.unwrap(), None);
    rig.reset().await.unwrap();
}

#[tokio::test]
async fn the_users_build_cache_records_stay() {
    let rig = Rig::new("records").await;
    let context = rig.context();
    let user = rig.image("user");
    rig.build(Builder::Buildkit, &context, &user, &[]).await.unwrap();
    let theirs = rig.engine.snapshot().await.unwrap();
    // Ours shares the user's first steps and goes on from there.
    std::fs::write(context.join("app/data"), "changed").unwrap();
    let ours = rig.image("ours");
    let built = rig.build(Builder::Buildkit, &context, &ours, &[]).await.unwrap();
    assert_eq!(built.steps.iter().filter(|step| step.hit).count(), 4, "{:?}", built.steps);
    let owned = Owned { tags: [ours.to_string()].into(), ..Owned::default() };
    rig.engine.reset(&owned, &theirs).await.unwrap();
    let after = rig.engine.snapshot().await.unwrap();
    let mine = theirs.records.difference(&rig.before.records);
    let gone: Vec<_> = mine.filter(|id| !after.records.contains(*id)).collect();
    assert_eq!(gone, Vec::<&String>::new());
    assert!(!after.images.contains(&built.image));
    // A reset of an engine on which we built nothing since takes no record at all.
    rig.engine.reset(&Owned::default(), &rig.before).await.unwrap();
    let still = rig.engine.snapshot().await.unwrap();
    assert!(theirs.records.difference(&rig.before.records).all(|id| still.records.contains(id)));
    let records = theirs.records.difference(&rig.before.records).cloned().collect();
    let owned = Owned { records, ..rig.owned() };
    rig.engine.reset(&owned, &rig.before).await.unwrap();
}

#[tokio::test]
async fn a_reset_goes_on_after_an_error() {
    let rig = Rig::new("goes-on").await;
    let (held, free) = (rig.image("a-held"), rig.image("b-free"));
    rig.build(Builder::Classic, &rig.context(), &held, &[]).await.unwrap();
    let built = rig.build(Builder::Classic, &rig.context(), &free, &[]).await.unwrap();
    let container = docker(&["create", &held.to_string(), "true"]);
    let result = rig.reset().await;
    docker(&["rm", &container]);
    assert!(result.is_err());
    assert_eq!(rig.engine.inspect(&built.image).await.unwrap(), None);
    assert!(quiet("docker", &["image", "inspect", &free.to_string()]).is_none());
    rig.reset().await.unwrap();
}

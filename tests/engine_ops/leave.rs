//! What a killed run left without having noted it down.

use crate::rig::{BASE, Rig, docker, quiet, two_stages};
use breakeven::engine::{Engine, Owned, Snapshot, Trace};
use breakeven::model::Builder;
use time::OffsetDateTime;

/// Untagged images that are on the engine now and were not before, other people's aside.
async fn new_untagged(rig: &Rig, marker: &str) -> Vec<String> {
    let now = rig.engine.snapshot().await.unwrap();
    let tagged: Vec<_> = now.tags.values().collect();
    let new = now.images.difference(&rig.before.images).filter(|id| !tagged.contains(id));
    // Somebody else's may be gone by now.
    let history = |id: &str| quiet("docker", &["history", "--no-trunc", id]).unwrap_or_default();
    new.filter(|id| history(id).contains(marker)).cloned().collect()
}

#[tokio::test]
async fn what_the_killed_run_built_is_found_and_nothing_of_the_users() {
    let rig = Rig::new("leftovers").await;
    // The user's own steps upon the same base, before our window.
    let user_file = format!("FROM {BASE}\nRUN echo user-{{nonce}} > /user\nRUN echo two > /two\n");
    let user_context = rig.context_with(&user_file);
    let user = rig.image("user");
    let mut user_ids = Vec::new();
    for builder in Builder::OF_DAEMONS {
        let built = rig.build(builder, &user_context, &user, &[]).await.unwrap();
        user_ids.extend(built.images_seen);
    }
    // Creation times of images come in whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let users = rig.engine.snapshot().await.unwrap();

    let from = OffsetDateTime::now_utc();
    let context = rig.context_with(&two_stages());
    let dockerfile = std::fs::read_to_string(context.join("Dockerfile")).unwrap();
    let ours = rig.image("ours");
    let classic = rig.build(Builder::Classic, &context, &ours, &[]).await.unwrap();
    docker(&["rmi", "--no-prune", &ours.to_string()]);
    rig.build(Builder::Buildkit, &context, &ours, &[]).await.unwrap();
    let to = OffsetDateTime::now_utc();
    // The user again, within our window: another RUN upon the same base, untagged.
    let concurrent = rig.context_with(&user_file);
    let said = docker(&["build", concurrent.to_str().unwrap()]);
    let concurrent_ids: Vec<_> = said
        .lines()
        .filter_map(|line| line.strip_prefix(" ---> "))
        .filter(|id| id.len() == 12)
        .skip(1)
        .map(str::to_owned)
        .collect();
    assert_eq!(concurrent_ids.len(), 2, "{said}");
    let window = (from, OffsetDateTime::now_utc());
    let trace = Trace { windows: vec![window], dockerfiles: vec![dockerfile.clone()] };

    // The ledger knows of nothing but the tag; its list of images is older than the user's. Its
    // list of records is not: a record of the user's that we use as well (that of the base) says
    // that it was used in our window, and only the list of what was there before spares it.
    let before = Snapshot { records: users.records.clone(), ..rig.before.clone() };
    let owned = Owned { tags: [ours.to_string()].into(), ..Owned::default() };
    let found = rig.engine.leftovers(&owned, &before, &trace).await.unwrap();
    for id in &classic.images_seen {
        let id = id.trim_start_matches("sha256:");
        let left = rig.engine.inspect(id).await.unwrap().is_some();
        assert_eq!(left, found.images.iter().any(|found| found.contains(id)), "{id}");
    }
    assert!(found.images.len() >= 5, "{found:?}");
    for id in users.images.iter().chain(&concurrent_ids) {
        assert!(
            !found.images.iter().any(|found| found.contains(id.as_str())),
            "{id} is the user's"
        );
    }
    assert!(found.records.len() >= 3, "{found:?}");
    assert!(found.records.is_disjoint(&users.records), "records from before the window");

    // Outside of its windows nothing is ours, and without our Dockerfile only what stems from us.
    let past = Trace {
        windows: vec![(from - time::Duration::hours(2), from - time::Duration::hours(1))],
        dockerfiles: vec![dockerfile],
    };
    let nothing = rig.engine.leftovers(&owned, &before, &past).await.unwrap();
    assert_eq!(nothing, Owned::default());
    let blind = Trace { windows: vec![(from, to)], dockerfiles: vec![] };
    let blind = rig.engine.leftovers(&owned, &before, &blind).await.unwrap();
    assert!(blind.images.is_empty(), "{blind:?}");
    let first = classic.images_seen[0].clone();
    let knows_one = Owned { images: [first.clone()].into(), ..owned.clone() };
    let blind = Trace { windows: vec![window], dockerfiles: vec![] };
    let stem = rig.engine.leftovers(&knows_one, &before, &blind).await.unwrap();
    assert_eq!(stem.images.len(), 2, "the rest of the builder stage: {stem:?}");

    // Given to reset, it all goes, and the user's all stays.
    let all = Owned { tags: owned.tags, images: found.images, records: found.records };
    rig.engine.reset(&all, &users).await.unwrap();
    let after = rig.engine.snapshot().await.unwrap();
    assert_eq!(after.tags.get(&user.to_string()), users.tags.get(&user.to_string()));
    for id in user_ids.iter().chain(&concurrent_ids) {
        assert!(rig.engine.inspect(id).await.unwrap().is_some(), "{id} is gone");
    }
    assert_eq!(new_untagged(&rig, "/made/manifest").await, Vec::<String>::new());
    concurrent_ids.iter().for_each(|id| rig.own_image(id));
    rig.reset().await.unwrap();
}

/// Within our window, upon the same base, and with our very COPY and a CMD of its own: as long as
/// it does not begin as one of our stages begins, it is the user's.
#[tokio::test]
async fn a_users_concurrent_build_that_shares_later_instructions_is_not_taken() {
    let rig = Rig::new("shared-steps").await;
    let ours = rig.context_with(&two_stages());
    let dockerfile = std::fs::read_to_string(ours.join("Dockerfile")).unwrap();
    let from = OffsetDateTime::now_utc();
    let user_file =
        format!("FROM {BASE}\nRUN echo user-{{nonce}} > /user\nCOPY app ./\nCMD [\"user\"]\n");
    let context = rig.context_with(&user_file);
    let mut users = Vec::new();
    for builder in Builder::OF_DAEMONS {
        let tag = rig.image("user");
        let built = rig.build(builder, &context, &tag, &[]).await.unwrap();
        docker(&["rmi", "--no-prune", &tag.to_string()]);
        users
            .extend(built.images_seen.iter().map(|id| id.trim_start_matches("sha256:").to_owned()));
    }
    let trace =
        Trace { windows: vec![(from, OffsetDateTime::now_utc())], dockerfiles: vec![dockerfile] };
    let found = rig.engine.leftovers(&Owned::default(), &rig.before, &trace).await.unwrap();
    for id in &users {
        assert!(!found.images.iter().any(|found| found.contains(id.as_str())), "{id}: {found:?}");
    }
    rig.reset().await.unwrap();
}

/// The classic builder gives an image that it restores from a cache source the time of the source's
/// layer: here from before our window, like a seed that is pulled in a later session.
#[tokio::test]
async fn what_the_killed_run_restored_from_a_cache_source_is_found_although_it_is_older() {
    let rig = Rig::new("restored").await;
    let context = rig.context_with(&two_stages());
    let dockerfile = std::fs::read_to_string(context.join("Dockerfile")).unwrap();
    let seed = rig.image("seed");
    rig.build(Builder::Classic, &context, &seed, &[]).await.unwrap();
    let archive = rig.dir.path().join("seed.tar");
    docker(&["save", "-o", archive.to_str().unwrap(), &seed.to_string()]);
    rig.reset().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;

    let from = OffsetDateTime::now_utc();
    let before = rig.engine.snapshot().await.unwrap();
    docker(&["load", "-i", archive.to_str().unwrap()]);
    let (ours, sources) = (rig.image("ours"), [seed.clone()]);
    let built = rig.build(Builder::Classic, &context, &ours, &sources).await.unwrap();
    assert!(built.steps.last().unwrap().hit, "{:?}", built.steps);
    docker(&["rmi", "--no-prune", &ours.to_string()]);
    let window = (from, OffsetDateTime::now_utc());
    let trace = Trace { windows: vec![window], dockerfiles: vec![dockerfile] };
    let owned = Owned { tags: [seed.to_string()].into(), ..Owned::default() };
    let found = rig.engine.leftovers(&owned, &before, &trace).await.unwrap();
    let restored = new_untagged(&rig, " in /made").await;
    assert!(restored.len() >= 2, "{restored:?}");
    for id in &restored {
        assert!(found.images.contains(id), "{id}: {found:?}");
    }
    // It is known by the source alone.
    let nobody = rig.engine.leftovers(&Owned::default(), &before, &trace).await.unwrap();
    assert!(restored.iter().all(|id| !nobody.images.contains(id)), "{nobody:?}");

    let all = Owned { tags: owned.tags, images: found.images, records: found.records };
    rig.engine.reset(&all, &before).await.unwrap();
    let left = rig.engine.snapshot().await.unwrap().images;
    assert!(restored.iter().all(|id| !left.contains(id)), "{restored:?} {left:?}");
}

/// The first image upon nothing has no parent, like BuildKit's.
#[tokio::test]
async fn what_a_killed_classic_build_made_upon_nothing_is_found() {
    let rig = Rig::new("scratch").await;
    let from = OffsetDateTime::now_utc();
    let mut made = Vec::new();
    for (who, file) in [("ours", "COPY manifest /ours-{nonce}"), ("user", "COPY manifest /")] {
        let context = rig.context_with(&format!("FROM scratch\n{file}\nCMD [\"{{nonce}}\"]\n"));
        let tag = rig.image(who);
        let built = rig.build(Builder::Classic, &context, &tag, &[]).await.unwrap();
        docker(&["rmi", "--no-prune", &tag.to_string()]);
        let id = built.images_seen[0].trim_start_matches("sha256:").to_owned();
        made.push((id, std::fs::read_to_string(context.join("Dockerfile")).unwrap()));
    }
    let [(ours, dockerfile), (users, _)] = made.try_into().unwrap();
    let trace =
        Trace { windows: vec![(from, OffsetDateTime::now_utc())], dockerfiles: vec![dockerfile] };
    let found = rig.engine.leftovers(&Owned::default(), &rig.before, &trace).await.unwrap();
    let has = |id: &str| found.images.iter().any(|found| found.contains(id));
    assert!(has(&ours) && !has(&users), "{ours} {users} {found:?}");
    rig.reset().await.unwrap();
}

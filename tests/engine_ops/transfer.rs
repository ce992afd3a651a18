//! Pull, push, load and save.

use crate::rig::{Registry, Rig, docker, quiet};
use breakeven::engine::{Engine, EngineError, StepLog};
use breakeven::model::plan::{ArchivePlan, Compression};
use breakeven::model::{Builder, ImageRef};
use std::path::Path;
use std::time::Duration;

fn log() -> StepLog {
    StepLog::default()
}

#[tokio::test]
async fn answers_of_a_push_are_counted_and_a_pull_brings_the_image_back() {
    let rig = Rig::new("push").await;
    let registry = Registry::start();
    let tag = rig.remote(&registry, "one", "main");
    let built = rig.build(Builder::Classic, &rig.context(), &tag, &[]).await.unwrap();
    let layers = rig.engine.inspect(&built.image).await.unwrap().unwrap().layers.len() as u32;
    let first = rig.engine.push(&tag, &mut log()).await.unwrap();
    assert_eq!((first.pushed, first.existed, first.mounted), (layers, 0, 0));
    assert!(first.digest.as_ref().unwrap().starts_with("sha256:"));
    let second = rig.engine.push(&tag, &mut log()).await.unwrap();
    assert_eq!((second.pushed, second.existed, second.mounted), (0, layers, 0));
    assert_eq!(second.digest, first.digest);
    let elsewhere = rig.remote(&registry, "two", "main");
    docker(&["tag", &tag.to_string(), &elsewhere.to_string()]);
    let third = rig.engine.push(&elsewhere, &mut log()).await.unwrap();
    assert_eq!((third.pushed, third.existed, third.mounted), (0, 0, layers));

    rig.reset().await.unwrap();
    assert_eq!(rig.engine.inspect(&built.image).await.unwrap(), None);
    let mut text = log();
    rig.engine.pull(&tag, &mut text).await.unwrap();
    assert!(text.text().contains("Pull complete"), "{}", text.text());
    let facts = rig.engine.inspect(&tag.to_string()).await.unwrap().unwrap();
    assert_eq!(facts.id, built.image);
    let digest = format!("{}@{}", tag.repository, first.digest.unwrap());
    assert_eq!(facts.repo_digests, [digest]);
    rig.reset().await.unwrap();
}

#[tokio::test]
async fn missing_refused_and_failed_are_told_apart() {
    let rig = Rig::new("missing").await;
    let registry = Registry::start();
    let tag = rig.remote(&registry, "one", "main");
    let error = rig.engine.pull(&tag, &mut log()).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "no repository: {error}");
    let error = rig.engine.push(&tag, &mut log()).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. } | EngineError::Failed { .. }), "{error}");
    assert!(error.to_string().contains(&tag.to_string()), "{error}");
    rig.build(Builder::Classic, &rig.context(), &tag, &[]).await.unwrap();
    rig.engine.push(&tag, &mut log()).await.unwrap();
    let other = ImageRef::new(&tag.repository, "other");
    let error = rig.engine.pull(&other, &mut log()).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "no tag: {error}");

    drop(registry);
    for error in [
        rig.engine.pull(&tag, &mut log()).await.unwrap_err(),
        rig.engine.push(&tag, &mut log()).await.unwrap_err(),
    ] {
        assert!(matches!(error, EngineError::Failed { .. }), "{error:?}");
        assert!(error.to_string().contains("refused"), "{error}");
    }
    rig.reset().await.unwrap();
}

#[tokio::test]
async fn images_go_through_an_archive_and_the_reverse_with_the_client() {
    let rig = Rig::new("archive").await;
    let context = rig.context();
    let (final_image, stage) = (rig.image("final"), rig.image("builder"));
    rig.build_target(Builder::Classic, &context, &stage, &[], Some("builder")).await.unwrap();
    let sources = std::slice::from_ref(&stage);
    let built = rig.build(Builder::Classic, &context, &final_image, sources).await.unwrap();
    let archive = rig.dir.path().join("both.tar");
    let both = [stage.clone(), final_image.clone()];
    let bytes =
        rig.engine.save(&both, &archive, &ArchivePlan::default(), &mut log()).await.unwrap();
    assert_eq!(bytes, archive.metadata().unwrap().len());
    let theirs = rig.dir.path().join("theirs.tar");
    let names = both.each_ref().map(ToString::to_string);
    docker(&["save", "-o", theirs.to_str().unwrap(), &names[0], &names[1]]);
    for from in [&archive, &theirs] {
        rig.reset().await.unwrap();
        let mut tags = rig.engine.load(from, &mut log()).await.unwrap();
        tags.sort();
        assert_eq!(tags, [names[0].as_str(), names[1].as_str()]);
        let facts = rig.engine.inspect(&names[1]).await.unwrap().unwrap();
        assert_eq!(facts.id, built.image);
        // The loaded images are a full source, stage by stage.
        let again = rig.build(Builder::Classic, &context, &final_image, &both).await.unwrap();
        assert!(again.steps.iter().all(|step| step.hit), "{:?}", again.steps);
    }
    rig.reset().await.unwrap();
    docker(&["load", "-q", "-i", archive.to_str().unwrap()]);
    assert!(rig.engine.inspect(&names[0]).await.unwrap().is_some());
    rig.reset().await.unwrap();
}

#[tokio::test]
async fn packed_archives_are_ours_and_the_tools_alike() {
    let rig = Rig::new("packed").await;
    let tag = rig.image("1");
    let built = rig.build(Builder::Classic, &rig.context(), &tag, &[]).await.unwrap();
    let images = std::slice::from_ref(&tag);
    let plain = rig.dir.path().join("plain.tar");
    let plain_bytes =
        rig.engine.save(images, &plain, &ArchivePlan::default(), &mut log()).await.unwrap();
    let tools = [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")];
    let ours_as = |form: Compression| rig.dir.path().join(format!("ours.{}", form.suffix()));
    for (compression, tool) in tools {
        let ours = ours_as(compression);
        let packing = ArchivePlan { compression, level: None, threads: 1 };
        let bytes = rig.engine.save(images, &ours, &packing, &mut log()).await.unwrap();
        assert_eq!(bytes, ours.metadata().unwrap().len());
        assert!(bytes < plain_bytes, "{tool}: {bytes} of {plain_bytes}");
    }
    for (compression, tool) in tools {
        let ours = ours_as(compression);
        // The tool reads ours, and we read the tool's.
        assert!(quiet(tool, &["-t", ours.to_str().unwrap()]).is_some(), "{tool} -t");
        let theirs = rig.dir.path().join(format!("theirs.{}", compression.suffix()));
        let packed = quiet(tool, &["-q", "-k", "-f", plain.to_str().unwrap()]);
        assert!(packed.is_some(), "{tool}: is it installed?");
        let made = plain.with_extension(compression.suffix());
        std::fs::rename(made, &theirs).unwrap();
        for from in [&ours, &theirs] {
            rig.reset().await.unwrap();
            let tags = rig.engine.load(from, &mut log()).await.unwrap();
            assert_eq!(tags, [tag.to_string()]);
            let facts = rig.engine.inspect(&tag.to_string()).await.unwrap().unwrap();
            assert_eq!(facts.id, built.image);
        }
        rig.reset().await.unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&ours).unwrap();
        file.set_len(ours.metadata().unwrap().len() / 2).unwrap();
        let error = rig.engine.load(&ours, &mut log()).await.unwrap_err();
        assert!(matches!(error, EngineError::Io { .. }), "{error:?}");
        assert!(error.to_string().contains("ours.tar"), "{error}");
        rig.reset().await.unwrap();
    }
}

/// Names of files in a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn a_failed_or_dropped_save_leaves_no_file() {
    let rig = Rig::new("save").await;
    let tag = rig.image("1");
    rig.build(Builder::Classic, &rig.context(), &tag, &[]).await.unwrap();
    let folder = rig.dir.path().join("archives");
    std::fs::create_dir(&folder).unwrap();
    let archive = folder.join("a.tar");
    let missing = [ImageRef::new("engine-ops-nowhere", "1")];
    let error =
        rig.engine.save(&missing, &archive, &ArchivePlan::default(), &mut log()).await.unwrap_err();
    assert!(error.to_string().contains("engine-ops-nowhere:1"), "{error}");
    assert_eq!(files(&folder), Vec::<String>::new());

    let images = std::slice::from_ref(&tag);
    let nowhere = folder.join("no/such/folder.tar");
    let error =
        rig.engine.save(images, &nowhere, &ArchivePlan::default(), &mut log()).await.unwrap_err();
    assert!(matches!(error, EngineError::Io { .. }), "{error:?}");

    let mut text = log();
    let dropped = tokio::time::timeout(
        Duration::ZERO,
        rig.engine.save(images, &archive, &ArchivePlan::default(), &mut text),
    )
    .await;
    assert!(dropped.is_err());
    for _ in 0..100 {
        if files(&folder).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(files(&folder), Vec::<String>::new());
    rig.reset().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_said_and_the_piece_removed() {
    let rig = Rig::new("full").await;
    let tag = rig.image("1");
    rig.build(Builder::Classic, &rig.context(), &tag, &[]).await.unwrap();
    let small = Tmpfs::mount(&rig.dir.path().join("small"));
    let archive = small.0.join("a.tar");
    let error = rig
        .engine
        .save(std::slice::from_ref(&tag), &archive, &ArchivePlan::default(), &mut log())
        .await
        .unwrap_err();
    let EngineError::Io { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{error}");
    assert!(error.to_string().contains("a.tar"), "{error}");
    assert_eq!(files(&small.0), Vec::<String>::new());
    rig.reset().await.unwrap();
}

struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn mount(at: &Path) -> Self {
        std::fs::create_dir(at).unwrap();
        let at_text = at.to_str().unwrap();
        let mounted = quiet("mount", &["-t", "tmpfs", "-o", "size=256k", "tmpfs", at_text]);
        assert!(mounted.is_some(), "this test mounts a small tmpfs, which needs root");
        Self(at.to_path_buf())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = quiet("umount", &[self.0.to_str().unwrap_or_default()]);
    }
}

#[tokio::test]
async fn an_archive_that_is_cut_off_or_absent_is_an_error() {
    let rig = Rig::new("cut").await;
    let tag = rig.image("1");
    rig.build(Builder::Classic, &rig.context(), &tag, &[]).await.unwrap();
    let archive = rig.dir.path().join("a.tar");
    let images = std::slice::from_ref(&tag);
    let bytes =
        rig.engine.save(images, &archive, &ArchivePlan::default(), &mut log()).await.unwrap();
    rig.reset().await.unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&archive).unwrap();
    file.set_len(bytes / 2).unwrap();
    let error = rig.engine.load(&archive, &mut log()).await.unwrap_err();
    assert!(error.to_string().contains("a.tar"), "{error}");
    let absent = rig.engine.load(Path::new("/nonexistent/a.tar"), &mut log()).await.unwrap_err();
    assert!(matches!(absent, EngineError::Io { .. }), "{absent:?}");
    rig.reset().await.unwrap();
}

use super::docker::{Image, docker, registry_image, try_docker, unique};
use breakeven::model::ImageRef;
use breakeven::model::plan::RegistryPlan;
use breakeven::registry::{ManagedRegistry, Program, Registry, Seed, open};

fn repository(registry: &dyn Registry, name: &str) -> String {
    format!("{}/{name}", registry.prefix())
}

/// Push, remember, restore, push: the whole life of a registry in a run.
async fn life(registry: &dyn Registry) {
    let repository = repository(registry, "service");
    let (base, one, two) = (unique("base"), unique("one"), unique("two"));
    let main = Image::build(ImageRef::new(&repository, "main"), &[&base, &one]);
    let branch = Image::build(ImageRef::new(&repository, "branch"), &[&base, &two]);
    assert!(registry.restores_fully());
    assert_eq!(registry.digest(&main.reference).await.unwrap(), None);
    assert_eq!(registry.image_config(&main.reference).await.unwrap(), None);

    assert_eq!(main.push(), (2, 0));
    let (seed, empty) = (Seed("with main".to_owned()), Vec::new());
    registry.remember(&seed, std::slice::from_ref(&main.reference)).await.unwrap();
    let digest = registry.digest(&main.reference).await.unwrap().unwrap();
    assert!(digest.starts_with("sha256:"), "{digest}");
    let config = registry.image_config(&main.reference).await.unwrap().unwrap();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);

    // A push on top of the seed: what is not in it is sent, and again after each restoring.
    for _ in 0..2 {
        registry.restore(std::slice::from_ref(&seed)).await.unwrap();
        assert_eq!(registry.digest(&main.reference).await.unwrap().as_ref(), Some(&digest));
        assert_eq!(registry.digest(&branch.reference).await.unwrap(), None);
        assert_eq!(branch.push(), (1, 1));
        // Moves the tag in place: the snapshot must not move along.
        docker(&["tag", &branch.reference.to_string(), &main.reference.to_string()]);
        main.push();
        assert_ne!(registry.digest(&main.reference).await.unwrap().as_ref(), Some(&digest));
        Image::build(main.reference.clone(), &[&base, &one]).keep();
    }

    // Both seeds together, the first one's tag winning.
    let both = Seed("both".to_owned());
    let references = [main.reference.clone(), branch.reference.clone()];
    registry.remember(&both, &references).await.unwrap();
    registry.restore(&[seed.clone(), both.clone()]).await.unwrap();
    assert_eq!(registry.digest(&main.reference).await.unwrap().as_ref(), Some(&digest));
    assert!(registry.digest(&branch.reference).await.unwrap().is_some());
    docker(&["rmi", &branch.reference.to_string()]);
    docker(&["pull", "--quiet", &branch.reference.to_string()]);

    registry.restore(&empty).await.unwrap();
    assert_eq!(registry.digest(&main.reference).await.unwrap(), None);
    assert!(!try_docker(&["pull", &branch.reference.to_string()]).status.success());
    assert_eq!(branch.push(), (2, 0));

    // A folder without anything can be filled again from either.
    registry.restore(&[both]).await.unwrap();
    assert!(registry.digest(&branch.reference).await.unwrap().is_some());
    let error = registry.restore(&[Seed("never".to_owned())]).await.unwrap_err().to_string();
    assert!(error.contains("never"), "{error}");
    registry.restore(&[]).await.unwrap();
    let error = registry
        .remember(&seed, std::slice::from_ref(&main.reference))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&main.reference.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_is_put_back_whatever_was_pushed_since() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(&RegistryPlan::Managed, "Run-1", dir.path()).await.unwrap();
    assert!(registry.prefix().starts_with("127.0.0.1:"), "{}", registry.prefix());
    assert!(registry.prefix().ends_with("/breakeven-run-1"), "{}", registry.prefix());
    life(registry.as_ref()).await;
    registry.close().await.unwrap();
    registry.close().await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let gone = ImageRef::new(repository(registry.as_ref(), "service"), "main");
    let error = registry.digest(&gone).await.unwrap_err().to_string();
    assert!(error.contains("does not answer") && error.contains("refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_serves_where_there_is_no_program() {
    let image = registry_image();
    let program = Program::Image(image.reference.to_string());
    let dir = tempfile::tempdir().unwrap();
    let registry = ManagedRegistry::start(&program, "run-1", dir.path()).await.unwrap();
    let container = std::fs::read_to_string(dir.path().join("registry.cid")).unwrap();
    life(&registry).await;
    registry.close().await.unwrap();
    assert!(!try_docker(&["inspect", "--type", "container", &container]).status.success());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_registries_run_side_by_side() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = open(&RegistryPlan::Managed, "r", dirs[0].path()).await.unwrap();
    let two = open(&RegistryPlan::Managed, "r", dirs[1].path()).await.unwrap();
    assert_ne!(one.prefix(), two.prefix());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_does_not_exist_is_named_with_what_to_install() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::Image("127.0.0.1:1/breakeven-nowhere:1".to_owned());
    let Err(error) = ManagedRegistry::start(&program, "r", dir.path()).await else {
        panic!("a registry was started from nothing");
    };
    let error = error.to_string();
    assert!(error.contains("breakeven-nowhere") && error.contains("docker-registry"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_is_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::Binary("/bin/false".into());
    let Err(error) = ManagedRegistry::start(&program, "r", dir.path()).await else {
        panic!("/bin/false is no registry");
    };
    assert!(error.to_string().contains("registry.log"), "{error}");
}

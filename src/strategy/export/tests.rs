use super::*;
use crate::model::PullMode;
use crate::strategy::STRATEGIES;
use std::collections::BTreeMap;

pub(super) fn workload() -> Workload {
    Workload {
        context: "/shop/services/web".into(),
        dockerfile: "/shop/ci/Dockerfile".into(),
        target: Some("web".to_owned()),
        build_args: BTreeMap::from([(
            "NOTE".to_owned(),
            "it's \"$HOME\" ${HOME} ${{ x }} %{y} \\".to_owned(),
        )]),
        secret_args: BTreeMap::new(),
        stages: vec!["builder".to_owned()],
        bases: Vec::new(),
        layout: Vec::new(),
    }
}

fn snippet<'a>(workload: &'a Workload, strategy: &'a Strategy, builder: Builder) -> Snippet<'a> {
    let registry = "registry.example/team";
    Snippet {
        name: "web",
        workload,
        strategy,
        job: Job {
            repository: format!("{registry}/web"),
            candidates: ["branch", "main"].map(str::to_owned).to_vec(),
            own: "branch".to_owned(),
            stages: workload.stages.clone(),
            pull: PullMode::First,
            builder,
            suffix: "tar",
            image_manifest: true,
        },
        registry: Some(registry.to_owned()),
        storage: Some("/mnt/ci images".to_owned()),
        folder: "services".to_owned(),
        context: "web".to_owned(),
        dockerfile: Some("../ci/Dockerfile".to_owned()),
    }
}

#[test]
fn every_strategy_in_every_format() {
    let workload = workload();
    for strategy in STRATEGIES {
        for &builder in strategy.builders.iter() {
            for format in FORMATS {
                let snippet = snippet(&workload, strategy, builder);
                let written = format.write(&snippet).unwrap_or_else(|error| format!("{error}\n"));
                insta::assert_snapshot!(
                    format!("{}_{}_{builder}", format.id, strategy.id),
                    written
                );
            }
        }
    }
}

#[test]
fn what_the_configuration_does_not_name_is_left_to_the_user() {
    let workload = Workload { build_args: BTreeMap::new(), target: None, ..workload() };
    let strategy = crate::strategy::ours("save-load").unwrap();
    let mut snippet = snippet(&workload, strategy, Builder::Buildkit);
    snippet.registry = None;
    snippet.storage = None;
    snippet.folder = String::new();
    snippet.context = ".".to_owned();
    snippet.dockerfile = None;
    snippet.job.candidates.truncate(1);
    let written = FORMATS.iter().filter_map(|format| format.write(&snippet).ok());
    insta::assert_snapshot!(written.collect::<Vec<_>>().join("\n---\n"));
}

#[test]
fn variables_stand_for_the_longest_candidate_only() {
    let candidates = ["v1", "v1-2", "v1.3"].map(str::to_owned);
    let variables = Variables {
        repository: ("r/x", "repository"),
        own: Some(("v1", "branch")),
        candidates: &candidates,
    };
    let image = |tag: &str| {
        let image = crate::model::ImageRef::new("r/x", tag);
        variables.image(&image, |name| format!("${name}"), str::to_owned)
    };
    assert_eq!(image("v1"), "$repository:$branch");
    assert_eq!(image("v1-builder"), "$repository:$branch-builder");
    assert_eq!(image("v1-2-builder"), "$repository:v1-2-builder");
    assert_eq!(image("v1.3"), "$repository:v1.3");
    assert_eq!(image("v10"), "$repository:v10");
}

#[test]
fn scripts_that_no_block_can_hold_are_quoted() {
    assert_eq!(yaml::block("a\n\n  b\n", 2), "|\n  a\n\n    b");
    assert_eq!(yaml::block("a\rb\u{2028}\u{1f600}\"", 2), r#""a\u000db\u2028\U0001f600\"""#);
    assert_eq!(yaml::quoted("a: #\t\\"), r##""a: #\t\\""##);
}

#[test]
fn secrets_are_named_by_their_variables() {
    let secret_args = [("KEY", "OUR_KEY"), ("TOKEN", "TOKEN")];
    let secret_args = secret_args.map(|(name, from)| (name.to_owned(), from.to_owned())).into();
    let workload = Workload { secret_args, ..workload() };
    let strategy = crate::strategy::ours("inline").unwrap();
    for (format, expected) in [
        ("github-actions", "OUR_KEY: ${{ secrets.OUR_KEY }}"),
        ("gitlab", "--build-arg KEY=\"$OUR_KEY\""),
        ("shell", "Secrets in its environment: OUR_KEY, TOKEN."),
        ("bake", "\"KEY\" = OUR_KEY"),
    ] {
        let snippet = snippet(&workload, strategy, Builder::Buildkit);
        let written = find(format).unwrap().write(&snippet).unwrap();
        assert!(written.contains(expected), "{written}");
        assert!(format == "bake" || written.contains("--build-arg TOKEN "), "{written}");
    }
}

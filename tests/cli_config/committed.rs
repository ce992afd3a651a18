//! Configurations, schema and documentation in this repository.

use super::{GOOD, article, success};
use std::fs;
use std::path::Path;

#[test]
fn the_configurations_in_this_repository_are_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut good = 0;
    for folder in
        ["fixtures/article", "fixtures/c-service", "fixtures/single-stage", "packaging/image"]
    {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.starts_with("breakeven") && name.ends_with(".toml") {
                let text = success(&root.join(folder), &["plan", &name]);
                assert!(text.contains(" cells"), "{folder}/{name}: {text}");
                good += 1;
            }
        }
    }
    assert_eq!(good, 8);
}

/// Which strategy that is was measured: docs/results.md.
#[test]
fn the_script_that_builds_our_own_image_is_the_export_of_its_winner() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/image");
    let export = ["export", "inline-stages", "--builder", "buildkit", "--as", "shell"];
    let committed = fs::read_to_string(folder.join("build.sh")).unwrap();
    assert_eq!(success(&folder, &export), committed);
}

#[test]
fn the_committed_schema_is_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/breakeven.schema.json");
    let schema = breakeven::config::schema::json_schema();
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("BREAKEVEN_UPDATE_SCHEMAS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(committed == text, "run with BREAKEVEN_UPDATE_SCHEMAS=1 to write {}", path.display());
    // The schema takes what the program takes, and refuses a key that it does not know.
    let validator = jsonschema::validator_for(&schema).unwrap();
    let as_json = |text: &str| serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap());
    assert!(validator.is_valid(&as_json(GOOD).unwrap()));
    assert!(!validator.is_valid(&as_json(&format!("sead = 1\n{GOOD}")).unwrap()));
}

#[test]
fn the_documentation_names_every_key_and_its_example_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    let text = fs::read_to_string(path).unwrap();
    let example = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    success(article(example).path(), &["plan"]);
    let schema = breakeven::config::schema::json_schema();
    let mut tables = vec![&schema];
    tables.extend(schema["$defs"].as_object().unwrap().values());
    for table in tables {
        for key in table["properties"].as_object().into_iter().flat_map(|keys| keys.keys()) {
            let names = [format!("`{key}`"), format!("[{key}"), format!("{key} = ")];
            assert!(names.iter().any(|name| text.contains(name)), "{key} is not in docs/config.md");
        }
    }
}

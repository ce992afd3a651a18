//! Exported snippets, held against what reads them: shellcheck, bake, the published schemas.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const CONFIG: &str = r##"
[registry]
address = "registry.example:5000"
prefix = "team"

[workload.web]
context = "."
build_args = { NOTE = "it's \"$HOME\" ${HOME} ${{ x }} %{y} \\ #", BLANK = "" }

[workload.plain]
context = "plain"

[change.app]
edits = [{ append = "app/a", text = "{nonce}" }]

[change.none]

[candidate.branch]
[candidate.main]
"##;

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let two = "FROM base AS builder\nCOPY app /a\nFROM base\nCOPY --from=builder /a /a\n";
    for (path, text) in [
        ("breakeven.toml", CONFIG),
        ("Dockerfile", two),
        ("app/a", "1\n"),
        ("plain/Dockerfile", "FROM base\nCOPY app /a\n"),
        ("plain/app/a", "1\n"),
    ] {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn export(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_breakeven"))
        .current_dir(dir)
        .arg("export")
        .args(arguments)
        .output()
        .unwrap()
}

/// Every strategy under every builder that a format can express, for the workload with stages.
fn all(dir: &Path, format: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for strategy in breakeven::strategy::STRATEGIES {
        for builder in strategy.builders.iter().map(|builder| builder.as_str()) {
            let arguments =
                [strategy.id.as_ref(), "--as", format, "--workload", "web", "--builder", builder];
            let output = export(dir, &arguments);
            let said = String::from_utf8(output.stderr).unwrap();
            match output.status.code() {
                Some(0) => {
                    let text = String::from_utf8(output.stdout).unwrap();
                    all.insert(format!("{}-{builder}", strategy.id), text);
                }
                Some(2) => {
                    assert!(output.stdout.is_empty());
                    assert!(said.contains("cannot be written as"), "{said}");
                }
                other => panic!("{arguments:?}: {other:?}: {said}"),
            }
        }
    }
    all
}

/// Feeds a text to a tool that `scripts/test-tools.sh` brings, and fails with what it says.
fn hold_against(command: &mut Command, text: &str, what: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/test-tools.sh"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {out}{err}\n{text}");
    out.into_owned()
}

fn shellcheck(script: &str, what: &str) {
    let mut command = Command::new("shellcheck");
    hold_against(
        // SC2016: a text of the user's reaches the build as it is. Of docker's arguments shellcheck
        // takes that for granted, of buildah's not.
        command.args([
            "--shell",
            "bash",
            "--enable",
            "quote-safe-variables",
            "--exclude",
            "SC2016",
            "-",
        ]),
        script,
        what,
    );
}

fn data(name: &str) -> PathBuf {
    let home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or("/root".into())).join(".local/share")
    });
    home.join("breakeven").join(name)
}

/// A YAML text as another reader sees it.
fn read_yaml(text: &str) -> serde_json::Value {
    let read = "import json, sys, ruamel.yaml\n\
                json.dump(ruamel.yaml.YAML(typ='safe').load(sys.stdin), sys.stdout)";
    let mut python = Command::new(data("schemas/bin/python"));
    serde_json::from_str(&hold_against(python.args(["-c", read]), text, "yaml")).unwrap()
}

fn fits_schema(schema: &str, text: &str, what: &str) {
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let mut check = Command::new(data("schemas/bin/check-jsonschema"));
    hold_against(check.args(["--builtin-schema", schema]).arg(file.path()), "", what);
}

#[test]
fn shell_scripts_have_nothing_that_shellcheck_finds() {
    let dir = project();
    let scripts = all(dir.path(), "shell");
    assert_eq!(scripts.len(), 22, "every strategy can be a script");
    for (name, script) in scripts {
        shellcheck(&script, &name);
    }
}

#[test]
fn workflows_fit_the_schema_and_their_scripts_are_sound() {
    let dir = project();
    let workflows = all(dir.path(), "github-actions");
    assert_eq!(workflows.len(), 22);
    for (name, workflow) in workflows {
        fits_schema("vendor.github-workflows", &workflow, &name);
        let read = read_yaml(&workflow);
        let steps = read["jobs"]["image-web"]["steps"].as_array().unwrap();
        let scripts: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
        assert_eq!(scripts.len(), 2, "{name}");
        for script in scripts {
            // What the runner replaces before bash sees it, and what it gives.
            let seen = script.replace("${{ '${{' }}", "${{");
            let given = "REPOSITORY=given\nBRANCH=given\nexport BRANCH\n";
            shellcheck(&format!("#!/bin/bash\n{given}{seen}"), &name);
        }
        let stores = name.starts_with("save-load") || name.starts_with("local-m");
        assert_eq!(workflow.contains("actions/cache@"), stores, "{name}");
    }
}

#[test]
fn gitlab_jobs_fit_the_schema_and_their_scripts_are_sound() {
    let dir = project();
    let jobs = all(dir.path(), "gitlab");
    assert_eq!(jobs.len(), 22);
    for (name, job) in jobs {
        fits_schema("vendor.gitlab-ci", &job, &name);
        let read = read_yaml(&job);
        let script = read["image-web"]["script"][0].as_str().unwrap();
        shellcheck(&format!("#!/bin/bash\n{script}"), &name);
        let stores = name.starts_with("save-load") || name.starts_with("local-m");
        assert_eq!(read["image-web"]["cache"].is_object(), stores, "{name}");
    }
}

#[test]
fn bake_reads_what_is_meant_for_it() {
    let dir = project();
    let files = all(dir.path(), "bake");
    assert!(files.contains_key("inline-stages-buildkit") && !files.contains_key("pull-classic"));
    for (name, file) in files {
        let path = dir.path().join("docker-bake.hcl");
        std::fs::write(&path, &file).unwrap();
        let private = data("cli-plugins/docker-buildx");
        let mut bake = match private.exists() {
            true => Command::new(private),
            false => {
                let mut docker = Command::new("docker");
                docker.arg("buildx");
                docker
            }
        };
        bake.current_dir(dir.path()).args(["bake", "--print"]).env("BRANCH", "topic");
        let read: serde_json::Value =
            serde_json::from_str(&hold_against(&mut bake, "", &name)).unwrap();
        let image = &read["target"]["image"];
        assert_eq!(image["context"], ".");
        assert_eq!(image["tags"][0], "registry.example:5000/team/web:topic");
        assert_eq!(
            image["args"]["NOTE"], "it's \"$HOME\" ${HOME} ${{ x }} %{y} \\ #",
            "a text reaches the build as it is"
        );
        if name == "inline-stages-buildkit" {
            let sources: Vec<&str> =
                image["cache-from"].as_array().unwrap().iter().filter_map(|s| s.as_str()).collect();
            let source =
                |tag: &str| format!("type=registry,ref=registry.example:5000/team/web:{tag}");
            assert_eq!(sources, ["topic-builder", "main-builder", "topic", "main"].map(source));
            assert_eq!(read["target"]["builder"]["target"], "builder");
        }
    }
}

#[test]
fn what_cannot_be_exported_is_said() {
    let dir = project();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample");
    let sample = sample.to_str().unwrap();
    let cases: &[&[&str]] = &[
        &["pull", "--as", "shell"],
        &["pull", "--as", "shell", "--workload", "wb"],
        &["pul", "--as", "shell", "--workload", "web"],
        &["cold", "--as", "shell", "--workload", "web"],
        &["pull", "--as", "shell", "--workload", "web", "--builder", "buildkit"],
        &["pull-stages", "--as", "shell", "--workload", "plain"],
        &["pull", "--as", "bake", "--workload", "web"],
        &["save-load", "--as", "bake", "--workload", "web", "--builder", "buildkit"],
        &["winner", "--as", "shell", "--workload", "web"],
        &["pull", "--as", "jenkins", "--workload", "web"],
        &["pull", "--as", "shell", "--run", sample, "--config", "breakeven.toml"],
    ];
    let mut said = String::new();
    for arguments in cases {
        let output = export(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let arguments = arguments.join(" ").replace(sample, "[sample]");
        said += &format!("{arguments}\n{}\n", String::from_utf8(output.stderr).unwrap());
    }
    insta::assert_snapshot!(said);
}

#[test]
fn the_winner_of_a_run_is_exported() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample");
    let output =
        export(Path::new("/"), &["winner", "--as", "shell", "--run", sample.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let script = String::from_utf8(output.stdout).unwrap();
    assert!(script.contains("with the strategy inline-stages (buildkit)"), "{script}");
    shellcheck(&script, "winner");
}

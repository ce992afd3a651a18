//! Names and texts that a shell or a browser would take for more than that.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What would make a file `pwned` if a shell read it.
const SHELL: &str = "a'b\"`touch pwned`$(touch pwned);touch pwned #\ntouch pwned\n";
/// What would run if a browser read it.
const SCRIPT: &str = "<script>alert(1)</script>";

fn breakeven(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_breakeven")).current_dir(dir).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn toml_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[test]
fn a_name_that_means_something_elsewhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("Dockerfile"), "FROM base\nCOPY a /a\n").unwrap();
    fs::write(dir.path().join("a"), "1").unwrap();
    for name in [SHELL, SCRIPT, "$(touch pwned)", "a b", "-rf", "../../x", "a\u{0}b", "\u{1b}[31m"]
    {
        for table in
            ["workload.{}", "change.{}", "link.{}", "candidate.{}", "strategy.{}", "engine.{}"]
        {
            // A key in quotes is written as a text of JSON is.
            let key = serde_json::Value::from(name).to_string();
            let table = table.replace("{}", &key);
            let mut config = format!("[workload.web]\n[change.none]\n[{table}]\n");
            if table.starts_with("strategy") {
                config += "builders = [\"classic\"]\nsteps = [{ build = \"{own}\" }, \
                           { push = \"{own}\" }]\n";
            }
            fs::write(dir.path().join("breakeven.toml"), &config).unwrap();
            let output = breakeven(dir.path(), &["plan"]);
            assert_eq!(output.status.code(), Some(2), "{config}\n{output:?}");
            assert!(output.stdout.is_empty(), "{output:?}");
        }
    }
}

/// Name of the storage's folder: as bad, and not in the context, where none may be.
fn store() -> String {
    format!("store {SHELL}")
}

/// A project whose texts and folders are as bad as they may be.
fn project(dir: &Path) -> PathBuf {
    let home = dir.join(format!("home {}", SHELL.replace('/', "")));
    let context = home.join(SHELL);
    fs::create_dir_all(&context).unwrap();
    fs::write(context.join("Dockerfile"), "FROM base AS builder\nFROM base\nCOPY a /a\n").unwrap();
    fs::write(context.join("a"), "1").unwrap();
    let bad = toml_text(SHELL);
    let config = format!(
        "storage = {store}\n[workload.web]\ncontext = {bad}\nbuild_args = {{ {key} = {bad} }}\n\
         [change.none]\n[candidate.branch]\n[candidate.main]\n[strategies]\n\
         use = [\"cold\", \"inline\", \"mine\"]\n[strategy.mine]\nsummary = {bad}\n\
         builders = [\"classic\"]\nsteps = [{{ build = \"{{own}}\" }}, {{ push = \"{{own}}\" }}]\n",
        key = serde_json::Value::from(SHELL),
        store = toml_text(&store()),
    );
    fs::write(home.join("breakeven.toml"), config).unwrap();
    home
}

/// A folder with a `docker` that notes each of its arguments on a line of its own.
fn stub(dir: &Path) -> PathBuf {
    let bin = dir.join("bin");
    fs::create_dir(&bin).unwrap();
    let docker = bin.join("docker");
    let noted = dir.join("noted");
    let script = format!("#!/bin/sh\nprintf '%s\\0' \"$@\" >> {}\n", noted.display());
    fs::write(&docker, script).unwrap();
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

/// Runs a script with that `docker`; the arguments that it got.
fn run(dir: &Path, bin: &Path, script: &str, argument: &str, home: &Path) -> Vec<String> {
    let file = dir.join("script.sh");
    fs::write(&file, script).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .arg(&file)
        .arg(argument)
        .current_dir(home)
        .env("PATH", path)
        .env("REPOSITORY", "127.0.0.1:5000/web")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}\n{script}");
    let noted = fs::read(dir.join("noted")).unwrap();
    fs::remove_file(dir.join("noted")).unwrap();
    text(&noted).split('\0').map(str::to_owned).collect()
}

/// Everything below a folder with this name.
fn named(dir: &Path, name: &str) -> Vec<PathBuf> {
    let found = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap);
    found.filter(|one| one.file_name() == name).map(|one| one.path().to_path_buf()).collect()
}

#[test]
fn printed_scripts_hand_every_text_to_docker_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let home = project(dir.path());
    fs::create_dir_all(home.join(store()).join("storage")).unwrap();
    let bin = stub(dir.path());
    let output = breakeven(&home, &["plan", "--format", "shell"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let plan = text(&output.stdout);
    let argument = format!("{SHELL}={SHELL}");
    for job in ["web/cold/classic", "web/inline/buildkit", "web/mine/classic"] {
        let arguments = run(dir.path(), &bin, &plan, job, &home);
        assert!(arguments.contains(&argument), "{job}: {arguments:?}");
        assert!(arguments.iter().any(|one| one.ends_with(SHELL)), "{job}: {arguments:?}");
    }
    for (strategy, builder) in [("cold", "classic"), ("inline", "buildkit"), ("mine", "classic")] {
        let export = |format: &str| {
            breakeven(&home, &["export", strategy, "--as", format, "--builder", builder])
        };
        let output = export("shell");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let arguments = run(dir.path(), &bin, &text(&output.stdout), "", &home);
        assert!(arguments.contains(&argument), "{strategy}: {arguments:?}");
        for format in ["github-actions", "gitlab"] {
            let output = export(format);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            // A comment that went on behind a line break would be a line of the file.
            let snippet = text(&output.stdout);
            let head = snippet.lines().take_while(|line| line.starts_with('#')).count();
            let next = snippet.lines().nth(head).unwrap_or_default();
            assert!(next.starts_with("name: ") || next.starts_with("image-web:"), "{snippet}");
        }
    }
    assert_eq!(named(dir.path(), "pwned"), Vec::<PathBuf>::new());
}

#[test]
fn a_folder_that_looks_like_an_option_is_typed_as_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let context = dir.path().join("--rm");
    fs::create_dir(&context).unwrap();
    fs::write(context.join("Dockerfile"), "FROM base\n").unwrap();
    let config = "[workload.web]\ncontext = \"--rm\"\n[change.none]\n[strategies]\n\
                  use = [\"cold\"]\nbuilders = [\"classic\"]\n";
    fs::write(dir.path().join("breakeven.toml"), config).unwrap();
    let output = breakeven(dir.path(), &["plan"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains(" ./--rm\n"), "{}", text(&output.stdout));
}

/// A run directory of someone else's, whose names are scripts and paths.
fn foreign_run(dir: &Path, name: &str) -> PathBuf {
    let run = dir.join("run");
    fs::create_dir(&run).unwrap();
    let json = serde_json::Value::from(name).to_string();
    for file in ["plan.json", "events.jsonl"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs/one-round").join(file);
        let mut text = fs::read_to_string(from).unwrap();
        for known in ["article", "app", "deps", "branch", "main", "loopback"] {
            text = text.replace(&format!("\"{known}\""), &json);
        }
        // And in the middle of texts.
        text = text.replace("RUN bundle install", &format!("RUN {}", json.trim_matches('"')));
        fs::write(run.join(file), text).unwrap();
    }
    run
}

#[test]
fn reports_escape_what_a_browser_would_run_and_stay_in_their_folder() {
    for name in [SCRIPT, "\"><img src=x onerror=alert(1)>", "../../../outside", "a\nb", "]]><b>"] {
        let dir = tempfile::tempdir().unwrap();
        let run = foreign_run(dir.path(), name);
        let output = breakeven(dir.path(), &["report", "run"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let beside: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(beside, std::slice::from_ref(&run), "{name}");
        for found in walkdir::WalkDir::new(&run).into_iter().map(Result::unwrap) {
            let path = found.path();
            if path.extension().is_some_and(|end| end == "html" || end == "svg" || end == "md") {
                let text = fs::read_to_string(path).unwrap();
                for sign in ["<script>alert", "<img src=x", "]]><b>"] {
                    assert!(!text.contains(sign), "{}: {sign}", path.display());
                }
            }
        }
    }
}

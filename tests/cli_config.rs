//! The command as a user calls it: bad configurations, `init` and `plan`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn breakeven(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_breakeven"))
        .current_dir(dir)
        .args(args)
        .output()
        .expect("the test's own set-up works")
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("the test's own set-up works");
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("the test's own set-up works"))
            .expect("the test's own set-up works");
        fs::write(path, content).expect("the test's own set-up works");
    }
    dir
}

const TWO_STAGES: &str = "FROM base AS builder\nCOPY Gemfile ./\nRUN bundle install\n\
                          FROM base\nCOPY --from=builder /bundle /bundle\nCOPY app ./\n";

fn article(config: &str) -> tempfile::TempDir {
    folder(&[
        ("Dockerfile", TWO_STAGES),
        ("Gemfile", "gem \"rack\"\n"),
        ("app/main.rb", "puts 1\n"),
        ("breakeven.toml", config),
    ])
}

/// What is said of a configuration that is not right: all on stderr, exit 2.
fn refusal(dir: &Path, args: &[&str]) -> String {
    let output = breakeven(dir, args);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).expect("the test's own set-up works");
    let real = dir.canonicalize().expect("the test's own set-up works");
    said.replace(real.to_str().expect("the test's own set-up works"), "[dir]")
        .replace(dir.to_str().expect("the test's own set-up works"), "[dir]")
}

/// What is printed when all is well.
fn success(dir: &Path, args: &[&str]) -> String {
    let output = breakeven(dir, args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).expect("the test's own set-up works")
}

const GOOD: &str = r##"seed = 7
rounds = 5

[workload.web]

[change.app]
weight = 8
edits = [{ append = "app/**", text = "# {nonce}\n" }]

[change.deps]
weight = 2
edits = [{ append = "Gemfile", text = "# {nonce}\n" }]

[candidate.branch]

[candidate.main]
lacks = ["app"]

[[availability]]
have = ["main", "branch"]
weight = 9

[[availability]]
have = []
weight = 1
"##;

#[test]
fn every_problem_of_every_kind_is_listed_with_its_line() {
    let dir = article(
        r##"rounds = 0
max_time = "soon"
baseline = "warm"
only = ["a[", "x"]
changes = ["app", "deps", "typo", "quiet"]

[workload.Web]
target = "nowhere"

[workload.gone]
context = "missing"

[workload.lost]
dockerfile = "Dockerfile.missing"

[workload.stages]
stages = ["builder", "bulder"]

[workload.plain]
dockerfile = "broken/Dockerfile"

[change.app]
weight = -1
edits = [
  { append = "app/*.py", text = "x" },
  { replace = "Gemfile", find = "rails", with = "{nonce}" },
  { append = "../outside", text = "x" },
  { copy = "not-there", to = "Gemfile" },
]

[change.deps]
edits = []

[change."a b"]
edits = [{ create = "new", text = "{nonce}" }]

[change.none]
edits = [{ delete = "Gemfile" }]

[change.quiet]
weigth = 1

[candidate."feature/x"]
lacks = ["app", "ap"]

[candidate.none]

[candidate.main-builder]
[candidate.main]

[[availability]]
have = ["main", "mian"]
weight = 0

[[availability]]
have = ["main"]
weight = 0

[strategies]
use = ["pull", "pul", "inline"]
builders = ["classic"]

[engine]
host = "ssh://somewhere"

[registry]
address = "https://registry.example"
prefix = "Team"

[storage]
directory = "no/such/folder"

[archive]
compression = "gzip"
level = 12
threads = 2

[limits]
build = "0s"
"##,
    );
    fs::create_dir(dir.path().join("broken")).unwrap();
    fs::write(dir.path().join("broken/Dockerfile"), "FROM a\nFORM b\n").unwrap();
    insta::assert_snapshot!(refusal(dir.path(), &["plan"]));
}

#[test]
fn empty_selections_are_refused() {
    let dir = article(
        "only = []\nchanges = []\navailability = []\n[workload.web]\nstages = []\n\
         [change.app]\nweight = 0\nedits = [{ delete = \"app/*\" }]\n\
         [strategies]\nuse = []\nbuilders = []\n",
    );
    insta::assert_snapshot!(refusal(dir.path(), &["plan"]));
    let dir = article("[workload.web]\n");
    insta::assert_snapshot!("nothing_to_measure", refusal(dir.path(), &["plan"]));
    let dir = article("workload = {}\n[change.app]\nweight = 0\nedits = [{ delete = \"x\" }]\n");
    insta::assert_snapshot!("no_workload", refusal(dir.path(), &["plan"]));
}

#[test]
fn strategies_that_carry_stages_need_a_dockerfile_with_stages() {
    let config = "[workload.web]\n[change.app]\nedits = [{ append = \"a\", text = \"{nonce}\" }]\n";
    let files = [("Dockerfile", "FROM base\nCOPY a /\n"), ("a", "1"), ("breakeven.toml", config)];
    let dir = folder(&files);
    let output = breakeven(dir.path(), &["plan"]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!("left_out_by_default", String::from_utf8(output.stderr).unwrap());
    let named = format!("{config}[strategies]\nuse = [\"cold\", \"pull-stages\"]\n");
    fs::write(dir.path().join("breakeven.toml"), named).unwrap();
    insta::assert_snapshot!("refused_if_named", refusal(dir.path(), &["plan"]));
}

#[test]
fn edits_of_one_change_build_on_each_other() {
    let change = |edits: &str| {
        let dir = article(&format!("[workload.web]\n[change.app]\nedits = [{edits}]\n"));
        breakeven(dir.path(), &["plan"]).status.code()
    };
    let made = "{ create = \"new/x.rb\", text = \"{nonce}\" }";
    let used = "{ append = \"new/*.rb\", text = \"{nonce}\" }";
    assert_eq!(change(&format!("{made}, {used}")), Some(0));
    assert_eq!(change(&format!("{used}, {made}")), Some(2), "not made yet");
    let deleted = "{ delete = \"app/*\" }";
    let gone = "{ append = \"app/*\", text = \"{nonce}\" }";
    assert_eq!(change(&format!("{gone}, {deleted}")), Some(0));
    assert_eq!(change(&format!("{deleted}, {gone}")), Some(2), "no longer there");
}

#[test]
fn a_file_that_is_not_there_or_no_toml_is_refused() {
    let dir = folder(&[("breakeven.toml", "[workload.web\nseed = = 1\n")]);
    insta::assert_snapshot!("no_toml", refusal(dir.path(), &["plan"]));
    insta::assert_snapshot!("no_file", refusal(dir.path(), &["plan", "other.toml"]));
}

#[test]
fn filters_that_take_nothing_name_what_there_is() {
    let dir = article(GOOD);
    insta::assert_snapshot!(refusal(dir.path(), &["plan", "--only", "nix,*/app/*/nix*"]));
    for args in [["--rounds", "0"], ["--only", ""], ["--max-time", "0s"], ["--seed", "-1"]] {
        refusal(dir.path(), &["plan", args[0], args[1]]);
    }
}

#[test]
fn a_run_stops_by_itself_unless_its_rounds_are_fixed() {
    // Rounds and whether the run may stop before the last one.
    let planned = |config: &str, args: &[&str]| {
        let dir = article(config);
        let text = success(dir.path(), &[&["plan", "--format", "json"], args].concat());
        let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
        (plan["rounds"].as_u64().unwrap(), plan["adaptive"] == true)
    };
    let silent = GOOD.replace("rounds = 5\n", "");
    assert_ne!(silent, GOOD);
    assert_eq!(planned(&silent, &[]), (30, true));
    assert_eq!(planned(&format!("max_rounds = 7\n{silent}"), &[]), (7, true));
    assert_eq!(planned(GOOD, &[]), (5, false));
    assert_eq!(planned(GOOD, &["--max-rounds", "9"]), (9, true));
    assert_eq!(planned(&silent, &["--fixed", "4"]), (4, false));
    assert_eq!(planned(&silent, &["--rounds", "4"]), (4, false));
    let dir = article(GOOD);
    refusal(dir.path(), &["plan", "--fixed", "4", "--max-rounds", "5"]);
    refusal(dir.path(), &["plan", "--max-rounds", "2"]);
    let both = article(&format!("max_rounds = 7\n{GOOD}"));
    assert!(refusal(both.path(), &["plan"]).contains("both `rounds` and `max_rounds`"));
}

#[test]
fn a_part_is_planned_as_it_is_run() {
    let dir = article(GOOD);
    let part = ["plan", "--only", "cold", "--fixed", "10", "--shard", "2/4"];
    let text = success(dir.path(), &part);
    // Two changes, two availabilities, two builders, and the A/A cell.
    let first = "8 cells and an A/A cell, 3 of 10 counted rounds: 27 samples, and 9 in the warm-up";
    assert!(text.starts_with(first), "{text}");
    assert!(text.contains("\npart          2/4: rounds 2, 6, 10\n"), "{text}");
    assert!(text.contains("as a node pulls it, in 1 rounds"), "round 2 of the first five: {text}");
    let plan = |args: &[&str]| -> breakeven::model::Plan {
        let args = [args, &["--format", "json"]].concat();
        serde_json::from_str(&success(dir.path(), &args)).unwrap()
    };
    let (planned, whole) = (plan(&part), plan(&part[..5]));
    assert_eq!(planned.shard.unwrap().to_string(), "2/4");
    assert_eq!((planned.rounds, planned.own_rounds(), &planned.cells), (10, 3, &whole.cells));
    // As a system's variables say, and what cannot be is refused as `run` refuses it.
    let mut auto = Command::new(env!("CARGO_BIN_EXE_breakeven"));
    auto.current_dir(dir.path()).args(["plan", "--fixed", "60", "--shard", "auto"]);
    let output = auto.envs([("CI_NODE_INDEX", "3"), ("CI_NODE_TOTAL", "3")]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = "\npart          3/3: rounds 3, 6, 9, 12, 15, 18, 21, 24, 27, … 60\n";
    assert!(text.contains(line), "{text}");
    refusal(dir.path(), &["plan", "--max-rounds", "9", "--shard", "1/2"]);
    let said = refusal(dir.path(), &["plan", "--fixed", "2", "--shard", "3/3"]);
    assert!(said.contains("part 3/3 has no round to measure"), "{said}");
}

/// Keys of the cells of a plan.
fn cells(dir: &Path, args: &[&str]) -> Vec<String> {
    let args = [&["plan", "--format", "json"], args].concat();
    let plan: serde_json::Value =
        serde_json::from_str(&success(dir, &args)).expect("the test's own set-up works");
    plan["cells"]
        .as_array()
        .expect("the test's own set-up works")
        .iter()
        .map(|cell| {
            let part =
                |name: &str| cell[name].as_str().expect("the test's own set-up works").to_owned();
            ["change", "availability", "strategy", "builder", "state"].map(part).join("/")
        })
        .collect()
}

#[test]
fn a_plan_has_every_combination_that_the_filters_take() {
    let dir = article(GOOD);
    // Two changes, two availabilities; four strategies of fourteen work with both builders.
    assert_eq!(cells(dir.path(), &[]).len(), 2 * 2 * 18);
    assert_eq!(
        cells(dir.path(), &["--only", "*/deps/*/pull/*, article-printed"]),
        [
            "app/branch+main/article-printed/classic/steady",
            "app/none/article-printed/classic/populate",
            "deps/branch+main/article-printed/classic/steady",
            "deps/branch+main/pull/classic/steady",
            "deps/none/article-printed/classic/populate",
            "deps/none/pull/classic/populate",
        ]
    );
}

#[test]
fn a_plan_says_everything_that_decides_what_is_measured() {
    let dir = article(GOOD);
    let args = ["plan", "--format", "json", "--only", "cold", "--rounds", "6", "--max-time", "5m"];
    let text = success(dir.path(), &args);
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    let real = dir.path().canonicalize().unwrap();
    insta::assert_snapshot!(
        text.replace(plan["run"].as_str().unwrap(), "[run]")
            .replace(env!("CARGO_PKG_VERSION"), "[version]")
            .replace(real.to_str().unwrap(), "[dir]")
    );
    let again: serde_json::Value = serde_json::from_str(&success(dir.path(), &args)).unwrap();
    assert_ne!(plan["run"], again["run"], "every run has its own id");
}

/// Keys of a plan's A/A cells.
fn again(dir: &Path, args: &[&str]) -> Vec<String> {
    let args = [&["plan", "--format", "json"], args].concat();
    let plan: breakeven::model::Plan =
        serde_json::from_str(&success(dir, &args)).expect("the test's own set-up works");
    plan.again.iter().map(|cell| cell.key().0).collect()
}

#[test]
fn every_workload_link_and_engine_has_an_a_a_cell_of_the_baseline() {
    let dir = article(&format!("{GOOD}[link.slow]\nup = \"5Mbit\"\n[link.fast]\n"));
    // The heaviest change and availability, and the builder with more strategies.
    let key = |link: &str| format!("web/app/branch+main/cold+again/buildkit/{link}/shared");
    assert_eq!(again(dir.path(), &[]), [key("fast"), key("slow")]);
    // It is chosen among what a filter leaves.
    let only = ["--only", "*/deps/none/*/classic/slow/*"];
    assert_eq!(again(dir.path(), &only), ["web/deps/none/cold+again/classic/slow/shared"]);
    assert_eq!(again(dir.path(), &["--only", "pull"]), Vec::<String>::new());
    // Two rounds have too few pairs, and it can be left out.
    assert_eq!(again(dir.path(), &["--rounds", "2"]), Vec::<String>::new());
    assert_eq!(again(dir.path(), &["--rounds", "3"]).len(), 2);
    assert_eq!(again(dir.path(), &["--no-aa"]), Vec::<String>::new());
    let text = success(dir.path(), &["plan", "--no-aa"]);
    assert!(text.contains("A/A cell      none"), "{text}");
    let dir = article(&format!("aa = false\n{GOOD}"));
    assert_eq!(again(dir.path(), &[]), Vec::<String>::new());
}

#[test]
fn a_plan_of_a_version_without_a_a_cells_is_read() {
    let dir = article(GOOD);
    let plan = |args: &[&str]| success(dir.path(), &[&["plan", "--format", "json"], args].concat());
    let old = plan(&["--no-aa"]);
    assert!(!old.contains("again"), "{old}");
    let read: breakeven::model::Plan = serde_json::from_str(&old).unwrap();
    assert_eq!((read.again.len(), read.measured().count()), (0, read.cells.len()));
    let new: breakeven::model::Plan = serde_json::from_str(&plan(&[])).unwrap();
    assert_eq!(new.measured().count(), new.cells.len() + 1);
}

#[test]
fn a_plan_for_people() {
    let dir = article(GOOD);
    let real = dir.path().canonicalize().unwrap();
    let text = success(dir.path(), &["plan", "--only", "cold,pull,save-load"]);
    insta::assert_snapshot!(text.replace(real.to_str().unwrap(), "[dir]"));
}

/// A docker that writes down how it is called, and has only what `$HAS` names.
const FAKE_DOCKER: &str = r#"#!/bin/sh
echo "${DOCKER_BUILDKIT-} $*" >>"$CALLS"
case $1 in
pull) case " $HAS " in *" $2 "*) exit 0 ;; *) exit 1 ;; esac ;;
load) for image in $HAS; do echo "Loaded image: $image"; done ;;
save) shift; [ "$1" = --output ] && echo archive >"$2" ;;
esac
"#;

/// Runs a job of the printed script; the calls of docker.
fn job(dir: &Path, script: &str, job: &str, has: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).expect("the test's own set-up works");
    fs::write(bin.join("docker"), FAKE_DOCKER).expect("the test's own set-up works");
    fs::set_permissions(bin.join("docker"), fs::Permissions::from_mode(0o755))
        .expect("the test's own set-up works");
    let (file, calls) = (dir.join("plan.sh"), dir.join("calls"));
    fs::write(&file, script).expect("the test's own set-up works");
    let _ = fs::remove_file(&calls);
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").expect("the test's own set-up works")
    );
    let output = Command::new("bash")
        .arg(&file)
        .arg(job)
        .env("PATH", path)
        .env("CALLS", &calls)
        .env("HAS", has)
        .output()
        .expect("the test's own set-up works");
    assert!(output.status.success(), "{output:?}");
    fs::read_to_string(calls)
        .expect("the test's own set-up works")
        .replace("127.0.0.1:5000/breakeven/", "")
}

#[test]
fn a_storage_is_a_folder_or_an_address_and_archives_are_packed_as_asked() {
    let plan = |config: &str| -> serde_json::Value {
        let dir = article(config);
        fs::create_dir(dir.path().join("share")).unwrap();
        let json = success(dir.path(), &["plan", "--format", "json"]);
        serde_json::from_str(&json).unwrap()
    };
    let with = |line: &str| format!("{line}\n{GOOD}");
    for address in ["s3://bucket/a/b", "gs://bucket", "az://container/a"] {
        assert_eq!(plan(&with(&format!("storage = \"{address}/\"")))["storage"], address);
        let table = format!("{GOOD}[storage]\nurl = \"{address}\"\n");
        assert_eq!(plan(&table)["storage"], address);
    }
    let folder = plan(&with("storage = \"share\""))["storage"].as_str().unwrap().to_owned();
    assert!(folder.starts_with('/') && folder.ends_with("/share"), "{folder}");
    let packed = "[archive]\ncompression = \"zstd\"\nlevel = 19\nthreads = 2\n";
    let packed = &plan(&format!("{GOOD}{packed}"))["archive"];
    let wanted = serde_json::json!({ "compression": "zstd", "level": 19, "threads": 2 });
    assert_eq!(*packed, wanted);
    for (config, wanted) in [
        (with("storage = \"ftp://key:secret@host/x\""), "`ftp://` is no kind of storage"),
        (with("storage = \"s3://\""), "names no bucket"),
        (with("storage = \"s3://key:secret@b\""), "no name of a bucket"),
        (with("storage = \"nowhere\""), "there is no folder"),
        (with("storage = 7"), "storage"),
        (format!("{GOOD}[storage]\nurl = \"share\"\n"), "`share` is no address"),
        (format!("{GOOD}[storage]\nurl = \"s3://b\"\ndirectory = \".\"\n"), "both"),
        (format!("{GOOD}[archive]\nlevel = 3\n"), "what is not compressed has no `level`"),
        (format!("{GOOD}[archive]\ncompression = \"zstd\"\nlevel = 20\n"), "no level 20"),
        (format!("{GOOD}[archive]\nthreads = 2\n"), "none cannot use 2 threads"),
        (format!("{GOOD}[archive]\ncompression = \"xz\"\n"), "zstd"),
    ] {
        let refused = refusal(article(&config).path(), &["plan"]);
        assert!(refused.contains(wanted), "{config}: {refused}");
        assert!(!refused.contains("secret@"), "{refused}");
    }
}

#[test]
fn the_printed_script_is_sound_and_names_only_what_is_there() {
    let shared = tempfile::tempdir().unwrap();
    let config = format!("{GOOD}[storage]\ndirectory = {:?}\n", shared.path());
    let dir = article(&config);
    let script = success(dir.path(), &["plan", "--format", "shell"]);
    let web = |tag: &str| format!("127.0.0.1:5000/breakeven/web:{tag}");

    let calls = job(dir.path(), &script, "web/pull/classic", &web("main"));
    insta::assert_snapshot!(calls, @r"
     pull web:branch
     pull web:main
    0 build --cache-from=web:main --tag web:branch .
     push web:branch
    ");
    let calls = job(dir.path(), &script, "web/pull/classic", "");
    insta::assert_snapshot!(calls, @r"
     pull web:branch
     pull web:main
    0 build --tag web:branch .
     push web:branch
    ");
    let has = [web("branch"), web("main-builder")].join(" ");
    let calls = job(dir.path(), &script, "web/pull-stages/classic", &has);
    insta::assert_snapshot!(calls, @r"
     pull web:branch-builder
     pull web:main-builder
     pull web:branch
    0 build --cache-from=web:main-builder --cache-from=web:branch --target builder --tag web:branch-builder .
    0 build --cache-from web:branch-builder --cache-from web:main-builder --cache-from web:branch --tag web:branch .
     push web:branch-builder
     push web:branch
    ");
    // Nothing is stored yet: nothing is loaded.
    let calls = job(dir.path(), &script, "web/save-load/buildkit", &web("branch"));
    assert!(!calls.contains("load"), "{calls}");
    let calls = job(dir.path(), &script, "web/save-load/buildkit", &web("branch"));
    let calls = calls.lines().map(without_folder).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(calls, @r"
     load --input [work]/fetched.tar
    1 build --cache-from web:branch --build-arg BUILDKIT_INLINE_CACHE=1 --tag web:branch .
     push web:branch
     save --output [work]/branch.tar web:branch
    ");

    let listed = Command::new("bash").arg(dir.path().join("plan.sh")).output().unwrap();
    assert_eq!(listed.status.code(), Some(2));
    let said = String::from_utf8(listed.stderr).unwrap();
    assert_eq!(said.lines().filter(|line| line.starts_with("  web/")).count(), 18, "{said}");
}

/// A line with the job's temporary folder left out.
fn without_folder(line: &str) -> String {
    let words = line.split(' ').map(|word| match word.rsplit_once('/') {
        Some((folder, name)) if folder.starts_with('/') => format!("[work]/{name}"),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Name, Dockerfile and files.
type Wild = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Dockerfiles as they are in the wild, each with the files that it copies.
const WILD: &[Wild] = &[
    ("ruby", TWO_STAGES, &[("Gemfile", "gem 'rack'"), ("app/main.rb", "puts 1\n")]),
    (
        "node",
        "FROM node:22 AS build\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci\nCOPY . .\n\
         RUN npm run build\nFROM nginx:1\nCOPY nginx.conf /etc/nginx/\n\
         COPY --from=build /app/dist /usr/share/nginx/html\n",
        &[
            ("package.json", "{\n  \"name\": \"web\",\n  \"version\": \"1.2.3\"\n}\n"),
            ("package-lock.json", "{}\n"),
            ("nginx.conf", "events {}\n"),
            ("src/pages/[id].js", "export default 1"),
            ("src/app.test.js", "test()"),
            ("node_modules/x/index.js", "x"),
            (".dockerignore", "node_modules\n"),
        ],
    ),
    (
        "go",
        "# syntax=docker/dockerfile:1\nARG GO=1.23\nFROM golang:${GO} AS build\n\
         RUN --mount=type=bind,source=go.mod,target=go.mod --mount=type=bind,source=go.sum,target=go.sum \
         go mod download\nCOPY . .\nRUN go build ./cmd/web\nFROM scratch\nCOPY --from=build /web /\n",
        &[
            ("go.mod", "module web\n"),
            ("go.sum", "x\n"),
            ("cmd/web/main.go", "package main\n"),
            ("cmd/web/main_test.go", "package main\n"),
        ],
    ),
    (
        "python",
        "FROM python:3.13-slim\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\n\
         COPY src/ ./src/\nCMD [\"python\", \"-m\", \"src\"]\n",
        &[("requirements.txt", "flask==3\n"), ("src/__main__.py", "print(1)\n")],
    ),
    (
        "everything",
        "FROM gcc:14\nCOPY . .\nRUN make\n",
        &[("main.c", "int main;\n"), ("Makefile", "all:\n")],
    ),
    ("nothing", "FROM alpine:3\nRUN date\n", &[("README.md", "x\n")]),
    ("binary", "FROM alpine:3\nCOPY data /data\n", &[("data/table.bin", "\u{0}\u{1}")]),
];

#[test]
fn what_init_writes_is_a_good_configuration() {
    for (name, dockerfile, files) in WILD {
        let mut all = vec![("Dockerfile", *dockerfile)];
        all.extend_from_slice(files);
        let dir = folder(&all);
        let root = dir.path().join("web");
        fs::create_dir(&root).unwrap();
        for (file, _) in &all {
            let to = root.join(file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::rename(dir.path().join(file), to).unwrap();
        }
        let output = breakeven(&root, &["init"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("breakeven plan"), "{name}: {said}");
        success(&root, &["plan"]);
        let text = fs::read_to_string(root.join("breakeven.toml")).unwrap();
        let mixed =
            text.split_once("# Stages of").unwrap().1.split_once("# Images that").unwrap().0;
        insta::assert_snapshot!(format!("init_{name}"), mixed);
    }
}

#[test]
fn init_never_overwrites_without_being_told() {
    let dir = article("mine");
    let path = dir.path().join("breakeven.toml");
    insta::assert_snapshot!(refusal(dir.path(), &["init"]));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    let printed = success(dir.path(), &["init", "--stdout"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(success(dir.path(), &["init", "--force"]), "");
    assert_eq!(fs::read_to_string(&path).unwrap(), printed);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "no temporary file is left: {left:?}");
}

#[test]
fn init_says_which_dockerfiles_there_are() {
    let dir = folder(&[("Dockerfile.web", "FROM a\n"), ("docker/x", "")]);
    insta::assert_snapshot!(refusal(dir.path(), &["init"]));
    let text = success(dir.path(), &["init", "--dockerfile", "Dockerfile.web", "--stdout"]);
    assert!(text.contains("\ndockerfile = \"Dockerfile.web\"\n"), "{text}");
}

#[test]
fn the_configurations_of_the_fixtures_are_good() {
    for fixture in ["article", "single-stage"] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
        assert!(success(&dir, &["plan"]).contains(" cells"));
    }
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

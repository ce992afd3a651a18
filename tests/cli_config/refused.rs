//! Configurations and arguments that are not right: every problem is named, and nothing is done.

use super::{GOOD, article, breakeven, folder, refusal};
use std::fs;

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

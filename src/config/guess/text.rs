//! The commented file.

use super::Guess;
use super::edit::{Proposal, toml};
use std::fmt::Write;

/// How often each change happens is not in a Dockerfile.
const APP_WEIGHT: u32 = 8;
const DEPS_WEIGHT: u32 = 2;

pub(super) fn render(guess: &Guess) -> String {
    let mut out = String::from(
        "# What Breakeven measures, as `breakeven init` guessed it from the Dockerfile.\n\
         # `breakeven plan` shows what follows from it; docs/config.md has every key.\n\n\
         # Every cell is measured once in each round. A run stops once every verdict is settled,\n\
         # after 3 rounds at the earliest; `rounds = 10` measures just so many instead.\n\
         max_rounds = 30\n\
         # max_time = \"30m\"\n\
         # seed = 1\n\n",
    );
    workload(&mut out, guess);
    changes(&mut out, guess);
    candidates(&mut out, guess);
    out.push_str(
        "# Every strategy that fits is measured, unless some are named.\n\
         [strategies]\n\
         # use = [\"cold\", \"pull\", \"inline\"]\n",
    );
    match &guess.buildkit_only {
        Some(what) => {
            let _ = write!(
                out,
                "# The Dockerfile has {what}, which Docker's classic builder refuses.\n\
                 # Podman and Buildah know most of it: with one of them, name its builder instead\n\
                 # (\"classic\" is Podman's, \"buildah\" Buildah's).\n\
                 builders = [\"buildkit\"]\n",
            );
        }
        None => out.push_str("# builders = [\"classic\", \"buildkit\"]\n"),
    }
    out.push_str(
        "# pull = \"first\"  # or \"all\" candidates that exist\n\n\
         # Without these tables a run starts a registry of its own on this machine, and uses a\n\
         # temporary folder as the storage that jobs share. A registry on this machine makes every\n\
         # transfer look cheap; name the real ones for figures that hold in CI.\n\
         # [registry]\n\
         # address = \"registry.example:5000\"\n\
         # prefix = \"breakeven\"\n\
         # [storage]\n\
         # directory = \"/mnt/ci-cache\"\n\
         # url = \"s3://bucket/prefix\"  # instead of a directory\n",
    );
    out
}

fn workload(out: &mut String, guess: &Guess) {
    out.push_str("# Stages of the Dockerfile:\n");
    for stage in &guess.shown_stages {
        let _ = writeln!(out, "#   {}", stage.replace(char::is_control, " "));
    }
    let _ = writeln!(out, "[workload.{}]\ncontext = \".\"", guess.workload);
    match &guess.dockerfile {
        Some(path) => {
            let _ = writeln!(out, "dockerfile = {}", toml(path));
        }
        None => out.push_str("# dockerfile = \"Dockerfile\"\n"),
    }
    out.push_str(
        "# target = \"NAME\"\n\
         # build_args = { NAME = \"value\" }\n",
    );
    if !guess.stages.is_empty() {
        let names: Vec<String> = guess.stages.iter().map(|stage| toml(stage)).collect();
        let _ = write!(
            out,
            "# Stages whose images are carried along by strategies that carry stages.\n\
             stages = [{}]\n",
            names.join(", ")
        );
    }
    out.push('\n');
}

fn changes(out: &mut String, guess: &Guess) {
    if let Some(app) = &guess.app {
        let _ = write!(
            out,
            "# What most commits touch: {}, which is {}.\n\
             # The weights are guesses: how often each change happens, against the others.\n",
            shown(app),
            if guess.all_before_run { "copied before the first RUN" } else { "copied late" },
        );
        change(out, "app", APP_WEIGHT, app);
    }
    if let Some(deps) = &guess.deps {
        let _ = write!(
            out,
            "# What touches the dependencies: {}, which a RUN takes before the application is\n\
             # copied. A lock file is left alone: tools refuse one that was edited by hand.\n",
            shown(deps),
        );
        change(out, "deps", DEPS_WEIGHT, deps);
    } else if guess.all_before_run {
        out.push_str(
            "# There is no `deps` change: the whole context is copied before the first RUN, so\n\
             # that every change does what a change of the dependencies does.\n\n",
        );
    }
    if guess.app.is_none() && guess.deps.is_none() {
        out.push_str(
            "# No file that can be edited safely is copied from the context. Add a change such as\n\
             #   [change.app]\n\
             #   edits = [{ append = \"app/**/*.rb\", text = \"# {nonce}\\n\" }]\n",
        );
    } else {
        out.push_str(
            "# A build of the same files once more: remove the `#` to measure it too.\n# ",
        );
    }
    out.push_str("[change.none]\n\n");
}

fn change(out: &mut String, name: &str, weight: u32, proposal: &Proposal) {
    let _ = write!(out, "[change.{name}]\nweight = {weight}\nedits = [{}]\n\n", proposal.edit);
}

fn shown(proposal: &Proposal) -> String {
    proposal.file.replace(char::is_control, " ")
}

fn candidates(out: &mut String, guess: &Guess) {
    let lacks = if guess.app.is_some() { "[\"app\"]" } else { "[]" };
    let _ = write!(
        out,
        "# Images that earlier builds may have left, best first, and the changes that each of them\n\
         # still lacks.\n\
         [candidate.branch]\n\
         lacks = []\n\n\
         [candidate.main]\n\
         lacks = {lacks}\n\n\
         # Which of them exist when a job starts, and how often. These weights are guesses too.\n\
         [[availability]]\n\
         have = [\"branch\", \"main\"]\n\
         weight = 8\n\n\
         [[availability]]\n\
         have = [\"main\"]\n\
         weight = 2\n\n\
         # The first build ever. It happens once: it is measured, and has no weight.\n\
         [[availability]]\n\
         have = []\n\
         weight = 0\n\n",
    );
}

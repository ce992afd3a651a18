//! The action and the GitLab job: they fit the published schemas, and their scripts do what they
//! say. `breakeven run` is the only command that is replaced here: it leaves the sample run and ends
//! with the code that a test asks for. tests/real has a run of the script on a real engine.

use crate::support::{path_with, printed, python, top};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const RULES: &str = "[[rule]]\nkind = \"longest-job\"\nlimit = \"LIMIT\"\n";

/// Stands for a run that is measured as a whole and ends with 3, since its history is away.
const WHOLE_BUT_NOT_KEPT: i32 = 103;

/// A folder with a `breakeven` on its path whose `run` ends with this code.
struct Job {
    dir: tempfile::TempDir,
}

impl Job {
    fn new(code: i32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let real = env!("CARGO_BIN_EXE_breakeven");
        let sample = top().join("reports/sample");
        let program = format!(
            "#!/bin/sh\n\
             [ \"$1\" = run ] || exec '{real}' \"$@\"\n\
             printf '%s\\n' \"$*\" >asked\n\
             case {code} in 2 | 3) exit {code} ;; esac\n\
             mkdir -p \"$4\" && cp '{sample}/plan.json' '{sample}/events.jsonl' \"$4\" && \
             '{real}' report \"$4\" >/dev/null && exit {ends}\n",
            ends = if code == WHOLE_BUT_NOT_KEPT { 3 } else { code },
            sample = sample.display()
        );
        let path = dir.path().join("bin/breakeven");
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(&path, program).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        for (name, limit) in [("lax.toml", "1h"), ("strict.toml", "1ms")] {
            fs::write(dir.path().join(name), RULES.replace("LIMIT", limit)).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn call(&self, mut command: Command, settings: &[(&str, &str)]) -> Output {
        command
            .current_dir(self.dir.path())
            .env("PATH", path_with(&self.path("bin")))
            .envs(settings.iter().copied())
            .output()
            .unwrap()
    }

    /// The action's script.
    fn action(&self, settings: &[(&str, &str)]) -> Output {
        let mut command = Command::new(top().join("packaging/ci.sh"));
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_OUTPUT", self.path("outputs"))
            .env("GITHUB_STEP_SUMMARY", self.path("summary"));
        self.call(command, settings)
    }

    /// The GitLab job's script, as the runner puts it together.
    fn gitlab(&self, settings: &[(&str, &str)]) -> Output {
        let job = &yaml(&top().join("packaging/gitlab/breakeven.gitlab-ci.yml"))[".breakeven"];
        let lines = job["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
        let script = format!("set -eo pipefail\n{}\n", lines.collect::<Vec<_>>().join("\n"));
        let mut command = Command::new("bash");
        command.args(["-c", &script]);
        for (name, value) in job["variables"].as_object().unwrap() {
            command.env(name, value.as_str().unwrap());
        }
        self.call(command, settings)
    }
}

fn yaml(path: &Path) -> serde_json::Value {
    let read = "import json, sys, ruamel.yaml\n\
                json.dump(ruamel.yaml.YAML(typ='safe').load(open(sys.argv[1])), sys.stdout)";
    serde_json::from_str(&printed(Command::new(python()).args(["-c", read]).arg(path))).unwrap()
}

fn fits_schema(schema: &str, path: &Path) {
    let mut check = Command::new(python());
    check.args(["-m", "check_jsonschema", "--builtin-schema", schema]).arg(path);
    printed(&mut check);
}

#[test]
fn both_fit_the_published_schemas_and_what_is_not_right_does_not() {
    fits_schema("vendor.github-actions", &top().join("action.yml"));
    fits_schema("vendor.gitlab-ci", &top().join("packaging/gitlab/breakeven.gitlab-ci.yml"));
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("action.yml");
    let text = fs::read_to_string(top().join("action.yml")).unwrap();
    fs::write(&wrong, text.replace("using: composite", "using: composit")).unwrap();
    let mut check = Command::new(python());
    check.args(["-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions"]).arg(wrong);
    assert_eq!(check.output().unwrap().status.code(), Some(1));
}

#[test]
fn the_action_hands_every_input_on_and_names_outputs_that_exist() {
    let action = yaml(&top().join("action.yml"));
    let steps = action["runs"]["steps"].as_array().unwrap();
    let given = steps.iter().filter_map(|step| step["env"].as_object()).flatten();
    let given: Vec<&str> = given.map(|(_, value)| value.as_str().unwrap()).collect();
    for input in action["inputs"].as_object().unwrap().keys() {
        assert!(given.contains(&format!("${{{{ inputs.{input} }}}}").as_str()), "{input}");
    }
    let job = Job::new(0);
    assert!(job.action(&[]).status.success());
    let outputs = job.read("outputs");
    for (name, output) in action["outputs"].as_object().unwrap() {
        let value = output["value"].as_str().unwrap();
        let key = value.split(['.', ' ']).find(|word| word.starts_with("breakeven_")).unwrap();
        assert!(outputs.contains(&format!("{key}=")), "{name}: no {key} in {outputs}");
    }
    assert!(job.path("breakeven-run/report.html").exists());
    assert!(outputs.contains("breakeven_report=breakeven-run/report.html\n"), "{outputs}");
    assert!(job.read("summary").starts_with('#'));
}

#[test]
fn settings_reach_the_command() {
    let settings = [
        ("BREAKEVEN_CONFIG", "ci/b.toml"),
        ("BREAKEVEN_OUT", "here"),
        ("BREAKEVEN_ARGUMENTS", "--max-time 30min --only bin/*"),
    ];
    for call in [
        |job: &Job, settings: &[_]| job.action(settings),
        |job: &Job, settings: &[_]| job.gitlab(settings),
    ] {
        let job = Job::new(0);
        assert!(call(&job, &settings).status.success());
        assert_eq!(job.read("asked"), "run ci/b.toml --out here --max-time 30min --only bin/*\n");
        assert!(job.path("here/verdict.env").exists());
    }
}

#[test]
fn a_run_is_added_to_the_history_that_is_named() {
    for call in [
        |job: &Job, settings: &[_]| job.action(settings),
        |job: &Job, settings: &[_]| job.gitlab(settings),
    ] {
        let job = Job::new(0);
        fs::create_dir(job.path("kept")).unwrap();
        let ended = call(&job, &[("BREAKEVEN_HISTORY", "kept")]);
        assert!(ended.status.success(), "{ended:?}");
        let shown = Command::new(env!("CARGO_BIN_EXE_breakeven"))
            .current_dir(job.dir.path())
            .args(["history", "kept", "--format", "json"])
            .output()
            .unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!(shown["runs"], 1, "{shown}");
    }
}

/// What `run` ends with, the rules, and what the job has to end with.
const CODES: [(i32, &str, i32); 8] = [
    (0, "", 0),
    (4, "", 4),
    (2, "", 2),
    (3, "lax.toml", 3),
    (0, "lax.toml", 0),
    (4, "lax.toml", 0),
    (0, "strict.toml", 5),
    (4, "absent.toml", 2),
];

#[test]
fn the_job_ends_with_the_code_that_counts() {
    for (run, rules, expected) in CODES {
        let (action, gitlab) = (Job::new(run), Job::new(run));
        let settings = [("BREAKEVEN_RULES", rules)];
        let ended = action.action(&settings);
        assert_eq!(ended.status.code(), Some(expected), "{run} {rules:?}: {ended:?}");
        let ended = gitlab.gitlab(&settings);
        assert_eq!(ended.status.code(), Some(expected), "{run} {rules:?}: {ended:?}");
        // The verdict is there for the next step however the gate ended.
        let measured = matches!(run, 0 | 4);
        assert_eq!(action.path("outputs").exists(), measured);
        assert_eq!(gitlab.path("breakeven-run/verdict.env").exists(), measured);
        if matches!(expected, 0 | 5) && !rules.is_empty() {
            assert!(action.read("summary").contains("longest-job"), "{}", action.read("summary"));
            for name in ["junit.xml", "metrics.txt"] {
                assert!(action.path("breakeven-run").join(name).exists(), "{name}");
                assert!(gitlab.path("breakeven-run").join(name).exists(), "{name}");
            }
            assert!(gitlab.path("breakeven-run/codequality.json").exists());
        }
    }
}

#[test]
fn what_an_earlier_job_left_is_not_handed_on() {
    for code in [2, 3] {
        let job = Job::new(code);
        fs::create_dir(job.path("breakeven-run")).unwrap();
        for name in ["verdict.env", "report.md"] {
            fs::write(job.path("breakeven-run").join(name), "breakeven_ending=complete\n").unwrap();
        }
        let ended = job.action(&[("BREAKEVEN_RULES", "lax.toml")]);
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        assert!(!job.path("outputs").exists() && !job.path("summary").exists(), "{ended:?}");
    }
}

/// What `run` ends with, the address of the history, the rules, and what the job has to end with.
const AWAY: [(i32, &str, &str, i32); 7] = [
    (0, "absent/kept", "", 2),
    (0, "absent/kept", "lax.toml", 2),
    (0, "absent/kept", "strict.toml", 5),
    (4, "absent/kept", "lax.toml", 2),
    (WHOLE_BUT_NOT_KEPT, "", "", 3),
    (WHOLE_BUT_NOT_KEPT, "", "lax.toml", 3),
    (WHOLE_BUT_NOT_KEPT, "", "strict.toml", 5),
];

#[test]
fn a_history_that_is_away_takes_nothing_of_what_the_rules_say() {
    for (run, history, rules, expected) in AWAY {
        let settings = [("BREAKEVEN_RULES", rules), ("BREAKEVEN_HISTORY", history)];
        for call in [
            |job: &Job, settings: &[_]| job.action(settings),
            |job: &Job, settings: &[_]| job.gitlab(settings),
        ] {
            let job = Job::new(run);
            let ended = call(&job, &settings);
            assert_eq!(ended.status.code(), Some(expected), "{run} {settings:?}: {ended:?}");
            let asked = job.path("breakeven-run/junit.xml").exists();
            assert_eq!(asked, !rules.is_empty(), "{run} {settings:?}: {ended:?}");
        }
    }
}

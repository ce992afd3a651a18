//! The examples of `deploy/`: files against the published schemas or the fields that there are,
//! commands against the program.

use crate::parts::{breakeven, split, without_variables};
use crate::report_support::Run;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// What `scripts/test-tools.sh` brings.
fn tool(name: &str) -> PathBuf {
    let home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or("/root".into())).join(".local/share")
    });
    home.join("breakeven/schemas/bin").join(name)
}

fn told(command: &mut Command, text: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/test-tools.sh"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn sound(output: &Output, what: &str) {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {out}{err}");
}

/// Every document of a YAML file.
fn documents(name: &str) -> Vec<Value> {
    let read = "import json, sys, ruamel.yaml\n\
                json.dump(list(ruamel.yaml.YAML(typ='safe').load_all(sys.stdin)), sys.stdout)";
    let text = fs::read_to_string(example(name)).unwrap();
    let output = told(Command::new(tool("python")).args(["-c", read]), &text);
    sound(&output, name);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn fits(name: &str, schema: &str) {
    let mut check = Command::new(tool("check-jsonschema"));
    let output = told(check.args(["--builtin-schema", schema]).arg(example(name)), "");
    sound(&output, name);
}

fn shellcheck(script: &str, what: &str) {
    let mut command = Command::new("shellcheck");
    sound(&told(command.args(["--shell", "bash", "-"]), script), what);
}

/// A folder as the job finds it: a configuration and a context; parts of a run.
fn job(parts: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let config = "rounds = 8\n[workload.web]\ncontext = \".\"\n[change.app]\n\
                  edits = [{ append = \"app\", text = \"{nonce}\" }]\n[candidate.main]\n";
    fs::write(dir.path().join("breakeven.toml"), config).unwrap();
    fs::write(dir.path().join("Dockerfile"), "FROM scratch\nCOPY app /\n").unwrap();
    fs::write(dir.path().join("app"), "1").unwrap();
    split(&Run::new(4, |_| {}), 4, &dir.path().join(parts), |_, _| {});
    dir
}

/// Runs a script of an example in a folder with the program on its path and without any engine.
fn runs(script: &str, dir: &Path, variables: &[(&str, &str)]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_breakeven")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    without_variables(&mut shell);
    shell
        .args(["-e", "-c", script])
        .current_dir(dir)
        .env("PATH", path)
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .envs(variables.iter().copied());
    told(&mut shell, "")
}

/// That the program took the command and looked for its engine, which is not there.
#[track_caller]
fn measures(script: &str, dir: &Path, variables: &[(&str, &str)]) -> String {
    let output = runs(script, dir, variables);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{script}: {said}");
    assert!(said.contains("/nowhere/docker.sock"), "{said}");
    said
}

/// That a step takes samples that failed for a part, or a merged run, and nothing else that fails.
#[track_caller]
fn only_4_is_no_failure(script: &str, dir: &Path, variables: &[(&str, &str)]) {
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let variables = [variables, &[("PATH", &path)]].concat();
    for (code, ended) in [(0, 0), (4, 0), (3, 3)] {
        fs::write(bin.join("breakeven"), format!("#!/bin/sh\nexit {code}\n")).unwrap();
        fs::set_permissions(bin.join("breakeven"), fs::Permissions::from_mode(0o755)).unwrap();
        let output = runs(script, dir, &variables);
        assert_eq!(output.status.code(), Some(ended), "{output:?}");
    }
}

/// That what ends a container reaches the run, and that it is waited for.
#[track_caller]
fn a_signal_reaches_the_run(script: &str, dir: &Path, variables: &[(&str, &str)]) {
    let program = "#!/bin/bash\ntrap 'sleep 0.2; echo told; exit 130' TERM\necho begun\n\
                   while :; do sleep 0.05; done\n";
    fs::write(dir.join("bin/breakeven"), program).unwrap();
    let path = format!("{}:{}", dir.join("bin").display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-ec", script]).current_dir(dir).envs(variables.iter().copied());
    let mut shell = shell.env("PATH", path).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "begun");
    assert!(Command::new("kill").arg(shell.id().to_string()).status().unwrap().success());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!((rest, shell.wait().unwrap().code()), (vec!["told".to_owned()], Some(130)));
}

#[test]
fn the_workflow_of_github_actions_measures_and_merges() {
    fits("github-actions.yml", "vendor.github-workflows");
    let jobs = &documents("github-actions.yml")[0]["jobs"];
    let script = |job: &str, name: &str| {
        let steps = jobs[job]["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        step["run"].as_str().unwrap().to_owned()
    };
    let shards = jobs["measure"]["strategy"]["matrix"]["shard"].as_array().unwrap();
    let measure = script("measure", "Measure a part");
    shellcheck(&format!("#!/bin/bash\n{measure}"), "measure");
    let dir = job("parts");
    for shard in shards {
        let shard = format!("{shard}/{}", shards.len());
        let said = measures(&measure, dir.path(), &[("SHARD", &shard), ("GITHUB_RUN_ID", "1")]);
        assert!(
            said.contains(&format!("part {shard}")) && said.contains("GITHUB_RUN_ID"),
            "{said}"
        );
    }
    only_4_is_no_failure(&measure, dir.path(), &[("SHARD", "1/4")]);
    let merge = script("merge", "Merge the parts");
    fs::create_dir(dir.path().join("whole")).unwrap();
    fs::write(dir.path().join("whole/report.md"), "").unwrap();
    only_4_is_no_failure(&merge, dir.path(), &[("GITHUB_STEP_SUMMARY", "/dev/null")]);
    fs::remove_dir_all(dir.path().join("whole")).unwrap();
    shellcheck(&format!("#!/bin/bash\n{merge}"), "merge");
    let summary = dir.path().join("summary");
    let variables = [("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    sound(&runs(&merge, dir.path(), &variables), "merge");
    assert!(fs::read_to_string(summary).unwrap().contains("## Machines"));
}

#[test]
fn the_jobs_of_gitlab_measure_and_merge() {
    fits("gitlab-ci.yml", "vendor.gitlab-ci");
    let file = &documents("gitlab-ci.yml")[0];
    let parallel = file["breakeven"]["parallel"].as_u64().unwrap();
    let measure = file["breakeven"]["script"][0].as_str().unwrap();
    for job in ["breakeven", "breakeven-merge"] {
        assert_eq!(file[job]["allow_failure"]["exit_codes"], 4, "{job}: it is done all the same");
        assert_eq!(file[job]["artifacts"]["when"], "always", "{job}");
    }
    let dir = job("parts");
    for index in 1..=parallel {
        let (index, total) = (index.to_string(), parallel.to_string());
        let variables =
            [("CI_NODE_INDEX", &*index), ("CI_NODE_TOTAL", &*total), ("CI_PIPELINE_ID", "9")];
        measures(measure, dir.path(), &variables);
    }
    let alone = runs(measure, dir.path(), &[("CI_NODE_TOTAL", "1"), ("CI_PIPELINE_ID", "9")]);
    assert_eq!(alone.status.code(), Some(2));
    let said = String::from_utf8_lossy(&alone.stderr);
    assert!(said.contains("parallel:"), "{said}");
    sound(&runs(file["breakeven-merge"]["script"][0].as_str().unwrap(), dir.path(), &[]), "merge");
}

/// The fields of a Job that the example uses, and no other: one that is misspelt is refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KubernetesJob {
    api_version: String,
    kind: String,
    metadata: BTreeMap<String, String>,
    spec: JobSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JobSpec {
    completion_mode: Option<String>,
    completions: Option<u32>,
    parallelism: Option<u32>,
    backoff_limit: Option<u32>,
    backoff_limit_per_index: Option<u32>,
    pod_failure_policy: Option<FailurePolicy>,
    template: Template,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailurePolicy {
    rules: Vec<FailureRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FailureRule {
    action: String,
    on_pod_conditions: Vec<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    spec: PodSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PodSpec {
    restart_policy: String,
    #[serde(default)]
    init_containers: Vec<Container>,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Container {
    name: String,
    image: String,
    restart_policy: Option<String>,
    #[serde(default)]
    command: Vec<String>,
    args: Vec<String>,
    #[serde(default)]
    env: Vec<Variable>,
    security_context: Option<BTreeMap<String, bool>>,
    startup_probe: Option<Probe>,
    volume_mounts: Vec<VolumeMount>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Probe {
    exec: BTreeMap<String, Vec<String>>,
    failure_threshold: u32,
    period_seconds: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Variable {
    name: String,
    value: Option<String>,
    value_from: Option<BTreeMap<String, BTreeMap<String, String>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VolumeMount {
    name: String,
    mount_path: String,
    #[serde(default)]
    read_only: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Volume {
    name: String,
    config_map: Option<BTreeMap<String, String>>,
    persistent_volume_claim: Option<BTreeMap<String, String>>,
    empty_dir: Option<BTreeMap<String, String>>,
}

#[test]
fn the_jobs_of_kubernetes_have_fields_that_there_are_and_measure_and_merge() {
    let read = |value: &Value| serde_json::from_value::<KubernetesJob>(value.clone()).unwrap();
    let jobs: Vec<KubernetesJob> = documents("kubernetes.yaml").iter().map(read).collect();
    let [measuring, merging] = jobs.as_slice() else { panic!("two jobs") };
    for job in &jobs {
        assert_eq!((job.api_version.as_str(), job.kind.as_str()), ("batch/v1", "Job"));
        assert!(job.metadata["name"].starts_with("breakeven"));
        let pod = &job.spec.template.spec;
        assert_eq!(pod.restart_policy, "Never");
        for volume in &pod.volumes {
            let kinds = [&volume.config_map, &volume.persistent_volume_claim, &volume.empty_dir];
            assert_eq!(kinds.iter().filter(|kind| kind.is_some()).count(), 1, "{}", volume.name);
        }
        for container in pod.init_containers.iter().chain(&pod.containers) {
            assert!(!container.image.is_empty());
            for mount in &container.volume_mounts {
                let known = pod.volumes.iter().any(|volume| volume.name == mount.name);
                assert!(known && mount.mount_path.starts_with('/'), "{}", container.name);
                assert!(!mount.read_only || mount.name == "config");
            }
        }
    }
    let spec = &measuring.spec;
    assert_eq!(spec.completion_mode.as_deref(), Some("Indexed"));
    assert_eq!(spec.completions, spec.parallelism);
    // A limit for all of them would end the parts in hand when one fails.
    assert_eq!((spec.backoff_limit, spec.backoff_limit_per_index), (None, Some(0)));
    assert_eq!(merging.spec.backoff_limit, Some(0));
    let [rule] = spec.pod_failure_policy.as_ref().unwrap().rules.as_slice() else { panic!() };
    assert_eq!(rule.action, "Ignore");
    assert_eq!(rule.on_pod_conditions[0]["type"], "DisruptionTarget");
    assert_eq!(rule.on_pod_conditions[0]["status"], "True");
    let engine = &spec.template.spec.init_containers[0];
    // A sidecar: it lives as long as the pod's other container.
    assert_eq!(engine.restart_policy.as_deref(), Some("Always"));
    assert_eq!(engine.security_context.as_ref().map(|context| context["privileged"]), Some(true));
    let probe = engine.startup_probe.as_ref().unwrap();
    assert!(probe.exec["command"].len() > 1 && probe.failure_threshold * probe.period_seconds > 9);
    let container = &spec.template.spec.containers[0];
    let variable = |name: &str| container.env.iter().find(|one| one.name == name).unwrap();
    let parts = variable("JOB_COMPLETIONS").value.as_deref().unwrap();
    assert_eq!(parts.parse().ok(), spec.completions);
    let field = variable("JOB_UID").value_from.as_ref().unwrap();
    assert!(field["fieldRef"]["fieldPath"].contains("controller-uid"));

    let dir = job("parts/uid");
    let place = dir.path().display().to_string();
    assert_eq!(container.command, ["sh", "-ec"]);
    let script = container.args[0]
        .replace("/config/", &format!("{place}/"))
        .replace("/tmp/work", &format!("{place}/work"))
        .replace("/parts/", &format!("{place}/parts/"));
    shellcheck(&format!("#!/bin/sh\n{script}"), "measure");
    fs::write(dir.path().join("pack"), "Dockerfile\napp\n").unwrap();
    let tar = ["-cf", "context.tar", "-T", "pack"];
    assert!(Command::new("tar").args(tar).current_dir(dir.path()).status().unwrap().success());
    for index in 0..spec.completions.unwrap() {
        let index = index.to_string();
        let variables =
            [("JOB_COMPLETION_INDEX", &*index), ("JOB_COMPLETIONS", parts), ("JOB_UID", "new")];
        // A pod that was evicted had begun with the part.
        fs::create_dir_all(dir.path().join("parts/new").join(&index)).unwrap();
        measures(&script, dir.path(), &variables);
        fs::remove_dir_all(dir.path().join("work")).unwrap();
        only_4_is_no_failure(&script.replace("mkdir /", "mkdir -p /"), dir.path(), &variables);
        fs::remove_dir_all(dir.path().join("work")).unwrap();
        a_signal_reaches_the_run(&script, dir.path(), &variables);
        fs::remove_dir_all(dir.path().join("work")).unwrap();
    }
    let evicted = fs::read_dir(dir.path().join("parts/new-evicted")).unwrap().count();
    assert_eq!(evicted, usize::try_from(spec.completions.unwrap()).unwrap());
    let merge = merging.spec.template.spec.containers[0].args[0]
        .replace("/parts/", &format!("{place}/parts/"));
    sound(&runs(&merge, dir.path(), &[("MEASURED", "uid")]), "merge");
    only_4_is_no_failure(&merge, dir.path(), &[("MEASURED", "uid")]);
}

#[test]
fn the_script_for_swarm_is_sound() {
    let script = fs::read_to_string(example("swarm.sh")).unwrap();
    shellcheck(&script, "swarm.sh");
    let task =
        script.split_once("-ec '").and_then(|(_, rest)| rest.split_once("' \\\n")).unwrap().0;
    shellcheck(&format!("#!/bin/sh\n{task}"), "the task's script");
    let dir = tempfile::tempdir().unwrap();
    only_4_is_no_failure(task, dir.path(), &[("NAME", "x"), ("TASK_SLOT", "1")]);
    a_signal_reaches_the_run(task, dir.path(), &[("NAME", "x"), ("TASK_SLOT", "1")]);
}

#[test]
fn what_is_missing_or_wrong_is_refused_before_anything_starts() {
    let dir = job("parts");
    let said = |args: &[&str]| {
        let output = breakeven(dir.path(), args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let all = [
        said(&["run", "--shard", "1/2"]),
        said(&["run", "--shard", "auto", "--seed", "1"]),
        said(&["run", "--shard", "9/9", "--seed", "1"]),
        said(&["run", "--shard", "3/2"]),
        said(&["merge", "parts/1", "parts/3", "--out", "whole"]),
        said(&["merge", "parts/1", ".", "--out", "whole"]),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

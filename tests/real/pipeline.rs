//! A scheduled job as CI runs it: the action's script, the program, a real engine.

use super::harness::{Bed, assert_as_before, holdings, text};
use super::lab::{TINY, tiny};
use std::path::Path;
use std::process::Command;

#[test]
fn the_actions_script_measures_asks_the_rules_and_hands_the_verdict_on() {
    let bed = Bed::new();
    let before = holdings();
    let dockerfile = "FROM breakeven-fixture-base:1\nCOPY app ./\nRUN echo SALT > /salt\n";
    tiny(&bed, &[("Dockerfile", dockerfile), ("app", "SALT\n")]);
    let config = bed.config(TINY);
    let rules = "[[rule]]\nkind = \"no-finding\"\nid = \"base-present\"\n";
    std::fs::write(bed.path("rules.toml"), rules).unwrap();
    std::fs::create_dir(bed.path("kept")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_breakeven")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/ci.sh");
    let of_bed = bed.breakeven();
    let settings = of_bed.get_envs().filter_map(|(key, value)| Some((key, value?)));
    let output = Command::new(script)
        .current_dir(bed.path(""))
        .envs(settings)
        .env("PATH", path)
        .env("BREAKEVEN_CONFIG", config)
        .env("BREAKEVEN_OUT", "out")
        .env("BREAKEVEN_RULES", "rules.toml")
        .env("BREAKEVEN_HISTORY", "kept")
        .env("BREAKEVEN_ARGUMENTS", "--fixed 1 --no-aa --only */app/*/cold/classic/*/*")
        .env("GITHUB_OUTPUT", bed.path("outputs"))
        .output()
        .unwrap();
    // On an engine of the user's the base is there: the rule fails, and what was measured is handed
    // on all the same.
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    let outputs = std::fs::read_to_string(bed.path("outputs")).unwrap();
    assert!(outputs.contains("breakeven_ending=complete\n"), "{outputs}");
    assert!(outputs.contains("breakeven_report=out/report.html\n"), "{outputs}");
    assert!(bed.path("out/junit.xml").exists() && bed.path("out/report.html").exists());
    let kept = bed.breakeven().args(["history", "kept", "--format", "json"]).output().unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept.stdout).unwrap();
    assert_eq!(kept["runs"], 1);
    assert_as_before(&before, "after the job");
    assert_eq!(bed.leavings(), Vec::<String>::new());
}

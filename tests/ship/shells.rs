//! Completions and manual pages, as shells and man read them.

use crate::support::{breakeven, done, printed};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// The subcommands that `--help` lists.
fn subcommands() -> BTreeSet<String> {
    let help = printed(breakeven().arg("--help"));
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let rows = listed.take_while(|line| !line.is_empty());
    // A summary that goes on in the next line is indented further.
    let words = rows.filter_map(|row| row.strip_prefix("  ")?.split_once("  ")).map(|row| row.0);
    words.filter(|word| !word.is_empty() && *word != "help").map(str::to_owned).collect()
}

#[test]
fn bash_completes_subcommands_and_options() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("breakeven");
    fs::write(&script, printed(breakeven().args(["completions", "bash"]))).unwrap();
    let complete = |words: &str, at: u32| {
        let ask = format!(
            "set -u; . '{}'; COMP_WORDS=({words}); COMP_CWORD={at}; COMPREPLY=(); \
             _breakeven breakeven \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at} - 1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        printed(Command::new("bash").args(["-c", &ask]))
    };
    let offered = complete("breakeven ''", 1);
    let offered: BTreeSet<&str> = offered.lines().collect();
    let known = subcommands();
    assert!(known.len() > 8, "{known:?}");
    for one in &known {
        assert!(offered.contains(one.as_str()), "{one} is not among {offered:?}");
    }
    assert_eq!(complete("breakeven run --ou", 2).trim(), "--out");
    assert!(complete("breakeven export cold --as ''", 4).lines().any(|line| line == "bake"));
}

#[test]
fn every_shell_gets_a_script_and_another_one_is_refused() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(breakeven().args(["completions", shell]));
        assert!(script.contains("retry-failed"), "{shell}");
    }
    let refused = breakeven().args(["completions", "cobol"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn every_subcommand_has_a_page_without_warnings() {
    let dir = tempfile::tempdir().unwrap();
    let man = dir.path().join("share/man1");
    done(breakeven().arg("man").arg("--out").arg(&man));
    let mut pages = BTreeSet::new();
    for entry in fs::read_dir(&man).unwrap() {
        pages.insert(entry.unwrap().file_name().into_string().unwrap());
    }
    for one in subcommands() {
        assert!(pages.contains(&format!("breakeven-{one}.1")), "{one} is not among {pages:?}");
    }
    let page = fs::read_to_string(man.join("breakeven-run.1")).unwrap();
    assert!(page.contains("\\-\\-retry\\-failed"), "{page}");
    for name in pages {
        // Every warning is one too many: a page that groff stumbles over is shown broken.
        let mut groff = Command::new("groff");
        let output = done(groff.args(["-man", "-Tutf8", "-ww", "-z"]).arg(man.join(&name)));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said, "", "{name}");
    }
}

#[test]
fn pages_that_cannot_be_written_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    let output = breakeven().arg("man").arg("--out").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("manual pages") && said.contains("file"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

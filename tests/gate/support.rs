//! Hand-made runs as directories, and the command as a user calls it.

use crate::report_support::Run;
use breakeven::compare::Side;
use breakeven::model::event::Ending;
use breakeven::model::{Cell, Event, Phase, Sample};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Names that try to break out of a format.
pub const HOSTILE: [&str; 5] = [
    "]]><script>alert(1)</script>&amp;\"'",
    "new\nline\r\n::error::injected\n# heading\n| a | b |",
    "::set-output name=x::y, title=z%0A%25",
    "pipe | `tick` **bold** [link](http://x.invalid) @someone #1 \\",
    "\u{1b}[31mred\u{7}\u{0}\u{202e}{a=\"b\"}",
];

/// Calls the command in a folder.
pub fn breakeven(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_breakeven"))
        .current_dir(dir)
        .args(args)
        .env_remove("GITHUB_STEP_SUMMARY")
        .output()
        .expect("the program can be called")
}

/// What is printed where the exit code is this one.
pub fn printed(dir: &Path, args: &[&str], code: i32) -> String {
    let output = breakeven(dir, args);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stdout).expect("what is printed is text")
}

/// What is said on stderr where the command line or the files are not right: exit 2 and no data.
pub fn refusal(dir: &Path, args: &[&str]) -> String {
    let output = breakeven(dir, args);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).expect("what is said is text")
}

/// Writes a run as `breakeven run` leaves it, without its reports.
pub fn write(run: &Run, dir: &Path) {
    fs::create_dir_all(dir).expect("room for a run");
    let plan = serde_json::to_string_pretty(&run.plan).expect("a plan is JSON");
    fs::write(dir.join("plan.json"), plan).expect("room for a plan");
    let lines = run.events.iter().map(|event| serde_json::to_string(event).expect("JSON") + "\n");
    fs::write(dir.join("events.jsonl"), lines.collect::<String>()).expect("room for a journal");
}

/// A run of so many rounds on a machine and engine that are known, with the content that it built.
pub fn made(rounds: u32, id: &str, change: impl Fn(&mut Sample)) -> Run {
    identified(Run::new(rounds, change), id)
}

/// The same run under another id, on a machine and engine that are known.
pub fn identified(mut run: Run, id: &str) -> Run {
    id.clone_into(&mut run.plan.run);
    run.plan.facts = [
        ("machine processor", "AMD EPYC, 2 cores"),
        ("machine kernel", "6.1.0"),
        ("engine version", "20.10.24"),
        ("engine store", "overlay2"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    for event in &mut run.events {
        if let Event::RunStarted { run, .. } = event {
            id.clone_into(run);
        }
    }
    let hashes = [("workload article".to_owned(), "sha256:0a1b".to_owned())].into();
    run.events.insert(1, Event::Contents { hashes });
    run
}

/// Leaves those cells that a test needs: what is decided of the others takes its time.
pub fn only(mut run: Run, keep: impl Fn(&Cell) -> bool) -> Run {
    run.plan.cells.retain(&keep);
    run.events.retain(|event| match event {
        Event::SampleFinished { sample } => keep(&sample.cell),
        _ => true,
    });
    run
}

/// Jobs after a change of the app that find a cache, if their strategy has one.
pub fn of_app(cell: &Cell) -> bool {
    cell.change.starts_with("app") && cell.availability.starts_with("branch+main")
}

/// What is known of a run.
pub fn side(run: &Run) -> Side<'_> {
    Side { plan: &run.plan, events: &run.events, decision: run.decision() }
}

/// Ends a run early.
pub fn interrupt(run: &mut Run) {
    run.events.pop();
    run.end(Ending::Interrupted, "stopped by SIGINT");
}

/// Makes a job's builds slower.
pub fn slow(sample: &mut Sample, factor: f64) {
    sample.phases.edit(|rows| {
        let builds = rows.iter_mut().filter(|row| row.phase == Phase::Build);
        builds.for_each(|row| row.duration_s *= factor);
    });
}

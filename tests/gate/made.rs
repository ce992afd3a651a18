//! Runs for a history, and the command as a user calls it.

use crate::report_support::Run;
use breakeven::history::{History, Kept};
use breakeven::model::{Event, Sample};
use breakeven::storage::Access;
use breakeven::trend::Summary;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::{fs, thread};
use tokio::net::TcpListener;

const KEY: &str = "test-key-id";
const SECRET: &str = "test-secret-value";

/// A run of five rounds of two strategies, on a machine that is known.
pub fn run(id: &str, change: impl Fn(&mut Sample)) -> Run {
    let mut run = Run::new(5, change);
    let keep = |strategy: &str, change: &str, availability: &str| {
        ["cold", "inline"].contains(&strategy) && change == "app" && availability == "branch+main"
    };
    run.plan.cells.retain(|cell| keep(&cell.strategy, &cell.change, &cell.availability));
    run.events.retain(|event| match event {
        Event::SampleFinished { sample } => {
            keep(&sample.cell.strategy, &sample.cell.change, &sample.cell.availability)
        }
        _ => true,
    });
    id.clone_into(&mut run.plan.run);
    let facts = [("machine processor", "AMD EPYC, 2 cores"), ("engine version", "20.10.24")];
    run.plan.facts = facts.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    for event in &mut run.events {
        if let Event::RunStarted { run, .. } = event {
            id.clone_into(run);
        }
    }
    run
}

/// Writes a run as `breakeven run` leaves it, without its reports.
pub fn write(run: &Run, dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("plan.json"), serde_json::to_string_pretty(&run.plan).unwrap()).unwrap();
    let lines = run.events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n");
    fs::write(dir.join("events.jsonl"), lines.collect::<String>()).unwrap();
}

/// The command in a folder.
pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakeven"));
    command.current_dir(dir).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What is printed and what is said where the exit code is this one.
pub fn said(output: Output, code: i32) -> [String; 2] {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
}

/// Ends all of them; each with exit code 0.
pub fn all_done(children: Vec<Child>) {
    for child in children {
        said(child.wait_with_output().unwrap(), 0);
    }
}

/// Files below a folder, by their path in it.
pub fn files(dir: &Path) -> Vec<String> {
    let all = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = all.filter(|entry| entry.file_type().is_file());
    files.map(|entry| entry.path().strip_prefix(dir).unwrap().display().to_string()).collect()
}

/// The objects of a history in a folder.
pub fn objects(dir: &Path) -> Vec<PathBuf> {
    let runs = dir.join("breakeven-history/runs");
    let mut all: Vec<_> = fs::read_dir(runs).unwrap().map(|one| one.unwrap().path()).collect();
    all.sort();
    all
}

static BASE: LazyLock<(Run, Summary)> = LazyLock::new(|| {
    let run = run("base", |_| ());
    let summary = Summary::of(&run.plan, &run.events, run.decision());
    (run, summary)
});

/// Puts a night's run into a history without measuring it: its jobs take this many times as long.
pub async fn night(address: &str, number: u32, factor: f64, change: impl Fn(&mut Summary)) {
    let mut plan = BASE.0.plan.clone();
    let day = format!("2026-{:02}-{:02}", 1 + number / 28, 1 + number % 28);
    plan.run = format!("{}-night", day.replace('-', ""));
    let mut summary = BASE.1.clone();
    summary.run.clone_from(&plan.run);
    summary.started_at = format!("{day}T03:00:00Z");
    for cell in &mut summary.cells {
        // A little up and down that no two nights and cells have in common.
        let mixed = number.wrapping_mul(2_654_435_761) ^ cell.key().len() as u32;
        let mixed = mixed.wrapping_mul(0x85eb_ca6b) >> 13;
        let factor = factor * (0.98 + f64::from(mixed % 997) / 997.0 * 0.04);
        cell.mean_s = cell.mean_s.map(|mean| mean * factor);
        if let Some(total) = &mut cell.total_s {
            (total.point, total.low, total.high) =
                (total.point * factor, total.low * factor, total.high * factor);
        }
    }
    change(&mut summary);
    let kept = Kept { summary: &summary, plan: &plan, lines: &[] };
    let history = History::open(address, &Access::default()).unwrap();
    history.add(&kept).await.unwrap();
}

/// A real S3 server with a bucket `shared`, for as long as the test's process lives. Its
/// environment for a command.
pub fn s3(root: &Path) -> Vec<(String, String)> {
    fs::create_dir(root.join("shared")).unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    let root = root.to_owned();
    thread::spawn(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            crate::server::serve(listener, &root, (KEY, SECRET)).await;
        });
    });
    [
        ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://{}", receive.recv().unwrap())),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

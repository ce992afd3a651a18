//! What a person waits for: how long `--version` takes, and `report` on a journal of a million
//! samples, with the processor time and the memory that it takes.
//!
//! `cargo bench --bench binary -- --samples 100000` is a smaller journal, `--runs 5` reports it
//! that often.

mod made;

use anyhow::{Context, Result, bail, ensure};
use breakeven::run::journal;
use rayon::prelude::*;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BREAKEVEN: &str = env!("CARGO_BIN_EXE_breakeven");
/// Starts of `--version`.
const STARTS: usize = 100;
/// Clock ticks a second, in which Linux counts processor time for everybody.
const TICKS: f64 = 100.0;

fn main() -> Result<()> {
    let mut out = std::io::stdout();
    let samples = argument("--samples", 1_000_000)?;
    let runs = argument("--runs", 1)?;
    starts(&mut out)?;
    let folder = tempfile::tempdir()?;
    let bytes = write(folder.path(), u32::try_from(samples)?)?;
    writeln!(out, "journal of {samples} samples: {:.0} MB", bytes as f64 / 1e6)?;
    for _ in 0..runs {
        let took = report(folder.path())?;
        writeln!(
            out,
            "report: {:.2} s, of the processors {:.2} s and {:.2} s in the kernel, at most {:.0} MiB",
            took.whole.as_secs_f64(),
            took.user_s,
            took.kernel_s,
            took.peak_kib / 1024.0
        )?;
    }
    for name in ["samples.csv", "phases.csv", "steps.csv", "report.json", "report.html"] {
        let bytes = folder.path().join(name).metadata()?.len();
        writeln!(out, "{name}: {:.2} MB", bytes as f64 / 1e6)?;
    }
    Ok(())
}

/// The number after this argument; cargo adds others that are not for us.
fn argument(name: &str, otherwise: usize) -> Result<usize> {
    let mut arguments = std::env::args();
    if !arguments.any(|argument| argument == name) {
        return Ok(otherwise);
    }
    let value = arguments.next().with_context(|| format!("{name} needs a number"))?;
    value.parse().with_context(|| format!("{name} {value} is not a number"))
}

fn starts(out: &mut impl Write) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let status = Command::new(BREAKEVEN).arg("--version").stdout(Stdio::null()).status()?;
        ensure!(status.success(), "--version failed");
        times.push(begun.elapsed());
    }
    times.sort();
    let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
    writeln!(
        out,
        "--version: median {:.1} ms, most {:.1} ms (n = {STARTS})",
        median.as_secs_f64() * 1e3,
        most.as_secs_f64() * 1e3
    )?;
    Ok(())
}

/// Writes the run directory; says how long the journal is.
fn write(dir: &Path, samples: u32) -> Result<u64> {
    let cells = made::cells();
    let plan = made::plan(&cells, samples as usize / cells.len())?;
    serde_json::to_writer(File::create(dir.join(journal::PLAN))?, &plan)?;
    let path = dir.join(journal::JOURNAL);
    let mut file = BufWriter::new(File::create(&path)?);
    writeln!(file, "{}", serde_json::to_string(&made::started())?)?;
    let shared = made::shared(&cells);
    let numbers: Vec<u32> = (1..=samples).collect();
    for piece in numbers.chunks(50_000) {
        let line =
            |number: &u32| serde_json::to_string(&made::finished(made::sample(*number, &shared)));
        let lines: Vec<_> = piece.par_iter().map(line).collect::<Result<_, _>>()?;
        lines.iter().try_for_each(|line| writeln!(file, "{line}"))?;
    }
    file.flush()?;
    Ok(path.metadata()?.len())
}

/// What a process took.
struct Took {
    whole: Duration,
    user_s: f64,
    kernel_s: f64,
    peak_kib: f64,
}

/// Runs `report` and looks at the process until it ends: what the kernel counts only grows, so that
/// the last look is at most a few milliseconds short.
fn report(dir: &Path) -> Result<Took> {
    let begun = Instant::now();
    let mut child = Command::new(BREAKEVEN).arg("report").arg(dir).stdout(Stdio::null()).spawn()?;
    let place = format!("/proc/{}", child.id());
    let mut took = Took { whole: Duration::ZERO, user_s: 0.0, kernel_s: 0.0, peak_kib: 0.0 };
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let read = |name: &str| std::fs::read_to_string(format!("{place}/{name}"));
        if let (Ok(stat), Ok(memory)) = (read("stat"), read("status")) {
            // Fields 14 and 15, counted from behind the name, which may hold anything.
            let fields: Vec<&str> =
                stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
            let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
            took.user_s = ticks(11).unwrap_or(0.0) / TICKS;
            took.kernel_s = ticks(12).unwrap_or(0.0) / TICKS;
            let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let peak = peak.and_then(|text| text.split_whitespace().next()?.parse().ok());
            took.peak_kib = peak.unwrap_or(took.peak_kib);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    took.whole = begun.elapsed();
    if !status.success() {
        bail!("report ended with {status}");
    }
    Ok(took)
}

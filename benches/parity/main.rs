//! Parity: what Breakeven's own path costs beside the plain `docker` command that does the same.
//!
//! Each phase is measured in pairs, ours and docker's, taking turns at going first; the figure is
//! the median ratio with its interval. Then a 1 GiB image is saved and loaded, and the peak
//! resident memory of this process is read. Everything is made here and removed by its name or id:
//! images, a registry on 127.0.0.1, and a temporary folder.
//!
//! `cargo bench --bench parity -- --pairs 20` measures more pairs than the usual 10.

mod commands;
mod memory;
mod phases;
mod registry;

use anyhow::{Context, Result, bail};
use breakeven::engine::{Engine, SharedEngine};
use breakeven::stats::{Bootstrap, Values};
use std::io::Write;

/// Pairs of each phase; fewer say too little.
const PAIRS: usize = 10;
/// Ratio that is aimed at.
const AIM: f64 = 1.02;

fn main() -> Result<()> {
    let pairs = pairs(std::env::args())?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(pairs))
}

/// The value of `--pairs`. Cargo adds `--bench`, and a filter of another bench may come along:
/// neither is for us.
fn pairs(mut args: impl Iterator<Item = String>) -> Result<usize> {
    if !args.any(|arg| arg == "--pairs") {
        return Ok(PAIRS);
    }
    let value = args.next().context("--pairs needs a number")?;
    let pairs = value.parse().with_context(|| format!("--pairs {value} is not a number"))?;
    if pairs < PAIRS {
        bail!("--pairs {pairs}: at least {PAIRS} are needed");
    }
    Ok(pairs)
}

async fn run(pairs: usize) -> Result<()> {
    let engine: Box<dyn Engine> = Box::new(SharedEngine::connect(None).await?);
    let before = engine.snapshot().await?;
    let mut bench = phases::Bench::new(engine)?;
    let measured = measure(&mut bench, pairs).await;
    // Also after a failure; the first error is the one to report.
    let cleaned = bench.clean(&before).await;
    measured.and(cleaned)
}

async fn measure(bench: &mut phases::Bench, pairs: usize) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "peak memory, ours, 1 GiB image: {}", memory::peak(bench).await?)?;
    writeln!(
        out,
        "{:<16} {:>9} {:>9}  ratio ours/docker, {pairs} pairs",
        "phase", "ours", "docker"
    )?;
    for (phase, pairs) in bench.phases(pairs).await? {
        let median = |side: fn(&(f64, f64)) -> f64| -> Result<f64> {
            Ok(Values::new(pairs.iter().map(side))?.median())
        };
        let ratios = Values::new(pairs.iter().map(|(ours, docker)| ours / docker))?;
        let ratio = Bootstrap::new(1).median(&ratios);
        writeln!(
            out,
            "{phase:<16} {:>7.3} s {:>7.3} s  {:.3} [{:.3}, {:.3}]{}",
            median(|(ours, _)| *ours)?,
            median(|(_, docker)| *docker)?,
            ratio.point,
            ratio.low,
            ratio.high,
            if ratio.point > AIM { format!("  above {AIM}") } else { String::new() },
        )?;
    }
    Ok(())
}

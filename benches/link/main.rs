//! The link: asked against achieved, and what the proxy costs when nothing is shaped.
//!
//! Everything is on this machine: a server of the bench that sends and swallows, and a registry.
//! Clients and servers are plain blocking threads, so that what is seen is the proxy.
//!
//! `cargo bench --bench link -- --pairs 20` measures more pairs than the usual 10.

mod memory;
mod peer;
mod registry;
mod shapes;

use anyhow::{Context, Result, bail};
use breakeven::link::{Proxy, Upstream};
use breakeven::stats::{Bootstrap, Values};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Pairs of each transfer; fewer say too little.
const PAIRS: usize = 10;
/// Share of the registry's own throughput that is aimed at.
const AIM: f64 = 0.9;

fn main() -> Result<()> {
    let pairs = pairs(std::env::args())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut out = std::io::stdout();

    let server = peer::serve()?;
    let proxy = runtime.block_on(Proxy::start(HERE, Upstream::http(server.to_string())))?;
    shapes::rates(&proxy, &mut out)?;
    shapes::round_trips(&proxy, &mut out)?;
    writeln!(out, "peak memory, 32 connections each way: {}", memory::peak(&proxy)?)?;
    runtime.block_on(proxy.close());

    let registry = runtime.block_on(registry::Rig::start())?;
    let measured = unshaped(&registry, pairs, &mut out);
    runtime.block_on(registry.close())?;
    measured
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

/// Throughput through the proxy against the registry's own.
fn unshaped(registry: &registry::Rig, pairs: usize, out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "{:<34} {:>11} {:>11}  ratio proxy/direct, {pairs} pairs",
        "unshaped", "proxy", "direct"
    )?;
    for (name, transfer) in registry::TRANSFERS {
        let pairs = registry.pairs(transfer, pairs)?;
        let median = |side: fn(&(f64, f64)) -> f64| -> Result<f64> {
            Ok(Values::new(pairs.iter().map(side))?.median())
        };
        let ratios = Values::new(pairs.iter().map(|(proxy, direct)| proxy / direct))?;
        let ratio = Bootstrap::new(1).median(&ratios);
        writeln!(
            out,
            "{name:<34} {:>6.0} MB/s {:>6.0} MB/s  {:.3} [{:.3}, {:.3}]{}",
            median(|(proxy, _)| *proxy)?,
            median(|(_, direct)| *direct)?,
            ratio.point,
            ratio.low,
            ratio.high,
            if ratio.point < AIM { format!("  below {AIM}") } else { String::new() },
        )?;
    }
    Ok(())
}

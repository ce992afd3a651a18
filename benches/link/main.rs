//! The link: asked against achieved, and what the proxy costs when nothing is shaped.
//!
//! Everything is on this machine: a server of the bench that sends and swallows, and a registry.
//! Clients and servers are plain blocking threads, so that what is seen is the proxy.
//!
//! `cargo bench --bench link -- --pairs 20` measures more pairs than the usual 10.

mod cost;
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
    cost::measure(&proxy, server)?;
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

/// Throughput through the proxy against the registry's own, and against that of a relay which only
/// copies: what is lost between the two is the proxy's, the rest is the price of being in between.
fn unshaped(registry: &registry::Rig, turns: usize, out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "{:<34} {:>11} {:>11} {:>11}  {:<21}  {:<21}  {turns} pairs",
        "unshaped", "proxy", "direct", "relay", "proxy/direct", "proxy/relay"
    )?;
    for (name, transfer) in registry::TRANSFERS {
        let rates = registry.turns(transfer, turns)?;
        let median = |way: usize| -> Result<f64> {
            Ok(Values::new(rates.iter().map(|rates| rates[way]))?.median())
        };
        let ratio = |way: usize| -> Result<(f64, String)> {
            let ratios = Values::new(rates.iter().map(|rates| rates[0] / rates[way]))?;
            let ratio = Bootstrap::new(1).median(&ratios);
            let text = format!("{:.3} [{:.3}, {:.3}]", ratio.point, ratio.low, ratio.high);
            Ok((ratio.point, text))
        };
        let ((direct, of_direct), (_, of_relay)) = (ratio(1)?, ratio(2)?);
        writeln!(
            out,
            "{name:<34} {:>6.0} MB/s {:>6.0} MB/s {:>6.0} MB/s  {of_direct:<21}  {of_relay:<21}{}",
            median(0)?,
            median(1)?,
            median(2)?,
            if direct < AIM { format!("  below {AIM}") } else { String::new() },
        )?;
    }
    Ok(())
}

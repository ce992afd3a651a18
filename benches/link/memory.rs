//! Peak resident memory while much is carried over many connections.

use crate::peer::Client;
use crate::shapes::together;
use anyhow::{Context, Result};
use breakeven::link::{Proxy, Shape};

const CONNECTIONS: usize = 32;
/// Bytes over each connection, each way.
const BYTES: u64 = 64 << 20;
/// Peak that is aimed at, MiB.
const AIM_MIB: f64 = 64.0;

/// The peak of this process, clients and servers included, without limits and with slow ones.
pub fn peak(proxy: &Proxy) -> Result<String> {
    // Sets VmHWM back to what is resident now, so that it is the peak of what follows.
    std::fs::write("/proc/self/clear_refs", "5").context("writing 5 to /proc/self/clear_refs")?;
    let start = high_water_mib()?;
    let mut clients =
        (0..CONNECTIONS).map(|_| Client::connect(proxy.address())).collect::<Result<Vec<_>>>()?;
    together(&mut clients, |client| client.exchange(BYTES, 0))?;
    together(&mut clients, |client| client.exchange(0, BYTES))?;
    let unshaped = high_water_mib()?;
    let rate = Some(200e6);
    proxy.set_shape(&Shape { down_bps: rate, up_bps: rate, ..Shape::default() });
    together(&mut clients, |client| client.exchange(1 << 20, 1 << 20))?;
    proxy.set_shape(&Shape::default());
    let shaped = high_water_mib()?;
    Ok(format!(
        "{start:.1} MiB before, {unshaped:.1} MiB after 4 GiB unshaped, {shaped:.1} MiB after 64 MiB at 200 Mbit/s{}",
        if shaped > AIM_MIB { format!("; above {AIM_MIB}") } else { String::new() }
    ))
}

/// VmHWM of this process.
fn high_water_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib = line.trim().strip_suffix("kB").context("VmHWM not in kB")?.trim();
    Ok(kib.parse::<f64>()? / 1024.0)
}

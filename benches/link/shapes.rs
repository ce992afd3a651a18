//! Asked against achieved.

use crate::peer::Client;
use anyhow::Result;
use breakeven::link::{Proxy, Shape};
use breakeven::stats::Values;
use std::io::Write;
use std::time::{Duration, Instant};

const MBIT: f64 = 1e6;
const RATES: [f64; 5] = [1.0 * MBIT, 10.0 * MBIT, 100.0 * MBIT, 1000.0 * MBIT, 2000.0 * MBIT];
const CONNECTIONS: [usize; 2] = [1, 8];
/// Time that a transfer is meant to take.
const TIME_S: f64 = 2.0;
const REPEATS: usize = 3;
/// Greatest difference that is aimed at.
const AIM: f64 = 0.02;
const AIM_RTT_MS: f64 = 1.0;

/// A table of rates, both directions, with one and several connections.
pub fn rates(proxy: &Proxy, out: &mut impl Write) -> Result<()> {
    writeln!(out, "asked Mbit/s  connections    down      off      up       off")?;
    for rate in RATES {
        for connections in CONNECTIONS {
            let down = Shape { down_bps: Some(rate), ..Shape::default() };
            let up = Shape { up_bps: Some(rate), ..Shape::default() };
            let down = achieved(proxy, &down, rate, connections, |bytes| (bytes, 0))?;
            let up = achieved(proxy, &up, rate, connections, |bytes| (0, bytes))?;
            let off = |got: f64| got / rate - 1.0;
            let miss = off(down).abs().max(off(up).abs());
            writeln!(
                out,
                "{:>12}  {connections:>11} {:>9.3} {:>+6.2} % {:>9.3} {:>+6.2} %{}",
                rate / MBIT,
                down / MBIT,
                off(down) * 100.0,
                up / MBIT,
                off(up) * 100.0,
                if miss > AIM { "  beyond 2 %" } else { "" }
            )?;
        }
    }
    Ok(())
}

/// Median of a few transfers, bits a second.
fn achieved(
    proxy: &Proxy,
    shape: &Shape,
    rate: f64,
    connections: usize,
    sides: fn(u64) -> (u64, u64),
) -> Result<f64> {
    let bytes = (rate / 8.0 * TIME_S) as u64 / connections as u64;
    let (down, up) = sides(bytes);
    let mut clients =
        (0..connections).map(|_| Client::connect(proxy.address())).collect::<Result<Vec<_>>>()?;
    proxy.set_shape(&Shape::default());
    for client in &mut clients {
        client.exchange(1, 1)?;
    }
    proxy.set_shape(shape);
    let mut rates = Vec::new();
    for _ in 0..REPEATS {
        let start = Instant::now();
        together(&mut clients, |client| client.exchange(down, up))?;
        let time = start.elapsed().as_secs_f64();
        rates.push((bytes * connections as u64) as f64 * 8.0 / time);
    }
    Ok(Values::new(rates)?.median())
}

/// Does something with all clients at once.
pub fn together(
    clients: &mut [Client],
    work: impl Fn(&mut Client) -> Result<()> + Sync,
) -> Result<()> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> =
            clients.iter_mut().map(|client| scope.spawn(move || work(client))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))?
        })
    })
}

/// A table of round trips, on a connection that is there and on a new one.
pub fn round_trips(proxy: &Proxy, out: &mut impl Write) -> Result<()> {
    writeln!(out, "asked rtt ms     kept   off ms    new connection (3 rtt)   off ms")?;
    for rtt_ms in [0.0, 1.0, 5.0, 20.0, 80.0] {
        proxy.set_shape(&Shape { rtt: Duration::from_secs_f64(rtt_ms / 1e3), ..Shape::default() });
        let mut client = Client::connect(proxy.address())?;
        client.exchange(0, 0)?;
        let (mut kept, mut new) = (Vec::new(), Vec::new());
        for _ in 0..21 {
            let start = Instant::now();
            client.exchange(0, 0)?;
            kept.push(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            Client::connect(proxy.address())?.exchange(0, 0)?;
            new.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let (kept, new) = (Values::new(kept)?.median(), Values::new(new)?.median());
        let (off, off_new) = (kept - rtt_ms, new - 3.0 * rtt_ms);
        writeln!(
            out,
            "{rtt_ms:>12} {kept:>8.3} {off:>+8.3} {new:>25.3} {off_new:>+8.3}{}",
            if off.abs().max(off_new.abs()) > AIM_RTT_MS { "  beyond 1 ms" } else { "" }
        )?;
    }
    proxy.set_shape(&Shape::default());
    Ok(())
}

//! What the proxy takes for itself, when nothing is shaped: a request there and back, and bytes
//! either way, beside the same without it.

use crate::peer::Client;
use anyhow::Result;
use breakeven::link::{Proxy, Shape};
use criterion::{Criterion, Throughput};
use std::net::SocketAddr;

const BODY: u64 = 64 << 20;

/// Prints the times of one exchange through the proxy and straight to the server behind it.
pub fn measure(proxy: &Proxy, server: SocketAddr) -> Result<()> {
    proxy.set_shape(&Shape::default());
    // Not by the arguments, which are those of the whole bench.
    let mut criterion = Criterion::default().sample_size(50);
    let mut group = criterion.benchmark_group("proxy");
    for (what, down, up) in [("request", 1, 1), ("64 MiB down", BODY, 1), ("64 MiB up", 1, BODY)] {
        if down + up > BODY {
            group.throughput(Throughput::Bytes(BODY));
        }
        for (way, address) in [("through it", proxy.address()), ("without it", server)] {
            let mut client = Client::connect(address)?;
            group.bench_function(format!("{what}, {way}"), |bencher| {
                bencher.iter(|| {
                    let exchanged = client.exchange(down, up);
                    assert!(exchanged.is_ok(), "{exchanged:?}");
                });
            });
        }
    }
    group.finish();
    Ok(())
}

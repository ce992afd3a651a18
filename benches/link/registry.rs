//! A registry, reached directly and through a proxy that shapes nothing.

use crate::HERE;
use crate::peer::{self, Client};
use anyhow::{Context, Result};
use breakeven::link::{Proxy, Upstream};
use breakeven::registry::{ManagedRegistry, Program, Registry};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::time::Instant;

const BLOB_BYTES: usize = 256 << 20;
const PART: usize = 1 << 20;

pub struct Rig {
    registry: ManagedRegistry,
    proxy: Proxy,
    direct: SocketAddr,
    relay: SocketAddr,
    content: Vec<u8>,
    digest: String,
    _dir: tempfile::TempDir,
}

/// One transfer of the blob.
pub type Transfer = fn(&Rig, SocketAddr) -> Result<()>;

pub const TRANSFERS: [(&str, Transfer); 3] = [
    ("pull", |rig, address| rig.pull(address, |_| {})),
    ("pull, digest checked by the client", |rig, address| {
        let mut hash = Sha256::new();
        rig.pull(address, |part| hash.update(part))?;
        anyhow::ensure!(name(hash) == rig.digest, "the blob is another one");
        Ok(())
    }),
    ("push", Rig::push),
];

fn name(hash: Sha256) -> String {
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Rig {
    pub async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let registry = ManagedRegistry::start(&Program::find(), "bench", dir.path()).await?;
        let address = registry.prefix().split('/').next().context("no address")?.to_owned();
        let direct = address.parse()?;
        let relay = peer::relay(direct)?;
        let proxy = Proxy::start(HERE, Upstream::http(address)).await?;
        let content: Vec<u8> = (0..BLOB_BYTES as u64 / 8)
            .flat_map(|index| (index * 0x9E37_79B9).to_le_bytes())
            .collect();
        let digest = name(Sha256::new_with_prefix(&content));
        let rig = Self { registry, proxy, direct, relay, content, digest, _dir: dir };
        rig.push(direct)?;
        Ok(rig)
    }

    fn pull(&self, address: SocketAddr, show: impl FnMut(&[u8])) -> Result<()> {
        let mut client = Client::connect(address)?;
        client.begin("GET", &format!("/v2/bench/blobs/{}", self.digest), 0)?;
        client.finish(show).map(drop)
    }

    fn push(&self, address: SocketAddr) -> Result<()> {
        let mut client = Client::connect(address)?;
        client.begin("POST", "/v2/bench/blobs/uploads/", 0)?;
        let answer = client.finish(|_| {})?;
        let place = answer.header("location").context("no Location")?;
        let path = place.splitn(4, '/').nth(3).context("no path in Location")?;
        let path = format!("/{path}&digest={}", self.digest);
        client.begin("PUT", &path, self.content.len() as u64)?;
        for part in self.content.chunks(PART) {
            client.send(part)?;
        }
        client.finish(|_| {}).map(drop)
    }

    /// Megabytes a second through the proxy, directly, and through the relay; which goes first
    /// changes from turn to turn.
    pub fn turns(&self, transfer: Transfer, turns: usize) -> Result<Vec<[f64; 3]>> {
        let rate = |address| -> Result<f64> {
            let start = Instant::now();
            transfer(self, address)?;
            Ok(BLOB_BYTES as f64 / 1e6 / start.elapsed().as_secs_f64())
        };
        let ways = [self.proxy.address(), self.direct, self.relay];
        rate(ways[0])?;
        (0..turns)
            .map(|turn| {
                let mut rates = [0.0; 3];
                for way in 0..3 {
                    let way = (way + turn) % 3;
                    rates[way] = rate(ways[way])?;
                }
                Ok(rates)
            })
            .collect()
    }

    pub async fn close(self) -> Result<()> {
        self.proxy.close().await;
        Ok(self.registry.close().await?)
    }
}

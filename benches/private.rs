//! How long a private engine takes to be ready and to be gone: 50 of them, one after another.

use breakeven::engine::private::{PrivateHost, PrivateSpec};
use breakeven::model::plan::{Keep, Store};
use std::io::Write;
use std::time::{Duration, Instant};

const SAMPLES: usize = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::runtime::Runtime::new()?.block_on(measure())
}

async fn measure() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let run = format!("bench-{}", std::process::id());
    for store in [Store::Overlay2, Store::Containerd] {
        let spec = PrivateSpec {
            image: "breakeven-engine:modern".to_owned(),
            store: Some(store),
            keep: Keep::Sample,
        };
        let host = PrivateHost::connect(None, &run, "e", spec, folder.path()).await?;
        let measured = samples(&host).await;
        host.close().await?;
        let (ready, gone) = measured?;
        writeln!(std::io::stdout(), "{store:?}: ready {}, gone {}", said(ready), said(gone))?;
    }
    Ok(())
}

type Times = (Vec<Duration>, Vec<Duration>);

async fn samples(host: &PrivateHost) -> Result<Times, breakeven::engine::EngineError> {
    host.prepare().await?;
    let (mut ready, mut gone) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let begun = Instant::now();
        host.fresh().await?;
        ready.push(begun.elapsed());
        let begun = Instant::now();
        host.release().await?;
        gone.push(begun.elapsed());
    }
    Ok((ready, gone))
}

fn said(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |index: usize| times.get(index).map_or(0.0, Duration::as_secs_f64);
    let (median, most) = (at(times.len() / 2), at(times.len().saturating_sub(1)));
    format!("median {median:.2} s, most {most:.2} s (n = {})", times.len())
}

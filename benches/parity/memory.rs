//! Peak resident memory while a large image is saved and loaded.

use crate::{commands, phases::Bench};
use anyhow::{Context, Result};
use breakeven::engine::StepLog;
use breakeven::model::plan::ArchivePlan;

const IMAGE_BYTES: u64 = 1 << 30;
/// Peak that is aimed at, MiB.
const AIM_MIB: f64 = 64.0;

/// Saves and loads, and says the peak.
pub async fn peak(bench: &mut Bench) -> Result<String> {
    let reference = bench.reference("large", 0);
    let id = commands::import_random(&reference.to_string(), IMAGE_BYTES, 0)?;
    bench.made(&reference, &id);
    let archive = bench.path("large.tar");
    // Sets VmHWM back to what is resident now, so that it is the peak of what follows.
    std::fs::write("/proc/self/clear_refs", "5").context("writing 5 to /proc/self/clear_refs")?;
    let start = high_water_mib()?;
    let mut log = StepLog::default();
    bench
        .engine
        .save(std::slice::from_ref(&reference), &archive, &ArchivePlan::default(), &mut log)
        .await?;
    let saved = high_water_mib()?;
    commands::docker(&["rmi", &reference.to_string()])?;
    bench.engine.load(&archive, &mut log).await?;
    let loaded = high_water_mib()?;
    commands::docker(&["rmi", &reference.to_string()])?;
    std::fs::remove_file(&archive)?;
    Ok(format!(
        "{start:.1} MiB before, {saved:.1} MiB after save, {loaded:.1} MiB after load{}",
        if loaded > AIM_MIB { format!("; above {AIM_MIB}") } else { String::new() }
    ))
}

/// VmHWM of this process.
fn high_water_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib = line.trim().strip_suffix("kB").context("VmHWM not in kB")?.trim();
    Ok(kib.parse::<f64>()? / 1024.0)
}

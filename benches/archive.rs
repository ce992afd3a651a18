//! What packing and unpacking an archive costs beside the command that does the same, and the
//! memory that it takes.
//!
//! The input is what `docker save` would bring of this machine's own programs and libraries. It
//! comes in pieces of the size that an engine sends. Both sides take turns at going first; the
//! figure is the median of the pairs. Everything is written to a temporary folder.
//!
//! `cargo bench --bench archive -- --pairs 20` measures more pairs than the usual 10.

use anyhow::{Context, Result, bail};
use breakeven::model::plan::{ArchivePlan, Compression};
use breakeven::stats::{Bootstrap, Values};
use breakeven::storage::{Sink, codec};
use bytes::Bytes;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Bytes that are packed in each pair.
const INPUT: usize = 512 << 20;
/// Bytes of the archive whose memory is looked at.
const LARGE: usize = 2 << 30;
/// Bytes of one piece from the engine.
const PIECE: usize = 32 << 10;

fn main() -> Result<()> {
    let mut args = std::env::args().skip_while(|arg| arg != "--pairs").skip(1);
    let pairs: usize = args.next().map_or(Ok(10), |pairs| pairs.parse())?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(pairs.max(1)))
}

async fn run(pairs: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("input.tar");
    make_input(&input)?;
    let mut out = std::io::stdout();
    writeln!(out, "packing          peak resident for {} GiB", LARGE >> 30)?;
    for (packing, _) in contests() {
        let mib = memory(&input, &folder.path().join("large"), packing).await?;
        writeln!(out, "{:<16} {mib:>6.1} MiB", name(packing))?;
    }
    let content = Bytes::from(std::fs::read(&input)?);
    writeln!(
        out,
        "\n{:<16} {:>10} {:>10} {:>7} {:>10}  ratio ours/theirs, {pairs} pairs",
        "packing", "ours", "theirs", "size", "unpack"
    )?;
    for (packing, theirs) in contests() {
        contest(&mut out, &content, &input, (packing, theirs), pairs).await?;
    }
    Ok(())
}

/// Ours, and the command that reads the input and writes the same.
fn contests() -> Vec<(ArchivePlan, &'static [&'static str])> {
    let plan = |compression, level, threads| ArchivePlan { compression, level, threads };
    vec![
        (plan(Compression::None, None, 1), &["cat"][..]),
        (plan(Compression::Zstd, Some(1), 2), &["zstd", "-q", "-c", "-1", "-T2"]),
        (plan(Compression::Zstd, Some(2), 2), &["zstd", "-q", "-c", "-2", "-T2"]),
        (plan(Compression::Zstd, Some(3), 2), &["zstd", "-q", "-c", "-3", "-T2"]),
        (plan(Compression::Zstd, Some(3), 1), &["zstd", "-q", "-c", "-3", "-T1"]),
        (plan(Compression::Gzip, Some(1), 1), &["gzip", "-c", "-1"]),
        (plan(Compression::Gzip, Some(6), 1), &["gzip", "-c", "-6"]),
    ]
}

fn name(packing: ArchivePlan) -> String {
    match packing.level {
        None => packing.compression.to_string(),
        Some(level) => format!("{} -{level} -T{}", packing.compression, packing.threads),
    }
}

async fn contest(
    out: &mut impl Write,
    content: &Bytes,
    input: &Path,
    (packing, command): (ArchivePlan, &[&str]),
    pairs: usize,
) -> Result<()> {
    let ours_to = input.with_extension("ours");
    let (mut ours, mut theirs, mut unpacks) = (Vec::new(), Vec::new(), Vec::new());
    // gzip takes its time, and there is no aim for it.
    let pairs = if packing.compression == Compression::Gzip { pairs.min(3) } else { pairs };
    let mut size = 0;
    for pair in 0..pairs {
        for side in [pair % 2, 1 - pair % 2] {
            if side == 0 {
                let started = Instant::now();
                size = pack(content, &ours_to, packing).await?;
                ours.push(started.elapsed().as_secs_f64());
                unpacks.push(unpack(ours_to.clone()).await?);
            } else {
                theirs.push(tool(command, input)?);
            }
        }
    }
    let rate = |seconds: &[f64]| -> Result<f64> {
        Ok(INPUT as f64 / 1e6 / Values::new(seconds.iter().copied())?.median())
    };
    let ratios = Values::new(ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs))?;
    let ratio = Bootstrap::new(1).median(&ratios);
    writeln!(
        out,
        "{:<16} {:>5.0} MB/s {:>5.0} MB/s {:>5.1} % {:>5.0} MB/s  {:.3} [{:.3}, {:.3}]",
        name(packing),
        rate(&ours)?,
        rate(&theirs)?,
        size as f64 / INPUT as f64 * 100.0,
        rate(&unpacks)?,
        ratio.point,
        ratio.low,
        ratio.high,
    )?;
    Ok(())
}

async fn pack(content: &Bytes, to: &Path, packing: ArchivePlan) -> Result<u64> {
    let mut sink = Sink::new(to.to_path_buf(), packing);
    for start in (0..content.len()).step_by(PIECE) {
        sink.write(content.slice(start..content.len().min(start + PIECE))).await?;
    }
    Ok(sink.finish().await?)
}

async fn unpack(from: PathBuf) -> Result<f64> {
    tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        let mut content = codec::decode(BufReader::with_capacity(1 << 20, File::open(from)?))?;
        let mut piece = vec![0; 1 << 20];
        while content.read(&mut piece)? > 0 {}
        Ok(started.elapsed().as_secs_f64())
    })
    .await?
}

/// Seconds that the command takes.
fn tool(command: &[&str], input: &Path) -> Result<f64> {
    let output = File::create(input.with_extension("theirs"))?;
    let started = Instant::now();
    let status = Command::new(command[0])
        .args(&command[1..])
        .stdin(File::open(input)?)
        .stdout(output)
        .status()
        .with_context(|| command[0].to_owned())?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Peak resident memory, MiB, while a large archive is packed from what lies on the disk.
async fn memory(input: &Path, to: &Path, packing: ArchivePlan) -> Result<f64> {
    // Sets VmHWM back to what is resident now, so that it is the peak of what follows.
    std::fs::write("/proc/self/clear_refs", "5").context("writing 5 to /proc/self/clear_refs")?;
    let mut sink = Sink::new(to.to_path_buf(), packing);
    let mut file = File::open(input)?;
    let mut taken = 0;
    while taken < LARGE {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece)?;
        if read == 0 {
            file = File::open(input)?;
            continue;
        }
        piece.truncate(read);
        taken += read;
        sink.write(piece.into()).await?;
    }
    sink.finish().await?;
    std::fs::remove_file(to)?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib = line.trim().strip_suffix("kB").context("VmHWM not in kB")?.trim();
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// An archive of this machine's programs and libraries, of exactly [`INPUT`] bytes.
fn make_input(to: &Path) -> Result<()> {
    let mut archive = tar::Builder::new(File::create(to)?);
    let mut total = 0;
    let files = ["/usr/bin", "/usr/lib", "/usr/share"].into_iter().flat_map(|root| {
        walkdir::WalkDir::new(root).sort_by_file_name().into_iter().filter_map(Result::ok)
    });
    for file in files.filter(|file| file.file_type().is_file()) {
        if total >= INPUT {
            break;
        }
        let name = file.path().strip_prefix("/")?;
        total += usize::try_from(file.metadata()?.len())?;
        archive.append_path_with_name(file.path(), name)?;
    }
    let file = archive.into_inner()?;
    if total < INPUT {
        bail!("this machine has only {total} bytes of programs to pack");
    }
    file.set_len(INPUT as u64)?;
    Ok(())
}
